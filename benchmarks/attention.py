"""Subsampled attention, forward and backward, against the fused dense attention of PyTorch.

One example, 8 heads of width 64, fp32, one thread, causal and not; candidates in turn. Also: how
far each is from the definition, and what it keeps in memory for the backward pass beside the
projections themselves.

    python benchmarks/attention.py [--seconds 240] [--lengths 1024 4096]
"""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.nn.functional import scaled_dot_product_attention

from sparsepath.artifacts.benchmark import BenchmarkRow, write_rows
from sparsepath.artifacts.provenance import machine, now_utc, package_versions
from sparsepath.evaluate.cost import Latency, speedup
from sparsepath.kernels import reference
from sparsepath.kernels.subsampled import attend_in_windows, attend_to_sources, attend_to_strata
from sparsepath.nn.sampling import draw_order, draw_sources, draw_strata
from sparsepath.runtime.timing import time_interleaved

MINUTES = 5
LENGTHS = (1024, 4096)
DIVISORS = (4, 8)
N_HEADS, WIDTH = 8, 64
DENSE = "dense"
LEAST_SHARE = 0.75
"""Share of the saved work that the speed must show at the longest length, drawn uniformly."""

MOST_ERROR = 1e-5
"""Largest difference from the definition in fp32."""

LEAST_MEMORY = 6.0
"""Times less memory than eager attention at an eighth of the sources."""

Attend = Callable[[Tensor, Tensor, Tensor], Tensor]


class Way(NamedTuple):
    """One way to attend, and what it means."""

    attend: Attend
    visible: Callable[[], Tensor]


def main() -> None:
    """Measure and print the rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=240.0)
    parser.add_argument("--lengths", type=int, nargs="+", default=list(LENGTHS))
    arguments, _ = parser.parse_known_args()
    torch.set_num_threads(1)
    rows: list[BenchmarkRow] = []
    seconds = arguments.seconds / (2 * len(arguments.lengths))
    for n in arguments.lengths:
        for is_causal in (True, False):
            rows += measure(n, is_causal, seconds, is_longest=n == max(arguments.lengths))
    write_rows(Path(__file__).parent / "results" / "attention.json", rows)
    print(json.dumps([row.model_dump(mode="json") for row in rows], indent=2))


def measure(n: int, is_causal: bool, seconds: float, *, is_longest: bool) -> list[BenchmarkRow]:
    """Compare all ways at one length."""
    ways = make_ways(n, is_causal)
    given = projections(n, N_HEADS)
    calls = {name: both_ways(way.attend, given) for name, way in ways.items()}
    rng = np.random.default_rng(n)
    times = time_interleaved(calls, np.zeros((500, 1), np.int64), rng=rng, max_s=seconds)
    found = {
        name: Latency(float(np.median(ms)), float(np.percentile(ms, 95)), float(ms.mean()), 0.0, ms)
        for name, ms in times.items()
    }
    kind = "causal" if is_causal else "bidirectional"
    rows = []
    for name in [name for name in ways if name != DENSE]:
        divisor = int(name.split("1/")[1])
        ratio = speedup(found[DENSE], found[name])
        is_wanted = is_longest and is_causal and name.startswith("uniform")
        rows.append(
            row(
                f"attention forward and backward, {kind}, {n} positions, keep {name}",
                ratio.ratio,
                "x",
                target=LEAST_SHARE * divisor if is_wanted else None,
                peer=f"dense fused attention, torch {torch.__version__}",
                ci95=ratio.ci95,
                n=ratio.n,
                note=f"{found[DENSE].p50_ms:.1f} ms / {found[name].p50_ms:.1f} ms, medians",
            )
        )
        print(f"{kind} {n} {name}: {ratio.ratio:.2f}x", file=sys.stderr)
        error = largest_error(ways[name], n)
        rows.append(
            row(
                f"largest difference from the definition, {kind}, {n} positions, keep {name}",
                error,
                "",
                better="lower",
                target=MOST_ERROR,
                note="value and all gradients, 2 heads, fp32",
            )
        )
        if is_longest and is_causal:
            rows += memory_rows(ways[name].attend, name, n, divisor, ways[DENSE].attend)
    return rows


def make_ways(n: int, is_causal: bool) -> dict[str, Way]:
    """Draw sources once and make the functions to time."""
    generator = torch.Generator().manual_seed(n)
    ways = {
        DENSE: Way(
            lambda q, k, v: scaled_dot_product_attention(q, k, v, is_causal=is_causal),
            lambda: torch.ones(1, 1, n, n, dtype=torch.bool),
        )
    }
    for divisor in DIVISORS:
        drawn = draw_sources(n, 1 / divisor, generator=generator)
        order = draw_order(n, n / divisor / 2, generator=generator)
        ways[f"uniform 1/{divisor}"] = uniform_way(drawn, n, is_causal)
        ways[f"local 1/{divisor}"] = local_way(order, n // divisor, is_causal)
        if is_causal:
            places = draw_strata(n, divisor, generator=generator)
            ways[f"stratified 1/{divisor}"] = stratified_way(places, n, divisor)
    return ways


def uniform_way(drawn: Tensor, n: int, is_causal: bool) -> Way:
    """Attend to one drawn set."""
    return Way(
        lambda q, k, v: attend_to_sources(q, k, v, drawn, is_causal=is_causal),
        lambda: reference.visible_sources(drawn, n, is_causal=is_causal),
    )


def local_way(order: Tensor, window: int, is_causal: bool) -> Way:
    """Attend in windows of one order."""
    return Way(
        lambda q, k, v: attend_in_windows(q, k, v, order, window=window, is_causal=is_causal),
        lambda: reference.visible_in_windows(order, window, is_causal=is_causal),
    )


def stratified_way(places: Tensor, n: int, stratum: int) -> Way:
    """Attend to one source of each stratum."""
    return Way(
        lambda q, k, v: attend_to_strata(q, k, v, places, stratum=stratum),
        lambda: reference.visible_in_strata(places, stratum, n),
    )


def projections(n: int, n_heads: int) -> list[Tensor]:
    """Make query, key, value and a gradient."""
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(1, n_heads, n, WIDTH, generator=generator) for _ in range(4)]


def both_ways(attend: Attend, given: list[Tensor]) -> Callable[[int], object]:
    """Run forward and backward."""
    leaves = [x.clone().requires_grad_() for x in given[:3]]
    return lambda _row: torch.autograd.grad(attend(*leaves), leaves, given[3])


def largest_error(way: Way, n: int) -> float:
    """Compare value and gradients with the definition in float64, on two heads."""
    given = projections(n, 2)
    visible = way.visible()
    found: list[Tensor] = []
    wanted: list[Tensor] = []
    for attend, dtype, results in (
        (way.attend, torch.float32, found),
        (lambda q, k, v: reference.attend(q, k, v, visible), torch.float64, wanted),
    ):
        leaves = [x.to(dtype).requires_grad_() for x in given[:3]]
        output = attend(*leaves)
        results += [output, *torch.autograd.grad(output, leaves, given[3].to(dtype))]
    return max(
        float((a.detach().double() - b.detach()).abs().max())
        for a, b in zip(found, wanted, strict=True)
    )


def memory_rows(
    attend: Attend, name: str, n: int, divisor: int, dense: Attend
) -> list[BenchmarkRow]:
    """Compare what is kept for the backward pass."""
    visible = torch.ones(n, n, dtype=torch.bool).tril()
    peers = {
        "eager": lambda q, k, v: reference.attend(q, k, v, visible),
        "dense fused": dense,
    }
    ours = saved_bytes(attend, n)
    rows = []
    for peer, other in peers.items():
        theirs = saved_bytes(other, n)
        is_wanted = peer == "eager" and divisor == max(DIVISORS) and name.startswith("uniform")
        rows.append(
            row(
                f"memory kept for the backward pass, {n} positions, keep {name}, against {peer}",
                theirs / ours,
                "x",
                target=LEAST_MEMORY if is_wanted else None,
                peer=f"{peer} attention, torch {torch.__version__}",
                note=f"{theirs / 1e6:.1f} MB / {ours / 1e6:.1f} MB, projections included, 2 heads",
            )
        )
    return rows


def saved_bytes(attend: Attend, n: int) -> int:
    """Count the bytes of all storages that are kept for the backward pass."""
    leaves = [x.requires_grad_() for x in projections(n, 2)[:3]]
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with saved_tensors_hooks(keep, lambda tensor: tensor):
        output = attend(*leaves)
    del output
    return sum(kept.values())


def row(figure: str, value: float, unit: str, **facts: object) -> BenchmarkRow:
    """Make a row with what all of them share."""
    return BenchmarkRow.model_validate(
        {
            "figure": figure,
            "value": value,
            "unit": unit,
            "better": "higher",
            "threads": 1,
            "machine": str(machine()["cpu"]),
            "versions": package_versions(),
            "command": "sparsepath bench attention",
            "date": now_utc()[:10],
        }
        | facts
    )


if __name__ == "__main__":
    main()
