"""Naming a model for a rollout."""

import hashlib
from pathlib import Path
from typing import Final

from tokenizers import Tokenizer

from sparsepath.artifacts.model_files import locate_language_model, weights_sha256
from sparsepath.audit.record import canonical
from sparsepath.audit.rollout.model import ModelRef
from sparsepath.config import Form
from sparsepath.errors import ModelError
from sparsepath.runtime.locate import RESULTS, locate
from sparsepath.runtime.manifest import MANIFEST, read_manifest
from sparsepath.runtime.text import read_tokenizer
from sparsepath.server.classifier import Classifier, hash_folders, model_folders
from sparsepath.server.language import LanguageModel, home_of

USUAL_FORM: Final[Form] = "int8"
"""How weights of a language model are stored, unless told otherwise."""


def is_language_model(path: Path) -> bool:
    """Say whether a path means a language model, not a classifier or a run of them."""
    is_classifier = any((path / name).is_file() for name in (MANIFEST, RESULTS))
    is_language = any((place / "config.json").is_file() for place in (path, path / "model"))
    return is_language and not is_classifier


def refer(path: Path, precision: Form | None = None) -> ModelRef:
    """Name a model by folder, hash and precision.

    Args:
        path: a model folder, or a run folder for its recommended model; or the folder of a
            language model or of its training.
        precision: which graph; None: what a run recommends, else fp32. Of a language model how
            weights are stored; None: int8.

    Raises:
        ModelError: if there is no model, or not in that precision.
        RunError: if the run's results cannot be read.
    """
    if is_language_model(path):
        folder = locate_language_model(path).resolve()
        return ModelRef(
            name=home_of(folder).name,
            folder=str(folder),
            precision=precision or USUAL_FORM,
            sha256=weights_sha256(folder),
            labels=[],
            kind="language-model",
            vocabulary=_vocabulary(read_tokenizer(folder)),
        )
    found = locate(path)
    folder = found.folder.resolve()
    manifest, chosen = read_manifest(folder), precision or found.precision
    graphs = manifest.onnx or ("fp32", "int8")
    if chosen not in graphs:
        raise ModelError(
            f"{folder} has no {chosen} graph, only {', '.join(graphs)}",
            hint=f"name one it has: --precision {next(iter(graphs))}",
        )
    return ModelRef(
        name=folder.name,
        folder=str(folder),
        precision=chosen,
        sha256=hash_folders(model_folders(folder)),
        labels=manifest.labels,
    )


def refer_loaded(model: Classifier | LanguageModel) -> ModelRef:
    """Name a model that is in memory."""
    tokenizer = model.engine.tokenizer if isinstance(model, LanguageModel) else None
    return ModelRef(
        name=model.name,
        folder=str(model.folder.resolve()),
        precision=model.precision,
        sha256=model.sha256,
        labels=model.labels,
        kind="classifier" if tokenizer is None else "language-model",
        vocabulary="" if tokenizer is None else _vocabulary(tokenizer),
    )


def _vocabulary(tokenizer: Tokenizer) -> str:
    """Hash the tokens with their numbers."""
    return hashlib.sha256(canonical(tokenizer.get_vocab()).encode()).hexdigest()
