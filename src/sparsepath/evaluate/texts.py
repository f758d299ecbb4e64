"""How well a language model predicts texts, without torch."""

import math
from pathlib import Path

import numpy as np

from sparsepath.artifacts.model_files import locate_language_model
from sparsepath.config import Form
from sparsepath.data.corpus import documents
from sparsepath.errors import DataError
from sparsepath.evaluate.suites import SuiteScore
from sparsepath.runtime.language.engine import Engine


def evaluate_texts(
    model: Path | str, source: str, *, form: Form = "fp32", limit: int | None = None
) -> SuiteScore:
    """Measure how well a language model predicts texts, in bits per byte.

    Args:
        model: folder of a model of the Llama kind, or of a training.
        source: texts, as `data.source` of a recipe.
        form: how weights are stored.
        limit: documents at most, the first ones.

    Raises:
        DataError: if the texts cannot be read, or all of them are too short.
        ModelError: if the model cannot be read.
    """
    engine = Engine(locate_language_model(Path(model)), form=form)
    nats = n_bytes = 0.0
    n, by_document = 0, []
    for text in documents(source):
        if limit is not None and n == limit:
            break
        if len(engine.tokenizer.encode(text, add_special_tokens=False).ids) < 2:
            continue
        score = engine.score(text)
        size = score.nats / math.log(2) / score.bits_per_byte if score.bits_per_byte else 0.0
        nats, n_bytes, n = nats + score.nats, n_bytes + size, n + 1
        by_document.append((score.nats / math.log(2), size))
    if not n:
        raise DataError(f"{source} has no text of two tokens", hint="give longer texts")
    bits = nats / math.log(2) / n_bytes
    # The error of a ratio of sums, by how far each document is from it.
    spread = [told - bits * size for told, size in by_document]
    error = float(np.std(spread)) * math.sqrt(n) / n_bytes
    return SuiteScore("text", n, {"bits_per_byte": bits}, {"bits_per_byte": error})
