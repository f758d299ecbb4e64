"""Asking a provider: bounded in time and size, never led elsewhere, never by another scheme."""

import json
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException
from typing import Any, Final, final
from urllib.error import HTTPError
from urllib.parse import urlencode

from sparsepath.server.login.errors import ProviderError, RefusedError

TIMEOUT_S: Final = 10.0
MAX_BYTES: Final = 1 << 20


@final
class _Stay(urllib.request.HTTPRedirectHandler):
    """Follows no redirects: what is sent is for one address alone."""

    def redirect_request(self, *_: Any) -> None:
        """Refuse."""


_OPENER: Final = urllib.request.build_opener(_Stay)


def fetch_json(
    url: str, *, form: Mapping[str, str] | None = None, authorization: str | None = None
) -> dict[str, Any]:
    """Get a JSON object, or post a form for one.

    Args:
        url: one that `options.check_address` has seen.
        form: is posted; None gets.
        authorization: of that header.

    Raises:
        RefusedError: if what was sent is not accepted.
        ProviderError: if there is none for another reason.
    """
    headers = {"Accept": "application/json", "User-Agent": "sparsepath"}
    if authorization is not None:
        headers["Authorization"] = authorization
    data = None if form is None else urlencode(form).encode()
    asked = urllib.request.Request(url, data, headers)
    where = url.partition("?")[0][:200]
    try:
        with _OPENER.open(asked, timeout=TIMEOUT_S) as reply:
            content = reply.read(MAX_BYTES + 1)
    except HTTPError as err:
        with err:
            why = _code(err.read(4096))
        kind = RefusedError if err.code in {400, 401, 403} else ProviderError
        raise kind(f"{where} says {err.code}{why}") from None
    except (OSError, HTTPException) as err:
        raise ProviderError(f"{where} cannot be reached: {type(err).__name__}") from None
    try:
        found = json.loads(content) if len(content) <= MAX_BYTES else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ProviderError(f"{where} gave no JSON object of up to {MAX_BYTES} bytes")
    return found


def _code(content: bytes) -> str:
    """Give the error code of OAuth 2, which holds nothing of anybody."""
    try:
        code = json.loads(content).get("error")
    except (ValueError, AttributeError, RecursionError):
        return ""
    is_plain = isinstance(code, str) and code.isascii() and code.replace("_", "").isalnum()
    return f", {code[:64]}" if is_plain else ""
