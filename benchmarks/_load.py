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
    ms: list[float] = []
    why: dict[str, int] = {}
    begun = time.perf_counter()
    end = begun + seconds

    async def client(place: int) -> None:
        reader = writer = None
        while time.perf_counter() < end:
            try:
                if writer is None:
                    reader, writer = await asyncio.open_connection(host, port)
                assert reader is not None
                sent = time.perf_counter()
                writer.write(requests[place % len(requests)])
                status = await asyncio.wait_for(answer(reader), 60)
            except (OSError, TimeoutError, asyncio.IncompleteReadError) as err:
                why[type(err).__name__] = why.get(type(err).__name__, 0) + 1
                if writer is not None:
                    writer.close()
                writer = None
                await asyncio.sleep(0.05)
                continue
            if status == 200:
                ms.append(1000 * (time.perf_counter() - sent))
            else:
                why[str(status)] = why.get(str(status), 0) + 1
            place += clients
        if writer is not None:
            writer.close()

    await asyncio.gather(*(client(place) for place in range(clients)))
    return Load(len(ms), sum(why.values()), time.perf_counter() - begun, ms, why)


async def answer(reader: asyncio.StreamReader) -> int:
    """Read one answer; give its status."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    length = head.partition("content-length:")[2].partition("\r\n")[0].strip()
    if length:
        await reader.readexactly(int(length))
    else:  # chunked
        while size := int((await reader.readuntil(b"\r\n")).strip() or b"0", 16):
            await reader.readexactly(size + 2)
        await reader.readuntil(b"\r\n")
    return int(head.split(" ", 2)[1])


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
