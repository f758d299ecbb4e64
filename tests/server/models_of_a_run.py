"""Folders of models beside each other in a run, with what a PoC says of their answers."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sparsepath.artifacts.analysis import Analysis
from sparsepath.artifacts.answer_mix import mix_of
from sparsepath.artifacts.schema import Candidate, Cost, DataSummary, Quality, Relative, Results
from sparsepath.artifacts.store import write_json_atomic
from sparsepath.runtime.engine import load_engine


def make_run(model_folder: Path, run: Path, names: Sequence[str]) -> Path:
    """Copy a model into a run under several names; give the folder of models."""
    for name in names:
        shutil.copytree(model_folder, run / "models" / name)
        # One byte that nothing reads makes it another model.
        (run / "models" / name / "README.md").write_text(name)
    return run / "models"


def swapped(models: Path, name: str, order: tuple[int, int] = (1, 0)) -> Path:
    """Let a model give its probabilities in another order, or fail where there is no such label."""
    import onnx
    from onnx import numpy_helper

    folder = models / name
    for path in folder.glob("*.onnx"):
        graph = onnx.load(path)
        for node in graph.graph.node:
            for place, output in enumerate(node.output):
                if output == "probabilities":
                    node.output[place] = "kept"
        graph.graph.initializer.append(numpy_helper.from_array(np.array(order), "swap"))
        graph.graph.node.append(
            onnx.helper.make_node("Gather", ["kept", "swap"], ["probabilities"], axis=1)
        )
        onnx.save(graph, path)
    return folder


def with_results(run: Path, names: Sequence[str], texts: Sequence[str]) -> None:
    """Write what a PoC writes about its candidates, with these texts as test rows."""
    engines = {name: load_engine(run / "models" / name) for name in names}
    cost = Cost(
        parameters=1, size_bytes=1, latency_ms_p50=1, latency_ms_p95=1, examples_per_second=1
    )
    quality = Quality(accuracy=1, accuracy_ci95=(1, 1), macro_f1=1)
    relative = Relative(speedup=1, speedup_ci95=(1, 1), size_ratio=1, accuracy_change=0)
    candidates = [
        Candidate(
            name=name, kind="submodel", folder=f"models/{name}", quality=quality, cost=cost,
            relative=relative,
        )
        for name in names
    ]  # fmt: skip
    labels = engines[names[0]].labels
    data = DataSummary(rows_train=1, rows_valid=1, rows_test=len(texts), labels=labels, sha256="0")
    write_json_atomic(run / "results.json", Results(data=data, candidates=candidates))
    mixes = {name: mix_of(engine.predict(list(texts), 32)) for name, engine in engines.items()}
    write_json_atomic(run / "analysis.json", Analysis(mixes=mixes))


def rules(**gates: Any) -> dict[str, Any]:
    """Give rules that act at once."""
    made: dict[str, Any] = json.loads(json.dumps({"hold_s": 0, "share": 0.5, "gates": gates}))
    return made
