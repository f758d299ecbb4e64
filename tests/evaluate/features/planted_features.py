"""Activations whose answers are known."""

from collections.abc import Sequence

import numpy as np

from sparsepath.evaluate.features.site import LabelledRows, SiteFeatures, sparse


def site(values: np.ndarray, directions: np.ndarray | None = None, rest: float = 0) -> SiteFeatures:
    """Make features from their values; the hidden state is what they say, plus `rest`."""
    hidden = values if directions is None else values @ directions
    return SiteFeatures(
        name="planted",
        values=sparse(values),
        hidden=(hidden + rest).astype(np.float32),
        directions=directions,
    )


def halves(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Give two thirds of some rows for training, the others for the test, mixed."""
    return np.flatnonzero(np.arange(n) % 3 != 0), np.flatnonzero(np.arange(n) % 3 == 0)


def labelled(labels: Sequence[int] | np.ndarray, names: tuple[str, ...]) -> LabelledRows:
    """Give classes to rows."""
    train, test = halves(len(labels))
    return LabelledRows(np.asarray(labels), names, train, test)


def noise(shape: tuple[int, int], rng: np.random.Generator, share: float = 0.2) -> np.ndarray:
    """Draw values that fire anywhere."""
    return np.where(rng.random(shape) < share, rng.random(shape), 0.0)
