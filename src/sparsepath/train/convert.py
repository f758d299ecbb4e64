"""A dense language model made sparse: a training that goes on from it while k falls.

Read with: `language_start.py`, `nn/topk.py`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sparsepath.errors import ConfigError
from sparsepath.train.recipe import Recipe, change_content, check_recipe
from sparsepath.train.trainer import Trained, train

RATE = {True: 1e-3, False: 2e-4}
"""Highest learning rate, with low-rank changes and without."""

DIVERGED = 8.0
"""Nats by which the loss may rise: most entries of a hidden state vanish while k falls."""


def conversion(
    model: Path | str,
    corpus: str,
    sites: Mapping[str, int],
    *,
    changes: Sequence[str] = (),
) -> Recipe:
    """Describe the training that makes a model sparse.

    Args:
        model: folder or id of a model of the Llama kind.
        corpus: text to heal on, as `data.source` of a recipe.
        sites: entries that are kept, by site; none heals the model densely, for comparison.
        changes: keys of the recipe that are set otherwise, `part.key=value` each.

    Raises:
        ConfigError: if a key or value is not known or out of range.
    """
    content: dict[str, Any] = {
        "task": "language-model",
        "data": {"source": corpus, "length": 256},
        "model": {"base": str(model)},
        "topk": {"sites": dict(sites), "dense_layers": 2, "shape": "cosine", "share": 0.5},
        "train": {
            "steps": 400,
            "batch_size": 8,
            "distil": 0.5,
            "warmup": 0.02,
            "diverged": DIVERGED,
            "checkpoint_every": 50,
            "evaluate_every": 100,
        },
    }
    for change in changes:
        change_content(content, change)
    content["train"].setdefault("rate", RATE[bool(content["train"].get("rank"))])
    return check_recipe(content, "the conversion")


def convert(
    model: Path | str,
    corpus: str,
    out: Path | str,
    *,
    sites: Mapping[str, int],
    changes: Sequence[str] = (),
) -> Trained:
    """Make a dense language model sparse; the same call goes on where an earlier one ended.

    Args:
        model: folder or id of a model of the Llama kind.
        corpus: text to heal on, as `data.source` of a recipe.
        out: run folder; the sparse model is `model` in it.
        sites: entries that are kept, by site.
        changes: keys of the recipe that are set otherwise, `part.key=value` each.

    Raises:
        ConfigError: if settings do not fit the model.
        DataError: if the corpus cannot be read or is too short.
        ModelError: if the model cannot be used, or is sparse already.
        RunError: if `out` belongs to something else, or the loss is no number or rises.
    """
    if not sites:
        raise ConfigError("no site is named", hint="give k of block_out, or of another site")
    return train(conversion(model, corpus, sites, changes=changes), Path(out))
