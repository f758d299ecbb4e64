"""Steer by latents of a sparse autoencoder: add their directions to the hidden state.

What is added is written as edits of neurons, one for each entry of the hidden state, so that it
works wherever edits work: in transformers, in the native runtime, and in presets.

Source: Templeton et al. 2024, "Scaling Monosemanticity" (features as steering vectors).
"""

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from sparsepath.artifacts.edit import Condition, Edit
from sparsepath.artifacts.edit_text import Encode, parse_edit
from sparsepath.artifacts.neuron import SITES, Neuron
from sparsepath.errors import ConfigError
from sparsepath.models.autoencoder import SparseAutoencoder
from sparsepath.models.autoencoder_folder import read_autoencoder


def latent_edits(
    autoencoder: SparseAutoencoder | Path | str, *edits: str | Edit, encode: Encode | None = None
) -> list[Edit]:
    """Turn edits of latents into edits of the neurons of the model.

    Args:
        autoencoder: one over the model, or its folder.
        edits: additions such as `L02/233+4`: latent 233 of an autoencoder over layer 2, whose
            direction (of length one, if it was trained here) is added 4 times.
        encode: gives the token ids of a word, for conditions on words.

    Returns:
        For each entry of the hidden state an edit that adds.

    Raises:
        ConfigError: if an edit is of another kind, of another layer or site, or out of range, or
            its condition is about a neuron.
        ModelError: if the autoencoder cannot be read.
    """
    if not isinstance(autoencoder, SparseAutoencoder):
        autoencoder = read_autoencoder(Path(autoencoder))
    wanted = [edit if isinstance(edit, Edit) else parse_edit(edit, encode) for edit in edits]
    for edit in wanted:
        _check(edit, autoencoder)
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


def _check(edit: Edit, autoencoder: SparseAutoencoder) -> None:
    """See that an edit is one of a latent.

    Raises:
        ConfigError: if it is not.
    """
    config, latent = autoencoder.config, edit.place
    place = Neuron(config.layer, next(site for site in SITES if site == config.site), 0)
    if edit.operation != "add":
        raise ConfigError(
            f"{edit}: a latent can only be added to",
            hint=f"write {latent.name}+4 to add its direction 4 times, {latent.name}-4 to take it",
        )
    if latent[:2] != place[:2] or latent.index >= config.n_latents:
        raise ConfigError(
            f"{edit}: the autoencoder has latents {place.name} to "
            f"{place._replace(index=config.n_latents - 1).name}",
            hint="choose one of those",
        )
    if edit.only_if is not None and edit.only_if.neuron is not None:
        raise ConfigError(
            f"{edit}: its condition names a neuron, where latents are meant",
            hint="leave the condition out, or write `if after WORD`",
        )


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
