"""Catalogues of the checkpoints that a training left, one after the other.

A checkpoint holds weights only; configuration and tokenizer are those of the finished model. So a
checkpoint from before k had fallen to its end is looked at with the k of the end.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from sparsepath.artifacts.catalogue import DATED_FOLDER, Catalogue
from sparsepath.artifacts.store import folder_atomic
from sparsepath.concepts.build import build_catalogue
from sparsepath.concepts.options import CatalogueOptions
from sparsepath.errors import RunError
from sparsepath.models.folder import WEIGHTS

STATE, PREFIX = "state.safetensors", "model."
"""File of a checkpoint, and what begins the names of its model's tensors."""


class Dated(NamedTuple):
    """A catalogue of a checkpoint."""

    name: str
    """`step 400`."""
    path: Path


def catalogue_checkpoints(
    run: Path,
    corpus: str,
    options: CatalogueOptions,
    say: Callable[[str], None] = lambda _text: None,
) -> list[Dated]:
    """Catalogue every checkpoint of a training.

    Catalogues of this corpus with these options stay, unless checkpoint or corpus are newer.

    Args:
        run: folder of a finished training.
        corpus: as `build_catalogue` takes it.
        options: the same.
        say: told what is done.

    Raises:
        RunError: if the training is not finished or left no checkpoints of one process, or a
            catalogue is damaged.
    """
    model = run / "model"
    found = sorted(run.glob(f"checkpoints/step-*/{STATE}"))
    if not found or not (model / "config.json").is_file():
        raise RunError(
            f"{run} has {len(found)} checkpoints of one process"
            + ("" if (model / "config.json").is_file() else " and no finished model"),
            hint="train with train.keep_checkpoints as high as you want to look back, to the end",
        )
    dated = []
    for state in found:
        step = int(state.parent.name.removeprefix("step-"))
        path = run / DATED_FOLDER / f"{state.parent.name}.sqlite"
        told = _other(path, state, corpus, options)
        if told is not None:
            say(f"step {step}{told}")
            folder = path.with_suffix(".model")
            if folder.is_dir():  # of a build that was stopped; perhaps of other weights
                shutil.rmtree(folder)
            _as_model(state, model, folder)
            build_catalogue(folder, corpus, options, out=path, start_over=True, say=say)
            shutil.rmtree(folder)
        dated.append(Dated(f"step {step}", path))
    return dated


def _other(path: Path, state: Path, corpus: str, options: CatalogueOptions) -> str | None:
    """Say why a checkpoint has to be catalogued; None if its catalogue is the one asked for.

    Raises:
        RunError: if its catalogue is damaged; it may hold remarks, so it is not thrown away.
    """
    if not path.is_file():
        return ""
    sources = [state, *([Path(corpus)] if Path(corpus).is_file() else [])]
    if max(source.stat().st_mtime for source in sources) > path.stat().st_mtime:
        return ": its catalogue is older than the checkpoint or the corpus, and is made anew"
    try:
        with Catalogue(path) as catalogue:
            asked = catalogue.facts.asked
    except RunError as err:
        raise RunError(err.message, hint="delete it, and give the same command again") from err
    if asked == {"corpus": corpus, **options.decide()}:
        return None
    return ": its catalogue is of another corpus or other options, and is made anew"


def _as_model(state: Path, finished: Path, folder: Path) -> None:
    """Write a checkpoint's weights as a model folder.

    Raises:
        RunError: if it is damaged.
    """
    try:
        with safe_open(state, framework="pt") as file:
            names = [name for name in file.keys() if name.startswith(PREFIX)]  # noqa: SIM118
            tensors = {name.removeprefix(PREFIX): file.get_tensor(name) for name in names}
            with safe_open(finished / WEIGHTS, framework="pt") as model:
                # Counters of a training are not part of a model.
                tensors = {name: tensors[name] for name in model.keys() if name in tensors}  # noqa: SIM118
    except (SafetensorError, OSError) as err:
        raise RunError(
            f"{state} is damaged ({err})", hint="delete this checkpoint's folder"
        ) from err
    with folder_atomic(folder) as new:
        for name in ("config.json", "tokenizer.json"):
            shutil.copyfile(finished / name, new / name)
        save_file(tensors, new / WEIGHTS, metadata={"format": "pt"})
