"""Loading a model folder to run it: ONNX Runtime and tokenizers, no torch.

Read with it: `manifest.py` (what a folder says about itself) and `base.py` (what an engine can do).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sparsepath.errors import ConfigError, ModelError
from sparsepath.runtime.base import Answers, Engine
from sparsepath.runtime.cascade import CascadeEngine
from sparsepath.runtime.early_exit import EarlyExitEngine
from sparsepath.runtime.manifest import MANIFEST, Precision, member, read_manifest
from sparsepath.runtime.self_ensemble import SelfEnsembleEngine
from sparsepath.runtime.single import SingleEngine

if TYPE_CHECKING:
    from sparsepath.artifacts.edit import Edit

__all__ = ["Answers", "Engine", "load_engine"]


def load_engine(
    folder: Path | str,
    *,
    threads: int = 1,
    precision: Precision = "fp32",
    preset: "str | Sequence[Edit] | None" = None,
) -> Engine:
    """Load a model folder.

    Args:
        folder: a folder with `sparsepath.json`, such as RUN/models/NAME or an exported one.
        threads: threads of one matrix product.
        precision: which graph; of a cascade, every stage is loaded in it.
        preset: name of a steering preset of a sparse classifier's folder, or its file; or edits
            that were not saved, which are not checked for their strength.

    Raises:
        ModelError: if something is missing, damaged, or outside the folder's place, or has no graph
            in that precision.
        ConfigError: if `threads` is not positive, or the preset cannot be used.
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    if manifest.kind == "single":
        return SingleEngine(folder, manifest, threads=threads, precision=precision, steering=preset)
    if preset is not None:
        raise ConfigError(
            f"a preset for {folder}, which is a {manifest.kind}",
            hint="presets belong to a sparse classifier, such as RUN/models/topk-8th",
        )
    if manifest.kind == "self-ensemble":
        return SelfEnsembleEngine(folder, manifest, threads=threads, precision=precision)
    if manifest.kind == "early-exit":
        if precision != "fp32":
            raise ModelError(
                f"{folder} is an early exit, which runs in fp32 only",
                hint="load it with precision='fp32'",
            )
        return EarlyExitEngine(folder, manifest, threads=threads)
    stages = [member(folder, name, is_folder=True) for name in manifest.stages]
    engines = [_load_stage(stage, threads, precision) for stage in stages]
    for stage, engine in zip(stages, engines, strict=True):
        if engine.labels != manifest.labels:
            raise ModelError(
                f"{stage} has other labels than {folder / MANIFEST}",
                hint="the folders come from different runs: copy the whole run again",
            )
    return CascadeEngine(engines, manifest.thresholds)


def _load_stage(folder: Path, threads: int, precision: Precision) -> Engine:
    """Load one model of a cascade, which must not be a cascade itself."""
    if read_manifest(folder).kind == "cascade":
        raise ModelError(
            f"{folder} is a cascade inside a cascade", hint="name single models as stages"
        )
    return load_engine(folder, threads=threads, precision=precision)
