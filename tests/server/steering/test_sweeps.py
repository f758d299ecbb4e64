"""A sweep over HTTP: a job that measures, and figures as the command gives them."""

import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from tests.server.steering.conftest import Office

from sparsepath.artifacts.steering_sweep import ClassSweep
from sparsepath.artifacts.store import read_json
from sparsepath.audit.export import exported_lines
from sparsepath.cli.main import main
from sparsepath.errors import RunError
from sparsepath.server.jobs.commands import command_of
from sparsepath.server.jobs.sweep import KIND, RESULT, SweepAsked, options_of, write_inputs


def finished(office: Office, **asked: Any) -> Any:
    begun = office.ask("alice", "POST", "/api/v1/steering/sweeps", asked)
    assert begun.status == 201, begun
    path = f"/api/v1/steering/sweeps/{begun.json['job']['id']}"
    assert office.ask("bob", "GET", path).status == 403
    end = time.monotonic() + 60
    while time.monotonic() < end:
        found = office.ask("alice", "GET", path).json
        if found["job"]["state"] in {"done", "failed"}:
            assert found["job"]["state"] == "done", found
            return found
        time.sleep(0.1)
    raise AssertionError("the sweep does not end")


def test_a_language_model_is_swept_as_the_command_does(lm: Office) -> None:
    found = finished(
        lm, neurons=["L02/7"], strengths="0,0.8", words=["fire", "flame"], samples=2, tokens=8,
        neutral_texts=10, random_neurons=1,
    )  # fmt: skip
    sweep = found["sweep"]
    assert [point["way"] for point in sweep["points"]][:3] == ["unsteered", "neuron", "neuron"]
    assert sweep["points"][0]["share"] == 0.0
    assert sweep["points"][2]["share"] > sweep["points"][1]["share"]
    assert sweep["judge"] == "words: fire, flame"
    assert "flame" not in "".join(exported_lines(lm.database))
    assert (sweep["model"], found["is_of_model"]) == ("counts", True)
    assert (found["n_points"], found["of"]) == (5, 5)


def test_a_file_of_the_server_is_never_read_as_words(lm: Office, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("fire\n")
    found = finished(
        lm, neurons=["L02/7"], strengths="0.8", words=[str(secret)], samples=1, tokens=4,
        neutral_texts=10, random_neurons=0,
    )  # fmt: skip
    assert found["sweep"]["judge"] == f"words: {secret}"
    assert found["sweep"]["recommended"] is None


def test_the_command_of_a_classifiers_sweep_is_one_that_is_known(
    saved_classifier: Path, tmp_path: Path
) -> None:
    table = (saved_classifier.parent / "table.csv").read_text(encoding="utf-8")
    asked = SweepAsked(neurons=["L01/0"], strengths="1x", table=table, target="refund",
                       sources=["card"], random_neurons=0)  # fmt: skip
    write_inputs(asked, tmp_path)
    options = options_of(asked, ["L01/0"], saved_classifier, "fp32")
    assert "table" not in options["asked"]
    done = CliRunner().invoke(main, command_of(KIND, options, tmp_path))
    assert done.exit_code == 0, done.output
    found = read_json(tmp_path / "run" / RESULT, ClassSweep)
    assert [point.way for point in found.points] == ["unsteered", "neuron"]
    assert (found.target, found.sources) == ("refund", ("card",))
    assert found.points[1].share > found.points[0].share
    with pytest.raises(RunError, match="knows no jobs"):
        command_of("newer", options, tmp_path)


def test_what_says_nothing_to_the_model_is_refused(lm: Office, classifier: Office) -> None:
    bad: list[tuple[Office, dict[str, Any], str]] = [
        (lm, {"neurons": ["L02/7"]}, "judged by words"),
        (lm, {"neurons": ["L02/7"], "words": ["a"], "target": "card"}, "judged by words"),
        (lm, {"neurons": ["L02/7"], "words": ["a"], "strengths": "1,x"}, "no strength"),
        (lm, {"neurons": ["L02/7"], "words": ["a"], "strengths": "9e9"}, "beyond the limit"),
        (lm, {"neurons": ["L02/7"], "words": ["a"], "strengths": "1," * 13 + "1"}, "strengths"),
        (lm, {"neurons": ["--out=x"], "words": ["a"]}, "names no neuron"),
        (classifier, {"neurons": ["L01/0"], "words": ["a"]}, "labelled table"),
        (classifier, {"neurons": ["L01/0"], "table": "a", "target": "none"}, "no label"),
    ]
    for office, asked, wrong in bad:
        reply = office.ask("alice", "POST", "/api/v1/steering/sweeps", asked)
        assert (reply.status, wrong in reply.json["error"]["message"]) == (422, True), reply
    path = "/api/v1/steering/sweeps/" + "0" * 16
    assert lm.ask("alice", "GET", path).status == 404
    assert lm.ask("bob", "POST", "/api/v1/steering/sweeps", bad[0][1]).status == 403
