"""Naming a model for a rollout."""

from pathlib import Path

from sparsepath.audit.rollout.state import ModelRef
from sparsepath.errors import ModelError
from sparsepath.runtime.locate import locate
from sparsepath.runtime.manifest import Precision, read_manifest
from sparsepath.server.classifier import hash_folders, model_folders


def refer(path: Path, precision: Precision | None = None) -> ModelRef:
    """Name a model by folder, hash and precision.

    Args:
        path: a model folder, or a run folder for its recommended model.
        precision: which graph; None: what a run recommends, else fp32.

    Raises:
        ModelError: if there is no classifier, or not in that precision.
        RunError: if the run's results cannot be read.
    """
    found = locate(path)
    folder = found.folder.resolve()
    manifest, chosen = read_manifest(folder), precision or found.precision
    if manifest.onnx and chosen not in manifest.onnx:
        raise ModelError(
            f"{folder} has no {chosen} graph, only {', '.join(manifest.onnx)}",
            hint=f"name one it has: --precision {next(iter(manifest.onnx))}",
        )
    return ModelRef(
        name=folder.name,
        folder=str(folder),
        precision=chosen,
        sha256=hash_folders(model_folders(folder)),
        labels=manifest.labels,
    )
