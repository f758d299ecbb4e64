"""A provider of identities: where it sends people, and what it says of who comes back.

Its description is kept for ten minutes. Its keys are read at each login, so that keys that it takes
back are worth nothing from then on, and new ones are known at once.
"""

import base64
import threading
import time
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, final
from urllib.parse import quote_plus, urlencode

from sparsepath.audit.logins import Identity
from sparsepath.errors import ConfigError
from sparsepath.server.login.attempt import Attempt
from sparsepath.server.login.errors import ProviderError, TokenError
from sparsepath.server.login.fetch import fetch_json
from sparsepath.server.login.id_token import Expected, verified
from sparsepath.server.login.options import LoginOptions, check_address

KEPT_S: Final = 600.0

_NEEDED: Final = ("authorization_endpoint", "token_endpoint", "jwks_uri")

_NAMES: Final = ("name", "preferred_username", "email", "sub")
"""Where a person's name is looked for, in this order."""


class Visitor(NamedTuple):
    """Who came back, and what the provider says of them."""

    identity: Identity
    claims: dict[str, Any]


@final
class Provider:
    """Asks one provider; may be used from several threads."""

    def __init__(self, options: LoginOptions) -> None:
        """Prepare; nothing is asked yet."""
        self._options = options
        self._lock = threading.Lock()
        self._known: tuple[float, dict[str, Any]] | None = None

    def address(self, attempt: Attempt, back: str) -> str:
        """Give where to send a browser.

        Args:
            attempt: that begins.
            back: address of ours that it comes back to.

        Raises:
            ProviderError: if the provider cannot be asked.
        """
        asked = {
            "response_type": "code",
            "client_id": self._options.client_id,
            "redirect_uri": back,
            "scope": " ".join(self._options.rules.scope),
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": attempt.challenge,
            "code_challenge_method": "S256",
        }
        there = str(self._described()["authorization_endpoint"])
        return f"{there}{'&' if '?' in there else '?'}{urlencode(asked)}"

    def check_sender(self, sender: str | None) -> None:
        """See that an answer is of this provider, where it says so of itself (RFC 9207).

        Raises:
            ProviderError: if the provider cannot be asked.
            TokenError: if it is of another one.
        """
        says = self._described().get("authorization_response_iss_parameter_supported") is True
        if (sender is not None or says) and sender != self._options.issuer:
            raise TokenError("the answer is of another issuer")

    def visitor(self, code: str, attempt: Attempt, back: str) -> Visitor:
        """Say who came back with a code, which is used up by that.

        Raises:
            ProviderError: if the provider cannot be asked, or does not know the code.
            TokenError: if what it says cannot be believed.
        """
        described = self._described()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": back,
            "code_verifier": attempt.verifier,
        }
        told = self._exchanged(described, form)
        expected = Expected(self._options.issuer, self._options.client_id, attempt.nonce)
        keys = fetch_json(str(described["jwks_uri"]))
        claims = verified(told.get("id_token"), keys, expected, time.time())
        more = self._userinfo(described, told.get("access_token"), claims)
        # What the signed token says counts before what is said beside it.
        claims = more | claims
        name = next(str(claims[key]) for key in _NAMES if isinstance(claims.get(key), str))
        return Visitor(Identity(self._options.issuer, claims["sub"], name), claims)

    def _exchanged(self, described: Mapping[str, Any], form: dict[str, str]) -> dict[str, Any]:
        """Give the tokens for a code."""
        secret, id_ = self._options.secret, self._options.client_id
        authorization = None
        ways = described.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        if secret is None:
            form = form | {"client_id": id_}
        elif "client_secret_basic" in ways:
            pair = f"{quote_plus(id_)}:{quote_plus(secret)}".encode()
            authorization = f"Basic {base64.b64encode(pair).decode()}"
        else:
            form = form | {"client_id": id_, "client_secret": secret}
        there = str(described["token_endpoint"])
        return fetch_json(there, form=form, authorization=authorization)

    def _userinfo(
        self, described: Mapping[str, Any], token: object, claims: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Ask for what the ID token lacks; it must be of the same person."""
        has_all = self._options.rules.is_in(claims) and any(key in claims for key in _NAMES[:3])
        there = described.get("userinfo_endpoint")
        if has_all or there is None or not isinstance(token, str) or not token.isascii():
            return {}
        found = fetch_json(str(there), authorization=f"Bearer {token}")
        if found.get("sub") != claims["sub"]:
            raise TokenError("what is said beside it is of another person")
        return found

    def _described(self) -> dict[str, Any]:
        """Give the provider's description of itself."""
        with self._lock:
            if self._known is None or time.monotonic() - self._known[0] >= KEPT_S:
                self._known = (time.monotonic(), self._describe())
            return self._known[1]

    def _describe(self) -> dict[str, Any]:
        issuer = self._options.issuer
        found = fetch_json(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
        if found.get("issuer") != issuer:
            said = str(found.get("issuer"))[:200]
            raise ProviderError(f"the provider at {issuer} calls itself {said!r}")
        for name in (*_NEEDED, "userinfo_endpoint"):
            if name in _NEEDED or name in found:
                try:
                    check_address(str(found.get(name, "")).partition("?")[0], name)
                except ConfigError as err:
                    raise ProviderError(err.message) from None
        return found
