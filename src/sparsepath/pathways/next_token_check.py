"""The test that comes with an explanation of a next token.

In the model itself the named entries of a site are kept and all others set to zero, as TopK does
with what it drops; then only the named ones are set to zero; then they take the values that they
have in another text. The same is done with random sets of as many active entries. Attention, gates
and TopK answer to the change; norms alone multiply by what they did before, or else a few entries
that are left would be blown up to the size of all.

Shape letters: S runs, T tokens, D width of the site.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import PreTrainedModel

from sparsepath.artifacts.neuron import Site
from sparsepath.errors import ConfigError
from sparsepath.pathways.explain_check import MOST_KEPT, Verdict
from sparsepath.trace.frozen import Reading, Scales, held_norms, reading

ENOUGH = 0.9
"""Share of the margin that named entries should keep; no more are named than that takes."""
MOST_RANDOM = 0.15
"""Share of the margin that random entries may keep, on average."""
SMALLEST_MARGIN = 0.05
"""Logits below which shares of a margin say nothing."""
RUNS_AT_ONCE = 32


class Decided(NamedTuple):
    """One answer, and what everything adds to it."""

    model: PreTrainedModel
    ids: list[int]
    question: tuple[int, int]
    """Ids of the token that is explained, and of the other."""
    logits: Float[Tensor, " vocabulary"]
    """Of the next token."""
    margin: float
    place: tuple[int, Site]
    """Layer and site whose neurons are named."""
    embedded: Float[Tensor, "1 tokens width"]
    """Input of the first layer, with its graph."""
    reading: Reading
    scales: Scales
    """Of the norms."""
    words: Float[Tensor, " tokens"]
    """What each token adds to the margin, in logits."""
    scores: dict[tuple[int, Site], Float[Tensor, "tokens width"]]
    """What each entry of each site adds."""
    heads: list[Float[Tensor, " heads"]]
    """What goes through each head, by layer."""

    @property
    def active(self) -> Tensor:
        """Places of entries that are not zero, over [T x D], ascending."""
        values: Tensor = self.reading.sites[self.place][0].detach()
        return values.flatten().nonzero().flatten()

    @property
    def n_active(self) -> int:
        """How many those are."""
        return len(self.active)


Doubt = Literal["little", "much", "random"]
"""The named entries keep too little of the margin alone, or a multiple; random ones keep it too."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NextTokenTest:
    """Shares of the margin: 1 is the whole model, 0 the site all zero."""

    margin_of_nothing: float
    """Margin in logits with the site all zero."""
    kept: float
    """With the named entries only."""
    removed: float
    """Without the named entries."""
    swapped: float | None = None
    """With the named entries' values from another text."""
    random_kept: list[float] = field(default_factory=list)
    random_removed: list[float] = field(default_factory=list)
    random_swapped: list[float] = field(default_factory=list)
    confidence_kept: float
    """Probability of the token with the named entries only."""
    confidence_removed: float

    has_lead: bool = True
    """Whether the margin is large enough for shares of it to mean something."""

    @property
    def doubts(self) -> list[Doubt]:
        """What speaks against the explanation."""
        mean = sum(self.random_kept) / max(1, len(self.random_kept))
        found: dict[Doubt, bool] = {
            "little": not self.kept >= ENOUGH,
            "much": self.kept > MOST_KEPT,
            "random": not mean <= MOST_RANDOM,
        }
        return [name for name, is_so in found.items() if is_so]

    @property
    def is_telling(self) -> bool:
        """Whether the named entries keep the margin, no multiple of it, and random ones do not."""
        return self.has_lead and not self.doubts

    @property
    def verdict(self) -> Verdict:
        """Whether the explanation held; `none`: the two tokens are nearly level."""
        return ("good" if self.is_telling else "weak") if self.has_lead else "none"


def choose(decided: Decided, share: float) -> list[int]:
    """Name the entries that speak most for the answer: as few as bring and keep the margin.

    What they add must reach nine tenths of the margin, and with them alone the model must keep as
    much.

    Args:
        decided: the answer.
        share: part of the active entries that may be named.

    Returns:
        Places over [T x D], strongest first; at least one.

    Raises:
        ConfigError: if every entry is zero.
    """
    if decided.n_active == 0:
        layer, site = decided.place
        raise ConfigError(
            f"every entry at L{layer:02d}.{site} is zero in this text, so none decides",
            hint="ask about another layer or site",
        )
    sign = 1.0 if decided.margin >= 0 else -1.0
    scores = decided.scores[decided.place].flatten() * sign
    active = decided.active
    order = active[scores[active].argsort(descending=True, stable=True)].tolist()
    most = max(1, int(share * len(order)))
    sizes = sorted({min(most, round(1.3**i)) for i in range(60) if 1.3**i <= most * 1.3})
    runs = run_masks(decided, [only(decided, order[:size]) for size in sizes])
    nothing = run_masks(decided, [only(decided, [])]).margins[0]
    kept = [part_of(value, nothing, decided.margin) for value in runs.margins]
    added = scores[order].cumsum(dim=0) if order else scores[:0]
    enough = [
        size
        for size, value in zip(sizes, kept, strict=True)
        if value >= ENOUGH and float(added[size - 1]) >= ENOUGH * abs(decided.margin)
    ]
    return order[: enough[0] if enough else most]


def check(
    decided: Decided,
    named: Sequence[int],
    other: Tensor | None,
    n_random: int,
    generator: torch.Generator,
) -> NextTokenTest:
    """Keep, remove and swap the named entries, and random ones.

    Args:
        decided: the answer.
        named: places over [T x D].
        other: values of another text, [T, D]; None: nothing is swapped.
        n_random: random sets.
        generator: draws them.
    """
    active = decided.active
    drawn = [
        active[torch.randperm(len(active), generator=generator)[: len(named)]].tolist()
        for _ in range(n_random)
    ]
    sets = [list(named), *drawn]
    masks = [only(decided, [])]
    masks += [only(decided, places) for places in sets]
    masks += [~only(decided, places) for places in sets]
    runs = run_masks(decided, masks)
    nothing = runs.margins[0]
    shares = [part_of(value, nothing, decided.margin) for value in runs.margins]
    n = len(sets)
    swapped: list[float] = []
    if other is not None:
        found = run_masks(decided, [~only(decided, places) for places in sets], other)
        swapped = [part_of(value, nothing, decided.margin) for value in found.margins]
    return NextTokenTest(
        margin_of_nothing=nothing,
        kept=shares[1],
        removed=shares[1 + n],
        swapped=swapped[0] if swapped else None,
        random_kept=shares[2 : 1 + n],
        random_removed=shares[2 + n :],
        random_swapped=swapped[1:],
        confidence_kept=runs.confidences[1],
        confidence_removed=runs.confidences[1 + n],
        has_lead=abs(decided.margin - nothing) >= SMALLEST_MARGIN,
    )


def swap_values(decided: Decided, values: Float[Tensor, "others width"]) -> Tensor:
    """Put another text's values where ours are, the last tokens beside each other; else zero."""
    ours = decided.reading.sites[decided.place][0]
    found = torch.zeros_like(ours)
    n = min(len(ours), len(values))
    found[-n:] = values[-n:].detach()
    return found


class Runs(NamedTuple):
    """What the model says with a changed site."""

    margins: list[float]
    confidences: list[float]
    """Probability of the token that is explained."""


@torch.no_grad()
def run_masks(decided: Decided, masks: Sequence[Tensor], other: Tensor | None = None) -> Runs:
    """Run the model with other values wherever a mask is False.

    Args:
        decided: the answer.
        masks: one a run, [T, D].
        other: the values, [T, D]; None: zero.
    """
    target, against = decided.question
    margins: list[float] = []
    confidences: list[float] = []
    for start in range(0, len(masks), RUNS_AT_ONCE):
        mask_STD = torch.stack(list(masks[start : start + RUNS_AT_ONCE]))
        instead = torch.zeros(()) if other is None else other.detach()

        def edit(
            layer: int, site: Site, values: Tensor, mask: Tensor = mask_STD, put: Tensor = instead
        ) -> Tensor:
            return torch.where(mask, values, put) if (layer, site) == decided.place else values

        rows = torch.tensor([decided.ids]).expand(len(mask_STD), -1)
        with reading(decided.model, edit), held_norms(decided.model, decided.scales):
            logits_SV = decided.model(input_ids=rows, use_cache=False).logits[:, -1].float()
        margins += (logits_SV[:, target] - logits_SV[:, against]).tolist()
        confidences += logits_SV.softmax(-1)[:, target].tolist()
    return Runs(margins, confidences)


def only(decided: Decided, places: Sequence[int]) -> Tensor:
    """Give a mask that is True at some places over [T x D]; it is [T, D]."""
    shape = decided.reading.sites[decided.place][0].shape
    mask = torch.zeros(shape.numel(), dtype=torch.bool)
    mask[torch.tensor(list(places), dtype=torch.int64)] = True
    return mask.view(shape)


def part_of(margin: float, nothing: float, whole: float) -> float:
    """Give a margin as a share of the way from nothing to the whole."""
    way = whole - nothing
    return (margin - nothing) / way if abs(way) >= SMALLEST_MARGIN else 1.0
