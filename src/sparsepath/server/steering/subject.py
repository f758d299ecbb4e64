"""The model that is served, as it can be steered: its sites, usual values, edits and presets."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, NamedTuple, final

from sparsepath.artifacts.concept_names import finder, neuron_called
from sparsepath.artifacts.edit import Edit, check_reading
from sparsepath.artifacts.edit_text import Encode, parse_edit
from sparsepath.artifacts.model_files import weights_sha256
from sparsepath.artifacts.neuron import Neuron
from sparsepath.artifacts.steering import (
    FOLDER,
    Preset,
    check_preset,
    preset_names,
    read_preset_file,
)
from sparsepath.errors import ModelError, PolicyError, SparsepathError
from sparsepath.runtime.steerable import (
    check_for_graph,
    classifier_ranges,
    classifier_sites,
    classifier_spots,
)
from sparsepath.server.classifier import Classifier
from sparsepath.server.language import LanguageModel
from sparsepath.server.problems import Problem, from_error
from sparsepath.trace.edits import Sites, check_neuron, compiled
from sparsepath.trace.ranges import Limit, Ranges, check_strengths, limit_of

Kind = Literal["language-model", "classifier"]


class Listed(NamedTuple):
    """A preset in the model's folder."""

    name: str
    preset: Preset | None
    """None where it cannot be used."""
    trouble: str
    """Why; empty where it can."""


class Parts(NamedTuple):
    """What tells one kind of model from the other."""

    kind: Kind
    sites: Sites
    ranges: Callable[[], Ranges]
    """Reads usual values; of a language model they are measured once, which takes seconds."""
    encode: Encode | None
    """Gives the token ids of a word; None: no edit may depend on words."""


@final
class Subject:
    """A model that can be steered; every method may be called in any thread."""

    def __init__(self, name: str, folder: Path, sha256: str, parts: Parts) -> None:
        self.name, self.folder, self.sha256 = name, folder, sha256
        self.kind, self.sites, self._parts = parts.kind, parts.sites, parts
        self._reading = threading.Lock()

    @property
    def ranges(self) -> Ranges:
        """Usual values of neurons."""
        with self._reading:
            return self._parts.ranges()

    def edits(self, texts: Sequence[str], *, is_dense_allowed: bool = False) -> tuple[Edit, ...]:
        """Read edits, and see that they fit each other, the model and what it bears.

        Raises:
            Problem: if they do not.
        """
        with self.told():
            find = finder(self.folder)
            found = [parse_edit(text, self._parts.encode, find) for text in texts]
            self.check(found, is_dense_allowed=is_dense_allowed)
        return tuple(found)

    def check(self, edits: Sequence[Edit], *, is_dense_allowed: bool = False) -> None:
        """See that edits fit each other, the model and what it bears.

        Raises:
            Problem: if they do not.
        """
        self.check_places(edits, is_dense_allowed=is_dense_allowed)
        with self.told():
            if any(edit.operation != "suppress" for edit in edits):
                check_strengths(edits, self.ranges)

    def check_places(self, edits: Sequence[Edit], *, is_dense_allowed: bool = False) -> None:
        """See that edits fit each other and the model, however strong they are.

        Raises:
            Problem: if they do not.
        """
        with self.told():
            if self.kind == "classifier":
                check_reading(edits)
                check_for_graph(edits)
            compiled(edits, self.sites, is_dense_allowed=is_dense_allowed)

    def neuron(self, name: str) -> tuple[Neuron, Limit]:
        """Find a neuron by its name or label, with the strengths that it bears.

        Raises:
            Problem: if there is none, or several.
        """
        with self.told():
            found = neuron_called(name, self.folder)
            check_neuron(found, self.sites, is_dense_allowed=True)
            return found, limit_of(found.entry, self.ranges)

    def presets(self) -> list[Listed]:
        """List the presets of the folder, also those that cannot be used, with the reason."""
        found = []
        for name in preset_names(self.folder):
            try:
                preset = read_preset_file(self.folder / FOLDER / f"{name}.json")
                check_preset(preset, self.sha256)
                found.append(Listed(name, preset, ""))
            except SparsepathError as err:
                found.append(Listed(name, None, self._without_place(err.message)))
        return found

    def preset(self, name: str) -> Preset:
        """Give a preset of the folder; a path is none.

        Raises:
            Problem: if there is none of that name, or it cannot be used.
        """
        listed = {one.name: one for one in self.presets()}
        if name not in listed:
            known = ", ".join(listed) or "none"
            raise Problem(
                404, "preset_not_found", "there is no such preset", fix=f"choose one of: {known}"
            )
        preset, trouble = listed[name].preset, listed[name].trouble
        if preset is None:
            raise Problem(422, "cannot_be_done", trouble, fix="save it anew")
        return preset

    @contextmanager
    def told(self) -> Iterator[None]:
        """Tell clients of errors in here; where the model lies on the disk is not told."""
        try:
            yield
        except PolicyError:
            raise
        except SparsepathError as err:
            found = from_error(err)
            is_model = isinstance(err, ModelError)
            status, code = (422, "cannot_be_done") if is_model else (found.status, found.code)
            message, fix = (self._without_place(text) for text in (found.message, found.fix))
            raise Problem(status, code, message, fix=fix) from err

    def _without_place(self, text: str) -> str:
        return text.replace(str(self.folder), self.name)


def subject_of(model: Classifier | LanguageModel) -> Subject:
    """Say how a model can be steered.

    Raises:
        ModelError: if it cannot be.
    """
    if isinstance(model, LanguageModel):
        engine = model.engine
        parts = Parts(
            "language-model",
            engine.shape.sites,
            lambda: engine.ranges,
            lambda word: engine.tokenizer.encode(word, add_special_tokens=False).ids,
        )
        return Subject(model.name, model.folder, model.sha256, parts)
    folder = model.folder
    if model.kind != "single":
        raise ModelError(
            f"a model of the kind {model.kind} cannot be steered",
            hint="serve a sparse classifier, such as RUN/models/topk-8th",
        )
    sites = classifier_sites(classifier_spots(folder))
    parts = Parts("classifier", sites, lambda: classifier_ranges(folder, sites.spots), None)
    return Subject(model.name, folder, weights_sha256(folder), parts)
