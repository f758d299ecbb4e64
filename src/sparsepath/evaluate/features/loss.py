"""Loss recovered: how much of a model's prediction survives when only features pass a site.

The hidden state of one site is replaced by what its features say, in a pass of its own. With the
mean loss H of the model as it is, H* with the features in the place of the hidden state, and H0
with zeros there, the figure is (H0 - H*) / (H0 - H): 1 where nothing is lost, 0 where as much is
lost as by zeros. At a sparse site of a TopK model it is 1, since its features are all that it
hands on; it says something of a dense model's largest entries and of an autoencoder.

Control: `shuffled` - each token gets the features of another one.

Source: SAEBench, arXiv 2503.09532 (core metrics, `ce_loss_score`).

Shape letters: B texts of a batch, T tokens.
"""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel

from sparsepath.evaluate.features.figures import Figure, ratio_ci95
from sparsepath.evaluate.features.read import Encoded, Reader, batches, text_mask
from sparsepath.trace.sites import hook_site

Nats = Float[np.ndarray, " texts"]
Change = Callable[[Tensor], Tensor]


def loss_recovered(
    model: PreTrainedModel, encoded: Encoded, readers: Sequence[Reader], *, seed: int = 0
) -> list[Figure]:
    """Measure loss recovered at several sites, one after another.

    Args:
        model: a language model of the Llama kind, in evaluation mode.
        encoded: texts; those of fewer than two tokens tell nothing.
        readers: sites.
        seed: shuffles tokens, and draws texts for intervals.

    Returns:
        For each site the figure; in `parts` the losses in nats a token. None where zeros lose
        nothing.
    """
    whole = _nats(model, encoded, None, None)
    n_tokens = max(1, sum(sum(marks[1:]) for marks in encoded.is_text))
    generator = torch.Generator().manual_seed(seed)
    found = []
    for reader in readers:
        said = reader.dictionary.said
        changes = (said, torch.zeros_like, partial(_shuffled, said, generator))
        losses = [_nats(model, encoded, reader, change) for change in changes]
        found.append(_figure(whole, losses, n_tokens, seed))
    return found


def _shuffled(said: Change, generator: torch.Generator, hidden: Tensor) -> Tensor:
    """The same of another token of the batch."""
    flat = hidden.flatten(0, -2)
    order = torch.randperm(len(flat), generator=generator).to(flat.device)
    return said(flat[order].view_as(hidden))


def _figure(whole: Nats, losses: list[Nats], n_tokens: int, seed: int) -> Figure:
    """Put one figure together; losses are with features, with zeros, with shuffled features."""
    said, zeros, shuffled = losses
    parts = {
        name: float(nats.sum() / n_tokens)
        for name, nats in (("loss", whole), ("with features", said), ("with zeros", zeros))
    }
    lost = float((zeros - whole).sum())
    if lost <= 0:
        note = "zeros in the place of the site lose nothing"
        return Figure(value=None, ci95=None, n=len(whole), parts=parts, note=note)
    return Figure(
        value=float((zeros - said).sum()) / lost,
        ci95=ratio_ci95(zeros - said, zeros - whole, seed),
        n=len(whole),
        controls={"shuffled": float((zeros - shuffled).sum()) / lost},
        parts=parts,
    )


def _nats(
    model: PreTrainedModel, encoded: Encoded, reader: Reader | None, change: Change | None
) -> Nats:
    """Give the loss of each text, in nats, summed over its tokens from the second on."""
    handle = None
    if reader is not None and change is not None:
        block = model.get_submodule(f"model.layers.{reader.place.layer}")
        handle = hook_site(block, reader.place.site, change)
    nats = np.zeros(len(encoded.ids))
    try:
        with torch.inference_mode():
            for batch in batches(encoded):
                ids_BT = batch.input_ids.to(model.device)
                logits = model(input_ids=ids_BT, use_cache=False).logits[:, :-1].float()
                each_BT = cross_entropy(logits.transpose(1, 2), ids_BT[:, 1:], reduction="none")
                wanted_BT = text_mask(encoded, batch)[:, 1:]
                nats[batch.rows.numpy()] = (each_BT.cpu() * wanted_BT).sum(dim=1).numpy()
    finally:
        if handle is not None:
            handle.remove()
    return nats
