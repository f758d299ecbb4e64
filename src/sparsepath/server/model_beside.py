"""Models whose folders lie beside that of the one that answers: a rollout can begin with them."""

from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple, get_args

from sparsepath.artifacts.model_files import find_classifier, locate_language_model, model_files
from sparsepath.config import Form
from sparsepath.errors import ModelError
from sparsepath.runtime.manifest import MANIFEST, Precision, read_manifest
from sparsepath.server.classifier import Classifier
from sparsepath.server.language import LanguageModel, home_of
from sparsepath.server.model_ref import is_language_model
from sparsepath.server.problems import Problem

MAX_BESIDE: Final = 500
"""Folders beside a model that are looked at."""


class Beside(NamedTuple):
    """A model beside the one that answers, or that one itself."""

    name: str
    precisions: list[Form]
    labels: list[str]
    answers: bool
    """Whether it is the one that answers."""


def models_beside(answering: Classifier | LanguageModel) -> list[Beside]:
    """Read what lies beside a model; what is of another kind is left out."""
    home, found = _home(answering), []
    for place in sorted(home.parent.iterdir())[:MAX_BESIDE]:
        with suppress(ModelError):
            one = None if place.is_symlink() else _read(place, answering)
            if one is not None:
                found.append(one._replace(answers=place == home))
    return found


def beside(answering: Classifier | LanguageModel, name: str) -> Path:
    """Find a model's folder beside that of the one that answers.

    Raises:
        Problem: if the name leads elsewhere.
    """
    place = _home(answering).parent
    if "\0" in name or (place / name).resolve().parent != place or not (place / name).is_dir():
        raise Problem(
            404,
            "model_not_found",
            "there is no such folder beside that of the model that answers",
            fix="name a folder there, or use `sparsepath rollout start` on that machine",
        )
    return place / name


def _home(model: Classifier | LanguageModel) -> Path:
    if isinstance(model, LanguageModel):
        return home_of(model.folder)
    return model.folder.resolve()


def _read(place: Path, answering: Classifier | LanguageModel) -> Beside | None:
    """Look at a folder; None: it has no model of that kind."""
    if isinstance(answering, LanguageModel):
        if not is_language_model(place) or find_classifier(place) is not None:
            return None
        if not (locate_language_model(place) / "tokenizer.json").is_file():
            return None
        model_files(locate_language_model(place))
        # What is used now comes first, since it is the likeliest choice.
        forms = sorted(get_args(Form), key=lambda form: form != answering.precision)
        return Beside(place.name, forms, [], answers=False)
    if not (place / MANIFEST).is_file():
        return None
    manifest = read_manifest(place)
    known = get_args(Precision)
    precisions = [one for one in known if one in (manifest.onnx or known)]
    return Beside(place.name, precisions, manifest.labels, answers=False)
