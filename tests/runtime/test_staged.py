"""Cascades and early exits stop where they are sure, and nowhere else."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.runtime.conftest import CONFIGS, LABELS, TEXTS, random_classifier

from sparsepath.errors import ConfigError, ModelError
from sparsepath.models.classifier import PathwayClassifier
from sparsepath.models.describe import describe
from sparsepath.models.weights import Affine
from sparsepath.runtime.build import (
    Exit,
    add_graphs,
    save_cascade,
    save_early_exit,
    set_thresholds,
)
from sparsepath.runtime.engine import Engine, load_engine
from sparsepath.runtime.manifest import MANIFEST

Make = Callable[..., Path]
KINDS = ["cascade", "early-exit"]


@pytest.fixture
def cascade(make_folder: Make, tmp_path: Path) -> Path:
    stages = [
        make_folder(name, random_classifier(CONFIGS["bert"](), seed=seed), ("fp32", "int8"))
        for seed, name in enumerate(("light", "middle", "full"))
    ]
    save_cascade(tmp_path / "cascade", stages, [0.5, 0.5])
    return tmp_path / "cascade"


@pytest.fixture
def early_exit(make_folder: Make, bert: PathwayClassifier, tmp_path: Path) -> Path:
    whole, folder = make_folder("whole", bert), tmp_path / "early-exit"
    weights = describe(bert)
    rng = np.random.default_rng(0)
    heads = [
        Affine(
            weight=rng.normal(scale=0.1, size=(32, 3)).astype(np.float32),
            bias=np.zeros(3, np.float32),
        )
        for _ in range(2)
    ]
    exits = [Exit(after=0, head=heads[0]), Exit(after=2, head=heads[1])]
    exits.append(Exit(after=3, head=weights.classifier))
    save_early_exit(folder, weights, exits, [0.5, 0.5], labels=LABELS, pad_id=0)
    shutil.copy(whole / "tokenizer.json", folder)
    return folder


@pytest.fixture(params=KINDS)
def staged(request: pytest.FixtureRequest) -> Path:
    folder: Path = request.getfixturevalue(request.param.replace("-", "_"))
    return folder


def set_middle_thresholds(folder: Path) -> Engine:
    """Choose thresholds with which every stage answers some of the texts."""
    top = load_engine(folder).stage_probabilities(TEXTS).max(axis=2)
    first = float(np.sort(top[0])[-2])
    left = top[1][top[0] < np.float32(first)]
    set_thresholds(folder, [first, float(np.sort(left)[-2])])
    return load_engine(folder)


def test_each_text_is_answered_by_the_first_stage_that_is_sure(staged: Path) -> None:
    engine = set_middle_thresholds(staged)
    thresholds = json.loads((staged / MANIFEST).read_text())["thresholds"]
    stages = engine.stage_probabilities(TEXTS)
    answers = engine.answer(TEXTS)
    assert set(answers.stages.tolist()) == {0, 1, 2}
    for row, stage in enumerate(answers.stages.tolist()):
        np.testing.assert_allclose(answers.probabilities[row], stages[stage, row], atol=1e-6)
        assert all(stages[s, row].max() < thresholds[s] for s in range(stage))
        assert stage == 2 or stages[stage, row].max() >= thresholds[stage] - 1e-6


@pytest.mark.parametrize("batch_size", [1, 2, 50])
def test_single_texts_and_batches_are_answered_alike(staged: Path, batch_size: int) -> None:
    engine = set_middle_thresholds(staged)
    one_by_one = np.stack([engine.predict_one(text) for text in TEXTS])
    np.testing.assert_allclose(engine.predict(TEXTS, batch_size), one_by_one, atol=1e-5)


def test_threshold_zero_always_stops_and_one_never_does(staged: Path) -> None:
    set_thresholds(staged, [0.0, 0.0])
    assert load_engine(staged).answer(TEXTS).stages.tolist() == [0] * len(TEXTS)
    set_thresholds(staged, [1.0, 1.0])
    assert load_engine(staged).answer(TEXTS).stages.tolist() == [2] * len(TEXTS)


def test_a_staged_engine_says_what_it_is(staged: Path) -> None:
    engine = load_engine(staged)
    assert engine.kind == staged.name
    assert engine.n_stages == 3
    assert engine.labels == LABELS
    assert engine.predict([]).shape == (0, 3)


def test_the_last_exit_is_the_whole_model(early_exit: Path) -> None:
    whole = load_engine(early_exit.parent / "whole").predict(TEXTS)
    np.testing.assert_allclose(
        load_engine(early_exit).stage_probabilities(TEXTS)[2], whole, atol=1e-5
    )


def test_stages_of_a_cascade_are_its_models(cascade: Path) -> None:
    stages = load_engine(cascade).stage_probabilities(TEXTS)
    for number, name in enumerate(("light", "middle", "full")):
        want = load_engine(cascade.parent / name).predict(TEXTS)
        np.testing.assert_array_equal(stages[number], want)


def test_layers_behind_an_exit_that_answers_are_not_run(
    early_exit: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_thresholds(early_exit, [0.0, 0.0])
    engine = load_engine(early_exit)
    # A stage that is asked anyway fails, because nothing is there.
    monkeypatch.setitem(engine.__dict__, "_sessions", engine.__dict__["_sessions"][:1] + [None] * 2)
    assert engine.predict_one(TEXTS[0]).shape == (3,)
    assert engine.answer(TEXTS).stages.max() == 0


def test_a_cascade_in_int8_runs_its_stages_in_int8(cascade: Path) -> None:
    exact, int8 = load_engine(cascade), load_engine(cascade, precision="int8")
    drift = np.abs(exact.stage_probabilities(TEXTS) - int8.stage_probabilities(TEXTS)).max()
    assert 0 < drift < 0.3


def test_an_early_exit_says_that_it_has_no_int8(early_exit: Path) -> None:
    with pytest.raises(ModelError, match="runs in fp32 only"):
        load_engine(early_exit, precision="int8")


def test_a_stage_that_is_gone_is_named(cascade: Path) -> None:
    shutil.rmtree(cascade.parent / "middle")
    with pytest.raises(ModelError, match=r"no model folder at .*middle"):
        load_engine(cascade)


def test_a_stage_of_other_labels_is_refused(cascade: Path, bert: PathwayClassifier) -> None:
    add_graphs(cascade.parent / "full", describe(bert), labels=["x", "y", "z"], pad_id=0)
    with pytest.raises(ModelError, match=r"full has other labels"):
        load_engine(cascade)


def test_a_cascade_within_a_cascade_is_refused(cascade: Path) -> None:
    outer = cascade.parent / "outer"
    save_cascade(outer, [cascade.parent / "light", cascade], [0.5])
    with pytest.raises(ModelError, match="a cascade inside a cascade"):
        load_engine(outer)


@pytest.mark.parametrize("thresholds", [[], [0.5], [0.5, 1.1], [0.5, 0.5, 0.5]])
def test_thresholds_must_fit_the_stages(staged: Path, thresholds: list[float]) -> None:
    with pytest.raises(ConfigError, match="for 3 stages"):
        set_thresholds(staged, thresholds)


@pytest.mark.parametrize("stops", [[2, 1], [1, 1], [1, 9]])
def test_exits_must_lie_in_the_model_in_order(
    bert: PathwayClassifier, tmp_path: Path, stops: list[int]
) -> None:
    weights = describe(bert)
    exits = [Exit(after=stop, head=weights.classifier) for stop in stops]
    with pytest.raises(ConfigError, match="exits after layers"):
        save_early_exit(tmp_path / "e", weights, exits, [0.5], labels=LABELS, pad_id=0)


def test_an_early_exit_of_a_cut_model_ends_where_its_last_exit_is(
    make_folder: Make, bert: PathwayClassifier, tmp_path: Path
) -> None:
    whole, folder = make_folder("whole", bert), tmp_path / "short"
    weights = describe(bert)
    exits = [Exit(after=stop, head=weights.classifier) for stop in (1, 2)]
    save_early_exit(folder, weights, exits, [1.0], labels=LABELS, pad_id=0)
    shutil.copy(whole / "tokenizer.json", folder)
    add_graphs(whole, replace(weights, layers=weights.layers[:2]), labels=LABELS, pad_id=0)
    want = load_engine(whole).predict(TEXTS)
    np.testing.assert_allclose(load_engine(folder).predict(TEXTS), want, atol=1e-5)
