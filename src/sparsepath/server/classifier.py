"""The classifier that is served, and what is known of it."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, final

from sparsepath.artifacts.provenance import sha256_folder
from sparsepath.runtime.base import Engine, FloatArray
from sparsepath.runtime.engine import load_engine
from sparsepath.runtime.locate import locate
from sparsepath.runtime.manifest import Precision, member, read_manifest


class Answer(NamedTuple):
    """What the engine said about a text."""

    probabilities: FloatArray
    """[labels]."""
    stage: int
    """Which stage of a cascade or early exit answered, from 0."""


@final
class Classifier:
    """A loaded engine with its name and hash."""

    def __init__(
        self, model: Path, *, precision: Precision | None, threads: int, batch: int
    ) -> None:
        """Load a model.

        Args:
            model: a model folder, or a run folder for its recommended model.
            precision: which graph; None: what a run recommends, else fp32.
            threads: threads of one matrix product.
            batch: texts that go through a graph together.

        Raises:
            ModelError: if it cannot be loaded.
            RunError: if the run's results cannot be read.
        """
        found = locate(model)
        self.folder = found.folder
        self.name = found.folder.resolve().name
        self.precision: Precision = precision or found.precision
        self.sha256 = _hash(found.folder)
        self._engine: Engine = load_engine(found.folder, threads=threads, precision=self.precision)
        self._batch = batch

    @property
    def labels(self) -> list[str]:
        """Names of the labels, in the order of the probabilities."""
        return self._engine.labels

    @property
    def kind(self) -> str:
        """What is inside: `single`, `cascade`, `early-exit` or `self-ensemble`."""
        return self._engine.kind

    @property
    def n_stages(self) -> int:
        """Models or stages that may answer."""
        return self._engine.n_stages

    def answer(self, texts: Sequence[str]) -> list[Answer]:
        """Give one answer a text; not to be called from several threads at once."""
        found = self._engine.answer(texts, self._batch)
        return [
            Answer(row, int(stage))
            for row, stage in zip(found.probabilities, found.stages, strict=True)
        ]


def _hash(folder: Path) -> str:
    """Give the hash of a model folder; a cascade's covers the folders of its stages too."""
    manifest = read_manifest(folder)
    if manifest.kind != "cascade":
        return sha256_folder(folder)
    places = [folder, *(member(folder, name, is_folder=True) for name in manifest.stages)]
    return hashlib.sha256("".join(sha256_folder(place) for place in places).encode()).hexdigest()
