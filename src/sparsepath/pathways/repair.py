"""Make up for removed units without gradients: least squares, layer by layer.

After surgery the layers that are left were made for inputs that no longer come. Each output
projection (`attention_out`, `mlp_out`) is fitted again, first layer first, so that the residual
stream after it is as close as possible to the parent's at the same place, given what the layers
before it now deliver. Where layers after it are gone, its target is the parent's stream after
those, and the norm that follows is theirs. At the end the classifier is fitted to the parent's
logits. The idea is that of Kwon et al. 2022 (arXiv 2204.09656, who fit one factor per unit), here
with all weights of a projection and with the error of earlier layers in the target.

Shape letters: N real tokens, D width of the residual stream, F units of a site, R rows, C labels.
"""

import copy
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sparsepath.errors import ShapeError
from sparsepath.models.classifier import PathwayClassifier
from sparsepath.models.families import LayerSites, encoder_layers, encoder_sites
from sparsepath.models.surgery import extract
from sparsepath.models.units import UnitMask, UnitMeans
from sparsepath.pathways.refit import Affine, refit
from sparsepath.pathways.removal import measure_masked
from sparsepath.pathways.replay import Replay, pooled, run_layer, watch
from sparsepath.trace.batches import Batch
from sparsepath.trace.gates import evaluating

PRE_NORM = frozenset({"modernbert"})
"""Families whose residual stream is not normalised between layers."""

LAST_NORM = {
    "bert": "output.LayerNorm",
    "roberta": "output.LayerNorm",
    "xlm-roberta": "output.LayerNorm",
    "distilbert": "output_layer_norm",
}
"""Where the other families keep the norm that ends a layer."""


class ParentRecord(NamedTuple):
    """What the parent computes on some rows; made once for all its sub-models."""

    after_attention: list[Float[Tensor, "tokens width"]]
    """Per layer the residual stream after attention, before any norm, real tokens only."""
    after_mlp: list[Float[Tensor, "tokens width"]]
    """The same after the MLP."""
    logits: Float[Tensor, "rows labels"]
    """Its answers."""
    sources: list[int]
    """Its layers' numbers in the first ancestor."""
    norms: list[dict[str, Tensor]]
    """Per layer the weights of the norm that ends it; empty where the stream is not normalised."""


class SiteFit(NamedTuple):
    """How one place was repaired."""

    name: str
    """`L02.attention`, `L02.mlp` (numbers of the first ancestor) or `classifier`."""
    error_before: float
    """Mean squared distance to the parent on held-out tokens, before."""
    error_after: float
    """The same after; never above `error_before`."""


class Repaired(NamedTuple):
    """A repaired sub-model."""

    model: PathwayClassifier
    """A new model; the given one stays as it was."""
    sites: list[SiteFit]
    """Every place that was fitted, in order."""


class _Stream(NamedTuple):
    """What one layer computed: inputs of its two sites and the stream after them."""

    attention_in: Float[Tensor, "tokens heads_width"]
    before_attention: Float[Tensor, "tokens width"]
    attention_out: Float[Tensor, "tokens width"]
    mlp_in: Float[Tensor, "tokens neurons"]
    before_mlp: Float[Tensor, "tokens width"]
    mlp_out: Float[Tensor, "tokens width"]
    output: Float[Tensor, "batch positions width"]


@torch.no_grad()
def record_parent(parent: PathwayClassifier, batches: Sequence[Batch]) -> ParentRecord:
    """Run the parent once and keep what its sub-models will be fitted to.

    Memory: 8 bytes per real token, layer and feature of the residual stream; a few hundred rows of
    a small model make 100 MB.

    Args:
        parent: in evaluation mode during the call.
        batches: rows for the repair, the same and in the same order as for `repair`.

    Raises:
        ShapeError: if there are no rows.
    """
    if not batches:
        raise ShapeError("no rows to repair on", hint="pass at least one batch")
    n_layers = len(encoder_layers(parent.encoder))
    attention: list[list[Tensor]] = [[] for _ in range(n_layers)]
    mlp: list[list[Tensor]] = [[] for _ in range(n_layers)]
    logits = []
    with evaluating(parent):
        for batch in batches:
            replay = watch(parent, batch)
            logits.append(replay.logits)
            hidden = replay.embedded
            for i in range(n_layers):
                stream = _run(parent, i, replay, hidden)
                attention[i].append(stream.before_attention + stream.attention_out)
                mlp[i].append(stream.before_mlp + stream.mlp_out)
                hidden = stream.output
    return ParentRecord(
        after_attention=[torch.cat(x) for x in attention],
        after_mlp=[torch.cat(x) for x in mlp],
        logits=torch.cat(logits),
        sources=[layer["source"] for layer in parent.config.layers],
        norms=[_last_norm_state(parent, i) for i in range(n_layers)],
    )


@torch.no_grad()
def repair(small: PathwayClassifier, record: ParentRecord, batches: Sequence[Batch]) -> Repaired:
    """Fit the output projections and the classifier of a sub-model to its parent.

    Deterministic; no gradients, no labels. Nothing becomes worse on the rows held out of a fit.

    Args:
        small: a sub-model that `models.surgery.extract` made of the parent.
        record: what `record_parent` kept of the parent on `batches`.
        batches: rows with the token ids of the sub-model's own vocabulary.

    Raises:
        ShapeError: if the rows are not those of the record, or a layer is not the parent's.
    """
    model = copy.deepcopy(small)
    places = _places(model, record)
    replays = [watch(model, batch) for batch in batches]
    if sum(len(replay.logits) for replay in replays) != len(record.logits):
        raise ShapeError("the record is of other rows", hint="pass the same batches to both calls")
    fits = []
    with evaluating(model):
        hidden = [replay.embedded for replay in replays]
        for i, place in enumerate(places):
            # The stream just before the next kept layer, where the layers between are gone.
            reached = places[i + 1] - 1 if i + 1 < len(places) else len(record.sources) - 1
            site = encoder_sites(model.encoder).layers[i]
            streams = [_run(model, i, r, h) for r, h in zip(replays, hidden, strict=True)]
            name = f"L{record.sources[place]:02d}"
            wanted = record.after_attention[place] - _joined(streams, "before_attention")
            features = _joined(streams, "attention_in")
            fits.append(_fit(f"{name}.attention", site.attention_out, features, wanted))
            _take_norm(model, i, record.norms[reached])
            streams = [_run(model, i, r, h) for r, h in zip(replays, hidden, strict=True)]
            wanted = record.after_mlp[reached] - _joined(streams, "before_mlp")
            fits.append(_fit(f"{name}.mlp", site.mlp_out, _joined(streams, "mlp_in"), wanted))
            calls = [replay.calls[i] for replay in replays]
            layer = encoder_layers(model.encoder)[i]
            hidden = [run_layer(layer, c, h) for c, h in zip(calls, hidden, strict=True)]
        features = torch.cat([pooled(model, r, h) for r, h in zip(replays, hidden, strict=True)])
    fits.append(_fit("classifier", model.classifier, features, record.logits))
    return Repaired(model, fits)


def repaired_losses(
    parent: PathwayClassifier,
    masks: Sequence[UnitMask],
    record: ParentRecord,
    batches: Sequence[Batch],
    judge: Sequence[Batch],
    *,
    means: UnitMeans | None,
) -> list[float]:
    """Cut out, repair and measure sub-models; return their losses in nats.

    Args:
        parent: the model to cut from.
        masks: units to keep, one sub-model each.
        record: what `record_parent` kept of it on `batches`.
        batches: rows for the repair.
        judge: labelled rows to measure on.
        means: what removed units contribute before the repair.
    """
    losses = []
    for mask in masks:
        model = repair(extract(parent, mask, means=means), record, batches).model
        losses.append(measure_masked(model, judge).nll_nats)
    return losses


def _places(small: PathwayClassifier, record: ParentRecord) -> list[int]:
    """Return the parent's number of every layer of the sub-model.

    Raises:
        ShapeError: if a layer is not the parent's.
    """
    sources = [layer["source"] for layer in small.config.layers]
    if not set(sources) <= set(record.sources):
        raise ShapeError(
            f"layers {sources} are not among the parent's {record.sources}",
            hint="repair a sub-model with the record of the model it was cut from",
        )
    return [record.sources.index(source) for source in sources]


def _last_norm_state(model: PathwayClassifier, layer: int) -> dict[str, Tensor]:
    """Return the weights of the norm that ends a layer."""
    family = model.encoder.config.model_type
    if family in PRE_NORM:
        return {}
    norm = encoder_layers(model.encoder)[layer].get_submodule(LAST_NORM[family])
    return {name: value.detach().clone() for name, value in norm.state_dict().items()}


def _take_norm(small: PathwayClassifier, layer: int, state: dict[str, Tensor]) -> None:
    """Give a layer the norm of the parent's layer whose stream it now has to match."""
    if state:
        family = small.encoder.config.model_type
        norm = encoder_layers(small.encoder)[layer].get_submodule(LAST_NORM[family])
        norm.load_state_dict(state)


def _fit(name: str, linear: nn.Linear, features: Tensor, wanted: Tensor) -> SiteFit:
    """Fit a linear layer in place."""
    bias = linear.bias
    assert bias is not None, f"{name} has no bias; surgery gives every site one"
    result = refit(Affine(linear.weight.detach(), bias.detach()), features, wanted)
    linear.weight.copy_(result.affine.weight)
    bias.copy_(result.affine.bias)
    return SiteFit(name, result.error_before, result.error_after)


def _joined(streams: Sequence[_Stream], part: str) -> Tensor:
    """Join one part of all batches."""
    return torch.cat([stream._asdict()[part] for stream in streams])


def _run(model: PathwayClassifier, i: int, replay: Replay, hidden: Tensor) -> _Stream:
    """Run one layer and keep what happens at its two sites, for real tokens."""
    site: LayerSites = encoder_sites(model.encoder).layers[i]
    real_BT = replay.batch.attention_mask.bool()
    seen: dict[str, Tensor] = {}
    handles = [
        site.attention_out.register_forward_hook(_keep(seen, "attention", real_BT)),
        site.mlp_out.register_forward_hook(_keep(seen, "mlp", real_BT)),
        site.mlp_in.register_forward_hook(_keep(seen, "mlp_in", real_BT)),
    ]
    try:
        output_BTD = run_layer(encoder_layers(model.encoder)[i], replay.calls[i], hidden)
    finally:
        for handle in handles:
            handle.remove()
    before_ND = hidden[real_BT]
    is_pre_norm = model.encoder.config.model_type in PRE_NORM
    return _Stream(
        attention_in=seen["attention in"],
        before_attention=before_ND,
        attention_out=seen["attention out"],
        mlp_in=seen["mlp in"],
        before_mlp=before_ND + seen["attention out"] if is_pre_norm else seen["mlp_in in"],
        mlp_out=seen["mlp out"],
        output=output_BTD,
    )


def _keep(
    seen: dict[str, Tensor], name: str, real: Tensor
) -> Callable[[nn.Module, tuple[Any, ...], Tensor], None]:
    """Return a hook that keeps a linear layer's input and output at real tokens."""

    def keep(_module: nn.Module, args: tuple[Any, ...], output: Tensor) -> None:
        seen[f"{name} in"] = args[0][real]
        seen[f"{name} out"] = output[real]

    return keep
