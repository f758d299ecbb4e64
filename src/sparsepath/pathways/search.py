"""Which units to keep for a given latency: first how many layers and which, then how wide.

On a CPU at batch 1 a layer costs far more than its share of the arithmetic, so combinations of
whole layers, whose effect is measured (`depths.py`), are the first choice. Within a combination
every layer has a table of widths (heads by neurons) with predicted milliseconds and predicted
loss, and a Lagrange multiplier trades the two over all layers at once (Shen et al. 2022, HALP,
arXiv 2110.10811, poses the same knapsack for convolutions). What loss a narrower layer has is
interpolated. Its units that stay hold a share of the summed scores of their kind; after
least-squares repair the loss follows the square of the share that is missing (`REPAIR_POWER`).
Attention and MLP are weighed as measured, and the worth of a layer depends on how much of the
other layers is there (`DepthTable.expected`).

The latency model is any object with `predict_ms`, so that this file needs no engine.

Shape letters: L layers, U units of a sublayer, H numbers of heads, W numbers of neurons.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from sparsepath.errors import ConfigError
from sparsepath.models.units import UnitMask, UnitScores
from sparsepath.pathways.depths import DepthTable, Expected, Pattern

NEURON_MULTIPLE = 32
"""Numbers of neurons are multiples of this: matrix products on CPUs work in blocks."""

MULTIPLIERS = np.concatenate([[0.0], np.geomspace(1e-4, 1e2, 48)])
"""Nats per millisecond at which width is traded for time."""

N_ROUNDS = 4
"""How often widths and the worth of layers, which depend on each other, are updated in turn."""

REPAIR_POWER = 2.0
"""Loss goes with this power of the missing share of scores. Measured on MiniLM fine-tuned on
Banking77, repaired: 1.8 to 2.1 for keeping a third to a half of the units."""

MIN_WORTH_NATS = 1e-4
"""Least worth of a layer, so that of two free widths the one with more importance wins."""

AT_LEAST = 20
"""Sub-models that a search returns where there are so many targets and different choices."""

TOLERANCE_MS = 1e-9
"""Rounding allowed when a predicted latency is compared with its target."""


@runtime_checkable
class LatencyPredictor(Protocol):
    """What the search asks of a latency model."""

    def predict_ms(self, shape: Sequence[tuple[int, int]]) -> float:
        """Return milliseconds for one text on a model of such layers, (heads, neurons) each."""


class Found(NamedTuple):
    """A sub-model that the search proposes."""

    mask: UnitMask
    """Units to keep."""
    target_ms: float
    """The latency it was made for."""
    predicted_ms: float
    """Its predicted latency, at most `target_ms`."""
    expected_nll_nats: float
    """Its loss as interpolated from the measured combinations of layers, or as measured anew."""
    reason: str
    """How it came about, in plain English."""


class _Widths(NamedTuple):
    """Choices for one layer; rows are numbers of heads, columns numbers of neurons."""

    n_heads: Int[np.ndarray, " heads"]
    n_neurons: Int[np.ndarray, " widths"]
    there: Float[np.ndarray, "heads widths"]
    """How much of the layer is there, 0 to 1."""
    cost_ms: Float[np.ndarray, "heads widths"]
    """Milliseconds; infinite for the empty layer, which is another combination's business."""


class _Plan(NamedTuple):
    """One way to spend a latency."""

    kept: Pattern
    choice: tuple[tuple[int, int], ...]
    """(row, column) in each kept layer's table."""
    cost_ms: float
    loss_nats: float


_Key = tuple[Pattern, tuple[tuple[int, int], ...]]
"""What tells plans apart: layers and widths."""

Measure = Callable[[Sequence[UnitMask]], list[float]]
"""Returns the loss of sub-models in nats; `depths.measure_masks` with its arguments filled in."""


def cost_targets(
    latency: LatencyPredictor, full_shape: Sequence[tuple[int, int]], n: int = 24
) -> list[float]:
    """Return latencies from no layer at all to nearly the full model, evenly spaced by ratio.

    Args:
        latency: predicts milliseconds.
        full_shape: heads and neurons of every layer of the parent.
        n: how many, at least 2. The first is the model without layers.

    Raises:
        ConfigError: if `n` is below 2, or the full model is not predicted to be the slower one.
    """
    fastest, slowest = latency.predict_ms([]), latency.predict_ms(full_shape)
    if n < 2 or not 0.0 < fastest < slowest:
        raise ConfigError(
            f"{n} targets between {fastest:.4f} ms without layers and {slowest:.4f} ms for all",
            hint="ask for at least 2, with a latency model in which layers cost time",
        )
    # The first step is the price of the narrowest layer, not a ratio of nearly nothing.
    heads, neurons = max(full_shape)
    narrow = latency.predict_ms([(min(1, heads), min(NEURON_MULTIPLE, neurons))])
    narrow = min(max(narrow, fastest * 1.05), slowest * 0.5)
    return [fastest, *(float(x) for x in np.geomspace(narrow, slowest * 0.96, n - 1))]


def search_masks(
    scores: UnitScores,
    latency: LatencyPredictor,
    targets_ms: Sequence[float],
    depths: DepthTable,
    *,
    n_measured: int = 1,
    measure: Measure | None = None,
) -> list[Found]:
    """Choose for every latency the units that are worth most, and no sub-model twice.

    Deterministic. A target whose best sub-model is already that of a smaller target is left out, or
    gets its next best combination of layers where fewer than `AT_LEAST` would be found.

    Args:
        scores: importance of every unit; only its order and proportions within a layer count.
        latency: predicts milliseconds of a shape.
        targets_ms: latencies to meet, any order.
        depths: measured worth of layer combinations; only those are proposed.
        n_measured: how many proposals per target `measure` compares; the best one is kept.
        measure: forward passes that judge proposals. None: the interpolated loss decides.

    Returns:
        By ascending target; targets below the model without layers have no entry.

    Raises:
        ConfigError: if no target can be met.
    """
    share = depths.attention_share
    tables = [_layer_table(scores, i, latency, share) for i in range(depths.n_layers)]
    plans = [p for kept in depths.nll_nats for p in _sweep(kept, tables, depths, latency)]
    proposals: list[tuple[float, list[_Plan]]] = []
    for target in sorted(targets_ms):
        fitting = [p for p in plans if p.cost_ms <= target + TOLERANCE_MS]
        best = _best_per_pattern(fitting)
        filled = [_fill(p, target, tables, depths, latency) for p in best[: 4 * n_measured + 4]]
        if filled:
            proposals.append((target, sorted(filled, key=lambda p: (p.loss_nats, p.cost_ms))))
    if not proposals:
        raise ConfigError(
            f"no sub-model is as fast as {max(targets_ms, default=0.0):.4f} ms",
            hint=f"the model without layers needs {latency.predict_ms([]):.4f} ms",
        )
    return _select(proposals, scores, tables, n_measured, measure)


def mask_of(scores: UnitScores, shape: dict[int, tuple[int, int]]) -> UnitMask:
    """Keep the highest scored units of some layers.

    Args:
        scores: importance; of equal units the lower number is kept.
        shape: heads and neurons to keep, by layer; other layers lose everything.
    """
    heads = torch.zeros(scores.heads.shape, dtype=torch.bool)
    neurons = torch.zeros(scores.neurons.shape, dtype=torch.bool)
    for layer, (n_heads, n_neurons) in shape.items():
        heads[layer, scores.heads[layer].argsort(descending=True, stable=True)[:n_heads]] = True
        order = scores.neurons[layer].argsort(descending=True, stable=True)
        neurons[layer, order[:n_neurons]] = True
    return UnitMask(heads, neurons)


def _layer_table(
    scores: UnitScores, layer: int, latency: LatencyPredictor, attention_share: float
) -> _Widths:
    """List the widths of one layer with what they cost and lose."""
    head_H = _present(scores.heads[layer])
    neuron_U = _present(scores.neurons[layer])
    n_heads = np.arange(len(head_H))
    total = len(neuron_U) - 1
    n_neurons = np.array([*range(0, total, NEURON_MULTIPLE), total])
    there_HW = (
        attention_share * head_H[:, None] + (1.0 - attention_share) * neuron_U[n_neurons][None, :]
    )
    empty_ms = latency.predict_ms([])
    cost_HW = np.array(
        [[latency.predict_ms([(int(h), int(m))]) - empty_ms for m in n_neurons] for h in n_heads]
    )
    cost_HW[0, 0] = np.inf
    return _Widths(n_heads, n_neurons, there_HW, cost_HW)


def _present(scores: Tensor) -> np.ndarray:
    """Return how much of a sublayer its best 0, 1, 2 ... units make up, 0 to 1."""
    positive_U = scores[scores.isfinite()].double().clamp_min(0).sort(descending=True).values
    if len(positive_U) == 0:
        return np.zeros(1)
    if float(positive_U.sum()) == 0.0:  # nothing tells these units apart
        positive_U = torch.ones_like(positive_U)
    missing_U = 1.0 - np.concatenate([[0.0], (positive_U.cumsum(0) / positive_U.sum()).numpy()])
    return 1.0 - missing_U.clip(min=0.0) ** REPAIR_POWER


def _sweep(
    kept: Pattern, tables: list[_Widths], depths: DepthTable, latency: LatencyPredictor
) -> list[_Plan]:
    """Find the good widths of one combination of layers at every price of time."""
    choices: dict[tuple[tuple[int, int], ...], None] = {}
    for price in MULTIPLIERS:
        choice = tuple((len(tables[i].n_heads) - 1, len(tables[i].n_neurons) - 1) for i in kept)
        for _ in range(N_ROUNDS):
            before, worth_L = choice, _expected(kept, choice, tables, depths).worth
            choice = tuple(_trade(tables[i], float(worth_L[i]), float(price)) for i in kept)
            if choice == before:
                break
        choices[choice] = None
    return [_plan(kept, choice, tables, depths, latency) for choice in choices]


def _trade(table: _Widths, worth: float, price: float) -> tuple[int, int]:
    """Return the place in a layer's table with the least loss plus price of time."""
    lost_HW = max(worth, MIN_WORTH_NATS) * (1.0 - table.there)
    paid_HW = price * np.where(np.isfinite(table.cost_ms), table.cost_ms, 0.0)
    total_HW = np.where(np.isfinite(table.cost_ms), lost_HW + paid_HW, np.inf)
    row, column = np.unravel_index(int(total_HW.argmin()), total_HW.shape)
    return int(row), int(column)


def _expected(
    kept: Pattern,
    choice: tuple[tuple[int, int], ...],
    tables: list[_Widths],
    depths: DepthTable,
) -> Expected:
    """Look up what a choice of widths is expected to do."""
    present_L = np.zeros(depths.n_layers)
    for layer, cell in zip(kept, choice, strict=True):
        present_L[layer] = tables[layer].there[cell]
    return depths.expected(kept, present_L)


def _plan(
    kept: Pattern,
    choice: tuple[tuple[int, int], ...],
    tables: list[_Widths],
    depths: DepthTable,
    latency: LatencyPredictor,
) -> _Plan:
    """Price a choice of widths, as a whole."""
    loss = _expected(kept, choice, tables, depths).nll_nats
    return _Plan(kept, choice, latency.predict_ms(_shape(kept, choice, tables)), loss)


def _shape(
    kept: Pattern, choice: tuple[tuple[int, int], ...], tables: list[_Widths]
) -> list[tuple[int, int]]:
    """Return heads and neurons of every kept layer."""
    return [
        (int(tables[layer].n_heads[row]), int(tables[layer].n_neurons[column]))
        for layer, (row, column) in zip(kept, choice, strict=True)
    ]


def _best_per_pattern(plans: list[_Plan]) -> list[_Plan]:
    """Keep the plan with the least loss of every combination of layers, best first."""
    best: dict[Pattern, _Plan] = {}
    for plan in sorted(plans, key=lambda p: (p.loss_nats, p.cost_ms, p.kept)):
        best.setdefault(plan.kept, plan)
    return list(best.values())


def _fill(
    plan: _Plan,
    target_ms: float,
    tables: list[_Widths],
    depths: DepthTable,
    latency: LatencyPredictor,
) -> _Plan:
    """Spend what a plan leaves of its latency on the width that helps most, step by step."""
    while True:
        worth_L = _expected(plan.kept, plan.choice, tables, depths).worth
        best, best_gain = plan, 0.0
        for place, layer in enumerate(plan.kept):
            table, cell = tables[layer], plan.choice[place]
            extra_HW = table.cost_ms - table.cost_ms[cell]
            gain_HW = max(float(worth_L[layer]), MIN_WORTH_NATS) * (table.there - table.there[cell])
            fits_HW = extra_HW <= target_ms - plan.cost_ms + TOLERANCE_MS
            gain_HW = np.where(fits_HW & (gain_HW > 0), gain_HW, 0.0)
            row, column = np.unravel_index(int(gain_HW.argmax()), gain_HW.shape)
            if gain_HW[row, column] > best_gain:
                choice = (*plan.choice[:place], (int(row), int(column)), *plan.choice[place + 1 :])
                wider = _plan(plan.kept, choice, tables, depths, latency)
                # Asked of the whole shape: layers' costs need not add up exactly.
                if wider.cost_ms <= target_ms + TOLERANCE_MS:
                    best, best_gain = wider, float(gain_HW[row, column])
        if best is plan:
            return plan
        plan = best


def _select(
    proposals: list[tuple[float, list[_Plan]]],
    scores: UnitScores,
    tables: list[_Widths],
    n_measured: int,
    measure: Measure | None,
) -> list[Found]:
    """Take the best proposal of every target, no sub-model twice."""
    taken: set[_Key] = set()
    found: list[Found] = []
    missed: list[tuple[float, list[_Plan]]] = []
    for target, plans in proposals:
        listed = plans[: n_measured if measure else 1]
        masks = [_mask(plan, scores, tables) for plan in listed]
        losses = measure(masks) if measure else [plan.loss_nats for plan in listed]
        pick = min(range(len(listed)), key=losses.__getitem__)
        plan = listed[pick]
        if (plan.kept, plan.choice) in taken:
            missed.append((target, plans))
            continue
        taken.add((plan.kept, plan.choice))
        how = f"best measured of {len(listed)}" if measure else "least expected loss"
        found.append(
            Found(masks[pick], target, plan.cost_ms, losses[pick], _reason(plan, tables, how))
        )
    for target, plans in missed:
        others = [plan for plan in plans if (plan.kept, plan.choice) not in taken]
        if others and len(found) < AT_LEAST:
            plan = others[0]
            taken.add((plan.kept, plan.choice))
            mask, how = _mask(plan, scores, tables), "next best, the best is that of a faster one"
            loss = measure([mask])[0] if measure else plan.loss_nats
            found.append(Found(mask, target, plan.cost_ms, loss, _reason(plan, tables, how)))
    return sorted(found, key=lambda item: item.target_ms)


def _mask(plan: _Plan, scores: UnitScores, tables: list[_Widths]) -> UnitMask:
    """Return the units that a plan keeps."""
    shape = _shape(plan.kept, plan.choice, tables)
    return mask_of(scores, dict(zip(plan.kept, shape, strict=True)))


def _reason(plan: _Plan, tables: list[_Widths], how: str) -> str:
    """Say which layers were kept and how wide, for a person."""
    if not plan.kept:
        return "no layer: word embeddings and classifier only"
    parts = [
        f"L{layer:02d} ({heads} heads, {neurons} neurons)"
        for layer, (heads, neurons) in zip(
            plan.kept, _shape(plan.kept, plan.choice, tables), strict=True
        )
    ]
    return f"keeps {', '.join(parts)}: {how}"
