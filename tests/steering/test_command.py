"""`sparsepath steering` tries, sweeps, saves and applies, on a model whose neurons are known."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from sparsepath.artifacts.steering_sweep import Sweep
from sparsepath.artifacts.store import read_json
from sparsepath.cli.main import main
from sparsepath.config import SweepOptions
from sparsepath.errors import ConfigError, DataError
from sparsepath.evaluate.steering_sweep import classifier_judge, sweep_steering
from sparsepath.steering.judge import word_judge

NEUTRAL = "one two ice three one fire two three two one\n\none three ice ice two fire\n"
"""The planted model is surprised by every other word."""


@pytest.fixture
def model(planted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the planted model, with neutral texts beside it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "neutral.txt").write_text(NEUTRAL)
    shutil.copytree(planted, tmp_path / "model")
    return Path("model")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["steering", *map(str, arguments)])


def swept(model: Path, **changes: Any) -> Sweep:
    settings: dict[str, Any] = {
        "strengths": "0.2,0.8,6", "samples": 8, "tokens": 10, "top_p": 1.0,
        "neutral": "neutral.txt", "unsafe_strength": True,
    }  # fmt: skip
    return sweep_steering(
        model,
        ["L02/7"],
        word_judge(["fire"]),
        SweepOptions(**(settings | changes)),
        prompts=["one", "one two"],
        form="fp32",
    )


def test_try_shows_both_outputs_on_the_same_seeds(model: Path) -> None:
    edit = ["--steer", "L02/7=8", "--unsafe-strength", "--tokens", 4, "--seed", 3]
    done = run("try", model, "one two", *edit, "--json")
    assert done.exit_code == 0, done.output
    outputs = json.loads(done.stdout)["outputs"]
    assert [output["seed"] for output in outputs] == [3, 4, 5]
    assert all(output["unsteered"].startswith(" three") for output in outputs)
    assert {output["steered"] for output in outputs} == {" fire" * 4}
    table = run("try", model, "one two", *edit, "--samples", 1).stdout
    assert "unsteered" in table
    assert "fire fire fire fire" in table
    nothing = run("try", model, "one two")
    assert nothing.exit_code == 1
    assert "nothing to try" in nothing.stderr


def test_a_saved_preset_is_applied_listed_and_refused_once_edited(model: Path) -> None:
    edit = ["--steer", "L02/7=8@answer", "--steer", "L02/7=8@last", "--unsafe-strength"]
    saved = run("save", model, "--name", "fire", *edit, "--note", "for a test", "--author", "Kim")
    assert saved.stdout == "model/presets/fire.json\n", saved.output
    content = json.loads(Path("model/presets/fire.json").read_text())
    assert [limit["is_exceeded"] for limit in content["limits"]] == [True, True]
    assert "L02/7=8@answer; L02/7=8@last (Kim, " in run("list", model).stdout
    applied = run("apply", model, "--name", "fire", "one two", "--tokens", 3)
    assert applied.stdout == " fire fire fire\n"
    tried = run("try", model, "one two", "--preset", "fire", "--tokens", 2, "--json")
    assert json.loads(tried.stdout)["outputs"][0]["steered"] == " fire fire"
    content["edits"][0]["value"] = 9.0
    Path("model/presets/fire.json").write_text(json.dumps(content))
    refused = run("apply", model, "--name", "fire", "one two")
    assert refused.exit_code == 1
    assert "edited by hand" in refused.stderr
    assert "fire: cannot be used: " in run("list", model).stdout
    (listed,) = json.loads(run("list", model, "--json").stdout)
    assert listed["preset"] is None


def test_a_preset_that_is_too_strong_is_not_saved(model: Path) -> None:
    refused = run("save", model, "--name", "wild", "--steer", "L02/7=100")
    assert refused.exit_code == 1
    assert "it never fired on ordinary text" in refused.stderr
    assert not Path("model/presets").exists()


def test_a_sweep_finds_the_strength_that_brings_the_word(model: Path) -> None:
    found = swept(model, random_neurons=1, random_directions=1, prompt_baseline="fire fire")
    base, weak, right, strong = found.points[:4]
    assert [point.strength for point in found.points[:4]] == [None, 0.2, 0.8, 6.0]
    assert base.share == 0.0
    assert weak.share < 0.3
    assert right.share > 0.6
    assert right.is_fluent
    # Nothing but fire: everything repeats.
    assert strong.share == 1.0
    assert not strong.is_fluent
    assert found.recommended is not None
    assert found.recommended.strength == 0.8
    ways = {point.way for point in found.points[4:]}
    (other,) = (way for way in ways if way.startswith("random neuron"))
    assert ways == {other, "random direction 1", "prompt"}
    assert max(point.share for point in found.of(other)) < 0.5
    assert found.n_neutral == 2
    assert found.seeds == tuple(range(8))


def test_the_same_sweep_gives_the_same_figures(model: Path) -> None:
    first, again, other = (swept(model, strengths="0.6", seed=seed) for seed in (0, 0, 100))
    assert first.points == again.points
    assert first.points != other.points


def test_a_sweep_takes_a_word_away(model: Path) -> None:
    found = sweep_steering(
        model,
        ["L02/7"],
        word_judge(["fire"]),
        SweepOptions(
            strengths="0",
            goal="less",
            samples=20,
            tokens=4,
            neutral="neutral.txt",
            operation="scale",
        ),
        prompts=["one fire"],
        form="fp32",
    )
    assert found.points[0].share == 1.0
    assert found.points[1].share < 0.5
    assert found.recommended is None or found.recommended.strength == 0.0


def test_a_mean_difference_is_a_way_to_steer_too(model: Path, tmp_path: Path) -> None:
    (tmp_path / "with.txt").write_text("one fire fire\n\nfire two fire fire\n")
    (tmp_path / "without.txt").write_text("one two two\n\nthree two three\n")
    found = swept(model, mean_difference=("with.txt", "without.txt"), strengths="0.2,3")
    shares = [point.share for point in found.of("mean difference")]
    assert shares[1] > 0.9
    with pytest.raises(DataError, match="no corpus"):
        swept(model, mean_difference=("with.txt", "nowhere.txt"))


def test_accuracy_is_measured_where_rows_are_labelled(model: Path, tmp_path: Path) -> None:
    rows = ["text,label", *["one,two", "one two,three", "one two three,one", "one fire,fire"] * 8]
    (tmp_path / "rows.csv").write_text("\n".join(rows))
    found = swept(model, labelled="rows.csv", strengths="0.2", samples=1)
    assert found.points[0].accuracy == 1.0
    assert found.points[1].accuracy == 1.0
    broken = swept(model, labelled="rows.csv", strengths="6", samples=1)
    assert broken.points[1].accuracy == 0.25


def test_edits_of_the_answer_act_on_neutral_texts_too(model: Path) -> None:
    bits = {
        name: swept(model, strengths="6", samples=1, positions=name).points[1].bits_ratio
        for name in ("all", "answer", "prompt")
    }
    # The first token of a text stands for the prompt, and is not measured itself.
    assert len({round(ratio, 4) for ratio in (1.0, *bits.values())}) == 4


def test_the_command_sweeps_prints_and_writes(model: Path) -> None:
    arguments = [
        "sweep", model, "--steer", "L02/7", "--words", "fire", "--strengths", "0.8", "--prompt",
        "one", "--samples", 4, "--tokens", 10, "--neutral", "neutral.txt", "--unsafe-strength",
    ]  # fmt: skip
    done = run(*arguments, "-o", "sweep.json")
    assert done.exit_code == 0, done.output
    assert "neuron" in done.stdout
    assert read_json(Path("sweep.json"), Sweep).points[1].strength == 0.8
    told = json.loads(run(*arguments, "--json").stdout)
    assert told["points"] == json.loads(Path("sweep.json").read_text())["points"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--words", "fire", "--strengths", "1,a"], "'a' is no strength"),
        (["--words", "fire", "--strengths", "2x"], "never fired on ordinary text"),
        (["--words", "fire", "--strengths", "1e9"], "beyond the limit"),
        (["--words", "fire", "--samples", "0"], "samples = 0"),
        (["--strengths", "1"], "judged by words, or by a classifier"),
        (["--classifier", "model"], "judged by words, or by a classifier"),
        (["--words", "fire", "--steer", "L02/99", "--strengths", "1"], "block_out has 16 entries"),
        (["--words", "fire", "--prompt", ""], "a prompt is empty"),
        (["--words", "fire", "--random-directions", "1", "--operation", "scale"], "no like of"),
    ],
)
def test_a_sweep_says_what_is_wrong(model: Path, arguments: list[str], message: str) -> None:
    base = ["sweep", str(model), "--steer", "L02/7", "--neutral", "neutral.txt"]
    done = run(*base, *arguments)
    assert done.exit_code == 1, done.output
    assert message in done.stderr
    assert "fix: " in done.stderr


def test_a_classifier_judges_too(model_folder: Path) -> None:
    found = {label: classifier_judge(model_folder, label) for label in ("left", "right")}
    texts = ["a good day", "a very bad day", "poor"]
    one, other = (judge.carries(texts) for judge in found.values())
    assert [not value for value in one] == other
    with pytest.raises(ConfigError, match=r"no label 'up'.*\n.*left, right"):
        classifier_judge(model_folder, "up")
