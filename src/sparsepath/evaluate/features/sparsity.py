"""How few features fire: L0 and the share of dead ones.

*L0*: mean number of features other than zero at a token. *Dead share*: share of the features that
fire at no token of the text that was read; it falls with more text, so it stands with the number of
tokens. *Always on*: share of the features that fire at 90 % of the tokens or more.

Source: SAEBench, arXiv 2503.09532 (core metrics).
"""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Int

from sparsepath.concepts.statistics import ALWAYS_ON
from sparsepath.evaluate.features.figures import Figure, ratio_ci95


@dataclass(kw_only=True, slots=True)
class Firings:
    """What was counted, text by text."""

    by_feature: Int[np.ndarray, " features"]
    """Tokens at which each fired."""
    fired: list[int] = field(default_factory=list)
    """Firings of all features together, of each text."""
    tokens: list[int] = field(default_factory=list)
    """Of each text."""

    @classmethod
    def of(cls, n_features: int) -> "Firings":
        """Begin with nothing."""
        return cls(by_feature=np.zeros(n_features, dtype=np.int64))

    def add(self, fires: Bool[np.ndarray, "tokens features"]) -> None:
        """Count one text, of at least one token."""
        self.by_feature += fires.sum(axis=0)
        self.fired.append(int(fires.sum()))
        self.tokens.append(len(fires))


def sparsity(firings: Firings, seed: int = 0) -> dict[str, Figure]:
    """Sum up how few features fire.

    Args:
        firings: of at least one text.
        seed: of the interval of L0, which draws texts.

    Returns:
        `L0` in features a token, `dead share` and `always on`, both 0 to 1. The last two have no
        interval: a text drawn twice cannot make more features fire.
    """
    fired, tokens = np.array(firings.fired, float), np.array(firings.tokens, float)
    n = int(tokens.sum())
    rates = firings.by_feature / n
    return {
        "L0": Figure(
            value=float(fired.sum() / n), ci95=ratio_ci95(fired, tokens, seed), n=len(fired)
        ),
        "dead share": Figure(
            value=float((firings.by_feature == 0).mean()), ci95=None, n=len(fired),
            note=f"of {len(rates)} features, at {n} tokens",
        ),
        "always on": Figure(value=float((rates >= ALWAYS_ON).mean()), ci95=None, n=len(fired)),
    }  # fmt: skip
