"""A dense model made sparse: a training that goes on from it while k falls.

A language model is healed on a text, a text classifier on a labelled table.

Read with: `language_start.py`, `text_start.py`, `nn/topk.py`; `evaluate/convert.py` measures what
the conversion of a classifier cost.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from sparsepath.data.files import FORMATS
from sparsepath.errors import ConfigError, DataError
from sparsepath.models.fine_tuned import kind_of_model
from sparsepath.train.recipe import Recipe
from sparsepath.train.recipe_file import change_content, check_recipe
from sparsepath.train.trainer import Trained, train

RATE = {True: 1e-3, False: 2e-4}
"""Highest learning rate of a language model, with low-rank changes and without."""

TEXT_RATE = 1e-4
"""Highest learning rate of a classifier."""

DIVERGED = 8.0
"""Nats by which the loss may rise: most entries of a hidden state vanish while k falls."""

TABLES = frozenset({"csv", "tsv"})
"""Formats that are no running text."""


def conversion(
    model: Path | str,
    data: str,
    sites: Mapping[str, int],
    *,
    changes: Sequence[str] = (),
) -> Recipe:
    """Describe the training that makes a model sparse.

    Args:
        model: folder or id of a language model of the Llama kind, or of a text classifier.
        data: what it is healed on, as `data.source` of a recipe: text, or a labelled table.
        sites: entries that are kept, by site; none heals the model densely, for comparison.
        changes: keys of the recipe that are set otherwise, `part.key=value` each.

    Raises:
        ConfigError: if a key or value is not known or out of range.
        DataError: if a language model is given a table.
        ModelError: if the model is nowhere, or neither of the two.
    """
    task = kind_of_model(str(model))
    is_language = task == "language-model"
    if is_language:
        _check_text(data)
    content: dict[str, Any] = {
        "task": task,
        "data": {"source": data},
        "model": {"base": str(model)},
        "topk": {"sites": dict(sites), "dense_layers": 2, "shape": "cosine", "share": 0.5},
        "train": {
            "steps": 400,
            "batch_size": 8 if is_language else 16,
            "distil": 0.5,
            "warmup": 0.02,
            "diverged": DIVERGED,
            "checkpoint_every": 50,
            "evaluate_every": 100,
        },
    }
    if not is_language:
        content["model"]["is_classifier"] = True
        content["topk"]["dense_layers"] = 0
        content["train"]["weight_decay"] = 0.01
    for change in changes:
        change_content(content, change)
    is_low_rank = bool(content["train"].get("rank"))
    content["train"].setdefault("rate", RATE[is_low_rank] if is_language else TEXT_RATE)
    return check_recipe(content, "the conversion")


def convert(
    model: Path | str,
    data: str,
    out: Path | str,
    *,
    sites: Mapping[str, int],
    changes: Sequence[str] = (),
) -> Trained:
    """Make a dense model sparse; the same call goes on where an earlier one ended.

    Args:
        model: folder or id of a language model of the Llama kind, or of a text classifier.
        data: what it is healed on, as `data.source` of a recipe: text, or a labelled table.
        out: run folder; the sparse model is `model` in it.
        sites: entries that are kept, by site.
        changes: keys of the recipe that are set otherwise, `part.key=value` each.

    Raises:
        ConfigError: if settings do not fit the model.
        DataError: if text or table cannot be read, is too short, or of the other kind.
        ModelError: if the model cannot be used, or is sparse already.
        RunError: if `out` belongs to something else, or the loss is no number or rises.
    """
    check_sites(sites)
    return train(conversion(model, data, sites, changes=changes), Path(out))


def check_sites(sites: Mapping[str, int]) -> None:
    """See that something becomes sparse.

    Raises:
        ConfigError: if nothing does.
    """
    if not sites:
        raise ConfigError("no site is named", hint="give k of block_out, or of another site")


def _check_text(data: str) -> None:
    """See that a language model is not given a table.

    Raises:
        DataError: if it is.
    """
    endings = PurePath(data).suffixes[-2:]
    if any(FORMATS.get(ending.lower()) in TABLES for ending in endings):
        raise DataError(
            f"{data} is a table; a language model is healed on text",
            hint="give a text file, or texts as JSON lines or parquet with data.column",
        )
