"""Keys and values of the tokens that were read, how reading is steered, and who looks on."""

import numpy as np
from numpy.typing import NDArray

from sparsepath.errors import ConfigError
from sparsepath.kernels.by_input import Floats
from sparsepath.runtime.language.shape import Shape
from sparsepath.runtime.language.tracing import Trace
from sparsepath.trace.edits import Program


class Cache:
    """Keys and values of one text, up to a number of positions."""

    def __init__(
        self,
        shape: Shape,
        capacity: int,
        *,
        steering: Program | None = None,
        n_prompt: int | None = None,
        trace: Trace | None = None,
    ) -> None:
        """Make room.

        Args:
            shape: of the model.
            capacity: positions, at least 1.
            steering: edits of hidden states while the text is read; None: none.
            n_prompt: tokens of the prompt; None: all of `capacity`.
            trace: notes what sparse sites keep; None: nothing is noted.

        Raises:
            ConfigError: if the model was not trained on so many.
            ModelError: if the model is not sparse where a trace is wanted.
        """
        if not 1 <= capacity <= shape.context:
            raise ConfigError(
                f"{capacity} tokens, prompt and answer together; the model was trained on "
                f"{shape.context}",
                hint="shorten the prompt, or ask for fewer tokens",
            )
        size = (shape.n_layers, shape.n_kv_heads, capacity, shape.head_dim)
        self.keys: Floats = np.zeros(size, np.float32)
        """[layers, kv heads, positions, head_dim]."""
        self.values: Floats = np.zeros(size, np.float32)
        self.capacity = capacity
        self.length = 0
        """Tokens read so far."""
        self.steering = steering
        self.n_prompt = capacity if n_prompt is None else n_prompt
        self.trace = trace
        if trace is not None:
            trace.begin(shape, capacity, steering)

    def advance(self, tokens: NDArray[np.int32]) -> None:
        """Take note that tokens were read."""
        self.length += len(tokens)
        if self.trace is not None:
            self.trace.tokens += tokens.tolist()
