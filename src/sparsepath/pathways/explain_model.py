"""`explain` for one saved model; `evaluate/explain.py` adds runs and dynamic models to it."""

from pathlib import Path

import torch

from sparsepath.models.save import load_classifier
from sparsepath.pathways.explain import Explanation, explain_text
from sparsepath.pathways.means import load_means
from sparsepath.pathways.neurons import load_neurons


def explain(
    folder: Path | str,
    text: str,
    *,
    target: str | None = None,
    against: str | None = None,
    share: float = 0.10,
    seed: int = 0,
) -> Explanation:
    """Explain how a saved model labels one text.

    Args:
        folder: a model folder that a PoC left, whole or cut.
        text: at least one word.
        target: label asked about. None: the model's answer.
        against: label to compare with. None: the most probable other one.
        share: part of the units that the pathway may have, 0 to 1.
        seed: of the random sets in the explanation's test.

    Raises:
        ModelError: if the folder is not such a model, or holds no unit means, or, of a sparse
            model, not what its neurons stand for.
        ConfigError: if a label is unknown.
        DataError: if the text has no words.
    """
    path = Path(folder)
    loaded = load_classifier(path)
    return explain_text(
        loaded.model,
        loaded.tokenizer,
        text,
        means=load_means(path),
        neurons=load_neurons(path, loaded.model) if len(loaded.model.sparse) else None,
        target=target,
        against=against,
        share=share,
        generator=torch.Generator().manual_seed(seed),
    )
