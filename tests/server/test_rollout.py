"""A new model takes over on real servers: shadow, canary, full, and back."""

import asyncio
import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from tests.audit import postgresql
from tests.server.models_of_a_run import make_run, rules, swapped, with_results
from tests.server.served import Client, make_service, running

from sparsepath.audit.database import Database, open_database
from sparsepath.audit.export import exported_lines
from sparsepath.audit.rollout.rules import Rules
from sparsepath.audit.rollout.state import goes_to_new, promote, roll_back, start
from sparsepath.audit.verify import verify
from sparsepath.errors import RunError
from sparsepath.server import drift
from sparsepath.server.model_ref import refer
from sparsepath.server.serving_classifier import Labelled
from sparsepath.server.shadow import CAPACITY, Compared, Shadow

TEXTS = [f"{a} {b} {c}" for a in ("good", "fine", "bad", "poor") for b in ("a", "very") for c in
         ("day", "good", "bad", "poor")]  # fmt: skip
FOLLOWED_S = 2.0


@pytest.fixture(scope="session")
def models(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`old`; `same`, which agrees with it; `other`, which never does; `broken`, which fails."""
    run = tmp_path_factory.mktemp("runs") / "run"
    found = make_run(model_folder, run, ["old", "same", "other", "broken"])
    swapped(found, "other")
    swapped(found, "broken", (7, 7))
    with_results(run, ["old", "same", "other"], TEXTS * 20)
    return found


@pytest.fixture(scope="session")
def rollout_postgresql() -> Iterator[str]:
    with postgresql.server() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return str(tmp_path / "log.db")
    url = request.getfixturevalue("rollout_postgresql")
    return postgresql.create(url, tmp_path.name)


@pytest.fixture
def opened(place: str) -> Iterator[Database]:
    with open_database(place) as database:
        yield database


def until(holds: Callable[[], bool], seconds: float = 60.0) -> float:
    """Wait; give the seconds that it took."""
    begun = time.monotonic()
    while not holds():
        assert time.monotonic() < begun + seconds
        time.sleep(0.02)
    return time.monotonic() - begun


def labels(client: Client, texts: list[str]) -> list[str]:
    return [client.classify(text)[0]["label"] for text in texts]


def who(client: Client, text: str) -> str:
    reply = client.ask("POST", "/api/v1/classify", {"text": text})
    assert reply.status == 200, reply
    return str(reply.json["model"]["name"])


def state(client: Client) -> Any:
    return client.ask("GET", "/api/v1/rollout").json


def shadow_of(client: Client) -> Any:
    rollout = state(client)["rollout"]
    return rollout["stages"].get("shadow") if rollout else None


def begin(database: Database, models: Path, new: str, **more: Any) -> None:
    asked = Rules.model_validate(rules() | more)
    start(database, refer(models / "old"), refer(models / new), asked, by="tests")


def test_two_servers_go_through_all_stages_and_back(
    place: str, opened: Database, models: Path
) -> None:
    with ExitStack() as stack:
        databases = [stack.enter_context(open_database(place)) for _ in range(2)]
        clients = [
            stack.enter_context(running(make_service(models / "old", database)))
            for database in databases
        ]
        want = labels(clients[0], TEXTS[:4])
        begin(opened, models, "other", price_per_cpu_hour=3600.0, currency="EUR")
        until(lambda: all(client.service.follower.rollout for client in clients))
        for client in clients:
            assert labels(client, TEXTS[:4]) == want
        until(lambda: bool(s := shadow_of(clients[0])) and s["new"]["texts"] == 8)
        figures = shadow_of(clients[1])
        assert figures["agreement"]["value"] == 0.0
        assert figures["agreement"]["ci95"][1] < 0.4
        assert figures["new"]["cpu_s"] > 0
        assert figures["new"]["money"] == pytest.approx(figures["new"]["cpu_s"])
        assert figures["new"]["memory_bytes"] > 1e6
        assert len(state(clients[0])["rollout"]["servers"]) == 2

        promote(opened, by="tests")
        seconds = until(lambda: all(c.service.follower.rollout.stage == "canary" for c in clients))
        assert seconds < FOLLOWED_S
        split = {text: goes_to_new(1, 0.5, [text]) for text in TEXTS}
        assert 5 < sum(split.values()) < 27
        for client in clients:
            got = {text: who(client, text) for text in TEXTS[::4]}
            assert got == {text: "other" if split[text] else "old" for text in TEXTS[::4]}

        promote(opened, by="tests")
        one = next(text for text in TEXTS if not split[text])
        assert until(lambda: all(who(c, one) == "other" for c in clients)) < FOLLOWED_S
        assert all(w != g for w, g in zip(want, labels(clients[1], TEXTS[:4]), strict=True))
        roll_back(opened, by="tests")
        assert until(lambda: all(who(c, TEXTS[0]) == "old" for c in clients)) < FOLLOWED_S
        assert labels(clients[0], TEXTS[:4]) == want
    assert verify(opened).faults == []
    assert [kind for kind in kinds(opened) if kind.startswith("rollout")] == [
        "rollout.start", "rollout.promote", "rollout.promote", "rollout.roll-back",
    ]  # fmt: skip


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with open_database(str(tmp_path / "log.db")) as one:
        yield one


def kinds(database: Database) -> list[str]:
    return [json.loads(line)["kind"] for line in exported_lines(database)]


def test_a_new_model_that_fails_never_touches_the_answer(database: Database, models: Path) -> None:
    with running(make_service(models / "old", database)) as client:
        want = labels(client, TEXTS[:8])
        begin(database, models, "broken")
        follower = client.service.follower
        assert follower is not None
        until(lambda: follower.rollout is not None)
        assert labels(client, TEXTS[:8]) == want
        until(lambda: follower.counts.tally.new.errors == 8)
        assert follower.counts.tally.compared == 0
        # Its process dies: noticed, counted, and begun again.
        assert follower._shadow is not None
        process = follower._shadow[1]._process
        assert process is not None
        process._process.kill()
        assert labels(client, TEXTS[:1]) == want[:1]
        until(lambda: follower.counts.tally.new.errors == 9)
        until(lambda: follower._shadow is not None and follower._shadow[1]._process is not None)
        promote(database, by="tests")
        until(lambda: len(follower.loaded) == 2)
        assert {who(client, text) for text in TEXTS} == {"old"}
        assert labels(client, TEXTS[:8]) == want
        assert follower.counts.tally.new.errors > 8
        assert "sparsepath_rollout_stage 2" in client.ask("GET", "/metrics").text


def test_gates_undo_ask_and_promote_by_themselves(database: Database, models: Path) -> None:
    with running(make_service(models / "old", database)) as client:
        agreement = {"agreement": {"limit": 0.9, "least": 20}}
        begin(database, models, "other", gates=agreement)
        client.classify(*TEXTS)
        until(lambda: state(client)["rollout"]["stages"] != {})
        until(
            lambda: bool(client.classify(*TEXTS)) and state(client)["rollout"]["stage"] != "shadow"
        )
        told = state(client)["rollout"]
        assert (told["stage"], told["by"]) == ("rolled-back", "gates")
        both = {
            "agreement": {"limit": 0.5, "least": 20, "when_passed": "promote"},
            "errors": {"limit": 0.5, "least": 20, "when_passed": "ask"},
        }
        begin(database, models, "same", gates=both)
        until(lambda: bool(client.classify(*TEXTS)) and bool(state(client)["rollout"]["asked"]))
        told = state(client)["rollout"]
        assert (told["stage"], told["asked"]["action"]) == ("shadow", "promote")
        assert {gate["verdict"] for gate in told["gates"]} == {"passed"}
        assert "sparsepath_rollout_asks 1" in client.ask("GET", "/metrics").text
    made = [json.loads(line) for line in exported_lines(database)]
    back = next(one["body"] for one in made if one["kind"] == "rollout.roll-back")
    assert back["why"] == "failed: agreement"


def test_a_server_started_with_the_new_model_goes_back_too(
    database: Database, models: Path
) -> None:
    begin(database, models, "other")
    promote(database, by="tests")
    promote(database, by="tests")
    with running(make_service(models / "old", database)) as client:
        assert who(client, TEXTS[0]) == "other"  # the first answer already
    with running(make_service(models / "other", database)) as client:
        assert who(client, TEXTS[0]) == "other"
        roll_back(database, by="tests")
        assert until(lambda: who(client, TEXTS[0]) == "old") < FOLLOWED_S
        assert client.ask("GET", "/api/v1/models").json["models"][0]["name"] == "old"
    with running(make_service(models / "same", database)) as client:
        assert who(client, TEXTS[0]) == "same"
        assert "of other models" in state(client)["notes"][0]


def test_a_server_does_not_begin_without_the_model_that_must_answer(
    database: Database, models: Path, tmp_path: Path
) -> None:
    copied = make_run(models / "old", tmp_path / "run", ["old", "new"])
    begin(database, copied, "new")
    promote(database, by="tests")
    promote(database, by="tests")
    shutil.rmtree(copied / "new")
    service = make_service(copied / "old", database)
    assert service.follower is not None
    with pytest.raises(RunError, match="new cannot answer"):
        asyncio.run(service.follower.begin())
    roll_back(database, by="tests")
    with running(make_service(copied / "old", database)) as client:
        assert who(client, TEXTS[0]) == "old"


def test_rollout_over_http(database: Database, models: Path) -> None:
    with running(make_service(models / "old", database)) as client:
        for name in ("../../x", "none", "..", ".", "/", "a\0b", "/etc"):
            reply = client.ask("POST", "/api/v1/rollout/start", {"model": name})
            assert reply.status == 404, name
        beside = client.ask("GET", "/api/v1/rollout/models").json["models"]
        assert [one["name"] for one in beside if one["answers"]] == ["old"]
        assert {one["name"] for one in beside} == {"old", "same", "other", "broken"}
        assert beside[0]["precisions"] == ["fp32", "int8"]
        begun = client.ask("POST", "/api/v1/rollout/start", {"model": "same"})
        assert begun.status == 200, begun
        first = client.ask("GET", f"/api/v1/audit/{begun.json['rollout']['first_seq']}").json
        assert first["kind"] == "rollout.start"
        assert begun.json["rollout"]["stage"] == "shadow"
        stale = client.ask("POST", "/api/v1/rollout/promote", {"revision": 9})
        assert (stale.status, "changed meanwhile" in stale.text) == (422, True)
        went = client.ask("POST", "/api/v1/rollout/promote", {"share": 0.3, "why": "fine"})
        assert (went.json["rollout"]["stage"], went.json["rollout"]["share"]) == ("canary", 0.3)
        back = client.ask("POST", "/api/v1/rollout/roll-back", {})
        assert back.json["rollout"]["stage"] == "rolled-back"
        assert back.json["rollout"]["by"] == "local"
        unknown = client.ask("POST", "/api/v1/rollout/roll-back", {"reason": "x"})
        assert unknown.status == 422
    assert kinds(database).count("rollout.promote") == 1


def test_drift_is_told_everywhere(
    database: Database, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drift, "LOOK_EVERY_S", 0.1)
    with running(make_service(models / "old", database, drift_window=64)) as client:
        watch = client.service.drift
        assert watch is not None
        until(lambda: bool(watch.open))
        client.classify(*TEXTS, *TEXTS)

        def told() -> Any:
            return client.ask("GET", "/api/v1/drift").json["drift"][0]

        until(lambda: told()["windows"] == 1)
        assert told()["is_alarm"] is False
        assert told()["reference"] == "640 test rows of run"
        client.classify(*[TEXTS[0]] * 64)
        until(lambda: told()["windows"] == 2)
        assert told()["is_alarm"] is True
        assert "sparsepath_drift_alarm 1" in client.ask("GET", "/metrics").text
    assert kinds(database).count("drift.begin") == 1


def test_a_queue_that_is_full_drops_and_counts(models: Path) -> None:
    shadow = Shadow(refer(models / "same"), 1, lambda _job, _compared: None)
    for _ in range(CAPACITY + 3):
        shadow.offer(Labelled(["a", "b"], [1, 2], ["left", "left"], ["left", "right"]))
    assert shadow.dropped == 6
    shadow.offer(Labelled(["x" * 9_000_000], [3], ["left"], ["left", "right"]))
    assert shadow.dropped == 7


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_process_that_died_unasked_is_begun_again(models: Path, loop: str) -> None:
    runner = asyncio if loop == "asyncio" else pytest.importorskip("uvloop")
    replies: list[Compared | None] = []

    async def ask_twice() -> None:
        shadow = Shadow(refer(models / "same"), 1, lambda _job, reply: replies.append(reply))
        running = asyncio.create_task(shadow.run())
        for n in (1, 2, 3):
            shadow.offer(Labelled(["a"], [n], ["left"], ["left", "right"]))
            async with asyncio.timeout(60):
                while len(replies) < n:
                    await asyncio.sleep(0.02)
            if n == 1:
                assert shadow._process is not None
                os.kill(shadow._process.pid, signal.SIGKILL)
                await shadow._process._process.wait()
                await asyncio.sleep(0.1)  # its pipes are closed
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    runner.run(ask_twice())
    assert [reply is not None for reply in replies] == [True, False, True]
