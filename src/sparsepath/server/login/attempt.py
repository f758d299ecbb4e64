"""One attempt to log in, kept by the browser that makes it until the provider sends it back.

State, nonce and PKCE verifier lie in a cookie that no script can read. So an answer of the provider
is worth something only in the browser that asked for it, and the server need not remember anything
of people whom it does not know yet.
"""

import base64
import hashlib
import hmac
import json
import re
import secrets
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from sparsepath.server.page import SCREENS

LASTS_S: Final = 600
"""Seconds to log in at the provider."""

MAX_NEXT: Final = 1000
"""Characters of the address to go on to."""

_RANDOM: Final = re.compile(r"[A-Za-z0-9_-]{43}")


class Attempt(NamedTuple):
    """What a login that goes on must come back with."""

    state: str
    nonce: str
    verifier: str
    next: str
    """Screen to go on to."""

    @property
    def challenge(self) -> str:
        """The verifier's SHA-256, as PKCE sends it ahead."""
        digest = hashlib.sha256(self.verifier.encode()).digest()
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")

    def answers(self, state: str) -> bool:
        """Say whether an answer with this state is to this attempt."""
        return hmac.compare_digest(self.state.encode(), state.encode("utf-8", "replace"))

    def packed(self) -> str:
        """Write it as a cookie's value."""
        return base64.urlsafe_b64encode(json.dumps(self).encode()).decode().rstrip("=")


def begin_attempt(next_: str) -> Attempt:
    """Draw a new attempt; what is no screen of ours is not gone on to."""
    state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
    return Attempt(state, nonce, verifier, screen(next_))


def read_attempt(packed: str | None) -> Attempt | None:
    """Read a cookie's value; None where it is none."""
    if not packed or len(packed) > 4096:
        return None
    try:
        found = json.loads(base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4)))
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, list) or len(found) != 4:
        return None
    *drawn, next_ = found
    if not all(isinstance(one, str) and _RANDOM.fullmatch(one) for one in drawn):
        return None
    state, nonce, verifier = drawn
    return Attempt(state, nonce, verifier, screen(next_))


def screen(address: object) -> str:
    """Give an address of the page as it is if this is one, else that of its first screen."""
    if not isinstance(address, str) or len(address) > MAX_NEXT or not address.isascii():
        return "/"
    try:
        parts = urlsplit(address)
    except ValueError:
        return "/"
    is_ours = not parts.scheme and not parts.netloc and parts.path in SCREENS
    is_plain = address.isprintable() and " " not in address and "\\" not in address
    if not is_ours or not is_plain or address.startswith("//"):
        return "/"
    return f"{parts.path}?{parts.query}" if parts.query else parts.path
