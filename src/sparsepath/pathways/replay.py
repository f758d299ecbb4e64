"""Run single layers of an encoder again, on hidden states of one's own.

A full forward pass is watched once per batch; what every layer was called with (masks, positions)
is kept. After that any sequence of layers can be run from any hidden state, so that sub-models
which share their first layers also share the work. Read with `depths.py` and `repair.py`.

Shape letters: B examples, T tokens, D width of the residual stream, C labels.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sparsepath.models.classifier import PathwayClassifier
from sparsepath.models.families import encoder_layers
from sparsepath.trace.batches import Batch
from sparsepath.trace.gates import evaluating

FINAL_NORMS: dict[str, str] = {"modernbert": "final_norm"}
"""Families that normalise after the last layer, and where."""


class LayerCall(NamedTuple):
    """What a layer was called with, besides hidden states."""

    args: tuple[Any, ...]
    """Positional arguments after the hidden states."""
    kwargs: dict[str, Any]
    """Named arguments without the hidden states."""


class Replay(NamedTuple):
    """One batch, ready to be run through any layers of the model."""

    batch: Batch
    """The rows."""
    embedded: Float[Tensor, "batch tokens width"]
    """Input of the first layer."""
    calls: list[LayerCall]
    """Per layer, in order."""
    logits: Float[Tensor, "batch labels"]
    """What the whole model answers."""


@torch.no_grad()
def watch(model: PathwayClassifier, batch: Batch) -> Replay:
    """Run the whole model once, without gradients, and keep how its layers were called.

    A model without layers gives an empty `calls`, and as `embedded` what its embedding gives.
    """
    seen: dict[int, tuple[Tensor, LayerCall]] = {}
    last: list[Tensor] = []
    handles = [
        layer.register_forward_pre_hook(_keep(seen, i), with_kwargs=True)
        for i, layer in enumerate(encoder_layers(model.encoder))
    ]
    handles.append(model.encoder.register_forward_hook(lambda _m, _a, out: last.append(out[0])))
    try:
        with evaluating(model):
            logits = model(input_ids=batch.input_ids, attention_mask=batch.attention_mask).logits
    finally:
        for handle in handles:
            handle.remove()
    embedded = seen[0][0] if seen else last[0]
    return Replay(batch, embedded, [seen[i][1] for i in range(len(seen))], logits)


def run_layer(layer: nn.Module, call: LayerCall, hidden: Tensor) -> Tensor:
    """Run one layer on other hidden states than it saw."""
    output = layer(hidden, *call.args, **call.kwargs)
    return output if isinstance(output, Tensor) else output[0]


def pooled(model: PathwayClassifier, replay: Replay, hidden: Tensor) -> Tensor:
    """Turn the output of the last layer that was run into one vector per text, [B, D]."""
    family = model.encoder.config.model_type
    # Without layers, `embedded` is the encoder's output and already normalised.
    if family in FINAL_NORMS and replay.calls:
        hidden = model.encoder.get_submodule(FINAL_NORMS[family])(hidden)
    return model._pool(hidden, replay.batch.attention_mask)


def _keep(
    seen: dict[int, tuple[Tensor, LayerCall]], i: int
) -> Callable[[nn.Module, tuple[Any, ...], dict[str, Any]], None]:
    """Return a hook that keeps the arguments of layer `i`."""

    def keep(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        others = {k: v for k, v in kwargs.items() if k != "hidden_states"}
        if args:
            seen[i] = (args[0], LayerCall(args[1:], others))
        else:
            seen[i] = (kwargs["hidden_states"], LayerCall((), others))

    return keep
