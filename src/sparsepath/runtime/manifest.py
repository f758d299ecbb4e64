"""What a model folder holds for running: `sparsepath.json`, read and written without pydantic.

A plain parser, because a serving process should stay small: pydantic alone would add a quarter to
the memory of the lightest model. Four kinds of folder:

- `single`: one graph, in one or more precisions.
- `cascade`: other model folders beside this one, asked in turn until one is sure.
- `early-exit`: stages of one model, each continuing where the one before stopped.
- `self-ensemble`: one graph, asked several times with other sources of attention.

A name never leads outside its place: graphs lie in the folder itself, stages of a cascade in the
folder or beside it, also after symbolic links are followed.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, get_args

from sparsepath.errors import ModelError

SCHEMA: Final = 1
"""Version of `sparsepath.json`; another one is refused."""

MANIFEST: Final = "sparsepath.json"
"""Name of the file in a model folder."""

Kind = Literal["single", "cascade", "early-exit", "self-ensemble"]
Precision = Literal["fp32", "int8"]

_DEFAULTS: Final[dict[str, Any]] = {
    "kind": None,
    "labels": [],
    "max_length": 0,
    "pad_id": 0,
    "onnx": {},
    "stages": [],
    "thresholds": [],
    "members": 0,
    "layers": 0,
    "keep": 1.0,
    "seed": 0,
}
"""Keys of the file besides `schema`, and what stands for one that is absent."""

_COPY_AGAIN: Final = "copy the model folder again, whole, or run the PoC again"


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """How to run a model folder."""

    kind: Kind
    """What is in the folder."""

    labels: list[str]
    """Names of the labels, in the order of the probabilities."""

    max_length: int = 0
    """Tokens of a text that are read, special ones included; unused by a cascade."""

    pad_id: int = 0
    """Token that fills short texts of a batch; unused by a cascade."""

    onnx: dict[str, str] = field(default_factory=dict)
    """Precision to graph file; of a single model."""

    stages: list[str] = field(default_factory=list)
    """Model folders of a cascade, or graph files of an early exit; lightest first."""

    thresholds: list[float] = field(default_factory=list)
    """Least top probability with which each stage but the last answers, 0 to 1."""

    members: int = 0
    """Sub-models of a self-ensemble."""

    layers: int = 0
    """Layers of a self-ensemble that attend."""

    keep: float = 1.0
    """Share of the tokens that each sub-model's attention sees, above 0 and up to 1."""

    seed: int = 0
    """Draws them."""

    def graph(self, folder: Path, precision: Precision) -> str:
        """Name the graph file of a precision.

        Raises:
            ModelError: if there is none.
        """
        if precision not in self.onnx:
            raise ModelError(
                f"{folder} has no {precision} graph, only {', '.join(self.onnx)}",
                hint=f"load it with precision={next(iter(self.onnx))!r}",
            )
        return self.onnx[precision]


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write `sparsepath.json` in a folder that is being built; the rename is the caller's."""
    said = {key: v for key, v in asdict(manifest).items() if v != _DEFAULTS[key]}
    content = {"schema": SCHEMA} | said
    text = json.dumps(content, ensure_ascii=False, indent=2) + "\n"
    (folder / MANIFEST).write_text(text, encoding="utf-8")


def read_manifest(folder: Path) -> Manifest:
    """Read and check `sparsepath.json`.

    Raises:
        ModelError: if the folder or the file is missing, damaged, of another version, or names
            something outside its place.
    """
    path = folder / MANIFEST
    if not folder.is_dir():
        raise ModelError(
            f"no model folder at {folder}", hint="give a folder such as RUN/models/NAME"
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as err:
        raise ModelError(
            f"no {MANIFEST} in {folder}, so it is not a model that sparsepath can run",
            hint="give a folder such as RUN/models/NAME, or export one: sparsepath export",
        ) from err
    except (OSError, ValueError) as err:
        raise ModelError(f"{path} cannot be read: {err}", hint=_COPY_AGAIN) from err
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        met = content.get("schema") if isinstance(content, dict) else None
        raise ModelError(
            f"{path} has schema {met!r}; this sparsepath reads schema {SCHEMA}",
            hint="use the sparsepath version that wrote it, or run the PoC again",
        )
    manifest = _parse(path, content)
    for name in (*manifest.onnx.values(), *manifest.stages):
        member(folder, name, is_folder=manifest.kind == "cascade")
    return manifest


def member(folder: Path, name: str, *, is_folder: bool = False) -> Path:
    """Return what a manifest names; a model folder may also lie beside its own.

    Raises:
        ModelError: if the name leads elsewhere.
    """
    root = folder.resolve().parent if is_folder else folder.resolve()
    if "\0" not in name and not Path(name).is_absolute():
        found = (folder.resolve() / name).resolve()
        if found.is_relative_to(root) and found not in {root, folder.resolve()}:
            return found
    raise ModelError(
        f"{folder / MANIFEST} names {name!r}, which is outside its place",
        hint="do not use this folder unless you trust its source; run the PoC again",
    )


def _parse(path: Path, content: Mapping[str, Any]) -> Manifest:
    """Check every value's type; what the kind needs must be there."""
    values: dict[str, Any] = _DEFAULTS | {k: v for k, v in content.items() if k in _DEFAULTS}
    wrong = _first_wrong(values)
    if wrong is not None:
        raise ModelError(f"{path}: {wrong}", hint=_COPY_AGAIN)
    values["thresholds"] = [float(threshold) for threshold in values["thresholds"]]
    values["keep"] = float(values["keep"])
    return Manifest(**values)


def _first_wrong(values: Mapping[str, Any]) -> str | None:
    """Say what does not fit, or None."""
    kind, labels, onnx = values["kind"], values["labels"], values["onnx"]
    stages, thresholds = values["stages"], values["thresholds"]
    is_ensemble, is_cascade = kind == "self-ensemble", kind == "cascade"
    is_single = kind == "single" or is_ensemble
    keep = values["keep"]
    checks = {
        f"kind {kind!r} is unknown": kind in get_args(Kind),
        "labels must be a list of names": _all(labels, str) and bool(labels),
        "max_length must be a positive number": _number(
            values["max_length"], 0 if is_cascade else 1
        ),
        "pad_id must be a number from 0": _number(values["pad_id"], 0),
        "onnx must name a graph file for fp32 or int8": isinstance(onnx, dict)
        and set(onnx) <= set(get_args(Precision))
        and _all([*onnx.values()], str)
        and (bool(onnx) or not is_single),
        "members, layers and seed must be numbers": all(
            _number(values[name], int(is_ensemble and name == "members"))
            for name in ("members", "layers", "seed")
        ),
        "keep must be a number above 0 and up to 1": isinstance(keep, int | float)
        and 0 < keep <= 1,
        "stages must be a list of names": _all(stages, str) and (is_single or bool(stages)),
        "thresholds must be one number from 0 to 1 less than there are stages": is_single
        or (
            _all(thresholds, int | float)
            and len(thresholds) == len(stages) - 1
            and all(0 <= threshold <= 1 for threshold in thresholds)
        ),
    }
    return next((message for message, holds in checks.items() if not holds), None)


def _all(values: object, kind: Any) -> bool:
    return isinstance(values, list) and all(isinstance(value, kind) for value in values)


def _number(value: object, least: int) -> bool:
    return isinstance(value, int) and value >= least
