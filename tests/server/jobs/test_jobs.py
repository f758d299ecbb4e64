"""Jobs over HTTP: begun, watched, ended; alive after the server that began them was not."""

import json
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.server.served import Client, make_service, running

from sparsepath.audit.database import Database, open_database
from sparsepath.audit.export import exported_lines
from sparsepath.audit.verify import verify
from sparsepath.cli.poc import poc_command
from sparsepath.server.jobs import poc, process, routes, runner
from sparsepath.server.jobs.state import Job, add_job, find_job
from sparsepath.server.jobs.watch import tail

CSV = b"text,label\n" + b"".join(
    b"a good day %d,left\na bad day %d,right\n" % (i, i) for i in range(9)
)
CSV_TYPE = {"Content-Type": "text/csv"}
WORKING = "import time; print('[1/3] read: a table (9 s left)', flush=True); time.sleep(60)"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with open_database(str(tmp_path / "log.db")) as opened:
        yield opened


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Let jobs run some Python instead of a PoC, which takes minutes; all else is as it is."""
    start = process.start

    def run(code: str) -> None:
        def started(folder: Path, command: list[str]) -> Any:
            return start(folder, [command[0], "-c", code])

        monkeypatch.setattr(process, "start", started)

    monkeypatch.setattr(routes, "check_installed", lambda: None)
    monkeypatch.setattr(runner, "LOOK_EVERY_S", 0.05)
    monkeypatch.setattr(routes, "LOOK_EVERY_S", 0.05)
    return run


def begin(client: Client, **asked: Any) -> Any:
    query = "&".join(f"{key}={value}" for key, value in asked.items())
    reply = client.ask("POST", f"/api/v1/jobs/poc?{query}", CSV, CSV_TYPE)
    assert reply.status == 201, reply
    return reply.json


def wait(client: Client, id_: str, *states: str) -> Any:
    end = time.monotonic() + 30
    while True:
        job = client.ask("GET", f"/api/v1/jobs/{id_}").json
        if job["state"] in states:
            return job
        assert time.monotonic() < end, job
        time.sleep(0.02)


def row(database: Database, id_: str) -> Job:
    job = find_job(database, id_)
    assert job is not None
    return job


def test_a_job_is_begun_watched_and_done(
    model_folder: Path, database: Database, tmp_path: Path, script: Callable[[str], None]
) -> None:
    script("print('[2/3] full: accuracy 0.9 (1 s left)')")
    service = make_service(model_folder, database, store=tmp_path / "store")
    with running(service) as client:
        id_ = begin(client, name="../../etc/passwd", minutes=5)["id"]
        stream = client.ask("GET", f"/api/v1/jobs/{id_}/events").text
        assert stream.endswith('event: end\ndata: {"state": "done"}\n\n')
        assert "accuracy 0.9" in stream
        job = wait(client, id_, "done")
        assert job["progress"] == {
            "step": 2,
            "of": 3,
            "stage": "full",
            "told": "accuracy 0.9 (1 s left)",
        }
        assert (job["name"], job["exit_code"]) == ("../../etc/passwd", 0)
        folder = tmp_path / "store" / "jobs" / id_
        assert (folder / "table.csv").read_bytes() == CSV
        again = client.ask("GET", f"/api/v1/jobs/{id_}/events", None, {"Last-Event-ID": "999"})
        assert "accuracy" not in again.text.partition("event: job")[0]
        assert client.ask("DELETE", f"/api/v1/jobs/{id_}").status == 204
        assert not folder.exists()
        assert client.ask("GET", f"/api/v1/jobs/{id_}").status == 404
    kinds = [json.loads(line)["kind"] for line in exported_lines(database)]
    assert [kind for kind in kinds if kind.startswith("job")] == [
        "job.add",
        "job.end",
        "job.delete",
    ]
    assert verify(database).faults == []


def test_a_job_is_cancelled_while_it_waits_and_while_it_runs(
    model_folder: Path, database: Database, tmp_path: Path, script: Callable[[str], None]
) -> None:
    script(WORKING)
    service = make_service(model_folder, database, store=tmp_path / "store")
    with running(service) as client:
        first, second = begin(client)["id"], begin(client)["id"]
        wait(client, first, "running")
        assert wait(client, second, "queued")["started"] is None
        while (marked := row(database, first).process or "").startswith(process.STARTING):
            time.sleep(0.01)
        for id_ in (second, first):
            assert client.ask("DELETE", f"/api/v1/jobs/{id_}").status == 409
            assert client.ask("POST", f"/api/v1/jobs/{id_}/cancel", {}).status == 200
            wait(client, id_, "cancelled")
        assert not process.is_alive(marked)
        assert client.ask("POST", f"/api/v1/jobs/{first}/cancel", {}).status == 409


def test_a_job_that_is_cancelled_while_it_is_being_started_ends(
    model_folder: Path,
    database: Database,
    tmp_path: Path,
    script: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    script(WORKING)
    service = make_service(model_folder, database, store=tmp_path / "store")
    start, marks = process.start, []

    def begun(folder: Path, command: Sequence[str]) -> "subprocess.Popen[bytes]":
        child = start(folder, command)
        marks.append(process.mark(child.pid))
        assert service.jobs.cancel(row(database, folder.name))
        return child

    monkeypatch.setattr(process, "start", begun)
    with running(service) as client:
        wait(client, begin(client)["id"], "cancelled")
        assert [process.is_alive(marked) for marked in marks] == [False]
        assert client.ask("GET", "/healthz").status == 200


def test_a_job_that_fails_says_why(
    model_folder: Path, database: Database, tmp_path: Path, script: Callable[[str], None]
) -> None:
    script("import sys; print('error: no label column'); sys.exit(1)")
    with running(make_service(model_folder, database, store=tmp_path / "store")) as client:
        job = wait(client, begin(client)["id"], "failed")
    assert job["exit_code"] == 1
    assert job["told"] == "exit code 1\nerror: no label column"


def test_a_server_that_stops_puts_its_job_back_and_the_next_goes_on(
    model_folder: Path, database: Database, tmp_path: Path, script: Callable[[str], None]
) -> None:
    script(WORKING)
    store = tmp_path / "store"
    with running(make_service(model_folder, database, store=store)) as client:
        id_ = begin(client)["id"]
        while client.ask("GET", f"/api/v1/jobs/{id_}").json["progress"] is None:
            time.sleep(0.02)
        marked = row(database, id_).process
    assert row(database, id_).state == "queued"
    assert not process.is_alive(marked)
    script("print('went on')")
    with running(make_service(model_folder, database, store=store)) as client:
        assert wait(client, id_, "done")["attempts"] == 2
    assert (store / "jobs" / id_ / "log.txt").read_text().endswith("went on\n")


def test_a_job_outlives_a_server_that_is_killed(
    model_folder: Path, database: Database, tmp_path: Path, script: Callable[[str], None]
) -> None:
    go = tmp_path / "go"
    script(f"import time, pathlib\nwhile not pathlib.Path({str(go)!r}).exists(): time.sleep(0.02)")
    store = tmp_path / "store"
    dead = runner.Runner(database, store, at_once=1)  # begins the job, and never sees its end
    job = routes.new_job("poc", "t", {"format": "csv", "asked": {}}, by="me", home=dead.home)
    dead.folder(job.id).mkdir(parents=True)
    add_job(database, job)
    assert dead.look()
    with running(make_service(model_folder, database, store=store)) as client:
        time.sleep(0.2)
        assert client.ask("GET", f"/api/v1/jobs/{job.id}").json["attempts"] == 1
        go.touch()
        dead._own[job.id].wait()
        assert wait(client, job.id, "done")["attempts"] == 1


def test_a_process_that_vanishes_is_begun_again_and_then_given_up(
    model_folder: Path, database: Database, tmp_path: Path, script: Callable[[str], None]
) -> None:
    script("import time; print('begun', flush=True); time.sleep(60)")
    seen: set[str] = set()
    with running(make_service(model_folder, database, store=tmp_path / "store")) as client:
        id_ = begin(client)["id"]
        while len(seen) < runner.ATTEMPTS:
            job = row(database, id_)
            is_begun = not str(job.process).startswith(process.STARTING)
            if job.state == "running" and is_begun and job.process not in seen:
                while "begun" not in tail(tmp_path / "store" / "jobs" / id_):
                    time.sleep(0.02)
                seen.add(str(job.process))
                process.send(job.process, signal.SIGKILL)
            time.sleep(0.02)
        job = wait(client, id_, "failed")
    assert job["told"].startswith("its process vanished 3 times")
    assert "begun" in job["told"]


def test_without_torch_the_line_to_type_is_told(
    model_folder: Path, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(poc, "_NEEDED", ("numpy", "a_package_that_is_not_there"))
    with running(make_service(model_folder, database, store=tmp_path / "store")) as client:
        reply = client.ask("POST", "/api/v1/jobs/poc", CSV, CSV_TYPE)
    assert reply.status == 501
    assert reply.json["error"]["fix"] == "pip install 'sparsepath[train]'"
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize(
    ("query", "headers", "status"),
    [
        ("", {"Content-Type": "application/json"}, 415),
        ("", {"Content-Type": "text/plain"}, 415),
        ("model=/etc", CSV_TYPE, 422),
        ("out=/etc", CSV_TYPE, 422),
        ("minutes=1e9", CSV_TYPE, 422),
        ("minutes=nan", CSV_TYPE, 422),
        ("text_column=%00", CSV_TYPE, 422),
        ("name=" + "x" * 101, CSV_TYPE, 422),
        ("", {**CSV_TYPE, "Origin": "http://evil.example"}, 403),
        ("", {**CSV_TYPE, "Host": "evil.example"}, 421),
    ],
)
def test_what_a_job_may_not_be_is_refused(
    model_folder: Path,
    database: Database,
    tmp_path: Path,
    query: str,
    headers: dict[str, str],
    status: int,
) -> None:
    with running(make_service(model_folder, database, store=tmp_path / "store")) as client:
        assert client.ask("POST", f"/api/v1/jobs/poc?{query}", CSV, headers).status == status
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize("id_", ["..", "%2e%2e", "a", "0" * 17, "0123456789ABCDEF", "..%2f..%2fx"])
def test_an_id_is_no_path(model_folder: Path, database: Database, id_: str) -> None:
    with running(make_service(model_folder, database)) as client:
        for method in ("GET", "DELETE"):
            assert client.ask(method, f"/api/v1/jobs/{id_}").status in {404, 405, 422}


def test_a_table_that_is_too_large_slow_or_cut_off_leaves_nothing(
    model_folder: Path, database: Database, tmp_path: Path, script: Callable[[str], None]
) -> None:
    script("pass")
    store = tmp_path / "store"
    service = make_service(model_folder, database, store=store, max_upload_mb=1, body_timeout_s=0.3)
    head = b"POST /api/v1/jobs/poc HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/csv\r\n"
    with running(service) as client:
        large = client.raw(head + b"Content-Length: 1000001\r\n\r\na")
        assert b" 413 " in large.partition(b"\r\n")[0]
        chunk = b"10000\r\n" + b"a" * 65536 + b"\r\n"
        client.raw(head + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 17 + b"0\r\n\r\n")
        client.raw(head + b"Content-Length: 999\r\n\r\na,b")  # the client leaves
        with socket.create_connection(("127.0.0.1", client.port), timeout=20) as slow:
            slow.sendall(head + b"Content-Length: 999\r\n\r\na,b")
            assert b" 408 " in slow.recv(65536).partition(b"\r\n")[0]
        assert client.ask("POST", "/api/v1/jobs/poc", b"", CSV_TYPE).status == 422
        assert client.ask("GET", "/api/v1/jobs").json == {"jobs": []}
        end = time.monotonic() + 10
        while list((store / "jobs").iterdir()):
            assert time.monotonic() < end
            time.sleep(0.05)


def test_a_command_has_options_that_cannot_be_mistaken(tmp_path: Path) -> None:
    asked = poc.PocAsked(text_column="--out=/etc", label_column="x y", minutes=2, min_accuracy=0.5)
    words = poc.command_of(poc.options_of(asked, "csv"), tmp_path)
    assert words[:3] == ["poc", str(tmp_path / "table.csv"), f"--out={tmp_path / 'run'}"]
    assert "--text-column=--out=/etc" in words
    assert "--label-column=x y" in words
    assert "--minutes=2.0" in words
    assert not any(word.startswith("--name") for word in words)
    parsed = poc_command.make_context("poc", words[1:]).params  # what the command makes of them
    assert parsed["text_column"] == "--out=/etc"
    assert parsed["out"] == tmp_path / "run"
    assert parsed["min_accuracy"] == 0.5
