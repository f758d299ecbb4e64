"""The runs and catalogues that a server may show: found by looking, never by a path of a client.

A client names a run or a catalogue; the name is looked up among those that lie directly in the
folder of runs, or belong to the model that is served. Nothing else can be reached.
"""

from pathlib import Path
from typing import Final, NamedTuple, final

from sparsepath.artifacts.catalogue import CATALOGUE_FILE
from sparsepath.runtime.locate import RESULTS

MANIFEST: Final = "run.json"
"""File by which a run folder is known."""

MAX_FOUND: Final = 500
"""Folders that are looked at; the first ones by name."""


class Place(NamedTuple):
    """Something that can be shown."""

    name: str
    """By which clients ask for it."""
    path: Path
    is_served: bool
    """Whether the model that answers belongs to it."""


@final
class Library:
    """Looks into the folder of runs whenever it is asked, so that new runs appear."""

    def __init__(self, served: Path, folder: Path | None, store: Path | None = None) -> None:
        """Remember where to look.

        Args:
            served: folder of the model that is served.
            folder: of runs; None: only what belongs to that model.
            store: of jobs, whose runs are called by their ids.
        """
        self._served = served.resolve()
        self._jobs = None if store is None else store.resolve() / "jobs"
        self._folder = None if folder is None else folder.resolve()

    @property
    def model_folder(self) -> str:
        """Name of the folder of the model that is served."""
        return self._served.name

    def runs(self) -> list[Place]:
        """Find runs, the served model's own one first."""
        own = self._served.parent.parent
        found = [Place(own.name, own, True)] if _is_run(own) else []
        return (
            found
            + [
                Place(path.name, path, False)
                for path in self._children()
                if _is_run(path) and path != own
            ]
            + self._of_jobs(own)
        )

    def catalogues(self) -> list[Place]:
        """Find catalogues of neurons, the served model's own one first."""
        found = []
        if (file := self._served / CATALOGUE_FILE).is_file():
            is_inner = self._served.name == "model"
            name = self._served.parent.name if is_inner else self._served.name
            found.append(Place(name, file, True))
        for path in self._children():
            for file in (path / CATALOGUE_FILE, path / "model" / CATALOGUE_FILE):
                is_inside = file.resolve().is_relative_to(path)
                if file.is_file() and is_inside and file.parent != self._served:
                    found.append(Place(path.name, file, False))
                    break
        return found

    def _of_jobs(self, own: Path) -> list[Place]:
        """Runs that jobs of this server made."""
        if self._jobs is None or not self._jobs.is_dir():
            return []
        paths = [path for path in _children(self._jobs)[1:] if (path / "run").resolve() != own]
        return [Place(path.name, path / "run", False) for path in paths if _is_run(path / "run")]

    def folders(self, other: Path) -> list[Path]:
        """Folders in the folder of runs and in another one; links that lead out are left out."""
        found = {path.name: path for path in _children(other.resolve())}
        return list((found | {path.name: path for path in self._children()}).values())

    def _children(self) -> list[Path]:
        """Folders of the folder of runs, itself included."""
        return [] if self._folder is None else _children(self._folder)


def _children(folder: Path) -> list[Path]:
    """Folders of a folder, itself included; links that lead out are left out."""
    if not folder.is_dir():
        return []
    paths = sorted(path for path in folder.iterdir() if _is_plain(path))[:MAX_FOUND]
    return [path for path in (folder, *paths) if path.resolve() == path]


def _is_plain(path: Path) -> bool:
    """Say whether a folder has a name that can be shown and asked for."""
    is_text = path.name.isprintable() and "\ufffd" not in path.name
    return is_text and not path.name.startswith(".") and path.is_dir()


def _is_run(path: Path) -> bool:
    return any((path / name).is_file() for name in (MANIFEST, RESULTS))
