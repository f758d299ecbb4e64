"""A closed loop of HTTP clients: each sends a request, waits for its answer, and sends the next.

    python benchmarks/_load.py URL BODIES.json --clients 64 --seconds 10

Prints one JSON object: answers, failures, seconds, and the times of all answers. It is a process of
its own, so that its work does not slow the server's event loop, and speaks just enough HTTP/1.1.
"""

import argparse
import asyncio
import json
import sys
import time
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit


class Load(NamedTuple):
    """What clients saw."""

    answers: int
    failures: int
    seconds: float
    ms: list[float]
    """Of every answer."""
    why: dict[str, int]
    """Failures by status or kind of error."""


class Client(asyncio.Protocol):
    """One client with a connection of its own; as little work an answer as can be."""

    def __init__(self, place: int, step: int, requests: list[bytes], end: float) -> None:
        self.place, self.step, self.requests, self.end = place, step, requests, end
        self.ms: list[float] = []
        self.why: dict[str, int] = {}
        self.lost: asyncio.Future[None]
        self.transport: asyncio.Transport | None = None
        self.held = b""
        self.sent = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask at once."""
        assert isinstance(transport, asyncio.Transport)
        self.transport, self.held = transport, b""
        self.ask()

    def ask(self) -> None:
        """Send the next request, until the time is over."""
        assert self.transport is not None
        self.sent = time.perf_counter()
        if self.sent >= self.end:
            self.transport.close()
            return
        self.transport.write(self.requests[self.place % len(self.requests)])

    def data_received(self, data: bytes) -> None:
        """Take an answer when it is whole, and ask again."""
        self.held += data
        head, found, body = self.held.partition(b"\r\n\r\n")
        if not found:
            return
        told = head.lower()
        length = told.partition(b"content-length:")[2].partition(b"\r\n")[0].strip()
        if len(body) < int(length) if length else not body.endswith(b"0\r\n\r\n"):
            return
        self.held = b""
        status = head[9:12].decode()
        if status == "200":
            self.ms.append(1000 * (time.perf_counter() - self.sent))
        else:
            self.failed(status)
        self.place += self.step
        if b"connection: close" in told:
            self.transport.close()  # type: ignore[union-attr]
        else:
            self.ask()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits."""
        if exc is not None:
            self.failed(type(exc).__name__)
        self.lost.set_result(None)

    def failed(self, why: str) -> None:
        """Count a failure."""
        self.why[why] = self.why.get(why, 0) + 1


async def drive(url: str, bodies: list[str], clients: int, seconds: float) -> Load:
    """Ask for a time with so many clients."""
    parts = urlsplit(url)
    host, port = parts.hostname or "127.0.0.1", parts.port or 80
    requests = [
        (
            f"POST {parts.path} HTTP/1.1\r\nHost: {host}:{port}\r\n"
            "Content-Type: application/json\r\n"
            f"Content-Length: {len(body.encode())}\r\n\r\n{body}"
        ).encode()
        for body in bodies
    ]
    loop = asyncio.get_running_loop()
    begun = time.perf_counter()
    end = begun + seconds
    asking = [Client(place, clients, requests, end) for place in range(clients)]

    async def kept_asking(client: Client) -> None:
        while time.perf_counter() < end:
            client.lost = loop.create_future()
            try:
                await loop.create_connection(lambda: client, host, port)
                await asyncio.wait_for(asyncio.shield(client.lost), seconds + 60)
            except (OSError, TimeoutError) as err:
                client.failed(type(err).__name__)
                await asyncio.sleep(0.05)

    await asyncio.gather(*map(kept_asking, asking))
    why: dict[str, int] = {}
    for kind, n in (pair for client in asking for pair in client.why.items()):
        why[kind] = why.get(kind, 0) + n
    ms = [one for client in asking for one in client.ms]
    return Load(len(ms), sum(why.values()), time.perf_counter() - begun, ms, why)


def main() -> None:
    """Drive, and print what was seen."""
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("bodies", type=Path)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=10.0)
    given = parser.parse_args()
    bodies = json.loads(given.bodies.read_text(encoding="utf-8"))
    found = asyncio.run(drive(given.url, bodies, given.clients, given.seconds))
    json.dump(found._asdict(), sys.stdout)


if __name__ == "__main__":
    main()
