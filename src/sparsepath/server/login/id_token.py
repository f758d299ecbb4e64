"""Is an ID token the provider's, for us, for this login, and fresh?

Read with: OpenID Connect Core 1.0, section 3.1.3.7. Needs the extra `oidc`.
"""

import hmac
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from joserfc import jwk, jws, jwt
from joserfc.errors import JoseError

from sparsepath.server.login.errors import TokenError

ALGORITHMS: Final = (
    *(f"{kind}{bits}" for kind in ("RS", "PS", "ES") for bits in (256, 384, 512)),
    "EdDSA",
)
"""What a token may be signed by: the provider's private key. Never `none`, never a secret that both
sides know."""

LEEWAY_S: Final = 60
"""Seconds by which the provider's clock may differ."""

MAX_AGE_S: Final = 600
"""How old a token may be: it was made for a login that goes on now."""

MAX_CHARACTERS: Final = 65_536


class Expected(NamedTuple):
    """What a token must say."""

    issuer: str
    client_id: str
    nonce: str
    """Drawn for this login."""


def verified(
    token: object, keys: Mapping[str, Any], expected: Expected, now_s: float
) -> dict[str, Any]:
    """Give what a token says.

    Args:
        token: as the provider sent it.
        keys: its public keys, a JWK set.
        expected: what it must say.
        now_s: seconds since 1970.

    Raises:
        TokenError: if anything is wrong.
    """
    if not isinstance(token, str) or not 0 < len(token) <= MAX_CHARACTERS:
        raise TokenError("there is no ID token")
    claims = _signed(token, keys)
    if claims.get("iss") != expected.issuer:
        raise TokenError("it is of another issuer")
    _check_audience(claims, expected.client_id)
    nonce = claims.get("nonce")
    if not isinstance(nonce, str) or not hmac.compare_digest(
        nonce.encode("utf-8", "replace"), expected.nonce.encode()
    ):
        raise TokenError("it is of another login (nonce)")
    _check_time(claims, now_s)
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= 255 or not subject.isascii():
        raise TokenError("it names nobody (sub)")
    return claims


def _signed(token: str, keys: Mapping[str, Any]) -> dict[str, Any]:
    """Give the claims of a token that one of the keys has signed."""
    try:
        registry = jws.JWSRegistry(algorithms=list(ALGORITHMS))
        found = jwt.decode(token, _public(keys), algorithms=list(ALGORITHMS), registry=registry)
    except (JoseError, ValueError, TypeError, KeyError, RecursionError) as err:
        raise TokenError(f"its signature is not valid ({type(err).__name__})") from None
    return dict(found.claims)


def _public(keys: Mapping[str, Any]) -> jwk.KeySet:
    """Read the keys that can be; a provider may have kinds that we do not know."""
    listed = keys.get("keys")
    found: list[jwk.Key] = []
    for one in listed if isinstance(listed, list) else ():
        if isinstance(one, dict) and one.get("kty") in {"RSA", "EC", "OKP"}:
            try:
                found.append(jwk.import_key(one))
            except (JoseError, ValueError, TypeError, KeyError):
                continue
    if not found:
        raise TokenError("the provider has no key that can be used")
    return jwk.KeySet(found)


def _check_audience(claims: Mapping[str, Any], client_id: str) -> None:
    """See that it is for us, and for nobody else."""
    said = claims.get("aud")
    audiences = [said] if isinstance(said, str) else said
    if not isinstance(audiences, list) or any(one != client_id for one in audiences):
        raise TokenError("it is for another client (aud)")
    if not audiences or claims.get("azp", client_id) != client_id:
        raise TokenError("it is for another client (azp)")


def _check_time(claims: Mapping[str, Any], now_s: float) -> None:
    expires, made = _seconds(claims, "exp"), _seconds(claims, "iat")
    if expires + LEEWAY_S <= now_s:
        raise TokenError("it has expired")
    if made - LEEWAY_S > now_s:
        raise TokenError("it was made in the future; one of the clocks is wrong")
    if made + MAX_AGE_S + LEEWAY_S <= now_s:
        raise TokenError("it was made too long ago")
    if "nbf" in claims and _seconds(claims, "nbf") - LEEWAY_S > now_s:
        raise TokenError("it does not count yet (nbf)")


def _seconds(claims: Mapping[str, Any], name: str) -> float:
    found = claims.get(name)
    if isinstance(found, bool) or not isinstance(found, int | float) or not 0 <= found < 2**53:
        raise TokenError(f"it has no time {name}")
    return float(found)
