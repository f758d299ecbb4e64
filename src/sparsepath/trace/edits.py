"""What edits do to hidden states: one definition for numpy arrays and torch tensors.

`kernels/native/decode.c` does the same in C. At a site, conditions look at the values after TopK
and before any edit of that site; then every edit takes its entry.

Read with: `artifacts/edit.py` (what an edit is). No torch is imported here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sparsepath.artifacts.edit import Edit, check_contradictions
from sparsepath.artifacts.neuron import IN_ORDER, Neuron, Site
from sparsepath.errors import ConfigError, ModelError

Spot = tuple[int, Site]
"""Layer and site."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sites:
    """What a model has that can be edited."""

    n_layers: int
    widths: Mapping[Site, int]
    """Entries of each site."""
    sparse: Mapping[Site, int] = field(default_factory=dict)
    """Entries that sparse sites keep; empty: the model is dense."""
    n_sparse_layers: int = 0
    """First layers that have them."""
    spots: Mapping[Spot, int] = field(default_factory=dict)
    """Of a classifier: entries of every site that can be edited, and of no other; else empty."""


class SiteEdits(NamedTuple):
    """What happens at one site of one layer."""

    watched: dict[int, int]
    """Entries that conditions look at, by the slot that remembers them."""
    edits: list[tuple[Edit, int, int | None]]
    """Edits with the entry of each, and the slot of its condition."""


class Program(NamedTuple):
    """Edits ordered by where they happen."""

    edits: tuple[Edit, ...]
    spots: Mapping[Spot, SiteEdits]
    n_slots: int
    """Remembered values."""
    is_dense_allowed: bool
    """Whether sites that a sparse model leaves dense may be edited."""


class Where(NamedTuple):
    """Where a pass stands in its texts; arrays are [..., T]."""

    positions: Any
    """Of each token, from 0; -1 where there is only padding."""
    tokens: Any
    """Their ids; None where they are not known."""
    n_prompt: Any
    """Tokens of the prompt: a number, or an array that fits `positions`."""
    seen: dict[int, Any]
    """Values that conditions look at, by slot; it fills during the pass."""


def compiled(edits: Sequence[Edit], sites: Sites, *, is_dense_allowed: bool = False) -> Program:
    """Order edits by site, after checking that they fit each other and a model.

    Args:
        edits: any number.
        sites: of the model.
        is_dense_allowed: also edit what a sparse model leaves dense.

    Raises:
        ConfigError: if two edits contradict each other, or a neuron is out of range.
        ModelError: if a sparse model has no such sparse site there.
    """
    check_contradictions(edits)
    spots: dict[Spot, SiteEdits] = {}
    slots: dict[Neuron, int] = {}

    def spot(neuron: Neuron) -> SiteEdits:
        check_neuron(neuron, sites, is_dense_allowed=is_dense_allowed)
        return spots.setdefault((neuron.layer, neuron.site), SiteEdits({}, []))

    for edit in edits:
        slot: int | None = None
        if edit.only_if is not None and edit.only_if.neuron is not None:
            watched = Neuron.parse(edit.only_if.neuron)
            slot = slots.setdefault(watched, len(slots))
            spot(watched).watched[slot] = watched.index
        spot(edit.place).edits.append((edit, edit.place.index, slot))
    return Program(tuple(edits), spots, len(slots), is_dense_allowed)


def check_neuron(neuron: Neuron, sites: Sites, *, is_dense_allowed: bool = False) -> None:
    """See that a model has a neuron.

    Raises:
        ConfigError: if its layer or number is out of range.
        ModelError: if a sparse model has no such sparse site there.
    """
    if sites.spots:
        _check_spot(neuron, sites.spots)
        return
    width = sites.widths[neuron.site]
    if neuron.layer >= sites.n_layers:
        raise ConfigError(
            f"{neuron.name}: the model has {sites.n_layers} layers",
            hint=f"choose a layer from L00 to L{sites.n_layers - 1:02d}",
        )
    if neuron.index >= width:
        raise ConfigError(
            f"{neuron.name}: {neuron.site} has {width} entries",
            hint=f"choose a number from 0 to {width - 1}",
        )
    if not sites.sparse or is_dense_allowed:
        return
    known = ", ".join(site for site in IN_ORDER if site in sites.sparse)
    last = f"L{sites.n_sparse_layers - 1:02d}"
    if neuron.site not in sites.sparse:
        raise ModelError(
            f"{neuron.name}: the model is not sparse at {neuron.site}, only at {known}",
            hint=f"edit one of its sites ({known}); an entry of a dense one has no meaning of its "
            "own, but is_dense_allowed=True (--dense-sites) edits it",
        )
    if neuron.layer >= sites.n_sparse_layers:
        raise ModelError(
            f"{neuron.name}: layer {neuron.layer} is dense, as are all from "
            f"L{sites.n_sparse_layers:02d} on",
            hint=f"choose a layer from L00 to {last}, or allow dense sites "
            "(is_dense_allowed=True, --dense-sites)",
        )


def _check_spot(neuron: Neuron, spots: Mapping[Spot, int]) -> None:
    """See that a neuron is of a sparse site of a classifier; raises as `check_neuron`."""
    width = spots.get((neuron.layer, neuron.site))
    if width is None:
        known = ", ".join(f"L{layer:02d} {site}" for layer, site in spots)
        raise ModelError(
            f"{neuron.name}: the classifier is not sparse there",
            hint=f"choose among its sparse sites: {known}",
        )
    if neuron.index >= width:
        raise ConfigError(
            f"{neuron.name}: {neuron.site} has {width} entries there",
            hint=f"choose a number from 0 to {width - 1}",
        )


def edited(x: Any, here: SiteEdits, where: Where) -> Any:
    """Apply the edits of one site.

    Args:
        x: hidden states after TopK, [..., T, width]; a numpy array or a tensor, left as it is.
        here: the site's edits.
        where: the pass stands.

    Returns:
        New hidden states.
    """
    for watch, index in here.watched.items():
        where.seen[watch] = x[..., index]
    if not here.edits:
        return x
    y = x * 1
    for edit, index, slot in here.edits:
        is_here = applies(edit, where)
        if slot is not None and edit.only_if is not None:
            is_here = is_here & (where.seen[slot] > edit.only_if.above)
        y[..., index][is_here] = (edit.factor * x[..., index] + edit.shift)[is_here]
    return y


def applies(edit: Edit, where: Where) -> Any:
    """Say at which tokens an edit applies, by position and token.

    Raises:
        ConfigError: if it depends on tokens that are not known.
    """
    found = where.positions >= 0
    first, stop = _reach(edit, where.n_prompt)
    found = found & (where.positions >= first) & (where.positions < stop)
    if edit.only_if is None or not edit.only_if.after:
        return found
    if where.tokens is None:
        raise ConfigError(
            f"{edit} depends on tokens, and the model was given vectors",
            hint="call the model with input_ids",
        )
    is_after = where.tokens < 0
    for token in edit.only_if.after:
        is_after = is_after | (where.tokens == token)
    return found & is_after


def _reach(edit: Edit, n_prompt: Any) -> tuple[Any, Any]:
    """Give the first position and the one after the last, also for one prompt each row."""
    if isinstance(n_prompt, int):
        return edit.reach(n_prompt)
    first, stop = edit.reach(1)
    if edit.positions == "answer":
        first = n_prompt
    elif edit.positions == "last":
        first, stop = n_prompt - 1, n_prompt
    elif edit.positions == "prompt":
        stop = n_prompt
    return first, stop
