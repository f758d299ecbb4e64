"""A sparse classifier of a folder, to be steered.

Usual values of neurons are those of `neurons.json` in the model's folder: of each the size of its
strongest value in training texts.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from sparsepath.artifacts.concept_names import finder
from sparsepath.artifacts.edit import Edit, check_reading
from sparsepath.artifacts.edit_text import parse_edit
from sparsepath.artifacts.model_files import find_classifier, weights_sha256
from sparsepath.artifacts.steering import read_preset
from sparsepath.errors import ModelError
from sparsepath.evaluate.steering_strengths import Steerable
from sparsepath.models.save import LoadedClassifier, load_classifier
from sparsepath.pathways.neurons import load_neurons
from sparsepath.runtime.steerable import ranges_of
from sparsepath.steering.hooks import steer
from sparsepath.steering.sites import sites_of
from sparsepath.trace.batches import bucketed_batches
from sparsepath.trace.edits import compiled
from sparsepath.trace.ranges import Ranges, check_strengths

BATCH = 32
"""Texts that go through the model together."""


class SteeredClassifier:
    """A sparse classifier of a folder, to be steered."""

    def __init__(self, model: Path | str) -> None:
        """Load it.

        Args:
            model: its folder, or that of the conversion that made it.

        Raises:
            ModelError: if it is none, is dense, or has no `neurons.json`.
        """
        folder = find_classifier(Path(model))
        if folder is None:
            raise ModelError(f"no classifier at {model}", hint="give the folder of a model")
        self.folder = folder
        self.loaded: LoadedClassifier = load_classifier(folder)
        self.able = Steerable(sites_of(self.loaded.model), _ranges(folder, self.loaded))

    @property
    def labels(self) -> list[str]:
        """Names of the labels."""
        return self.loaded.labels

    def edits(self, texts: Sequence[str], preset: str | None = None) -> list[Edit]:
        """Read edits, with those of a preset before them.

        Args:
            texts: edits, in which labels of the catalogue may stand for neurons.
            preset: name of one in the folder, or its file.

        Raises:
            ConfigError: if one is none, or there is no such preset.
            ModelError: if the preset is of another model.
        """
        find = finder(self.folder)
        tokenizer = self.loaded.tokenizer
        found: list[Edit] = []
        if preset is not None:
            found += read_preset(self.folder, preset, weights_sha256(self.folder)).edits
        for text in texts:
            found.append(
                parse_edit(text, lambda w: tokenizer.encode(w, add_special_tokens=False).ids, find)
            )
        return found

    def check(self, edits: Sequence[Edit], *, unsafe_strength: bool) -> None:
        """See that edits fit each other, the model, and what it bears.

        Raises:
            ConfigError: if they do not.
            ModelError: if a site is not sparse.
        """
        check_reading(edits)
        compiled(edits, self.able.sites)
        if not unsafe_strength:
            check_strengths(edits, self.able.ranges)

    def steered(self, edits: Sequence[Edit]) -> AbstractContextManager[None]:
        """Edit neurons inside a `with` block."""
        return steer(self.loaded.model, *edits)

    def probabilities(self, encoded: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """Answer texts, [texts, labels]."""
        found = np.zeros((len(encoded), len(self.labels)), np.float32)
        model = self.loaded.model
        pad_id = int(model.encoder.config.pad_token_id or 0)
        with torch.inference_mode():
            for batch in bucketed_batches(encoded, None, BATCH, pad_id=pad_id):
                logits = model(batch.input_ids, batch.attention_mask).logits
                found[batch.rows.numpy()] = logits.double().softmax(dim=-1).numpy()
        return found


def _ranges(folder: Path, loaded: LoadedClassifier) -> Ranges:
    """Give the usual values of neurons; raises as `load_neurons`."""
    found = ranges_of(load_neurons(folder, loaded.model), sites_of(loaded.model).spots)
    assert found is not None  # load_neurons compared the names
    return found
