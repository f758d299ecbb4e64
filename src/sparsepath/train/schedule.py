"""What changes over the steps of a training: the learning rate, and the share of sources kept.

Both are functions of the step alone, so that a training that goes on needs no state of them.
"""

import math
from dataclasses import dataclass
from typing import Literal

from sparsepath.errors import ConfigError

Shape = Literal["cosine", "wsd", "constant"]
"""Ways for the rate to fall: along a cosine; stable, then linear decay; not at all."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RateSchedule:
    """The learning rate as a share of the highest one."""

    shape: Shape = "cosine"
    """How it falls after the warm-up."""

    warmup: float = 0.05
    """Share of the steps over which it rises linearly from zero, 0 to 1."""

    decay: float = 0.2
    """For `wsd`: share of the steps, the last ones, over which it falls, 0 to 1."""

    last: float = 0.1
    """Where it ends, as a share of the highest, 0 to 1."""

    def __post_init__(self) -> None:
        """Check the shares.

        Raises:
            ConfigError: if one is not between 0 and 1.
        """
        for name in ("warmup", "decay", "last"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise ConfigError(f"train.{name} = {value}", hint="choose a share from 0 to 1")

    def factor(self, step: int, n_steps: int) -> float:
        """Give the rate of a step, 0 to 1.

        Args:
            step: steps done before it.
            n_steps: steps of the whole training, at least 1.
        """
        n_warmup = self.warmup * n_steps
        if step < n_warmup:
            return (step + 1) / (n_warmup + 1)
        share = (step - n_warmup) / max(1.0, n_steps - n_warmup)
        if self.shape == "constant":
            return 1.0
        if self.shape == "cosine":
            return self.last + (1 - self.last) * (1 + math.cos(math.pi * share)) / 2
        n_decay = max(1.0, self.decay * n_steps)
        left = (n_steps - step) / n_decay
        return self.last + (1 - self.last) * min(1.0, left)


@dataclass(frozen=True, kw_only=True, slots=True)
class KeepSchedule:
    """The share of sources that attention keeps: subsampled first, dense at the end."""

    keep: float = 1.0
    """Share during the subsampled steps, above 0 and up to 1; 1 is a dense training."""

    keep_last: float | None = None
    """Share at the end of the subsampled steps, reached along a straight line. None: `keep`."""

    dense: float = 0.15
    """Share of the steps, the last ones, that are dense and consolidate the pathways, 0 to 1."""

    def __post_init__(self) -> None:
        """Check the shares.

        Raises:
            ConfigError: if one is out of range.
        """
        for name, value in (("keep", self.keep), ("keep_last", self.keep_last)):
            if value is not None and not 0 < value <= 1:
                raise ConfigError(
                    f"subsampling.{name} = {value}", hint="choose a share above 0 and up to 1"
                )
        if not 0 <= self.dense <= 1:
            raise ConfigError(
                f"subsampling.dense = {self.dense}", hint="choose a share from 0 to 1"
            )

    def at(self, step: int, n_steps: int) -> float:
        """Give the share that a step keeps; 1 means dense.

        Args:
            step: steps done before it.
            n_steps: steps of the whole training, at least 1.
        """
        n_sparse = round((1 - self.dense) * n_steps)
        if step >= n_sparse:
            return 1.0
        last = self.keep if self.keep_last is None else self.keep_last
        return self.keep + (last - self.keep) * step / max(1, n_sparse - 1)
