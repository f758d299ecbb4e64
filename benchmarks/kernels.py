"""Exact top-k and products that read only some rows, against what a user would pick instead.

    python benchmarks/kernels.py [--seconds 60] [--processor-time]

One thread. Top-k of fp32 rows against `torch.topk`, `numpy.argpartition` and ONNX Runtime's TopK;
a product with a matrix of 4,096 by 4,096 in rows of 8 bits, and of 4, against ONNX Runtime's 4-bit
product (MatMulNBits, accuracy level 4) and PyTorch's dense one in bf16. One process, in turn.
`--processor-time` counts the thread's own time, for machines where other work runs beside, and
keeps the rows under another name.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper

from sparsepath.artifacts.benchmark import BenchmarkRow, write_rows
from sparsepath.artifacts.provenance import machine, now_utc, package_versions
from sparsepath.evaluate.cost import Latency, Speedup, speedup
from sparsepath.kernels.by_input import Form
from sparsepath.kernels.largest import Kept, largest
from sparsepath.kernels.native import best_level
from sparsepath.kernels.sparse_linear import InputMajor, sparse_linear, store
from sparsepath.runtime.timing import time_interleaved

MINUTES = 2
ROWS, WIDTH, K = 512, 1024, 64
SIZE, BLOCK = 4096, 32
FORMS: tuple[Form, ...] = ("int8", "int4")
TOPK_TARGETS = {"torch.topk": 20.0, "numpy.argpartition": 6.0, "ONNX Runtime TopK": 13.0}
SHARES = {16: (7.0, 35.0), 8: (3.0, None), 4: (1.3, None)}
"""Divisor of the entries: targets against 4-bit ONNX Runtime and bf16 PyTorch."""

Calls = dict[str, Callable[[int], object]]
Clock = Callable[[], int]


def main() -> None:
    """Measure, print and keep the rows."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--processor-time", action="store_true")
    given, _ = parser.parse_known_args()
    torch.set_num_threads(1)
    clock, name = time.perf_counter_ns, "kernels.json"
    if given.processor_time:
        clock, name = time.thread_time_ns, "kernels.processor-time.json"
    rows = [*top_k(given.seconds / 4, clock)]
    for divisor in SHARES:
        rows += products(divisor, given.seconds / 4, clock)
    write_rows(Path(__file__).parent / "results" / name, rows)
    print(json.dumps([row.model_dump(mode="json") for row in rows], indent=2))


def top_k(seconds: float, clock: Clock) -> list[BenchmarkRow]:
    """Compare ways to find the largest entries."""
    x = torch.randn(ROWS, WIDTH, generator=torch.Generator().manual_seed(0))
    array = x.numpy()
    session = topk_session()
    calls: Calls = {
        "ours": lambda _row: largest(x, K),
        "torch.topk": lambda _row: torch.topk(x, K, sorted=False),
        "numpy.argpartition": lambda _row: np.argpartition(array, WIDTH - K, axis=1)[
            :, WIDTH - K :
        ],
        "ONNX Runtime TopK": lambda _row: session.run(None, {"x": array}),
    }
    ours = largest(x, K).indices.numpy()
    assert (ours == np.sort(partitioned(array), axis=1)).all(), "the two find different entries"
    found = timed(calls, seconds, clock)
    each = found["ours"].p50_ms * 1e6 / x.numel()
    return [
        row(
            f"exact top-k, D={WIDTH}, k={K}, fp32",
            ratio(found, peer),
            target=target,
            peer=peer,
            note=f"{each:.2f} ns an element, {best_level()!r}",
        )
        for peer, target in TOPK_TARGETS.items()
    ]


def partitioned(array: np.ndarray) -> np.ndarray:
    """Find the places of the largest entries as numpy does."""
    return np.argpartition(array, WIDTH - K, axis=1)[:, WIDTH - K :]


def products(divisor: int, seconds: float, clock: Clock) -> list[BenchmarkRow]:
    """Compare ways to multiply a vector, of which a share of the entries is not zero."""
    generator = torch.Generator().manual_seed(divisor)
    weight = torch.randn(SIZE, SIZE, generator=generator)
    k = SIZE // divisor
    vectors = [largest(torch.randn(1, SIZE, generator=generator), k) for _ in range(16)]
    dense = torch.zeros(16, 1, SIZE)
    for number, kept in enumerate(vectors):
        dense[number].scatter_(-1, kept.indices, kept.values)
    session, half = product_session(), weight.T.bfloat16().contiguous()
    arrays, halves = dense.numpy(), dense.bfloat16()
    peers: Calls = {
        f"ONNX Runtime {onnxruntime.__version__} MatMulNBits 4 bits, accuracy level 4": lambda n: (
            session.run(None, {"x": arrays[n]})
        ),
        f"torch {torch.__version__} bf16": lambda n: torch.nn.functional.linear(halves[n], half),
    }
    rows = []
    for form in FORMS:  # each against the peers alone: what runs between empties the caches
        stored = store(weight, form)
        found = timed({"ours": ours_of(vectors, stored), **peers}, seconds / len(FORMS), clock)
        note = f"{1e3 * found['ours'].p50_ms:.0f} us, {best_level()!r}"
        figure = f"sparse-input linear, {SIZE}^2, k/D = 1/{divisor}, {form}"
        targets = SHARES[divisor] if form == "int8" else (None, None)
        rows += [
            row(figure, ratio(found, peer), target=target, note=note, peer=peer)
            for peer, target in zip(peers, targets, strict=True)
        ]
    return rows


def ours_of(vectors: Sequence[Kept], stored: InputMajor) -> Callable[[int], object]:
    """Multiply one of some vectors with a stored matrix."""
    return lambda n: sparse_linear(vectors[n].values, vectors[n].indices, stored)


def timed(
    calls: Mapping[str, Callable[[int], object]], seconds: float, clock: Clock
) -> dict[str, Latency]:
    """Time all in turn."""
    rng = np.random.default_rng(0)
    numbers = rng.integers(0, 16, size=(400, 8))
    times = time_interleaved(calls, numbers, rng=rng, max_s=seconds, clock=clock)
    return {
        name: Latency(float(np.median(ms)), float(np.percentile(ms, 95)), float(ms.mean()), 0.0, ms)
        for name, ms in times.items()
    }


def ratio(found: Mapping[str, Latency], peer: str) -> Speedup:
    """Say how many times faster ours is."""
    gained = speedup(found[peer], found["ours"])
    print(f"ours over {peer}: {gained.ratio:.1f}x", file=sys.stderr)
    return gained


def topk_session() -> Any:
    """Make a graph of one TopK."""
    node = helper.make_node("TopK", ["x", "k"], ["values", "indices"], axis=-1, sorted=0)
    k = numpy_helper.from_array(np.array([K], np.int64), "k")
    outputs = [
        helper.make_tensor_value_info("values", TensorProto.FLOAT, ["rows", K]),
        helper.make_tensor_value_info("indices", TensorProto.INT64, ["rows", K]),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", WIDTH])
    return session_of(helper.make_graph([node], "topk", [x], outputs, [k]))


def product_session() -> Any:
    """Make a graph of one product with weights of 4 bits."""
    chance = np.random.default_rng(0)
    packed = chance.integers(0, 256, (SIZE, SIZE // BLOCK, BLOCK // 2), dtype=np.uint8)
    scales = chance.random(SIZE * SIZE // BLOCK, dtype=np.float32)
    node = helper.make_node(
        "MatMulNBits", ["x", "packed", "scales"], ["y"], domain="com.microsoft",
        K=SIZE, N=SIZE, bits=4, block_size=BLOCK, accuracy_level=4,
    )  # fmt: skip
    constants = [
        numpy_helper.from_array(packed, "packed"),
        numpy_helper.from_array(scales, "scales"),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, SIZE])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, SIZE])
    return session_of(helper.make_graph([node], "product", [x], [y], constants))


def session_of(graph: Any) -> Any:
    """Open a graph in one thread."""
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "graph.onnx"
        onnx.save(model, path)
        return onnxruntime.InferenceSession(path, settings, providers=["CPUExecutionProvider"])


def row(figure: str, gained: Speedup, **facts: object) -> BenchmarkRow:
    """Make a row with what all of them share."""
    return BenchmarkRow.model_validate(
        {
            "figure": figure,
            "value": gained.ratio,
            "ci95": gained.ci95,
            "n": gained.n,
            "unit": "x",
            "better": "higher",
            "threads": 1,
            "machine": str(machine()["cpu"]),
            "versions": package_versions(),
            "command": "sparsepath bench kernels",
            "date": now_utc()[:10],
        }
        | facts
    )


if __name__ == "__main__":
    main()
