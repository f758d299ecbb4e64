"""Which inputs of a matrix are so loud that rounding their rows drowns everything else.

Some neurons of a language model reach thousands where others stay below ten, on the first token of
every text and at few others (Sun et al. 2024, "Massive Activations in Large Language Models", arXiv
2402.17762). What 8 bits take from the weights behind such a neuron is then more than what they take
from all others together. The exact model is heard on a few tokens, and such rows are stored twice:
the second row is what the first one lost.
"""

import numpy as np
from numpy.typing import NDArray

from sparsepath.artifacts.neuron import Site
from sparsepath.kernels.by_input import Floats
from sparsepath.runtime.language.cache import Cache
from sparsepath.runtime.language.plain import LayerPass
from sparsepath.runtime.language.shape import Shape
from sparsepath.runtime.language.weights import Layer

TOKENS = 64
"""That are heard: spread over the vocabulary, since loudness asks for no text."""

MOST = 8
"""Rows of a matrix that are stored twice; the native code has room for no more."""

INPUTS: dict[str, Site] = {
    "qkv": "attn_in",
    "out": "attn_out",
    "gate_up": "mlp_in",
    "down": "mlp_hidden",
}
"""Where the inputs of a layer's matrices are."""


class Listener:
    """Runs an exact model layer by layer, and tells what goes into each matrix."""

    def __init__(self, shape: Shape, embedding: Floats) -> None:
        """Begin with some tokens' rows of the embedding, [vocabulary, width]."""
        n = min(TOKENS, shape.context, len(embedding))
        self._tokens = np.linspace(0, len(embedding) - 1, n).astype(np.int32)
        self._stream: Floats = np.array(embedding[self._tokens])
        self._cache = Cache(shape, n)
        self._shape = shape

    @np.errstate(all="ignore")  # broken weights are told by the answers, not here
    def hear(self, number: int, layer: Layer) -> dict[str, Floats]:
        """Run the next layer.

        Args:
            number: of the layer; one more than the last time.
            layer: its weights in fp32.

        Returns:
            Inputs of each matrix, [tokens, inputs], by the names of `INPUTS`.
        """
        heard: dict[Site, Floats] = {}

        def tap(_layer: int, site: Site, hidden: Floats) -> None:
            heard[site] = hidden

        runs = LayerPass(self._shape, self._tokens, self._cache, tap)
        self._stream = runs.run(self._stream, number, layer)
        return {part: heard[site] for part, site in INPUTS.items()}


def loud_inputs(heard: Floats, errors: Floats) -> NDArray[np.int32]:
    """Find inputs whose rounding errors, at their loudest, exceed all of a usual token together.

    Args:
        heard: [tokens, inputs].
        errors: Euclidean norms of what each input's row lost, [inputs].

    Returns:
        The loudest of them, ascending; at most `MOST`.
    """
    with np.errstate(all="ignore"):
        energy = np.square(heard.astype(np.float64) * errors)
        peaks, usual = energy.max(axis=0), np.median(energy.sum(axis=1))
        loudest = np.argsort(-peaks, kind="stable")[:MOST]
        found: NDArray[np.int32] = np.sort(loudest[peaks[loudest] > usual]).astype(np.int32)
    return found
