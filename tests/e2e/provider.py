"""A real provider of identities on this machine, and a visitor who logs in there by plain HTTP."""

import html
import http.client
import json
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.cookies import SimpleCookie
from pathlib import Path
from typing import IO, NamedTuple
from urllib.parse import urlencode, urljoin, urlsplit

import pytest

SCRIPT = Path(__file__).with_name("provider.mjs")
PACKAGE = SCRIPT.parents[2] / "web" / "node_modules" / "oidc-provider"


class Idp(NamedTuple):
    """The provider."""

    port: int
    told: IO[str]
    tells: IO[str]

    @property
    def issuer(self) -> str:
        return f"http://localhost:{self.port}"

    def build(self, *redirects: str, rotate: bool = False) -> None:
        """Let it know where browsers may be sent back to; with new keys where asked."""
        line = json.dumps({"redirects": redirects, "rotate": rotate})
        self.told.write(line + "\n")
        self.told.flush()
        assert self.tells.readline() == "built\n"


@contextmanager
def provider() -> Iterator[Idp]:
    """Run one; skip where it is not installed."""
    node = shutil.which("node")
    if node is None or not PACKAGE.is_dir():
        pytest.skip("needs Node.js, and npm --prefix web ci")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with subprocess.Popen(
        [node, str(SCRIPT), str(port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "listening\n"
        yield Idp(port, process.stdin, process.stdout)
        process.stdin.close()


class Seen(NamedTuple):
    status: int
    location: str | None
    text: str


class Visitor:
    """A browser without a screen: keeps cookies by host and port, follows nothing by itself."""

    def __init__(self) -> None:
        self.cookies: dict[str, dict[str, str]] = {}
        self.set: list[str] = []
        """Every Set-Cookie header that came."""

    def ask(
        self,
        url: str,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        method: str | None = None,
    ) -> Seen:
        parts = urlsplit(url)
        own = self.cookies.setdefault(parts.netloc, {})
        sent = {"Cookie": "; ".join(f"{k}={v}" for k, v in own.items())} if own else {}
        body = None if form is None else urlencode(form)
        if body is not None:
            sent["Content-Type"] = "application/x-www-form-urlencoded"
        connection = http.client.HTTPConnection("127.0.0.1", parts.port, timeout=20)
        sent["Host"] = parts.netloc
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        if method == "POST" and body is None:
            body, sent["Content-Type"] = "{}", "application/json"
        way = method or ("GET" if body is None else "POST")
        connection.request(way, target, body, {**sent, **(headers or {})})
        reply = connection.getresponse()
        for told in reply.headers.get_all("Set-Cookie", []):
            self.set.append(told)
            for name, morsel in SimpleCookie(told).items():
                own[name] = morsel.value
                if morsel["max-age"] == "0" or not morsel.value:
                    del own[name]
        where = reply.headers.get("Location")
        seen = Seen(reply.status, where and urljoin(url, where), reply.read().decode())
        connection.close()
        return seen

    def sent_back(self, address: str, who: str) -> str:
        """Log in at the provider, where our server sent us; give where it sends us back to."""
        issuer = urlsplit(address).netloc
        seen = self.ask(address)
        for _ in range(12):
            if seen.location is not None and urlsplit(seen.location).netloc != issuer:
                return seen.location
            if seen.location is not None:
                seen = self.ask(seen.location)
                continue
            action = re.search(r'<form[^>]* action="([^"]+)"', seen.text)
            prompt = re.search(r'name="prompt" value="(\w+)"', seen.text)
            assert action, seen
            assert prompt, seen
            form = {"prompt": prompt[1], "login": who, "password": "any"}
            seen = self.ask(urljoin(address, html.unescape(action[1])), form)
        raise AssertionError(seen)
