"""A self-ensemble answers as its members do in torch when these see the same sources."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.runtime.conftest import LABELS, TEXTS, random_classifier, word_tokenizer
from transformers import PretrainedConfig

from sparsepath.errors import ConfigError, ModelError
from sparsepath.models.classifier import PathwayClassifier
from sparsepath.models.describe import describe
from sparsepath.runtime.build import save_self_ensemble
from sparsepath.runtime.engine import load_engine
from sparsepath.runtime.manifest import MANIFEST
from sparsepath.runtime.self_ensemble import SelfEnsembleEngine, draw_members

Make = Callable[..., Path]


def saved(folder: Path, model: PathwayClassifier, keep: float, members: int = 3) -> Path:
    """Write a self-ensemble with its tokenizer."""
    save_self_ensemble(
        folder, describe(model), members=members, keep=keep, seed=5, labels=LABELS, pad_id=0
    )
    (folder / "tokenizer.json").write_text(word_tokenizer().to_str())
    return folder


def test_members_see_what_was_drawn_and_pooling_sees_all(
    any_config: PretrainedConfig, tmp_path: Path
) -> None:
    model = random_classifier(any_config)
    folder = saved(tmp_path / "ensemble", model, keep=0.5)
    engine = load_engine(folder)
    assert isinstance(engine, SelfEnsembleEngine)
    text = max(TEXTS, key=len)
    ids = engine.encoder.encode(text)
    layers = json.loads((folder / MANIFEST).read_text())["layers"]
    drawn = torch.from_numpy(draw_members(3, layers, len(ids), keep=0.5, seed=5)).bool()
    expected = [_by_torch(model, ids, drawn[member]) for member in range(3)]
    np.testing.assert_allclose(engine.members(text), np.stack(expected), atol=1e-4)
    np.testing.assert_allclose(engine.predict_one(text), np.mean(expected, axis=0), atol=1e-4)


@torch.no_grad()
def _by_torch(model: PathwayClassifier, ids: list[int], seen: torch.Tensor) -> np.ndarray:
    """Answer with one mask for each layer: the masks are handed to the layers by hooks."""
    numbers = iter(range(len(seen)))
    modules = [m for m in model.modules() if type(m).__name__.endswith("Attention")]
    innermost = [m for m in modules if not any(c in modules for c in list(m.modules())[1:])]

    def restrict(module: torch.nn.Module, args: object, kwargs: dict[str, object]) -> object:
        layer = seen[next(numbers)]
        n = len(layer)
        mask = torch.zeros(1, 1, n, n).masked_fill(~layer.view(1, 1, 1, n), float("-inf"))
        old = kwargs.get("attention_mask")
        if isinstance(old, torch.Tensor):  # a window: closed where it was closed before
            was = old if old.dtype == torch.bool else old == 0
            mask = mask.masked_fill(~was, float("-inf"))
        return args, {**kwargs, "attention_mask": mask}

    handles = [m.register_forward_pre_hook(restrict, with_kwargs=True) for m in innermost]
    try:
        logits = model(input_ids=torch.tensor([ids])).logits
    finally:
        for handle in handles:
            handle.remove()
    found: np.ndarray = logits.softmax(-1)[0].numpy()
    return found


def test_members_that_see_everything_are_the_model(
    make_folder: Make, bert: PathwayClassifier, tmp_path: Path
) -> None:
    whole = load_engine(make_folder("m", bert, ("fp32",)))
    engine = load_engine(saved(tmp_path / "ensemble", bert, keep=1.0))
    np.testing.assert_allclose(engine.predict(TEXTS), whole.predict(TEXTS), atol=1e-5)


def test_the_same_text_gets_the_same_answer_whatever_was_asked_before(
    bert: PathwayClassifier, tmp_path: Path
) -> None:
    folder = saved(tmp_path / "ensemble", bert, keep=0.4)
    first, second = load_engine(folder), load_engine(folder)
    second.predict(TEXTS[::-1])
    np.testing.assert_array_equal(first.predict(TEXTS), second.predict(TEXTS))


def test_draws_keep_the_share_and_differ_by_member_and_layer() -> None:
    drawn = draw_members(8, 4, 10, keep=0.3, seed=0)
    assert drawn.shape == (8, 4, 10)
    assert (drawn.sum(axis=-1) == 3).all()
    assert len({row.tobytes() for member in drawn for row in member}) > 20
    assert (draw_members(2, 1, 3, keep=0.01, seed=0).sum(axis=-1) == 1).all()
    # Every place is drawn equally often, within chance.
    many = draw_members(400, 5, 8, keep=0.5, seed=1).mean(axis=(0, 1))
    assert np.abs(many - 0.5).max() < 0.06


@pytest.mark.parametrize("changes", [{"members": 0}, {"keep": 0.0}, {"keep": 2}, {"layers": "x"}])
def test_a_manifest_that_makes_no_sense_is_refused(
    bert: PathwayClassifier, tmp_path: Path, changes: dict[str, object]
) -> None:
    path = saved(tmp_path / "ensemble", bert, keep=0.5) / MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    with pytest.raises(ModelError, match="must be"):
        load_engine(path.parent)


def test_settings_out_of_range_are_refused(bert: PathwayClassifier, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="0 members"):
        saved(tmp_path / "a", bert, keep=0.5, members=0)
    with pytest.raises(ConfigError, match=r"keep 1\.5"):
        saved(tmp_path / "b", bert, keep=1.5)
