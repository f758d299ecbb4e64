"""Ask a language model behind an OpenAI-compatible endpoint, by the standard library alone.

What is asked leaves this machine, unless the endpoint is on it. Only https is spoken, or http to
this machine; redirections are not followed, so that a key goes nowhere else.
"""

import http.client
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from sparsepath.errors import ConfigError, RunError

AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Answers after which the same is asked again."""

LONGEST_WAIT_S = 60.0
"""Between two attempts, also where an endpoint asks for more."""

MOST_BYTES = 1 << 20
"""Of an answer."""

CHUNK = 1 << 14


@dataclass(frozen=True, kw_only=True, slots=True)
class Endpoint:
    """A language model at an address."""

    url: str
    """As in `https://host/v1`; `/chat/completions` is added where it is not there."""

    model: str
    """Its name at the endpoint."""

    key: str | None = field(default=None, repr=False)
    """Sent as `Authorization: Bearer KEY`; None: nothing is."""

    timeout_s: float = 60.0
    """Seconds for one answer, above 0."""

    attempts: int = 5
    """For one answer, at least 1."""

    wait_s: float = 1.0
    """Seconds before the second attempt, unless the endpoint says; twice as long before each
    further one."""

    def __post_init__(self) -> None:
        """Check everything that can be checked without asking.

        Raises:
            ConfigError: if the address is neither https nor on this machine, or a number is off.
        """
        try:
            parts = urlsplit(self.url)
            host, _ = parts.hostname, parts.port
        except ValueError as err:
            raise _bad_url(self.url, str(err)) from err
        if not host or parts.scheme not in ("http", "https") or parts.query or parts.fragment:
            raise _bad_url(self.url, "it is no web address")
        if parts.username is not None:
            raise _bad_url(
                f"{parts.scheme}://...@{host}", "it holds a name or a password, which logs keep"
            )
        if parts.scheme == "http" and not self.is_local:
            raise _bad_url(self.url, "texts and keys would travel in the clear")
        if self.timeout_s <= 0 or self.attempts < 1 or self.wait_s < 0:
            raise ConfigError(
                f"a time-out of {self.timeout_s} s, {self.attempts} attempts",
                hint="give a time above 0 and at least one attempt",
            )
        if self.key is not None and not (self.key.isascii() and self.key.isprintable()):
            raise ConfigError(
                "the key holds characters that no key has, such as a line break",
                hint="set the variable again, without quotation marks or line breaks",
            )

    @property
    def is_local(self) -> bool:
        """Whether it is on this machine."""
        host = urlsplit(self.url).hostname or ""
        try:
            return ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"

    @property
    def address(self) -> str:
        """Where questions are sent."""
        url = self.url.rstrip("/")
        return url if url.endswith("/chat/completions") else f"{url}/chat/completions"


def key_from(variable: str | None) -> str | None:
    """Read a key from an environment variable; None where none is named.

    Raises:
        ConfigError: if the variable is not set.
    """
    if variable is None:
        return None
    key = os.environ.get(variable, "").strip()
    if not key:
        raise ConfigError(
            f"the environment variable {variable!r} is not set, or empty",
            hint="give the name of a variable that holds the key, not the key itself",
        )
    return key


def ask(
    endpoint: Endpoint,
    system: str,
    question: str,
    *,
    sleep: Callable[[float], None] = time.sleep,
) -> str:
    """Ask a question and give the answer's text.

    Args:
        endpoint: who is asked.
        system: what it is told first.
        question: the user's message.
        sleep: waits between attempts.

    Raises:
        RunError: if there is no answer after all attempts, or the question is refused.
    """
    asked = {
        "model": endpoint.model,
        "messages": [
            {"role": "system", "content": system},
            {"role": "user", "content": question},
        ],
        "temperature": 0,
    }
    trouble, wait = "", 0.0
    for attempt in range(endpoint.attempts):
        if attempt:
            sleep(min(LONGEST_WAIT_S, max(wait, endpoint.wait_s * 2 ** (attempt - 1))))
        wait = 0.0
        try:
            return _content(_post(endpoint, json.dumps(asked).encode()))
        except urllib.error.HTTPError as err:
            with err:
                said = _excerpt(err.read(MOST_BYTES))
            trouble = f"HTTP {err.code} {said}".rstrip()
            if err.code not in AGAIN:
                raise _refused(endpoint, err.code, trouble) from err
            wait = _seconds(err.headers.get("Retry-After"))
        except (OSError, http.client.HTTPException) as err:
            # URLError is an OSError whose reason says more.
            trouble = str(getattr(err, "reason", err)) or type(err).__name__
        except (ValueError, LookupError, TypeError) as err:
            trouble = f"no answer as OpenAI's protocol has it ({err})"
    raise RunError(
        f"no answer from {endpoint.address} after {endpoint.attempts} attempts: {trouble}",
        hint="see that it runs and that --endpoint is right; the same command goes on later",
    )


class _NoRedirection(urllib.request.HTTPRedirectHandler):
    """Leaves redirections as they are: they would take the key along."""

    def redirect_request(self, *_: Any) -> None:
        """Follow nothing."""
        return


def _post(endpoint: Endpoint, body: bytes) -> bytes:
    """Send one request; give what comes back.

    Raises:
        OSError: also as `HTTPError`, where it fails or takes too long.
        ValueError: if the answer is too long.
    """
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    if endpoint.key is not None:
        headers["Authorization"] = f"Bearer {endpoint.key}"
    request = urllib.request.Request(endpoint.address, body, headers)  # https or this machine
    # A proxy of the environment is none of this machine's business with itself.
    proxies = [urllib.request.ProxyHandler({})] if endpoint.is_local else []
    opener = urllib.request.build_opener(_NoRedirection, *proxies)
    ends = time.monotonic() + endpoint.timeout_s
    parts: list[bytes] = []
    with opener.open(request, timeout=endpoint.timeout_s) as answer:
        while part := answer.read1(CHUNK):
            parts.append(part)
            if sum(map(len, parts)) > MOST_BYTES:
                raise ValueError(f"more than {MOST_BYTES:,} bytes")
            if time.monotonic() > ends:
                raise TimeoutError(f"the answer took more than {endpoint.timeout_s:g} s")
    return b"".join(parts)


def _content(body: bytes) -> str:
    """Take the text out of an answer.

    Raises:
        ValueError: if it is no JSON.
        LookupError: if it has no message.
        TypeError: if something in it is of another kind.
    """
    content = json.loads(body)["choices"][0]["message"]["content"]
    if not isinstance(content, str):
        raise TypeError("its message holds no text")
    return content


def _excerpt(body: bytes) -> str:
    """Give the beginning of what an endpoint says of an error, in one line."""
    return " ".join(body.decode(errors="replace").split())[:200]


def _seconds(text: str | None) -> float:
    """Read how long an endpoint asks to wait; 0 where it says nothing, or a date."""
    return float(text) if text is not None and text.strip().isdigit() else 0.0


def _refused(endpoint: Endpoint, code: int, trouble: str) -> RunError:
    hint = {
        401: "name the variable with the right key by --key-env",
        403: "name the variable with the right key by --key-env",
        404: "see that --endpoint ends as its documentation says, often /v1, and the --model",
    }.get(code, "see what the endpoint says; redirections are not followed")
    return RunError(f"{endpoint.address} refuses: {trouble}", hint=hint)


def _bad_url(url: str, why: str) -> ConfigError:
    return ConfigError(
        f"--endpoint {url}: {why}",
        hint="give an https address, or http://127.0.0.1:PORT/v1 of a server on this machine",
    )
