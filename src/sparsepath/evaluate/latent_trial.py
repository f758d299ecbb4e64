"""Steer by latents where it needs the autoencoder at every token: with transformers, slowly.

Setting, scaling and suppressing a latent depend on how much of it is there. The native runtime has
no autoencoder; here a model of transformers writes, token by token as the runtime does.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from transformers import PreTrainedModel

from sparsepath.artifacts.edit import Edit
from sparsepath.config import GenerateOptions
from sparsepath.models.autoencoder import SparseAutoencoder
from sparsepath.models.language_folder import read_language_model
from sparsepath.runtime.language.engine import Engine
from sparsepath.runtime.language.pieces import TextStream
from sparsepath.runtime.language.sampling import choose
from sparsepath.steering.hooks import steer


class LatentTrial:
    """A model that writes with and without edits of latents."""

    def __init__(
        self, engine: Engine, autoencoder: SparseAutoencoder, edits: Sequence[Edit]
    ) -> None:
        """Load the model of an engine once more.

        Args:
            engine: of the model; what it is steered by now stays.
            autoencoder: over the model.
            edits: of its latents.

        Raises:
            ConfigError: if one is of no latent, or two contradict each other.
            ModelError: if the model cannot be read.
        """
        self._engine, self._autoencoder, self._edits = engine, autoencoder, list(edits)
        self._model = read_language_model(engine.folder)

    def write(
        self, prompt: str, options: GenerateOptions, *, is_checked: bool = True
    ) -> tuple[str, str]:
        """Write on after a prompt, without and with the edits of latents.

        Args:
            prompt: at least one token.
            options: how; stop texts have no effect.
            is_checked: refuse strengths beyond the usual values of the model.

        Raises:
            ConfigError: if an edit is too strong, or contradicts one of the engine.
        """
        own, is_dense = self._engine.edits, self._engine.is_dense_allowed
        ranges = self._engine.ranges if is_checked else None
        with steer(self._model, *own, is_dense_allowed=is_dense):
            before = self._write(prompt, options)
            with steer(self._model, *self._edits, autoencoder=self._autoencoder, ranges=ranges):
                return before, self._write(prompt, options)

    def _write(self, prompt: str, options: GenerateOptions) -> str:
        """Write as the model is now."""
        engine = self._engine
        ids = engine.encode(prompt)
        room = min(engine.shape.context - len(ids) + 1, options.tokens)
        rng, text = np.random.default_rng(options.seed), TextStream(engine.tokenizer, ids)
        pieces: list[str] = []
        for token in _tokens(self._model, ids, room, options, rng):
            if token in engine.shape.end_ids:
                break
            pieces.append(text.push(token))
        return "".join([*pieces, text.finish()])


def _tokens(
    model: PreTrainedModel,
    ids: list[int],
    n: int,
    options: GenerateOptions,
    rng: np.random.Generator,
) -> Iterator[int]:
    """Choose tokens."""
    cache, given = None, ids
    for _ in range(n):
        with torch.inference_mode():
            told = model(torch.tensor([given]), past_key_values=cache, use_cache=True)
        cache, logits = told.past_key_values, told.logits[0, -1].numpy()
        token = choose(logits, rng, temperature=options.temperature, top_p=options.top_p)
        yield token
        given = [token]
