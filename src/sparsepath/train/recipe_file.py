"""Read a recipe, change its keys, and refuse those that contradict each other or say nothing.

`--set part.key=value` on the command line, read as TOML, changes one key.
"""

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sparsepath.errors import ConfigError
from sparsepath.train.recipe import Recipe, TaskName

FRESH: tuple[TaskName, ...] = ("language-model", "image-classification", "molecule-regression")
"""Tasks whose model has fresh weights."""

SPLIT: tuple[TaskName, ...] = ("image-classification", "molecule-regression")
"""Tasks whose rows are split by numbers of rows."""

CORPUS: tuple[TaskName, ...] = ("language-model", "sparse-autoencoder")
"""Tasks that read a corpus."""

ONLY_FOR: dict[str, tuple[TaskName, ...]] = {
    "data.length": (*CORPUS, "text-classification"),
    "data.test": ("text-classification",),
    "data.text_column": ("text-classification",),
    "data.label_column": ("text-classification",),
    "model.is_classifier": ("text-classification",),
    "model.base": (*CORPUS, "text-classification"),
    "model.d_model": FRESH,
    "model.n_layers": FRESH,
    "model.n_heads": FRESH,
    "model.d_mlp": FRESH,
    "data.held_out": CORPUS,
    "data.column": CORPUS,
    "data.subset": CORPUS,
    "data.split": CORPUS,
    "data.train_rows": SPLIT,
    "data.held_out_rows": SPLIT,
    "data.augment": ("image-classification",),
    "tokenizer.file": ("language-model",),
    "tokenizer.size": ("language-model",),
    "model.n_kv_heads": ("language-model",),
    "topk.dense_first": ("text-classification",),
    "topk.positive": ("language-model", *SPLIT),
    "topk.always_on": ("language-model", *SPLIT),
    "topk.straight_through": ("language-model", *SPLIT),
    "model.patch": ("image-classification",),
    "model.dropout": SPLIT,
    "model.d_edge": ("molecule-regression",),
    "train.evaluate_rows": CORPUS,
    "train.distil": ("language-model", "text-classification"),
    "train.rank": ("language-model",),
}
"""Keys that have an effect in some tasks only; elsewhere they are refused."""


def read_recipe(path: Path, changes: Sequence[str] = ()) -> Recipe:
    """Read and check a recipe.

    Args:
        path: a TOML file.
        changes: `part.key=value` each, the value as in TOML; a bare word counts as text.

    Raises:
        ConfigError: if the file cannot be read, or a key or value is not known.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as err:
        raise ConfigError(
            f"the recipe {path} cannot be read ({err})", hint="give the path of a TOML file"
        ) from err
    except tomllib.TOMLDecodeError as err:
        raise ConfigError(f"{path} is no TOML: {err}", hint="correct that line") from err
    for change in changes:
        change_content(content, change)
    return check_recipe(content, str(path))


def check_recipe(content: dict[str, Any], name: str) -> Recipe:
    """Turn plain values into a recipe.

    Args:
        content: as TOML or JSON gives it.
        name: of its source, for messages.

    Raises:
        ConfigError: if a key or value is not known, or out of range.
    """
    try:
        recipe = Recipe.model_validate(content)
    except ValidationError as err:
        problem = err.errors()[0]
        where = ".".join(str(part) for part in problem["loc"])
        raise ConfigError(
            f"{name}: {where or 'the recipe'}: {problem['msg']} (met {problem.get('input')!r})",
            hint="see the keys of a recipe in the reference, docs/reference/recipe.md",
        ) from err
    _ = recipe.subsampling.schedule, recipe.train.schedule  # they check their shares
    for key, tasks in ONLY_FOR.items():
        part, field = key.split(".")
        if field in getattr(recipe, part).model_fields_set and recipe.task not in tasks:
            raise ConfigError(
                f"{name}: {key} has no effect on {recipe.task}", hint=f"leave {key} out"
            )
    if recipe.train.sharding == "full" and recipe.train.optimizer == "muon":
        raise ConfigError(
            f"{name}: train.sharding = 'full' with train.optimizer = 'muon', which needs whole "
            "matrices",
            hint="use adamw, or leave sharding out",
        )
    if recipe.task == "language-model":
        _check_base(recipe, name)
    _check_autoencoder(recipe, name)
    if recipe.task == "text-classification":
        _check_classifier(recipe, name)
    if recipe.train.batch_size % recipe.train.accumulate:
        raise ConfigError(
            f"train.batch_size = {recipe.train.batch_size} with train.accumulate = "
            f"{recipe.train.accumulate}",
            hint="let accumulate divide batch_size",
        )
    return recipe


SHAPE = ("d_model", "n_layers", "n_heads", "n_kv_heads", "d_mlp")
"""Keys that say nothing where `model.base` does."""


def _check_base(recipe: Recipe, name: str) -> None:
    """See that a language model is either fresh or another one's, not both.

    Raises:
        ConfigError: if keys contradict each other.
    """
    if recipe.model.base is None:
        if recipe.train.distil or recipe.train.rank:
            key = "distil" if recipe.train.distil else "rank"
            raise ConfigError(f"{name}: train.{key} without model.base", hint="name the model")
        return
    given = [key for key in SHAPE if key in recipe.model.model_fields_set]
    if given:
        raise ConfigError(
            f"{name}: model.{given[0]} has no effect beside model.base",
            hint=f"leave model.{given[0]} out",
        )


def _check_autoencoder(recipe: Recipe, name: str) -> None:
    """See that only autoencoders have their keys, and no others that say nothing there.

    Raises:
        ConfigError: if keys contradict each other.
    """
    is_one = recipe.task == "sparse-autoencoder"
    idle = (*NOT_FOR_AUTOENCODERS, "subsampling", "topk") if is_one else ("autoencoder",)
    for place in idle:
        part, _, key = place.partition(".")
        given = getattr(recipe, part).model_fields_set
        wrong = sorted(given & {key} if key else given)
        if wrong:
            raise ConfigError(
                f"{name}: {part}.{wrong[0]} has no effect on {recipe.task}",
                hint=f"leave {part}.{wrong[0]} out",
            )
    settings = recipe.autoencoder
    if is_one and recipe.model.base is None:
        raise ConfigError(
            f"{name}: an autoencoder without model.base",
            hint="name the language model: --set model.base=FOLDER",
        )
    if settings.k > settings.latents:
        raise ConfigError(
            f"{name}: autoencoder.k = {settings.k} of {settings.latents} latents",
            hint=f"choose 1 to {settings.latents}",
        )


NOT_FOR_AUTOENCODERS = ("train.sharding", "train.checkpoint_activations")
"""Keys that say nothing of a model of two matrices."""


def _check_classifier(recipe: Recipe, name: str) -> None:
    """See that only a classifier that is gone on from becomes sparse or has a teacher.

    Raises:
        ConfigError: if a key needs one and there is none.
    """
    if recipe.model.is_classifier:
        if recipe.model.base is None:
            raise ConfigError(
                f"{name}: model.is_classifier without model.base", hint="name the classifier"
            )
        return
    for key, is_set in (("topk.sites", recipe.topk.sites), ("train.distil", recipe.train.distil)):
        if is_set:
            raise ConfigError(
                f"{name}: {key} needs a classifier that is gone on from",
                hint="name one by model.base and set model.is_classifier = true",
            )


def change_content(content: dict[str, Any], change: str) -> None:
    """Set one key of nested tables.

    Args:
        content: changed in place.
        change: `part.key=value`, the value as in TOML; a bare word counts as text.

    Raises:
        ConfigError: if `change` has another form.
    """
    name, sign, text = change.partition("=")
    if not sign or not name.strip():
        raise ConfigError(f"--set {change}", hint="write it as part.key=value")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    *parts, key = name.strip().split(".")
    table = content
    for part in parts:
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            raise ConfigError(f"--set {change}: {part} is no table", hint="see the recipe's parts")
    table[key] = value
