"""`sparsepath rollout` and `sparsepath drift`; the state outlives servers that are killed."""

import json
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from tests.server.models_of_a_run import make_run, swapped
from tests.server.small_lm import make_lm
from tests.server.test_kill import served

from sparsepath.audit.database import open_database
from sparsepath.audit.rollout.state import current
from sparsepath.audit.rollout.tally import Tally, save
from sparsepath.audit.verify import verify
from sparsepath.cli.main import main


@pytest.fixture
def models(model_folder: Path, tmp_path: Path) -> Path:
    found = make_run(model_folder, tmp_path / "run", ["old", "new"])
    swapped(found, "new")
    return found


def run(place: str, *words: str, code: int = 0) -> str:
    result = CliRunner().invoke(main, [*words, "--database", place])
    assert result.exit_code == code, result.output
    return result.output


def plain(place: str, *words: str) -> Any:
    return json.loads(run(place, *words, "--json"))


def test_a_rollout_from_beginning_to_end(models: Path, tmp_path: Path) -> None:
    place = str(tmp_path / "log.db")
    rules = tmp_path / "rules.toml"
    rules.write_text('currency = "EUR"\n[gates.agreement]\nlimit = 0.9\nleast = 10\n')
    both = [str(models / "old"), str(models / "new")]
    begun = plain(
        place, "rollout", "start", *both, "--rules", str(rules), "--share", "0.2", "--price", "3600"
    )
    assert (begun["stage"], begun["rules"]["price_per_cpu_hour"]) == ("shadow", 3600.0)
    assert begun["new"]["folder"] == str((models / "new").resolve())
    tally = Tally(compared=100, agreed=40)
    tally.new.add_request(100, 4.0, None)
    tally.new.cpu_s = 2.0
    with open_database(place) as database:
        save(database, 1, "shadow", "0123456789abcdef", tally)
    told = run(place, "rollout", "status")
    assert "agreement: failed (100 of at least 10, now 0.4, limit 0.9)" in told
    assert "2 EUR" in told
    assert "energy" in told
    assert "not measured" in told
    assert plain(place, "rollout", "status")["stages"]["shadow"]["agreement"]["value"] == 0.4
    assert "canary, 0.2 of the requests" in run(place, "rollout", "promote")
    assert plain(place, "rollout", "promote", "--why", "fine")["stage"] == "full"
    assert "no next stage" in run(place, "rollout", "promote", code=1)
    assert "rolled-back" in run(place, "rollout", "roll-back")


def test_errors_say_what_to_do(models: Path, tmp_path: Path) -> None:
    place = str(tmp_path / "log.db")
    old = str(models / "old")
    assert "answers already" in run(place, "rollout", "start", old, old, code=1)
    assert run(place, "rollout", "status") == "no rollout yet\n"
    assert run(place, "rollout", "status", "--json") == "null\n"
    assert "not a model" in run(place, "rollout", "start", old, str(tmp_path), code=1)
    assert run(place, "drift", "--json") == "{}\n"
    assert "nothing compared yet" in run(place, "drift")
    assert "there is no rollout" in run(place, "rollout", "roll-back", code=1)


def test_language_models_are_told_by_tokens(tmp_path: Path) -> None:
    place, old = str(tmp_path / "log.db"), str(make_lm(tmp_path / "old", seed=0))
    new = str(make_lm(tmp_path / "new", seed=1))
    (tmp_path / "rules.toml").write_text("[gates.accuracy]\nlimit = 0.1\n")
    unfit = ["rollout", "start", old, new, "--rules", str(tmp_path / "rules.toml")]
    assert "fix: leave it out; gates of language models: agreement, lat" in run(
        place, *unfit, code=1
    )
    begun = run(place, "rollout", "start", old, new, "--precision", "int4", "--price", "3600")
    assert begun == "rollout 1: old (int8) to new (int4): shadow\n"
    tally = Tally(compared=10, agreed=7.5)
    tally.new.add_request(10, 4.0, None, 640)
    tally.new.cpu_s = 1.28
    with open_database(place) as database:
        save(database, 1, "shadow", "a", tally)
    told = run(place, "rollout", "status")
    assert "same likeliest token: 75.00% of 10 texts, on average (95 %" in told
    lines = {" ".join(line.split()) for line in told.splitlines()}
    assert {"tokens 0 640", "CPU per token not measured 2 ms"} <= lines
    assert "money per 1000 tokens not measured 2" in lines
    assert "right less often" not in told


def names(client: Any, texts: Sequence[str]) -> list[str]:
    replies = [client.ask("POST", "/api/v1/classify", {"text": text}) for text in texts]
    return [reply.json["model"]["name"] for reply in replies]


@pytest.mark.slow
def test_the_stage_survives_a_server_that_is_killed(models: Path, tmp_path: Path) -> None:
    place = str(tmp_path / "log.db")
    texts = [f"good day {i}" for i in range(12)]
    with served(models / "old", place, []) as (process, client):
        run(place, "rollout", "start", str(models / "old"), str(models / "new"))
        run(place, "rollout", "promote", "--share", "0.5")
        while set(names(client, texts)) != {"old", "new"}:
            pass
        before = names(client, texts)
        process.send_signal(signal.SIGKILL)
        process.wait()
    lines: list[str] = []
    with served(models / "old", place, lines) as (process, client):
        assert names(client, texts) == before
        process.terminate()
        assert process.wait(20) == 0
    with open_database(place) as database:
        assert verify(database).faults == []
        found = current(database)
        assert found is not None
        assert found.stage == "canary"
