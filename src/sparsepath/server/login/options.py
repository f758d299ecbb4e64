"""How persons log in."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from sparsepath.errors import ConfigError
from sparsepath.server.login.rules import RoleRules

SECRET_VARIABLE: Final = "SPARSEPATH_OIDC_SECRET"
"""Environment variable with the client's secret."""

MAX_HOURS: Final = 24 * 30

_LOOPBACK: Final = {"localhost", "127.0.0.1", "::1"}


@dataclass(frozen=True, kw_only=True, slots=True)
class LoginOptions:
    """The provider of identities, and what its word is worth here."""

    issuer: str
    """Its address, as its tokens have it; https, or on this machine."""

    client_id: str
    """By what name it knows this server."""

    rules: RoleRules
    """Who gets which role."""

    secret: str | None = field(default=None, repr=False)
    """The client's; None where the provider gave none."""

    page_url: str | None = None
    """Address of the page in browsers; None: the one that is asked, without TLS."""

    hours: float = 8.0
    """Until a person must log in again, above 0 and up to 720."""

    @property
    def is_secure(self) -> bool:
        """Whether browsers reach the page by https."""
        return self.page_url is not None and self.page_url.startswith("https:")

    @property
    def host(self) -> str | None:
        """Name of the page's machine, if an address is given."""
        return None if self.page_url is None else urlsplit(self.page_url).hostname

    def __post_init__(self) -> None:
        """Check the settings.

        Raises:
            ConfigError: if one is out of range, or secrets would cross a network in plain text.
        """
        check_address(self.issuer, "the issuer")
        if self.page_url is not None:
            check_address(self.page_url, "the page's address")
            if urlsplit(self.page_url).path not in {"", "/"}:
                raise ConfigError(
                    f"the page's address {self.page_url} has a path",
                    hint="give scheme, name and port alone, such as https://models.example.org",
                )
        if not self.client_id.strip():
            raise ConfigError("no client", hint="give what the provider calls it: --oidc-client ID")
        if not 0 < self.hours <= MAX_HOURS:
            raise ConfigError(
                f"a login for {self.hours:g} hours", hint=f"give above 0 and up to {MAX_HOURS}"
            )


def check_address(url: str, what: str) -> None:
    """See that an address is one that secrets may be sent to.

    Raises:
        ConfigError: if it is none, or neither https nor on this machine.
    """
    try:
        parts = urlsplit(url)
        name, _ = parts.hostname, parts.port
    except ValueError:
        parts, name = urlsplit(""), None
    is_plain = parts.scheme == "http" and name in _LOOPBACK
    is_odd = parts.query or parts.fragment or "@" in parts.netloc or any(c <= " " for c in url)
    if not name or is_odd or (parts.scheme != "https" and not is_plain):
        raise ConfigError(
            f"{what} {url[:200]!r} cannot be used",
            hint="give an address with https://; http:// is for this machine alone",
        )


def read_secret(path: Path | None) -> str | None:
    """Read the client's secret: from a file, else from the environment.

    Raises:
        ConfigError: if the file cannot be read or is empty.
    """
    if path is None:
        return os.environ.get(SECRET_VARIABLE) or None
    try:
        secret = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as err:
        raise ConfigError(
            f"the secret in {path} cannot be read ({type(err).__name__})",
            hint="give a text file that holds the secret alone",
        ) from err
    if not secret:
        raise ConfigError(f"{path} is empty", hint="write the client's secret into it")
    return secret
