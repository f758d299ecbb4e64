"""Scale units of a running classifier, or record them, without changing its weights.

A gate multiplies a unit where it enters its output projection: at gate `g` the value `x` becomes
`g * x + (1 - g) * mean`, so 1 leaves it alone and 0 replaces it by its mean over a corpus (by zero
without means). Everything here is a context manager that leaves the model as it was.

Shape letters: B examples, T tokens, L layers, H heads of the widest layer, D width of a head,
M neurons of the widest layer.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sparsepath.errors import ShapeError
from sparsepath.models.classifier import PathwayClassifier
from sparsepath.models.families import LayerSites, encoder_layers, encoder_sites
from sparsepath.models.units import UnitMask, UnitMeans
from sparsepath.trace.batches import Batch

__all__ = [
    "Gates",
    "Recording",
    "UnitMeans",
    "evaluating",
    "gated",
    "gates_of",
    "record",
    "unit_means",
]


@dataclass(eq=False)
class Recording:
    """Unit values of the last forward pass, padding tokens included, with their graph."""

    attention: list[Tensor] = field(default_factory=list)
    """Per layer the input of `attention_out`, [B, T, heads x width]."""

    mlp: list[Tensor] = field(default_factory=list)
    """Per layer the input of `mlp_out`, [B, T, neurons]."""


@dataclass(frozen=True, eq=False)
class Gates:
    """Gates that imitate a sub-model inside its parent; unpack into `gated`."""

    heads: Float[Tensor, "layers heads"]
    """1 for a kept head, else 0."""

    neurons: Float[Tensor, "layers neurons"]
    """1 for a kept neuron, else 0."""

    skip: tuple[int, ...]
    """Layers with nothing kept, which a sub-model loses as a whole."""


def gates_of(mask: UnitMask) -> Gates:
    """Return the gates under which the parent computes what the sub-model of `mask` will."""
    return Gates(mask.heads.float(), mask.neurons.float(), tuple(mask.removed_layers))


@contextmanager
def gated(
    model: PathwayClassifier,
    *,
    heads: Float[Tensor, "*batch layers heads"] | None = None,
    neurons: Float[Tensor, "*batch layers neurons"] | None = None,
    means: UnitMeans | None = None,
    skip: Iterable[int] = (),
) -> Iterator[None]:
    """Run the model inside the block with every unit scaled by its gate.

    Gradients flow to the gates. A gate of exactly 1 changes nothing, to the last bit.

    Args:
        model: the classifier; its weights stay untouched.
        heads: gates [L, H], or [B, L, H] for one set per example. None: all 1.
        neurons: gates [L, M] or [B, L, M]. None: all 1.
        means: what a unit becomes at gate 0. None: zero.
        skip: layers that pass their input on unchanged, as if they were absent.

    Raises:
        ShapeError: if the gates do not fit the model.
    """
    layers = encoder_sites(model.encoder).layers
    _check_gates(heads, layers, max((x.n_heads for x in layers), default=0), "heads")
    _check_gates(neurons, layers, max((x.n_neurons for x in layers), default=0), "neurons")
    handles = []
    try:
        for i, site in enumerate(layers):
            if heads is not None and site.n_heads:
                gate = heads[..., i, : site.n_heads].repeat_interleave(site.head_dim, dim=-1)
                mean = None if means is None else means.heads[i, : gate.shape[-1]]
                handles.append(site.attention_out.register_forward_pre_hook(_gate(gate, mean)))
            if neurons is not None and site.n_neurons:
                gate = neurons[..., i, : site.n_neurons]
                mean = None if means is None else means.neurons[i, : site.n_neurons]
                handles.append(site.mlp_out.register_forward_pre_hook(_gate(gate, mean)))
        blocks = encoder_layers(model.encoder)
        handles += [blocks[i].register_forward_hook(_pass_on, with_kwargs=True) for i in skip]
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def record(model: PathwayClassifier) -> Iterator[Recording]:
    """Record the unit values of each forward pass inside the block; the last one stays.

    The tensors are part of the graph: `retain_grad` or `torch.autograd.grad` work on them. Inside
    `gated`, open `record` after it to see gated values, before it to see the raw ones.
    """
    layers = encoder_sites(model.encoder).layers
    nothing = torch.empty(0)
    recording = Recording([nothing] * len(layers), [nothing] * len(layers))
    handles = []
    try:
        for i, site in enumerate(layers):
            handles.append(
                site.attention_out.register_forward_pre_hook(_keep(recording.attention, i))
            )
            handles.append(site.mlp_out.register_forward_pre_hook(_keep(recording.mlp, i)))
        yield recording
    finally:
        for handle in handles:
            handle.remove()


@torch.no_grad()
def unit_means(model: PathwayClassifier, batches: Iterable[Batch]) -> UnitMeans:
    """Average every unit over the real tokens of `batches`, in float64.

    Args:
        model: the classifier, put into evaluation mode for the time of the call.
        batches: at least one batch.

    Raises:
        ShapeError: if there is no real token.
    """
    layers = encoder_sites(model.encoder).layers
    sums_heads = [torch.zeros(x.n_heads * x.head_dim, dtype=torch.float64) for x in layers]
    sums_neurons = [torch.zeros(x.n_neurons, dtype=torch.float64) for x in layers]
    n_tokens = 0
    with evaluating(model), record(model) as recording:
        for batch in batches:
            model(input_ids=batch.input_ids, attention_mask=batch.attention_mask)
            real_BT = batch.attention_mask.bool()
            n_tokens += int(real_BT.sum())
            for i in range(len(layers)):
                sums_heads[i] += recording.attention[i][real_BT].sum(dim=0, dtype=torch.float64)
                sums_neurons[i] += recording.mlp[i][real_BT].sum(dim=0, dtype=torch.float64)
    if n_tokens == 0:
        raise ShapeError("no real token to average over", hint="pass at least one non-empty batch")
    return UnitMeans(_padded(sums_heads, n_tokens), _padded(sums_neurons, n_tokens))


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Turn dropout off inside the block and restore the mode after it."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)


def _check_gates(gates: Tensor | None, layers: list[LayerSites], width: int, what: str) -> None:
    """Check the shape of one set of gates."""
    if gates is None:
        return
    if gates.dim() not in {2, 3} or tuple(gates.shape[-2:]) != (len(layers), width):
        raise ShapeError(
            f"gates for {what} have shape {tuple(gates.shape)}",
            hint=f"this model needs ({len(layers)}, {width}) or (examples, {len(layers)}, {width})",
        )


def _gate(gate: Tensor, mean: Tensor | None) -> Callable[[nn.Module, tuple[Any, ...]], Any]:
    """Return a hook that scales the last axis of a module's input."""
    per_example = gate.unsqueeze(1) if gate.dim() == 2 else gate
    offset = None if mean is None else (1 - per_example) * mean

    def scale(module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        scaled = args[0] * per_example
        return (scaled if offset is None else scaled + offset, *args[1:])

    return scale


def _keep(kept: list[Tensor], i: int) -> Callable[[nn.Module, tuple[Any, ...]], None]:
    """Return a hook that keeps a module's input at place `i`."""

    def keep(module: nn.Module, args: tuple[Any, ...]) -> None:
        kept[i] = args[0]

    return keep


def _pass_on(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> Any:
    """Replace a layer's output by its input."""
    return args[0] if args else kwargs["hidden_states"]


def _padded(sums: list[Tensor], n_tokens: int) -> Float[Tensor, "layers units"]:
    """Turn ragged sums into one table of means."""
    table = torch.zeros(len(sums), max((len(x) for x in sums), default=0))
    for i, total in enumerate(sums):
        table[i, : len(total)] = (total / n_tokens).float()
    return table
