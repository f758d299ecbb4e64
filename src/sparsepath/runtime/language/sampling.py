"""Which token comes next."""

import numpy as np

from sparsepath.kernels.by_input import Floats


def choose(logits: Floats, rng: np.random.Generator, *, temperature: float, top_p: float) -> int:
    """Choose a token.

    Args:
        logits: [vocabulary].
        rng: draws, unless `temperature` is 0.
        temperature: 0 takes the highest logit, the first of equal ones.
        top_p: draws among the likeliest tokens that together have this probability.

    Source: Holtzman et al. 2020, arXiv 1904.09751 (top-p).
    """
    if temperature == 0:
        return int(logits.argmax())
    scaled = logits.astype(np.float64) / temperature
    shares = np.exp(scaled - scaled.max())
    shares /= shares.sum()
    order = np.argsort(-shares, kind="stable")
    # The token that reaches the limit is still in.
    n_kept = int(np.searchsorted(np.cumsum(shares[order]), top_p)) + 1
    kept = order[:n_kept]
    return int(rng.choice(kept, p=shares[kept] / shares[kept].sum()))
