"""Scores are those of outputs whose concept, fluency and relevance are known."""

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from sparsepath.artifacts.steering_sweep import Sweep
from sparsepath.artifacts.store import read_json
from sparsepath.cli.main import main
from sparsepath.config import SweepOptions
from sparsepath.errors import ConfigError
from sparsepath.evaluate.steering_writer import EngineWriter
from sparsepath.runtime.language.engine import Engine
from sparsepath.steering.judge import Judge, word_judge
from sparsepath.steering.score import (
    Scores,
    concept_score,
    fluency_score,
    harmonic,
    relevance_score,
    together,
)
from sparsepath.steering.sweep import Output


@pytest.mark.parametrize(
    ("scores", "mean"),
    [((2, 2, 2), 2.0), ((1, 1, 1), 1.0), ((2, 1, 1), 1.2), ((1, 2, 2), 1.5), ((2, 2, 0), 0.0)],
)
def test_the_harmonic_mean_is_that_of_the_books(scores: tuple[int, int, int], mean: float) -> None:
    assert harmonic(*scores) == pytest.approx(mean)


def test_each_score_has_its_bounds() -> None:
    assert [concept_score(n) for n in (0, 1, 2, 9)] == [0, 1, 2, 2]
    own = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0]  # the 90 % quantile is 10
    assert [fluency_score(x, own) for x in (10.0, 10.1, 15.0, 15.1, math.inf)] == [2, 1, 1, 0, 0]
    nats = np.array([5.0, 4.0, 6.0, 7.0, 8.0])
    assert [relevance_score(nats, own) for own in range(5)] == [1, 2, 0, 0, 0]
    with pytest.raises(ConfigError, match="each is 0, 1 or 2"):
        harmonic(3, 1, 1)


def test_outputs_are_averaged_after_their_harmonic_means() -> None:
    assert together([(2, 2, 2), (2, 0, 2)]) == Scores(2.0, 1.0, 2.0, 1.0)


def writer(planted: Path, prompts: list[str]) -> EngineWriter:
    options = SweepOptions(samples=1, scored=True)
    return EngineWriter(Engine(planted, form="fp32"), prompts, ["one two three"], None, options)


def test_known_outputs_get_their_scores(planted: Path) -> None:
    """The model counts, so it knows what comes after " one", and nothing of fire."""
    ids = {" one": 2, " two": 3, " three": 4, " fire": 5}

    def output(text: str) -> Output:
        return Output(text, [ids[f" {word}"] for word in text.split()])

    found = writer(planted, ["one", "one two"])
    judge = word_judge(["fire"])
    own = found.scores([output(" two three one"), output(" three one two")], judge)
    assert own == Scores(0.0, 1.5, 2.0, 0.0) or own == Scores(0.0, 2.0, 2.0, 0.0)
    # The answers of each other's prompts: as fluent as before, and not to the point.
    swapped = found.scores([output(" three one two"), output(" two three one")], judge)
    assert swapped is not None
    assert swapped.relevance == 0.0
    # All fire: the concept is there, and nothing else.
    fire = found.scores([output(" fire fire fire")] * 2, judge)
    assert fire is not None
    assert (fire.concept, fire.fluency, fire.together) == (2.0, 0.0, 0.0)
    # A judge that cannot count, and a model that said nothing.
    plain = Judge("fire", lambda texts: ["fire" in text for text in texts])
    mute = found.scores([output(" fire fire"), Output("", [])], plain)
    assert mute is not None
    assert mute.concept == 1.0
    assert mute.together == 0.0


def test_the_command_tells_scores(planted: Path, tmp_path: Path) -> None:
    shutil.copytree(planted, tmp_path / "model")
    (tmp_path / "neutral.txt").write_text("one two three one two\n")
    arguments = [
        "steering", "sweep", str(tmp_path / "model"), "--steer", "L02/7", "--words", "fire",
        "--strengths", "0.2,6", "--samples", "2", "--tokens", "6", "--prompt", "one",
        "--neutral", str(tmp_path / "neutral.txt"), "--unsafe-strength",
    ]  # fmt: skip
    out = tmp_path / "sweep.json"
    done = CliRunner().invoke(main, [*arguments, "--scores", "-o", str(out)])
    assert done.exit_code == 0, done.output
    assert "score 0.00" in done.stderr
    points = read_json(out, Sweep).points
    assert [point.scores is not None for point in points] == [True] * 3
    strong = points[-1].scores
    assert strong is not None
    assert strong.concept == 2.0
    assert strong.fluency < 1.0
    plain = CliRunner().invoke(main, [*arguments, "--json"])
    assert {point["scores"] for point in json.loads(plain.stdout)["points"]} == {None}
