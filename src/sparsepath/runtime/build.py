"""Making model folders that run: graphs, manifests, cascades, early exits and self-ensembles.

Needs the packages of `[train]`, like everything that makes models; what it makes does not. Build
inside `artifacts.store.folder_atomic`, so that a folder is whole or absent.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sparsepath.errors import ConfigError
from sparsepath.models.weights import Affine, EncoderWeights
from sparsepath.runtime.manifest import Manifest, Precision, read_manifest, write_manifest
from sparsepath.runtime.onnx_writer import write_ensemble_onnx, write_onnx, write_stage_onnx
from sparsepath.runtime.quantize import write_int8_onnx

GRAPHS: dict[Precision, str] = {"fp32": "model.onnx", "int8": "model.int8.onnx"}
"""Name of the graph file of a single model."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Exit:
    """A place where an early exit may answer."""

    after: int
    """Layers that run before it, 0 to all."""

    head: Affine
    """Its own linear map, width to labels."""


def add_graphs(
    folder: Path,
    weights: EncoderWeights,
    *,
    labels: Sequence[str],
    pad_id: int,
    precisions: Sequence[Precision] = ("fp32",),
) -> Manifest:
    """Write the graphs of a single model and its manifest into its folder.

    The folder must have, or get, a `tokenizer.json`; `models.save.save_classifier` writes it.

    Args:
        folder: exists.
        weights: from `models.describe.describe`.
        labels: names of the labels, in the order of the logits.
        pad_id: token that fills short texts of a batch.
        precisions: graphs to write.
    """
    assert len(labels) == weights.n_labels
    for precision in precisions:
        write = write_onnx if precision == "fp32" else write_int8_onnx
        write(weights, folder / GRAPHS[precision])
    manifest = Manifest(
        kind="single",
        labels=list(labels),
        max_length=weights.max_length,
        pad_id=pad_id,
        onnx={precision: GRAPHS[precision] for precision in precisions},
    )
    write_manifest(folder, manifest)
    return manifest


def save_cascade(folder: Path, stages: Sequence[Path], thresholds: Sequence[float]) -> Manifest:
    """Write the manifest of a cascade of model folders that lie beside `folder`.

    Args:
        folder: made if missing; while it is built under another name, that must be in the same
            place, since stages are named relative to it.
        stages: folders of single models or early exits, lightest first.
        thresholds: least top probability with which each but the last answers.

    Raises:
        ConfigError: if thresholds and stages do not fit together.
        ModelError: if a stage is not such a folder.
    """
    _check_thresholds(thresholds, len(stages))
    folder.mkdir(parents=True, exist_ok=True)
    manifest = Manifest(
        kind="cascade",
        labels=read_manifest(stages[0]).labels,
        stages=[Path(os.path.relpath(stage, folder)).as_posix() for stage in stages],
        thresholds=[float(threshold) for threshold in thresholds],
    )
    write_manifest(folder, manifest)
    return read_manifest(folder)


def save_early_exit(
    folder: Path,
    weights: EncoderWeights,
    exits: Sequence[Exit],
    thresholds: Sequence[float],
    *,
    labels: Sequence[str],
    pad_id: int,
) -> Manifest:
    """Write one graph per exit and the manifest; the caller adds `tokenizer.json`.

    Args:
        folder: made if missing.
        weights: the whole model; the layers behind the last exit are left out.
        exits: at least one, by ascending `after`.
        thresholds: least top probability with which each exit but the last answers.
        labels: names of the labels.
        pad_id: token that fills short texts of a batch.

    Raises:
        ConfigError: if thresholds and exits do not fit together.
    """
    _check_thresholds(thresholds, len(exits))
    stops = [place.after for place in exits]
    if stops != sorted(set(stops)) or stops[-1] > len(weights.layers):
        raise ConfigError(
            f"exits after layers {stops} of {len(weights.layers)}",
            hint="give exits in ascending order, within the model",
        )
    folder.mkdir(parents=True, exist_ok=True)
    kept = replace(weights, layers=weights.layers[: stops[-1]])
    names = [f"stage{number}.onnx" for number in range(len(exits))]
    starts = [-1, *stops[:-1]]
    for name, start, place in zip(names, starts, exits, strict=True):
        # Only the first stage starts from token ids, even if no layer lies before its exit.
        write_stage_onnx(
            kept,
            folder / name,
            first=max(start, 0),
            stop=place.after,
            head=place.head,
            takes_ids=start < 0,
        )
    manifest = Manifest(
        kind="early-exit",
        labels=list(labels),
        max_length=weights.max_length,
        pad_id=pad_id,
        stages=names,
        thresholds=[float(threshold) for threshold in thresholds],
    )
    write_manifest(folder, manifest)
    return manifest


def save_self_ensemble(  # noqa: PLR0913 - what is drawn, and of what
    folder: Path,
    weights: EncoderWeights,
    *,
    members: int,
    keep: float,
    seed: int,
    labels: Sequence[str],
    pad_id: int,
) -> Manifest:
    """Write the graph and the manifest of a self-ensemble; the caller adds `tokenizer.json`.

    Args:
        folder: made if missing.
        weights: the model whose sub-models answer.
        members: sub-models, at least 1.
        keep: share of the tokens that each sub-model's attention sees, above 0 and up to 1.
        seed: draws them, from 0.
        labels: names of the labels.
        pad_id: token that fills short texts of a batch.

    Raises:
        ConfigError: if a number is out of range.
    """
    if members < 1 or not 0 < keep <= 1 or seed < 0:
        raise ConfigError(
            f"{members} members that keep {keep}, seed {seed}",
            hint="use at least 1 member, a share above 0 and up to 1, and a seed from 0",
        )
    folder.mkdir(parents=True, exist_ok=True)
    layers = write_ensemble_onnx(weights, folder / GRAPHS["fp32"])
    manifest = Manifest(
        kind="self-ensemble",
        labels=list(labels),
        max_length=weights.max_length,
        pad_id=pad_id,
        onnx={"fp32": GRAPHS["fp32"]},
        members=members,
        layers=layers,
        keep=keep,
        seed=seed,
    )
    write_manifest(folder, manifest)
    return manifest


def set_thresholds(folder: Path, thresholds: Sequence[float]) -> Manifest:
    """Change the thresholds of a cascade or early exit; the graphs stay.

    Raises:
        ConfigError: if there is not one for every stage but the last.
        ModelError: if the folder is not a model.
    """
    manifest = read_manifest(folder)
    _check_thresholds(thresholds, max(1, len(manifest.stages)))
    changed = replace(manifest, thresholds=[float(threshold) for threshold in thresholds])
    write_manifest(folder, changed)
    return changed


def _check_thresholds(thresholds: Sequence[float], n_stages: int) -> None:
    if len(thresholds) != n_stages - 1 or not all(0 <= x <= 1 for x in thresholds):
        raise ConfigError(
            f"{len(thresholds)} thresholds {list(thresholds)} for {n_stages} stages",
            hint="give one probability for every stage but the last",
        )
