"""Steer by latents of a sparse autoencoder: change how much of their directions is there.

A latent of value z stands for z times its direction; where it is to be z', the hidden state gets
(z' - z) times that direction, and what the autoencoder cannot say stays as it is. Additions do not
depend on z, so they can also be written as edits of neurons, one for each entry of the hidden
state, which work in the native runtime and in presets.

Source: Templeton et al. 2024, "Scaling Monosemanticity" (features as steering vectors, clamping
with the error left in place).
"""

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from sparsepath.artifacts.edit import Condition, Edit, check_contradictions, may_meet
from sparsepath.artifacts.edit_text import Encode, parse_edit
from sparsepath.artifacts.neuron import SITES, Neuron, place_name
from sparsepath.errors import ConfigError
from sparsepath.models.autoencoder import SparseAutoencoder
from sparsepath.models.autoencoder_folder import read_autoencoder
from sparsepath.trace.edits import Spot, Where, applies
from sparsepath.trace.ranges import Ranges, check_strengths


def latent_edits(
    autoencoder: SparseAutoencoder | Path | str, *edits: str | Edit, encode: Encode | None = None
) -> list[Edit]:
    """Turn edits of latents into edits of the neurons of the model.

    Args:
        autoencoder: one over the model, or its folder.
        edits: additions such as `L02/233+4`: latent 233 of an autoencoder over layer 2, whose
            direction (of length one, if it was trained here) is added 4 times. `L02/233-` is the
            opposite direction.
        encode: gives the token ids of a word, for conditions on words.

    Returns:
        For each entry of the hidden state an edit that adds.

    Raises:
        ConfigError: if an edit is no addition, of another layer or site, or out of range, its
            condition is about a latent, or two edits of one latent may meet.
        ModelError: if the autoencoder cannot be read.
    """
    if not isinstance(autoencoder, SparseAutoencoder):
        autoencoder = read_autoencoder(Path(autoencoder))
    wanted = [edit if isinstance(edit, Edit) else parse_edit(edit, encode) for edit in edits]
    check_latents(autoencoder, wanted)
    for edit in wanted:
        if not is_addition(edit):
            raise ConfigError(
                f"{edit}: what is kept without the autoencoder can only be an addition",
                hint=f"write {edit.neuron}+4 to add its direction 4 times, {edit.neuron}-4 to take "
                "it; or give steer(model, ..., autoencoder=...), `steering try --sae`",
            )
    directions_ND = autoencoder.directions().detach()
    found: list[Edit] = []
    for (positions, _), group in groupby(sorted(wanted, key=_when), _when):
        together = list(group)
        added_D = sum(
            (edit.value * directions_ND[edit.place.index] for edit in together),
            torch.zeros(autoencoder.config.width),
        )
        found += _added(added_D, together[0].place, positions, together[0].only_if)
    return found


def _when(edit: Edit) -> tuple[str, str]:
    """Say where and when an edit applies."""
    return edit.positions, str(edit.only_if)


def is_addition(edit: Edit) -> bool:
    """Say whether what an edit of a latent does is the same whatever the hidden state is."""
    watched = edit.only_if.neuron if edit.only_if else None
    return edit.operation == "add" and watched is None


def check_latents(autoencoder: SparseAutoencoder, edits: Sequence[Edit]) -> None:
    """See that edits are of latents, and fit each other.

    Raises:
        ConfigError: if one is of another layer or site or out of range, also in its condition, or
            two edits of one latent may meet.
    """
    check_contradictions(edits)
    place, n = place_of(autoencoder), autoencoder.config.n_latents
    for edit in edits:
        watched = edit.only_if.neuron if edit.only_if else None
        for latent in (edit.place, *([Neuron.parse(watched)] if watched else [])):
            if latent[:2] != place[:2] or latent.index >= n:
                raise ConfigError(
                    f"{edit}: the autoencoder has latents {place.name} to "
                    f"{place._replace(index=n - 1).name}",
                    hint="choose one of those; conditions are on latents too, or `if after WORD`",
                )


def place_of(autoencoder: SparseAutoencoder) -> Neuron:
    """Give the first latent, whose layer and site are those of the autoencoder."""
    config = autoencoder.config
    return Neuron(config.layer, next(site for site in SITES if site == config.site), 0)


class LatentEdits(NamedTuple):
    """Edits of latents of one autoencoder, as a running model applies them."""

    autoencoder: SparseAutoencoder
    edits: tuple[Edit, ...]

    @property
    def spot(self) -> Spot:
        """The layer and site."""
        return place_of(self.autoencoder)[:2]

    @torch.no_grad()
    def __call__(
        self, hidden: Float[Tensor, "*rows width"], where: Where
    ) -> Float[Tensor, "*rows width"]:
        """Apply all of them to what the hidden states hold; `hidden` is left as it is."""
        amounts_RN = self.autoencoder.amounts(hidden)
        directions_ND = self.autoencoder.directions()
        found = hidden
        for edit in self.edits:
            index = edit.place.index
            is_here = applies(edit, where)
            if edit.only_if is not None and edit.only_if.neuron is not None:
                watched = Neuron.parse(edit.only_if.neuron).index
                is_here = is_here & (amounts_RN[..., watched] > edit.only_if.above)
            before_R = amounts_RN[..., index]
            change_R = (edit.factor * before_R + edit.shift - before_R) * is_here
            found = found + change_R[..., None] * directions_ND[index]
        return found


def check_beside(latents: Sequence[LatentEdits], edits: Sequence[Edit]) -> None:
    """See that edits of latents contradict neither each other nor edits of neurons.

    Args:
        latents: all that act at once.
        edits: of neurons.

    Raises:
        ConfigError: if two edits of one latent may meet, two autoencoders read one site, or a
            neuron of a site is edited where a latent is.
    """
    for number, one in enumerate(latents):
        for other in latents[number + 1 :]:
            if one.spot != other.spot:
                continue
            if one.autoencoder is not other.autoencoder:
                raise ConfigError(
                    f"latents of two autoencoders at {place_name(*one.spot)}",
                    hint="steer by one of them",
                )
            check_contradictions([*one.edits, *other.edits])
        for latent in one.edits:
            for edit in edits:
                if edit.place[:2] == one.spot and may_meet(latent, edit):
                    raise ConfigError(
                        f"a latent and a neuron of the same site: {latent} and {edit}",
                        hint="a latent's direction moves all entries there; leave one out, or give "
                        "them positions that do not overlap, such as @prompt and @answer",
                    )


def check_latent_strengths(latents: LatentEdits, ranges: Ranges) -> None:
    """Refuse what is stronger than a model bears, by the usual values of the entries it moves.

    Raises:
        ConfigError: if a direction would move an entry beyond its limit, or a factor is too large.
    """
    directions = latents.autoencoder.directions().detach()
    for edit in latents.edits:
        if edit.operation == "scale":
            check_strengths([edit], {})
            continue
        check_strengths(_added(edit.value * directions[edit.place.index], edit.place, "all", None),
                        ranges)  # fmt: skip


def _added(
    added: Float[Tensor, " width"], place: Neuron, positions: str, only_if: Condition | None
) -> Sequence[Edit]:
    """Write what is added to each entry."""
    return [
        Edit(
            neuron=place._replace(index=index).name,
            operation="add",
            value=value,
            positions=positions,
            only_if=only_if,
        )
        for index, value in enumerate(added.tolist())
        if value
    ]
