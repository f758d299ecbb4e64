"""Does the model's folder still hold what is served?

The server goes on with what it loaded, whatever happens to the folder. It says that the folder
changed, since after a restart another model would answer.
"""

import asyncio
from pathlib import Path
from typing import Final, final

from sparsepath.artifacts.model_files import model_files, weights_sha256
from sparsepath.audit.record import Draft
from sparsepath.errors import SparsepathError
from sparsepath.server.classifier import Classifier, hash_folders
from sparsepath.server.journal import Journal
from sparsepath.server.language import LanguageModel
from sparsepath.server.logs import log
from sparsepath.server.problems import Problem
from sparsepath.server.snapshot import Signature, signature

LOOK_EVERY_S: Final = 2.0


@final
class FolderWatch:
    """Looks at the folder of a model now and then."""

    def __init__(self, model: Classifier | LanguageModel, journal: Journal) -> None:
        """Begin with the model as it was loaded."""
        self._model, self._journal = model, journal
        self._seen: Signature = (
            model.signature if isinstance(model, Classifier) else _signature(model)
        )
        self.is_changed = False
        """Whether the folder holds something else than what answers."""

    async def run(self) -> None:
        """Look, until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_EVERY_S)

    async def look(self) -> None:
        """Look once; files are read only where their size, time or place is another one."""
        seen = await asyncio.to_thread(_signature, self._model)
        if seen == self._seen:
            return
        found = await asyncio.to_thread(_sha256, self._model)
        self._seen = seen
        if (found != self._model.sha256) == self.is_changed:
            return
        self.is_changed = not self.is_changed
        facts = {"model": self._model.name, "served_sha256": self._model.sha256}
        log("model folder changed", folder_sha256=found, **facts)
        try:
            told = Draft(kind="model.changed", body=facts | {"folder_sha256": found})
            await self._journal.write([told])
        except Problem as problem:
            log("change of the model folder not recorded", why=problem.message)

    @property
    def note(self) -> str | None:
        """What `/readyz` says; None: all is well."""
        if not self.is_changed:
            return None
        return (
            f"the folder of {self._model.name} changed after it was loaded; what was loaded still "
            "answers"
        )


def _signature(model: Classifier | LanguageModel) -> Signature:
    """Look at a model's files; of a language model only at those of its weights."""
    if isinstance(model, Classifier):
        return signature(model.folders)
    parts: list[Path] = []
    try:
        parts = model_files(model.folder)
    except SparsepathError:
        return ()
    names = {str(path) for path in parts}
    return tuple(stat for stat in signature([model.folder]) if stat.path in names)


def _sha256(model: Classifier | LanguageModel) -> str | None:
    """Hash what is in the folder now; None where it cannot be read."""
    try:
        if isinstance(model, Classifier):
            return hash_folders(model.folders)
        return weights_sha256(model.folder)
    except (OSError, SparsepathError):
        return None
