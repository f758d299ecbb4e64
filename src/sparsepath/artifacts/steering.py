"""A steering preset: edits that live in a model's folder, as `presets/NAME.json`.

A preset belongs to the weights whose hash it holds, and to nobody's later idea of it: its own hash
is in the file, so that what was tried and checked is what is used.

Read with: `edit.py` (what an edit is).
"""

import getpass
import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pydantic import Field

from sparsepath.artifacts.base import Artifact, MaybeFloat
from sparsepath.artifacts.edit import Edit, check_contradictions
from sparsepath.artifacts.provenance import now_utc
from sparsepath.artifacts.store import read_json, write_json_atomic
from sparsepath.errors import ConfigError, ModelError
from sparsepath.version import __version__

PRESET_SCHEMA: Final = 1
"""Version of the file; raised when a key is renamed or removed."""

FOLDER = "presets"
"""Where a model's folder keeps them."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class EditLimit(Artifact):
    """How strong an edit of a neuron may be, as it was measured when the preset was saved."""

    neuron: str
    largest: float
    """Size of its largest value on ordinary text; 0: it never fired."""
    value: MaybeFloat
    """Largest size of a set or added value; None: not known."""
    factor: float
    """Largest size of a factor."""
    is_exceeded: bool = False
    """Whether the preset goes beyond it, as its author allowed."""


class Preset(Artifact):
    """Edits with a name."""

    schema_version: int = Field(default=PRESET_SCHEMA, alias="schema")
    name: str
    model_sha256: str
    """Of the file of the model's weights; of several files, joined by commas."""
    edits: tuple[Edit, ...]
    limits: tuple[EditLimit, ...] = ()
    is_dense_allowed: bool = False
    """Whether sites that a sparse model leaves dense are edited too."""
    author: str = ""
    note: str = ""
    created: str
    """UTC, `2026-11-21T09:30:00Z`."""
    sparsepath: str
    """Version that saved it."""
    content_sha256: str = ""
    """Of everything else in the file."""

    @property
    def own_sha256(self) -> str:
        """Hash of the content as it is now."""
        content = self.model_dump(mode="json", by_alias=True, exclude={"content_sha256"})
        plain = json.dumps(content, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
        return hashlib.sha256(plain.encode()).hexdigest()

    def __str__(self) -> str:
        """Write the edits as they are read."""
        return "; ".join(str(edit) for edit in self.edits)


def make_preset(  # noqa: PLR0913 - a record has so many keys
    name: str,
    edits: Sequence[Edit],
    model_sha256: str,
    *,
    limits: Sequence[EditLimit] = (),
    is_dense_allowed: bool = False,
    author: str | None = None,
    note: str = "",
) -> Preset:
    """Make a preset with its hash.

    Args:
        name: letters, digits, `.`, `-`, `_`; at most 64.
        edits: at least one, which do not contradict each other.
        model_sha256: of the model's weights.
        limits: of the edited neurons.
        is_dense_allowed: as in `Preset`.
        author: None: the name of the user of this machine.
        note: what it is for.

    Raises:
        ConfigError: if there is no edit, two contradict each other, or the name is no name.
    """
    check_name(name)
    if not edits:
        raise ConfigError("a preset without edits", hint='give at least one, as in "L02/117=8"')
    check_contradictions(edits)
    preset = Preset(
        name=name,
        model_sha256=model_sha256,
        edits=tuple(edits),
        limits=tuple(limits),
        is_dense_allowed=is_dense_allowed,
        author=_user() if author is None else author,
        note=note,
        created=now_utc(),
        sparsepath=__version__,
    )
    return preset.model_copy(update={"content_sha256": preset.own_sha256})


def write_preset(folder: Path, preset: Preset) -> Path:
    """Write a preset into a model's folder, over one of the same name; give its file."""
    path = folder / FOLDER / f"{preset.name}.json"
    write_json_atomic(path, preset)
    return path


def read_preset(folder: Path, name: str, model_sha256: str) -> Preset:
    """Read a preset for a model.

    Args:
        folder: of the model.
        name: of a preset in that folder, or the path of a file that ends in `.json`.
        model_sha256: of the model's weights.

    Raises:
        ConfigError: if there is none of that name, or it was edited by hand.
        ModelError: if it belongs to another model.
        RunError: if the file is damaged.
    """
    path = Path(name) if name.endswith(".json") else folder / FOLDER / f"{check_name(name)}.json"
    if not path.is_file():
        known = ", ".join(preset_names(folder)) or "none yet"
        raise ConfigError(
            f"no preset {name!r} in {folder}",
            hint=f"choose one of: {known}; `sparsepath steering save` makes one",
        )
    preset = read_preset_file(path)
    check_preset(preset, model_sha256)
    return preset


def check_preset(preset: Preset, model_sha256: str) -> None:
    """See that a preset belongs to a model.

    Raises:
        ModelError: if it belongs to another one.
    """
    if preset.model_sha256 != model_sha256:
        raise ModelError(
            f"the preset {preset.name} belongs to a model with hash {preset.model_sha256[:12]}...; "
            f"this one has {model_sha256[:12]}...",
            hint="neurons of another model, or after more training, mean other things: find them "
            "there and save a preset for it",
        )


def read_preset_file(path: Path) -> Preset:
    """Read a preset, whatever model it belongs to.

    Raises:
        ConfigError: if it was edited by hand.
        RunError: if the file is damaged.
    """
    preset = read_json(path, Preset)
    if preset.content_sha256 != preset.own_sha256:
        edits = " ".join(f'--steer "{edit}"' for edit in preset.edits)
        raise ConfigError(
            f"{path} was edited by hand: its content has hash {preset.own_sha256[:12]}..., the "
            f"file says {preset.content_sha256[:12]}...",
            hint=f"save it anew, which checks it: sparsepath steering save MODEL --name "
            f"{preset.name} {edits}",
        )
    return preset


def preset_names(folder: Path) -> list[str]:
    """List the presets in a model's folder."""
    return sorted(path.stem for path in (folder / FOLDER).glob("[!.]*.json"))


def check_name(name: str) -> str:
    """See that a name fits a file; give it.

    Raises:
        ConfigError: if it does not.
    """
    if _NAME.fullmatch(name) is None:
        raise ConfigError(
            f"{name!r} is no name for a preset",
            hint="use letters, digits, `.`, `-` and `_`, at most 64, such as `calm`",
        )
    return name


def _user() -> str:
    """Give the name of this machine's user; nothing where it has none."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""
