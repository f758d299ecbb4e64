"""What the neurons of a sparse classifier stand for: the texts in which each fires most.

Shape letters: N texts, T tokens, W entries of a site.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from tokenizers import Tokenizer
from torch import Tensor

from sparsepath.artifacts.neuron import Neuron, Site
from sparsepath.artifacts.neurons import NEURONS_FILE, NeuronExample, NeuronFacts, NeuronsFile
from sparsepath.artifacts.store import read_json, write_json_atomic
from sparsepath.errors import ModelError
from sparsepath.models.classifier import PathwayClassifier
from sparsepath.models.topk_classifier import SparseLayer, sparse_sites
from sparsepath.trace.batches import bucketed_batches
from sparsepath.trace.gates import evaluating
from sparsepath.trace.sparse import record_sparse

N_EXAMPLES = 3
"""Texts that are kept of a neuron."""

N_STRONGEST = 10
"""Texts whose labels are counted."""

LONGEST_TEXT = 160
"""Characters of an example."""

BATCH = 32
"""Texts that go through the model together."""


class Texts(NamedTuple):
    """Labelled training texts."""

    texts: Sequence[str]
    encoded: Sequence[Sequence[int]]
    labels: Sequence[str]
    row_ids: Sequence[int]


class _Firing(NamedTuple):
    """How strongly each neuron of a site fires in each text."""

    strength: Float[Tensor, "texts width"]
    place: Int[Tensor, "texts width"]
    """The token where it fires strongest."""
    total: Float[Tensor, " width"]
    """Sum over all tokens, float64."""


def study_neurons(
    model: PathwayClassifier, tokenizer: Tokenizer, texts: Texts, *, pad_id: int
) -> NeuronsFile:
    """Look at all neurons of a sparse classifier on training texts; deterministic.

    Args:
        model: with sparse sites; put into evaluation mode for the time of the call.
        tokenizer: the model's.
        texts: at least one.
        pad_id: token that fills short texts.
    """
    firing, n_tokens = _firing(model, texts.encoded, pad_id)
    neurons = [
        _facts(neuron_name(model, site, index), index, found, n_tokens, texts, tokenizer)
        for site, found in zip(sparse_sites(model), firing, strict=True)
        for index in range(site.topk.width)
    ]
    return NeuronsFile(n_texts=len(texts.texts), neurons=neurons)


@torch.no_grad()
def _firing(
    model: PathwayClassifier, encoded: Sequence[Sequence[int]], pad_id: int
) -> tuple[list[_Firing], int]:
    """Run all texts; say how each neuron fires, and how many real tokens there were."""
    widths = [site.topk.width for site in sparse_sites(model)]
    found = [
        _Firing(
            torch.zeros(len(encoded), width),
            torch.zeros(len(encoded), width, dtype=torch.int64),
            torch.zeros(width, dtype=torch.float64),
        )
        for width in widths
    ]
    n_tokens = 0
    with evaluating(model), record_sparse(model) as values:
        for batch in bucketed_batches(encoded, None, BATCH, pad_id=pad_id):
            model(input_ids=batch.input_ids, attention_mask=batch.attention_mask)
            real_BT1 = batch.attention_mask.unsqueeze(-1)
            n_tokens += int(real_BT1.sum())
            for firing, kept_BTW in zip(found, values, strict=True):
                real_BTW = kept_BTW * real_BT1
                place_BW = real_BTW.abs().argmax(dim=1)
                strength_B1W = real_BTW.gather(1, place_BW.unsqueeze(1))
                firing.strength[batch.rows] = strength_B1W.squeeze(1)
                firing.place[batch.rows] = place_BW
                firing.total.add_(real_BTW.sum(dim=(0, 1), dtype=torch.float64))
    return found, n_tokens


def _facts(
    name: str,
    index: int,
    firing: _Firing,
    n_tokens: int,
    texts: Texts,
    tokenizer: Tokenizer,
) -> NeuronFacts:
    """Tell of one neuron."""
    strength_N = firing.strength[:, index]
    order = strength_N.abs().argsort(descending=True, stable=True)[:N_STRONGEST].tolist()
    strongest = [row for row in order if float(strength_N[row]) != 0.0]
    label, n_with_label = None, 0
    if strongest:
        counted = Counter(texts.labels[row] for row in strongest)
        label, n_with_label = max(counted.items(), key=lambda item: item[1])
    return NeuronFacts(
        name=name,
        mean=float(firing.total[index]) / n_tokens,
        share_of_texts=float((strength_N != 0).double().mean()),
        label=label,
        label_share=n_with_label / max(1, len(strongest)),
        examples=[
            NeuronExample(
                row_id=texts.row_ids[row],
                text=texts.texts[row][:LONGEST_TEXT],
                token=tokenizer.id_to_token(texts.encoded[row][int(firing.place[row, index])])
                or "?",
                strength=float(strength_N[row]),
            )
            for row in strongest[:N_EXAMPLES]
        ],
    )


def neuron_name(model: PathwayClassifier, site: SparseLayer, index: int) -> str:
    """Name an entry of a sparse site; layers have the numbers of the first ancestor."""
    place: Site = "mlp_hidden" if site.site == "mlp_hidden" else "block_out"
    return Neuron(model.config.layers[site.layer]["source"], place, index).name


def neuron_names(model: PathwayClassifier) -> list[str]:
    """Name all neurons of the sparse sites, in the order of the sites and of the entries."""
    return [neuron_name(model, s, i) for s in sparse_sites(model) for i in range(s.topk.width)]


def save_neurons(folder: Path, neurons: NeuronsFile) -> None:
    """Write what neurons stand for into a model folder that is being built."""
    write_json_atomic(folder / NEURONS_FILE, neurons)


def load_neurons(folder: Path, model: PathwayClassifier) -> NeuronsFile:
    """Read what the neurons of a sparse model stand for.

    Args:
        folder: of the model.
        model: what lies in it.

    Raises:
        ModelError: if the folder has no such file, or it is of another model.
        RunError: if it is damaged.
    """
    path = folder / NEURONS_FILE
    if not path.is_file():
        raise ModelError(
            f"{folder} has no {NEURONS_FILE}, so its decisions cannot be explained",
            hint="give a model folder that `sparsepath poc` or `sparsepath convert` made, whole",
        )
    found = read_json(path, NeuronsFile)
    names = neuron_names(model)
    if [neuron.name for neuron in found.neurons] != names:
        raise ModelError(
            f"{path} tells of {len(found.neurons)} neurons that are not the model's {len(names)}",
            hint="copy the model folder again, whole",
        )
    return found
