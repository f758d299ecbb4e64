"""Letting texts run through a model of either kind while its sites are watched."""

from collections.abc import Sequence
from contextlib import AbstractContextManager

from transformers import PreTrainedModel

from sparsepath.models.classifier import PathwayClassifier
from sparsepath.trace.batches import Batch
from sparsepath.trace.encoder_hidden import watch_encoder
from sparsepath.trace.hidden import Seen, SitePlace, watch


def watching(
    model: PreTrainedModel, places: Sequence[SitePlace], seen: Seen
) -> AbstractContextManager[None]:
    """Call `seen` with what passes each place, in every pass while the context lasts.

    Args:
        model: a language model of the Llama kind, or a classifier.
        places: of this model.
        seen: must not change what it is given.
    """
    if isinstance(model, PathwayClassifier):
        return watch_encoder(model, places, seen)
    return watch(model, places, seen)


def run(model: PreTrainedModel, batch: Batch) -> None:
    """Run a model over a batch; only what passes its sites is wanted.

    Args:
        model: as in `watching`.
        batch: padded on the right, which changes nothing before it.
    """
    ids = batch.input_ids.to(model.device)
    if isinstance(model, PathwayClassifier):
        model(ids, batch.attention_mask.to(model.device))
    else:
        model.get_submodule("model")(input_ids=ids, use_cache=False)
