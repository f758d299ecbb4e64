"""`sparsepath serve` under 64 clients, beside the bare engine, LitServe and MLflow's model server.

    python benchmarks/server.py --model RUN [--seconds 60] [--clients 64] [--peers PYTHON]

Every client sends one text, waits for the answer and sends the next. Servers take turns on the same
machine as the clients, each with one engine thread and batches of up to 32 texts; ours records
every answer on the disk before it sends it. PYTHON is an interpreter that has litserve or mlflow,
with onnxruntime, tokenizers, numpy, pydantic and safetensors.
"""

import argparse
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import psutil

from _record import N_RECORDS, Alone, record_ms
from sparsepath.artifacts.benchmark import BenchmarkRow, write_rows
from sparsepath.artifacts.provenance import machine, now_utc, package_versions
from sparsepath.data.stdlib_docs import load_stdlib_docs
from sparsepath.runtime.engine import load_engine
from sparsepath.runtime.locate import locate

MINUTES = 6
HERE = Path(__file__).parent
RESULTS = HERE / "results" / "server.json"
N_TEXTS = 500
BATCH = 32
READY_S = 120.0
BODIES: dict[str, Any] = {
    "sparsepath": lambda text: {"text": text},
    "litserve": lambda text: {"text": text},
    "mlflow": lambda text: {"dataframe_split": {"columns": ["text"], "data": [[text]]}},
}
PATHS = {"sparsepath": "/api/v1/classify", "litserve": "/predict", "mlflow": "/invocations"}


def main() -> None:
    """Measure, print and keep the rows."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=Path, default=Path("runs/demo"))
    parser.add_argument("--seconds", type=float, default=60.0, help="Of each server.")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--peers", type=Path, help="Python that has the peers.")
    parser.add_argument("--out", type=Path, default=RESULTS)
    given, _ = parser.parse_known_args()
    model = locate(given.model).folder.resolve()
    texts = load_stdlib_docs().texts[:N_TEXTS]
    bare = bare_rate(model, texts, min(10.0, given.seconds))
    with busy_neighbours():
        beside = bare_rate(model, texts, min(10.0, given.seconds))
    names = ["sparsepath", *(("litserve", "mlflow") if given.peers else ())]
    found: dict[str, dict[str, Any]] = {}
    for name in names:
        with ExitStack() as stack:
            server = stack.enter_context(served(name, model, given.peers))
            found[name] = load(name, server, texts, given)
        told = {key: value for key, value in found[name].items() if key != "ms"}
        print(f"{name}: {told}", file=sys.stderr)
    alone = record_ms()
    print(f"record alone: {alone}", file=sys.stderr)
    rows = table((bare, beside), found, alone, given)
    write_rows(given.out, rows)
    json.dump([row.model_dump(mode="json") for row in rows], sys.stdout)


class Bare(NamedTuple):
    """The engine alone, one by one or in batches, whichever is faster."""

    rate: float
    """Texts a second."""
    cpu_ms: float
    """Processor time a text."""


def bare_rate(model: Path, texts: list[str], seconds: float) -> Bare:
    """Measure the engine alone."""
    engine, found = load_engine(model), []
    for size in (1, BATCH):
        engine.answer(texts[:BATCH], size)
        n, begun, used = 0, time.perf_counter(), time.process_time()
        while time.perf_counter() - begun < seconds / 2:
            engine.answer(texts[n % N_TEXTS : n % N_TEXTS + size], size)
            n += size
        cpu_ms = 1000 * (time.process_time() - used) / n
        found.append(Bare(n / (time.perf_counter() - begun), cpu_ms))
    print(f"bare engine, one by one and in batches: {found}", file=sys.stderr)
    return max(found)


@contextmanager
def busy_neighbours() -> Iterator[None]:
    """Keep every other processor busy, as clients do: two may share one core."""
    spin = [sys.executable, "-c", "while True: pass"]
    spinning = [subprocess.Popen(spin) for _ in range((os.cpu_count() or 1) - 1)]
    try:
        yield
    finally:
        for process in spinning:
            process.kill()
            process.wait()


class Server(NamedTuple):
    """A server that runs."""

    port: int
    process: int

    @property
    def cpu_s(self) -> float:
        """Processor time of it and of its processes."""
        whole = psutil.Process(self.process)
        parts = [whole, *whole.children(recursive=True)]
        return float(sum(part.cpu_times().user + part.cpu_times().system for part in parts))


@contextmanager
def served(name: str, model: Path, peers: Path | None) -> Iterator[Server]:
    """Run a server."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as place:
        words = [str(HERE / "_peers.py"), name, str(model), str(port)]
        command = [str(peers), *words]
        if name == "sparsepath":
            words = ["-m", "sparsepath", "serve", str(model), "--port", str(port)]
            command = [sys.executable, *words, "--database", f"{place}/log.db"]
        environment = os.environ | {"PYTHONPATH": str(HERE.parent / "src"), "OMP_NUM_THREADS": "1"}
        if peers is not None:  # MLflow calls uvicorn by its name
            environment["PATH"] = f"{peers.absolute().parent}{os.pathsep}{environment['PATH']}"
        with (Path(place) / "log").open("wb") as log:
            process = subprocess.Popen(
                command, cwd=place, env=environment, stdout=log, stderr=log, start_new_session=True
            )
            try:
                wait_until_ready(name, port, process)
                yield Server(port, process.pid)
            except BaseException:
                print((Path(place) / "log").read_text()[-2000:], file=sys.stderr)
                raise
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, 9)
                process.wait()


def wait_until_ready(name: str, port: int, process: "subprocess.Popen[bytes]") -> None:
    """Wait until a server answers."""
    body = json.dumps(BODIES[name]("a text")).encode()
    url = f"http://127.0.0.1:{port}{PATHS[name]}"
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    end = time.monotonic() + READY_S
    while True:
        try:
            with urllib.request.urlopen(request, timeout=20) as reply:
                reply.read()
            return
        except OSError:
            if time.monotonic() > end or process.poll() is not None:
                raise
            time.sleep(0.2)


def load(name: str, server: Server, texts: list[str], given: argparse.Namespace) -> dict[str, Any]:
    """Let clients ask, a moment to warm up and then in earnest."""
    with tempfile.TemporaryDirectory() as place:
        bodies = Path(place) / "bodies.json"
        bodies.write_text(json.dumps([json.dumps(BODIES[name](text)) for text in texts]))
        words = [f"http://127.0.0.1:{server.port}{PATHS[name]}", str(bodies), "--clients"]
        command = [sys.executable, str(HERE / "_load.py"), *words, str(given.clients), "--seconds"]
        subprocess.run([*command, "1"], check=True, stdout=subprocess.DEVNULL)
        before = server.cpu_s
        done = subprocess.run([*command, str(given.seconds)], check=True, stdout=subprocess.PIPE)
        used = server.cpu_s - before
    found: dict[str, Any] = json.loads(done.stdout)
    found["cpu_ms"] = 1000 * used / max(1, found["answers"])
    p50, p99 = np.percentile(found["ms"], [50, 99]) if found["ms"] else (None, None)
    found |= {"p50": p50, "p99": p99, "rate": found["answers"] / found["seconds"]}
    if name == "sparsepath":
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics", timeout=20) as reply:
            told = reply.read().decode()
        sums = dict(re.findall(r"^(sparsepath_audit_\S+) (\S+)$", told, re.MULTILINE))
        total, n = sums["sparsepath_audit_seconds_sum"], sums["sparsepath_audit_records_total"]
        found["audit_ms"] = 1000 * float(total) / float(n)
    return found


def table(
    bares: tuple[Bare, Bare],
    found: dict[str, dict[str, Any]],
    alone: Alone,
    given: argparse.Namespace,
) -> list[BenchmarkRow]:
    """Make rows; the bare engine alone, and beside busy neighbours."""
    ours, (bare, beside) = found["sparsepath"], bares
    facts = machine()
    common: dict[str, Any] = {
        "threads": 1,
        "machine": f"{facts['cpu']}, {facts['cores_logical']} cores",
        "versions": package_versions(),
        "command": f"sparsepath bench server --model RUN --seconds {given.seconds:g}",
        "date": now_utc()[:10],
    }
    what = f"{given.clients} clients, closed loop"

    def row(figure: str, value: float | None, unit: str, better: str, **more: Any) -> BenchmarkRow:
        return BenchmarkRow(figure=figure, value=value, unit=unit, better=better, **common, **more)

    rows = [
        row(f"classify, {what}: share of the bare engine", ours["rate"] / bare.rate, "x", "higher",
            target=0.8, peer=f"bare engine, {bare.rate:.0f} texts/s", n=ours["answers"]),
        row(f"classify, {what}: share of the bare engine beside busy processors",
            ours["rate"] / beside.rate, "x", "higher", n=ours["answers"],
            peer=f"bare engine, {beside.rate:.0f} texts/s"),
        row(f"classify, {what}: throughput", ours["rate"], "texts/s", "higher", n=ours["answers"]),
        row(f"classify, {what}: median", ours["p50"], "ms", "lower", n=ours["answers"]),
        row(f"classify, {what}: p99 over the median", ours["p99"] / ours["p50"], "x", "lower",
            target=3.0, n=ours["answers"]),
        row(f"classify, {what}: failures", float(ours["failures"]), "answers", "lower",
            target=0.0, n=ours["answers"]),
        row("audit record, share of its transaction an answer under load", ours["audit_ms"], "ms",
            "lower", n=ours["answers"]),
        row("audit record, written alone, to the disk and back", alone.record, "ms", "lower",
            target=0.3, n=N_RECORDS),
        row("this disk alone: as many bytes overwritten and waited for", alone.disk, "ms", "lower",
            n=N_RECORDS),
        row("audit record, written alone, in memory", alone.beside, "ms", "lower",
            n=N_RECORDS),
        row(f"classify, {what}: processor time of the server an answer", ours["cpu_ms"], "ms",
            "lower", n=ours["answers"]),
        row(f"classify, {what}: share of that in which the bare engine answers too",
            bare.cpu_ms / ours["cpu_ms"], "x", "higher", n=ours["answers"],
            peer=f"bare engine, {bare.cpu_ms:.2f} ms of processor time a text"),
    ]  # fmt: skip
    for name in ("litserve", "mlflow"):
        other = found.get(name)
        rows.append(
            row(
                f"classify, {what}: throughput over {name}",
                ours["rate"] / other["rate"] if other and other["rate"] else None,
                "x",
                "higher",
                target=1.5,
                peer=f"{name}, {other['rate']:.0f} texts/s, median {other['p50']:.1f} ms, "
                f"{other['cpu_ms']:.2f} ms of processor time an answer, "
                f"{other['failures']} failures"
                if other and other["ms"]
                else name,
                note="" if other else "give --peers PYTHON, an interpreter that has it",
            )
        )
    return rows


if __name__ == "__main__":
    main()
