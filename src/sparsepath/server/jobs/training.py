"""A training as a job: a recipe's text, checked before it waits, and the command of it."""

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from sparsepath.server.problems import Problem

KIND: Final = "training"

RECIPE: Final = "recipe.toml"
"""The recipe's text, in the job's folder."""

CHECK_S: Final = 120.0
"""Seconds for reading a recipe, at most; a slow disk takes long to load torch."""

_BUILT_IN: Final = ("stdlib", "digits", "nci")
"""Data that come with sparsepath or Python: a recipe of the page reads no other files."""

_PATHS: Final = ("data.test", "tokenizer.file", "model.base")
"""Keys that name files of this machine, or a model to be fetched."""


class TrainingAsked(BaseModel):
    """What is trained."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(default="training", min_length=1, max_length=100)
    recipe: str = Field(min_length=1, max_length=65536, description="A recipe, as TOML.")


def write_recipe(asked: TrainingAsked, folder: Path) -> None:
    """Write the recipe into a job's folder, which is made, and read it as the command does.

    Raises:
        OSError: if that is not possible.
        Problem: if it is no recipe, or reaches outside of the server's store.
    """
    _check_inside(asked.recipe)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / RECIPE
    path.write_bytes(asked.recipe.encode("utf-8", "replace"))
    # A server without torch cannot read recipes, and this one need not load it to do so.
    command = [sys.executable, "-m", "sparsepath", "train", str(path), "--check"]
    try:
        found = subprocess.run(
            command, capture_output=True, timeout=CHECK_S, stdin=subprocess.DEVNULL, check=False
        )
    except subprocess.TimeoutExpired as err:
        raise Problem(503, "busy", "the recipe was not read in time", fix="ask again") from err
    if found.returncode:
        told = found.stderr.decode("utf-8", "replace").replace(str(path), "the recipe")
        raise _told(told.replace(str(folder), "the folder").strip())


def options_of(asked: TrainingAsked) -> dict[str, Any]:
    """Give what the database keeps of a request; the recipe is in the job's folder."""
    return {"asked": {"name": asked.name}}


def command_of(_options: dict[str, Any], folder: Path) -> list[str]:
    """Write the command of a job; the same one goes on where it stopped.

    Args:
        folder: of the job, with its recipe.
    """
    return ["train", str(folder / RECIPE), f"--out={folder / 'run'}"]


def _check_inside(text: str) -> None:
    """See that a recipe names no file and no model of this machine or of the network.

    Raises:
        Problem: if it does, or is no TOML.
    """
    try:
        content = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as err:
        told = str(err) if isinstance(err, tomllib.TOMLDecodeError) else "too deep"
        raise _invalid(f"the recipe is no TOML: {told}", "correct that line") from err
    for key in _PATHS:
        if (met := _value(content, key)) is not None:
            raise _invalid(
                f"the recipe names {key} = {str(met)[:100]!r}, which lies outside of the server",
                f"leave {key} out, or train with `sparsepath train` on the machine itself",
            )
    source = _value(content, "data.source")
    if source is not None and source not in _BUILT_IN:
        raise _invalid(
            f"the recipe names data.source = {str(source)[:100]!r}",
            f"take one of {', '.join(_BUILT_IN)}, or train with `sparsepath train` on the machine",
        )


def _value(content: dict[str, Any], key: str) -> object:
    part, _, field = key.partition(".")
    found = content.get(part)
    return found.get(field) if isinstance(found, dict) else None


def _told(text: str) -> Problem:
    """Turn what the command said into an answer, its hint apart."""
    what, _, fix = text.removeprefix("error: ").partition("fix: ")
    return _invalid(what.strip() or "the recipe cannot be read", fix.strip() or "correct it")


def _invalid(message: str, fix: str) -> Problem:
    return Problem(422, "recipe", message, fix=fix)
