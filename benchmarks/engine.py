"""The full model in our graph against the other ways to run the same weights on a CPU.

Peers: PyTorch itself; the graph that torch.onnx.export traces, under ONNX Runtime's own
optimisations; the same after ONNX Runtime's offline optimiser for transformers; and, in int8, the
traced graph under the dynamic quantiser with its defaults. One thread, one text, random token ids
of three lengths, candidates in turn; times are of the graph alone, without tokenization.

    python benchmarks/engine.py [--model FOLDER] [--seconds 60]
"""

import argparse
import json
import logging
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from onnxruntime.quantization import quantize_dynamic
from onnxruntime.transformers.optimizer import optimize_model
from torch import Tensor, nn

from sparsepath.artifacts.benchmark import BenchmarkRow, write_rows
from sparsepath.artifacts.provenance import machine, now_utc, package_versions
from sparsepath.evaluate.cost import Latency, speedup
from sparsepath.models.base import resolve_base_model
from sparsepath.models.classifier import PathwayClassifier, from_encoder
from sparsepath.models.describe import describe
from sparsepath.runtime.onnx_writer import write_onnx
from sparsepath.runtime.quantize import write_int8_onnx
from sparsepath.runtime.session import open_session
from sparsepath.runtime.timing import time_interleaved

MINUTES = 1.5
LENGTHS = (8, 16, 64)
N_LABELS = 77
OURS = "sparsepath"
OURS_INT8 = "sparsepath int8"
TORCH = "torch eager"
TRACED = "torch.onnx.export"
OPTIMISED = "torch.onnx.export + onnxruntime.transformers"
TRACED_INT8 = "torch.onnx.export + quantize_dynamic"
PAIRS = ((OURS, TORCH), (OURS, TRACED), (OURS, OPTIMISED), (OURS_INT8, TRACED_INT8))
LEAST = 0.97
"""No other way may be faster than this share of our time; the rest is noise."""

TOLERANCE = 1e-4
"""Largest difference of logits in fp32."""

Ids = NDArray[np.int64]


class Logits(nn.Module):
    """The classifier with plain tensors in and out, for tracing."""

    def __init__(self, model: PathwayClassifier) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Return the logits, [B, C]."""
        logits: Tensor = self.model(input_ids=input_ids, attention_mask=attention_mask).logits
        return logits


def main() -> None:
    """Measure and print the rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", help="Hugging Face id or folder; the default model if absent")
    parser.add_argument("--seconds", type=float, default=60.0)
    arguments, _ = parser.parse_known_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    base = resolve_base_model(arguments.model)
    if base is None:
        raise SystemExit("no base model found; give one with --model")
    model = from_encoder(base.encoder, [f"label {n}" for n in range(N_LABELS)]).eval()
    with tempfile.TemporaryDirectory() as folder:
        paths = write_graphs(model, Path(folder))
        sessions = {name: open_graph(name, path) for name, path in paths.items()}
        rows: list[BenchmarkRow] = []
        for length in LENGTHS:
            rows += measure(model, sessions, length, arguments.seconds / len(LENGTHS))
    write_rows(Path(__file__).parent / "results" / "engine.json", rows)
    print(json.dumps([row.model_dump(mode="json") for row in rows], indent=2))


def write_graphs(model: PathwayClassifier, folder: Path) -> dict[str, Path]:
    """Write every graph; the traced one first, since two others are made from it."""
    names = (TRACED, OPTIMISED, TRACED_INT8, OURS, OURS_INT8)
    paths = {name: folder / f"{number}.onnx" for number, name in enumerate(names)}
    trace(model, paths[TRACED])
    config = model.encoder.config
    optimised = optimize_model(
        str(paths[TRACED]),
        model_type="bert",
        num_heads=config.num_attention_heads,
        hidden_size=config.hidden_size,
        opt_level=1,
    )
    optimised.save_model_to_file(str(paths[OPTIMISED]))
    print(f"offline optimiser: {optimised.get_fused_operator_statistics()}", file=sys.stderr)
    quantize_dynamic(paths[TRACED], paths[TRACED_INT8])
    weights = describe(model)
    write_onnx(weights, paths[OURS])
    write_int8_onnx(weights, paths[OURS_INT8])
    return paths


def trace(model: PathwayClassifier, path: Path) -> None:
    """Export by tracing eager attention, the form that ONNX Runtime's optimiser can fuse."""
    ids = torch.randint(1, 100, (1, 16))
    axes = {0: "batch", 1: "tokens"}
    model.encoder.set_attn_implementation("eager")
    torch.onnx.export(
        # The exporter gives the whole module back in the mode of its outermost part.
        Logits(model).eval(),
        (ids, torch.ones_like(ids)),
        str(path),
        input_names=["input_ids", "attention_mask"],
        output_names=["logits"],
        dynamic_axes={"input_ids": axes, "attention_mask": axes},
        opset_version=17,
        dynamo=False,
    )
    model.encoder.set_attn_implementation("sdpa")


def open_graph(name: str, path: Path) -> Any:
    """Open our graphs as the engine does, the others as ONNX Runtime does by default."""
    if name in {OURS, OURS_INT8}:
        inputs = ["input_ids", "attention_mask"]
        return open_session(path, threads=1, n_labels=N_LABELS, inputs=inputs)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def measure(
    model: PathwayClassifier, sessions: dict[str, Any], length: int, seconds: float
) -> list[BenchmarkRow]:
    """Time all candidates at one length and compare them."""
    rng = np.random.default_rng(length)
    texts = [rng.integers(100, 1000, size=(1, length)) for _ in range(8)]
    mask = np.ones((1, length), np.int64)
    check(model, sessions, texts[0], mask)
    calls: dict[str, Callable[[int], object]] = {
        name: run_graph(session, texts, mask) for name, session in sessions.items()
    }
    calls[TORCH] = run_torch(model, texts)
    blocks = np.stack([rng.permutation(8) for _ in range(500)])
    times = time_interleaved(calls, blocks, rng=rng, max_s=seconds)
    found = {
        name: Latency(float(np.median(ms)), float(np.percentile(ms, 95)), float(ms.mean()), 0.0, ms)
        for name, ms in times.items()
    }
    for name, latency in found.items():
        print(f"{length:3d} tokens  {latency.p50_ms:8.3f} ms  {name}", file=sys.stderr)
    return [row(length, ours, peer, found) for ours, peer in PAIRS]


def run_graph(session: Any, texts: list[Ids], mask: Ids) -> Callable[[int], object]:
    """Run a graph on a row."""
    return lambda row: session.run(["logits"], {"input_ids": texts[row], "attention_mask": mask})


def run_torch(model: PathwayClassifier, texts: list[Ids]) -> Callable[[int], object]:
    """Run the model in PyTorch on a row, without a mask, which would only cost it time."""
    tensors = [torch.from_numpy(text) for text in texts]

    def call(row: int) -> object:
        with torch.inference_mode():
            return model(input_ids=tensors[row]).logits

    return call


def check(model: PathwayClassifier, sessions: dict[str, Any], text: Ids, mask: Ids) -> None:
    """Refuse to compare fp32 graphs that do not compute the same; say how far int8 is off."""
    with torch.inference_mode():
        want = model(input_ids=torch.from_numpy(text)).logits.numpy()
    for name, session in sessions.items():
        got = session.run(["logits"], {"input_ids": text, "attention_mask": mask})[0]
        drift = float(np.abs(got - want).max())
        if name in {OURS_INT8, TRACED_INT8}:
            largest = float(np.abs(want).max())
            print(f"{name}: off by {drift:.3f}, largest logit {largest:.3f}", file=sys.stderr)
        elif drift > TOLERANCE:
            raise SystemExit(f"{name} differs from torch by {drift}")


def row(length: int, ours: str, peer: str, found: dict[str, Latency]) -> BenchmarkRow:
    """Compare one pair."""
    times = speedup(found[peer], found[ours])
    versions = package_versions()
    precision = "int8" if ours == OURS_INT8 else "fp32"
    return BenchmarkRow(
        figure=f"full model, {precision}, {length} tokens: {peer} / ours",
        value=times.ratio,
        unit="x",
        better="higher",
        target=LEAST,
        peer=f"{peer}, torch {versions.get('torch')}, onnxruntime {versions.get('onnxruntime')}",
        ci95=times.ci95,
        n=times.n,
        threads=1,
        machine=str(machine()["cpu"]),
        versions=versions,
        command="sparsepath bench engine",
        date=now_utc()[:10],
        note=f"{found[peer].p50_ms:.3f} ms / {found[ours].p50_ms:.3f} ms, medians",
    )


if __name__ == "__main__":
    main()
