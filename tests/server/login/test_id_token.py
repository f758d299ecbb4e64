"""What an ID token must be; with keys of our own (a real provider: `tests/e2e/test_login.py`)."""

import base64
import hmac
import json
from typing import Any

import pytest
from joserfc import jwk, jws, jwt

from sparsepath.server.login.errors import TokenError
from sparsepath.server.login.id_token import ALGORITHMS, Expected, verified

NOW_S = 1_800_000_000.0
EXPECTED = Expected("https://id.example", "page", "n" * 43)
CLAIMS: dict[str, Any] = {
    "iss": "https://id.example", "aud": "page", "nonce": "n" * 43, "sub": "alice",
    "iat": 1_800_000_000, "exp": 1_800_000_300,
}  # fmt: skip
RSA = jwk.RSAKey.generate_key(2048, {"kid": "a", "use": "sig"})
EC = jwk.ECKey.generate_key("P-256", {"kid": "b", "use": "sig"})
OTHER = jwk.RSAKey.generate_key(2048, {"kid": "a", "use": "sig"})
KEYS = {"keys": [{"kty": "odd"}, 7, {"kty": "RSA"}, RSA.as_dict(private=False),
                 EC.as_dict(private=False)]}  # fmt: skip


def signed(claims: dict[str, Any], key: Any = RSA, alg: str = "RS256", kid: str = "a") -> str:
    registry = jws.JWSRegistry(algorithms=[alg])
    return jwt.encode({"alg": alg, "kid": kid}, claims, key, algorithms=[alg], registry=registry)


def test_a_token_as_it_should_be_is_believed() -> None:
    assert verified(signed(CLAIMS), KEYS, EXPECTED, NOW_S) == CLAIMS
    assert verified(signed(CLAIMS, alg="PS512"), KEYS, EXPECTED, NOW_S) == CLAIMS
    assert verified(signed(CLAIMS, EC, "ES256", "b"), KEYS, EXPECTED, NOW_S) == CLAIMS
    for allowed in ({"aud": ["page"], "azp": "page"}, {"exp": 1_799_999_990}, {"nbf": NOW_S + 30}):
        assert verified(signed(CLAIMS | allowed), KEYS, EXPECTED, NOW_S)["sub"] == "alice"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"iss": "https://evil.example"}, "issuer"),
        ({"iss": "https://id.example/"}, "issuer"),
        ({"aud": "other"}, "aud"),
        ({"aud": ["page", "other"]}, "aud"),
        ({"aud": []}, "azp"),
        ({"aud": {"page": 1}}, "aud"),
        ({"azp": "other"}, "azp"),
        ({"nonce": "m" * 43}, "nonce"),
        ({"nonce": None}, "nonce"),
        ({"nonce": "\u00fc" * 43}, "nonce"),
        ({"exp": 1_799_999_940}, "expired"),
        ({"exp": None}, "exp"),
        ({"exp": "9999999999"}, "exp"),
        ({"exp": True}, "exp"),
        ({"exp": 1e300}, "exp"),
        ({"iat": 1_800_000_061}, "future"),
        ({"iat": 1_799_999_339, "exp": 1_900_000_000}, "too long ago"),
        ({"iat": None}, "iat"),
        ({"nbf": 1_800_000_100}, "nbf"),
        ({"sub": ""}, "sub"),
        ({"sub": None}, "sub"),
        ({"sub": "x" * 256}, "sub"),
        ({"sub": 5}, "sub"),
    ],
)
def test_a_claim_that_is_not_as_it_should_be_is_refused(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(TokenError, match=told):
        verified(signed(CLAIMS | changes), KEYS, EXPECTED, NOW_S)


@pytest.mark.parametrize("name", sorted(set(CLAIMS) - {"aud"}))
def test_a_claim_that_lacks_is_refused(name: str) -> None:
    lacking = {key: value for key, value in CLAIMS.items() if key != name}
    with pytest.raises(TokenError):
        verified(signed(lacking), KEYS, EXPECTED, NOW_S)


def test_only_the_providers_private_key_signs() -> None:
    assert "none" not in ALGORITHMS
    assert not any(name.startswith("HS") for name in ALGORITHMS)
    with pytest.raises(TokenError, match="signature"):
        verified(signed(CLAIMS, OTHER), KEYS, EXPECTED, NOW_S)
    with pytest.raises(TokenError, match="signature"):
        verified(signed(CLAIMS, kid="unknown"), KEYS, EXPECTED, NOW_S)
    # The public key as if it were a secret that both sides know.
    for public in (RSA.as_pem(private=False), RSA.as_der(private=False)):
        token = forged_with(public)
        with pytest.raises(TokenError, match="signature"):
            verified(token, KEYS, EXPECTED, NOW_S)
    secret = jwk.OctKey.generate_key(256, {"kid": "a"})
    listed = {"keys": [secret.as_dict(private=True)]}
    with pytest.raises(TokenError, match="no key"):
        verified(signed(CLAIMS, secret, "HS256"), listed, EXPECTED, NOW_S)


def forged_with(secret: bytes) -> str:
    """Sign by HMAC, by hand: the library refuses to help."""

    def packed(content: bytes) -> str:
        return base64.urlsafe_b64encode(content).decode().rstrip("=")

    head = packed(json.dumps({"alg": "HS256", "kid": "a"}).encode())
    plain = f"{head}.{packed(json.dumps(CLAIMS).encode())}"
    return f"{plain}.{packed(hmac.digest(secret, plain.encode(), 'sha256'))}"


@pytest.mark.parametrize("token", [None, "", "x", "a.b", "a.b.c", "....", "é.é.é", 5, "x" * 70_000])
def test_what_is_no_token_is_refused(token: object) -> None:
    with pytest.raises(TokenError):
        verified(token, KEYS, EXPECTED, NOW_S)
    for keys in ({}, {"keys": 5}, {"keys": []}):
        with pytest.raises(TokenError, match="no key"):
            verified(signed(CLAIMS), keys, EXPECTED, NOW_S)
