"""The classifier that is served, and what is known of it."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, final

import psutil

from sparsepath.artifacts.provenance import sha256_folder
from sparsepath.runtime.base import Engine, FloatArray
from sparsepath.runtime.engine import load_engine
from sparsepath.runtime.locate import locate
from sparsepath.runtime.manifest import Precision, member, read_manifest
from sparsepath.server.snapshot import is_beside, private_copy, signature


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
        self.threads, self._batch = threads, batch
        self.folders = model_folders(found.folder)
        """What it was loaded from: its folder, and those that a cascade names."""
        self.signature = signature(self.folders)
        before = psutil.Process().memory_info().rss
        with private_copy(self.folders) as copied:
            self.sha256 = hash_folders(self.folders)
            self._engine: Engine = load_engine(copied, threads=threads, precision=self.precision)
        self.loaded_bytes = max(0, psutil.Process().memory_info().rss - before)
        """Memory that loading it added to the process."""

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


def model_folders(folder: Path) -> list[Path]:
    """Give a model's folder, and those of a cascade's stages.

    Raises:
        ModelError: if its manifest cannot be read.
    """
    manifest = read_manifest(folder)
    if manifest.kind != "cascade":
        return [folder]
    return [folder, *(member(folder, name, is_folder=True) for name in manifest.stages)]


def hash_folders(folders: Sequence[Path]) -> str:
    """Give the hash of a model from all of its folders, without presets and catalogues in them."""
    if len(folders) == 1:
        return sha256_folder(folders[0], is_beside)
    digests = "".join(sha256_folder(one, is_beside) for one in folders)
    return hashlib.sha256(digests.encode()).hexdigest()
