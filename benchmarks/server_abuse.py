"""What `sparsepath serve` does under bad requests, and when it is killed under load.

    python benchmarks/server_abuse.py --model RUN [--requests 20000] [--kills 20]
        [--database URL] [--schemathesis PROGRAM]

Bad requests go to 127.0.0.1 alone, so many and no more: bodies that are fuzzed, huge, deep, cut off
or of another type, requests that come drop by drop or never become whole, paths and headers at
random; with schemathesis also what it makes of the server's own OpenAPI document. Nothing may end
in a 500, memory may not grow, and the server must answer on. Then it is killed under load, again
and again, in SQLite and, with `--database postgresql://...`, in PostgreSQL: no answer that a client
got may be missing in the log.
"""

import argparse
import http.client
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from sparsepath.artifacts.benchmark import BenchmarkRow, write_rows
from sparsepath.artifacts.provenance import machine, now_utc, package_versions
from sparsepath.audit.database import open_database
from sparsepath.audit.log import pages_in
from sparsepath.audit.verify import verify

MINUTES = 12
HERE = Path(__file__).parent
RESULTS = HERE / "results" / "server_abuse.json"
CLASSIFY = "/api/v1/classify"
AT_ONCE = 16
N_LONG = 200
"""Requests that hold a connection for seconds, at most."""

Status = int | None
"""None: the server closed without an answer."""


class Served(NamedTuple):
    """A running server."""

    process: "subprocess.Popen[str]"
    port: int
    ready_s: float
    """From its start to its first answer."""


def main() -> None:
    """Abuse, kill, print and keep the rows."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=Path, default=Path("runs/demo"))
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--database", help="URL of an empty PostgreSQL database.")
    parser.add_argument("--schemathesis", type=Path, help="Its program.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS)
    given, _ = parser.parse_known_args()
    facts = machine()
    common: dict[str, Any] = {
        "threads": 1,
        "machine": f"{facts['cpu']}, {facts['cores_logical']} cores",
        "versions": package_versions(),
        "command": f"sparsepath bench server_abuse --model RUN --requests {given.requests} "
        f"--kills {given.kills}",
        "date": now_utc()[:10],
    }
    rows = [*abuse(given, common)]
    with tempfile.TemporaryDirectory() as place:
        rows += kills("SQLite", f"{place}/log.db", given, common)
    if given.database:
        rows += kills("PostgreSQL", given.database, given, common)
    write_rows(given.out, rows)
    json.dump([row.model_dump(mode="json") for row in rows], sys.stdout)


@contextmanager
def served(model: Path, database: str, *more: str) -> Iterator[Served]:
    """Run the server on a free port, with its log thrown away."""
    command = [sys.executable, "-m", "sparsepath", "serve", str(model.resolve()), "--port", "0"]
    begun = time.monotonic()
    process = subprocess.Popen(
        [*command, "--database", database, *more], stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    try:
        line = process.stderr.readline()
        found = re.search(r"http://127\.0\.0\.1:(\d+)", line)
        assert found is not None, line
        threading.Thread(target=process.stderr.read, daemon=True).start()
        port = int(found[1])
        while request(port, b'{"text": "a"}') != 200:
            assert time.monotonic() - begun < 60
            time.sleep(0.02)
        yield Served(process, port, time.monotonic() - begun)
    finally:
        process.kill()
        process.wait()


def raw(port: int, *pieces: bytes, wait_s: float = 0.0, is_half_closed: bool = True) -> Status:
    """Send pieces, waiting between them; give the status of what comes back.

    Half-closed, the server is told that nothing more comes, which for it is a client that left.
    """
    with (
        suppress(OSError, ValueError, IndexError),
        socket.create_connection(("127.0.0.1", port), timeout=30) as connection,
    ):
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(wait_s)
        if is_half_closed:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_WR)
        return int(connection.recv(65536).split(b" ", 2)[1])
    return None


def request(
    port: int,
    body: bytes,
    path: str = CLASSIFY,
    method: str = "POST",
    headers: str = "Content-Type: application/json\r\n",
) -> Status:
    """Send one whole request."""
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{headers}"
    whole = f"{head}Content-Length: {len(body)}\r\n\r\n".encode("latin-1") + body
    return raw(port, whole, is_half_closed=False)


def fuzzed(rng: random.Random) -> bytes:
    """Damage a good body."""
    body = bytearray(json.dumps({"texts": ["a good day", "bad"], "explain": False}).encode())
    for _ in range(rng.randint(1, 8)):
        place = rng.randrange(len(body))
        body[place : place + rng.randint(0, 3)] = rng.randbytes(rng.randint(0, 4))
    return bytes(body)


def nested(rng: random.Random) -> bytes:
    """Give JSON that is deep."""
    depth = rng.randint(10, 100_000)
    return b'{"texts":' + b"[" * depth + (b"]" * depth + b"}" if rng.random() < 0.5 else b"")


def value(rng: random.Random, depth: int = 0) -> object:
    """Give any JSON."""
    kinds: list[Callable[[], object]] = [
        lambda: None,
        lambda: rng.random() < 0.5,
        lambda: rng.randint(-(2**70), 2**70),
        lambda: "".join(chr(rng.randrange(0xFFFF)) for _ in range(rng.randint(0, 30))),
    ]
    if depth < 4:
        kinds += [
            lambda: [value(rng, depth + 1) for _ in range(rng.randint(0, 4))],
            lambda: {
                rng.choice(["text", "texts", "explain", "model", "prompt", "x"]): value(
                    rng, depth + 1
                )
                for _ in range(rng.randint(0, 4))
            },
        ]
    return rng.choice(kinds)()


def bad_request(port: int, routes: list[tuple[str, str]], rng: random.Random) -> Status:
    """Send one bad request of any kind; some are good by chance."""
    method, path = rng.choice(routes)
    json_type = "Content-Type: application/json\r\n"
    others = [
        "text/csv",
        "text/plain",
        "multipart/form-data; boundary=x",
        "application/xml",
        "\xff",
    ]
    junk = rng.randbytes(rng.randint(0, 300))
    strange = "/" + "".join(rng.choice("./%2eÿaé?&=#;\\{}0") for _ in range(rng.randint(0, 40)))
    head = f"{method} {path} HTTP/1.1\r\n".encode()
    kinds: list[Callable[[], Status]] = [
        lambda: request(port, fuzzed(rng)),
        lambda: request(port, json.dumps(value(rng)).encode(), path, method),
        lambda: request(port, json.dumps(value(rng)).encode(), path, method),
        lambda: request(port, nested(rng)),
        lambda: request(port, b"a" * rng.choice([1 << 20, 3 << 20, 9 << 20]), path, "POST"),
        lambda: request(port, junk, path, method, f"Content-Type: {rng.choice(others)}\r\n"),
        lambda: request(port, b"", strange.replace(" ", ""), rng.choice(["GET", "BREW", "PUT"])),
        lambda: request(port, b"", f"{path}?{value(rng)}".replace(" ", "+")[:2000].encode(
            "ascii", "replace").decode(), method),
        lambda: request(port, b"{}", path, method, json_type + f"Origin: {junk[:20]!r}\r\n"),
        lambda: request(port, b"{}", path, method, json_type + "Host: evil.example\r\n"),
        lambda: request(port, b"{}", path, method, json_type + "Authorization: Bearer sp_x\r\n"),
        lambda: raw(port, junk),
        lambda: raw(port, head + b"Host: 127.0.0.1\r\nContent-Length: -5\r\n\r\n" + junk),
        lambda: raw(port, head + b"Host: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n" + junk),
    ]  # fmt: skip
    return rng.choice(kinds)()


def slow_request(port: int, rng: random.Random) -> Status:
    """Send a request drop by drop, or half of one."""
    head = f"POST {CLASSIFY} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: 14\r\n"
    if rng.random() < 0.5:
        drops = [bytes([byte]) for byte in head.encode()[:20]]
        return raw(port, *drops, wait_s=0.1, is_half_closed=rng.random() < 0.5)
    half = head.encode() + b"Content-Type: application/json\r\n\r\n{"
    return raw(port, half, is_half_closed=False)


def abuse(given: argparse.Namespace, common: dict[str, Any]) -> Iterator[BenchmarkRow]:
    """Send bad requests; tell what came back."""
    seen: Counter[str] = Counter()
    with (
        tempfile.TemporaryDirectory() as place,
        served(given.model, f"{place}/log.db", "--store", f"{place}/store") as server,
    ):
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/openapi.json") as reply:
            described = json.load(reply)["paths"]
        # A PoC that is begun by chance would only cost time.
        routes = [
            (method.upper(), re.sub(r"{\w+}", "1", path))
            for path, methods in described.items()
            for method in methods
            if path != "/api/v1/jobs/poc"
        ]

        def one(number: int) -> Status:
            rng = random.Random(given.seed * 10**9 + number)
            if number < min(N_LONG, given.requests // 100):
                return slow_request(server.port, rng)
            return bad_request(server.port, routes, rng)

        with ThreadPoolExecutor(AT_ONCE) as pool:
            begun = time.monotonic()
            half = given.requests // 4
            seen.update(str(status) for status in pool.map(one, range(half)))
            before = resident(server)
            seen.update(str(status) for status in pool.map(one, range(half, given.requests)))
        growth = resident(server) - before
        faults = schemathesis(given, server.port) if given.schemathesis else None
        is_alive = request(server.port, b'{"text": "a good day"}') == 200
        with open_database(f"{place}/log.db") as database:
            found = verify(database)
    told = ", ".join(f"{n} x {status}" for status, n in sorted(seen.items()))
    print(f"{time.monotonic() - begun:.0f} s: {told}; {before} + {growth} bytes", file=sys.stderr)

    def row(
        figure: str, number: float | None, unit: str, target: float, **more: Any
    ) -> BenchmarkRow:
        return BenchmarkRow(
            figure=figure, value=number, unit=unit, better="lower", target=target, **common, **more
        )

    n_bugs = sum(n for status, n in seen.items() if status.isdigit() and int(status) == 500)
    yield row("bad requests that end in a 500", n_bugs, "requests", 0, n=given.requests, note=told)
    yield row(
        "memory after the last three quarters of them, beyond that before", growth / 1e6, "MB", 20,
        n=given.requests, note=f"{before / 1e6:.0f} MB before",
    )  # fmt: skip
    yield row("server that does not answer on", float(not is_alive), "servers", 0)
    yield row("faults of its log afterwards", len(found.faults), "faults", 0, n=found.records)
    yield row(
        "failures that schemathesis finds", faults, "failures", 0,
        note="" if given.schemathesis else "give --schemathesis PROGRAM",
    )  # fmt: skip


def resident(server: Served) -> int:
    """Give the server's memory, as it says itself."""
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics") as reply:
        found = re.search(r"^sparsepath_resident_bytes (\d+)", reply.read().decode(), re.MULTILINE)
    assert found is not None
    return int(found[1])


def schemathesis(given: argparse.Namespace, port: int) -> float:
    """Let schemathesis make requests of the OpenAPI document; give what it counts as failures."""
    command = [
        str(given.schemathesis.absolute()), "run", f"http://127.0.0.1:{port}/openapi.json",
        "--checks", "not_a_server_error,response_schema_conformance",
        "--max-examples", str(max(5, given.requests // 400)), "--seed", str(given.seed + 1),
        "--exclude-path", "/api/v1/jobs/poc", "--request-timeout", "30", "--phases", "fuzzing",
    ]  # fmt: skip
    with tempfile.TemporaryDirectory() as place:  # it leaves files where it runs
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=place)
    log = given.out.with_name("server_abuse.schemathesis.txt")
    log.write_text(re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:PORT", done.stdout), encoding="utf-8")
    found = re.search(r"(\d+) (?:unique )?failures?", done.stdout)
    return float(found[1]) if found else float(done.returncode != 0)


def kills(
    kind: str, place: str, given: argparse.Namespace, common: dict[str, Any]
) -> Iterator[BenchmarkRow]:
    """Kill the server under load, again and again; compare what was answered with the log."""
    receipts: set[tuple[int, str]] = set()
    ready: list[float] = []

    def ask(port: int) -> None:
        body = json.dumps({"texts": ["a good day", "a bad day"]}).encode()
        address = f"http://127.0.0.1:{port}{CLASSIFY}"
        while True:
            asked = urllib.request.Request(address, body, {"Content-Type": "application/json"})
            try:
                with urllib.request.urlopen(asked, timeout=20) as reply:
                    answers = json.load(reply)["answers"]
            except (OSError, ValueError, http.client.HTTPException):
                return
            receipts.update((a["record"]["seq"], a["record"]["hash"]) for a in answers)

    rng = random.Random(given.seed)
    for _ in range(given.kills):
        with served(given.model, place) as server, ThreadPoolExecutor(8) as pool:
            ready.append(server.ready_s)
            for _ in range(8):
                pool.submit(ask, server.port)
            time.sleep(rng.uniform(0.3, 1.5))
            os.kill(server.process.pid, signal.SIGKILL)
    with open_database(place) as database:
        found = verify(database)
        with database.reading() as connection:
            kept = {(record.seq, record.hash) for page in pages_in(connection) for record in page}
    lost = len(receipts - kept)
    print(f"{kind}: {len(receipts)} answered, {lost} lost; starts {ready}", file=sys.stderr)
    about: dict[str, Any] = {"better": "lower", **common}
    yield BenchmarkRow(
        figure=f"killed {given.kills} times on {kind}: answers that are not in the log",
        value=lost, unit="answers", target=0, n=len(receipts), **about,
    )  # fmt: skip
    yield BenchmarkRow(
        figure=f"killed {given.kills} times on {kind}: faults of the chain",
        value=len(found.faults), unit="faults", target=0, n=found.records, **about,
    )  # fmt: skip
    yield BenchmarkRow(
        figure=f"killed {given.kills} times on {kind}: slowest start to the first answer",
        value=max(ready), unit="s", target=3.0, n=len(ready), **about,
    )  # fmt: skip


if __name__ == "__main__":
    main()
