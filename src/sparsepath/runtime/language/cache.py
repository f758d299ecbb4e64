"""Keys and values of the tokens that were read, how reading is steered, and who looks on."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sparsepath.errors import ConfigError
from sparsepath.kernels.by_input import Floats
from sparsepath.runtime.language.shape import Shape
from sparsepath.runtime.language.tracing import Trace
from sparsepath.trace.edits import Program

Kept = Literal["fp32", "int8"]
"""How keys and values are kept; 8 bits have a scale for each position of a head."""


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
        kept: Kept = "fp32",
    ) -> None:
        """Make room.

        Args:
            shape: of the model.
            capacity: positions, at least 1.
            steering: edits of hidden states while the text is read; None: none.
            n_prompt: tokens of the prompt; None: all of `capacity`.
            trace: notes what sparse sites keep; None: nothing is noted.
            kept: how; 8 bits are a quarter to read, and a little off.

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
        kind = np.float32 if kept == "fp32" else np.int8
        self.keys: NDArray[Any] = np.zeros(size, kind)
        """[layers, kv heads, positions, head_dim]."""
        self.values: NDArray[Any] = np.zeros(size, kind)
        self.scales = None if kept == "fp32" else np.zeros((2, *size[:3]), np.float32)
        """Of keys, then values, [2, layers, kv heads, positions]; None: fp32."""
        self.capacity = capacity
        self.length = 0
        """Tokens read so far."""
        self.steering = steering
        self.n_prompt = capacity if n_prompt is None else n_prompt
        self.trace = trace
        if trace is not None:
            trace.begin(shape, capacity, steering)

    def write(self, layer: int, keys: Floats, values: Floats) -> None:
        """Keep those of the next tokens, [kv heads, tokens, head_dim]."""
        new = slice(self.length, self.length + keys.shape[1])
        for number, (rows, given) in enumerate(((self.keys, keys), (self.values, values))):
            if self.scales is None:
                rows[layer, :, new] = given
            else:
                rows[layer, :, new], self.scales[number, layer, :, new] = _in_bytes(given)

    def read(self, layer: int, end: int) -> tuple[Floats, Floats]:
        """Give keys and values of the positions before `end`, [kv heads, positions, head_dim]."""
        keys, values = self.keys[layer, :, :end], self.values[layer, :, :end]
        if self.scales is None:
            return keys, values
        scales = self.scales[:, layer, :, :end, None]
        return keys * scales[0], values * scales[1]

    def advance(self, tokens: NDArray[np.int32]) -> None:
        """Take note that tokens were read."""
        self.length += len(tokens)
        if self.trace is not None:
            self.trace.tokens += tokens.tolist()


def _in_bytes(rows: Floats) -> tuple[NDArray[np.int8], Floats]:
    """Round rows to 8 bits, and give their scales; what is not finite is no number afterwards."""
    top = np.abs(rows).max(axis=-1)
    is_finite = np.isfinite(top)
    unit = np.float32(127) / np.where(is_finite & (top > 0), top, np.float32(np.inf))
    whole = np.rint(np.where(is_finite[..., None], rows, 0) * unit[..., None]).astype(np.int8)
    return whole, np.where(is_finite, top / np.float32(127), np.float32(np.nan))
