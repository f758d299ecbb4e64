"""Features of a site in some rows, whatever they are: sparse neurons, dense ones, or latents.

A row is what a label belongs to: a text (features are then averaged over its tokens) or a token.
The hidden state of a row is the sum of `value x direction` over the features, plus what they leave
out. So taking features out, or swapping them between rows, is exact on averages too, since the sum
is linear.

Shape letters: N rows, F features, D entries of the hidden state.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import csr_array

from sparsepath.errors import DataError, ShapeError

Floats = Float[np.ndarray, "..."]

LEAST_ROWS = 4
"""Rows of each kind (both sides of a label, in training rows and test rows) below which nothing
can be said."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SiteFeatures:
    """What the features of a site are in each row."""

    name: str
    """Of the site, such as `L02`."""
    values: csr_array
    """[N, F], zero where a feature does not fire."""
    hidden: Float[np.ndarray, "rows width"]
    """The hidden state itself."""
    directions: Float[np.ndarray, "features width"] | None = None
    """What a value of 1 adds to the hidden state; None: feature i is entry i."""

    def __post_init__(self) -> None:
        """See that the parts fit.

        Raises:
            ShapeError: if they do not.
        """
        told = (self.n_features, self.hidden.shape[1])
        found = (told[1], told[1]) if self.directions is None else self.directions.shape
        if self.values.shape[0] != self.hidden.shape[0] or found != told:
            raise ShapeError(
                f"{self.name}: values {self.values.shape}, hidden states {self.hidden.shape}, "
                f"directions {None if self.directions is None else self.directions.shape}",
                hint="give a value for each row and feature, and a direction for each feature",
            )

    @property
    def n_features(self) -> int:
        """How many there are."""
        return int(self.values.shape[1])

    def live(self, rows: Int[np.ndarray, " n"]) -> Int[np.ndarray, " live"]:
        """Give the features that fire in any of some rows."""
        return np.flatnonzero(np.bincount(self.values[rows].indices, minlength=self.n_features))

    def of(self, rows: Int[np.ndarray, " n"], features: Int[np.ndarray, " k"]) -> Floats:
        """Give the values of some features in some rows, [n, k]."""
        return np.asarray(self.values[rows][:, features].todense(), dtype=np.float64)

    def mean(self, rows: Int[np.ndarray, " n"]) -> Float[np.ndarray, " features"]:
        """Average each feature over some rows."""
        return np.asarray(self.values[rows].mean(axis=0), dtype=np.float64).reshape(-1)

    def projections(self, weight: Float[np.ndarray, " width"]) -> Float[np.ndarray, " features"]:
        """Give what a value of 1 of each feature adds along a direction."""
        found: Floats = weight if self.directions is None else self.directions @ weight
        return np.asarray(found, dtype=np.float64)

    def changed(
        self,
        rows: Int[np.ndarray, " n"],
        features: Int[np.ndarray, " k"],
        to: Float[np.ndarray, "n k"] | float = 0.0,
    ) -> Floats:
        """Give the hidden states of some rows after some features were set, [n, D].

        What features leave out stays as it is.

        Args:
            rows: which; one may come several times.
            features: each at most once.
            to: their new values.
        """
        hidden: Floats = self.hidden[rows].astype(np.float64)
        change = to - self.of(rows, features)
        if self.directions is None:
            hidden[:, features] += change
        else:
            hidden += change @ self.directions[features]
        return hidden


def sparse(values: Any) -> csr_array:
    """Store values by row, without zeros.

    Args:
        values: [N, F], dense or sparse.
    """
    found = csr_array(values, dtype=np.float32)
    found.eliminate_zeros()
    return found


class LabelledRows(NamedTuple):
    """Which rows belong to which class, and what they are for."""

    labels: Int[np.ndarray, " rows"]
    """Number of the class of each row; -1: none."""
    names: tuple[str, ...]
    """Of the classes."""
    train: Int[np.ndarray, " train"]
    """Rows on which features and probes are chosen."""
    test: Int[np.ndarray, " test"]
    """Rows on which figures are measured."""

    def usable(self, at_least: int = 1) -> list[int]:
        """List the classes with enough rows on both sides, in training rows and in test rows.

        Args:
            at_least: classes.

        Raises:
            DataError: if there are fewer.
        """
        parts = [self.labels[self.train], self.labels[self.test]]
        found = [
            number
            for number in range(len(self.names))
            if all(
                min((part == number).sum(), ((part != number) & (part >= 0)).sum()) >= LEAST_ROWS
                for part in parts
            )
        ]
        if len(found) < at_least:
            raise DataError(
                f"{len(found)} of {len(self.names)} classes have {LEAST_ROWS} training rows and "
                f"{LEAST_ROWS} test rows, and as many of other classes; {at_least} are needed",
                hint="give more rows, or join rare classes",
            )
        return found

    def balanced(
        self, number: int, rows: Int[np.ndarray, " n"], rng: np.random.Generator
    ) -> tuple[Int[np.ndarray, " m"], Int[np.ndarray, " m"]]:
        """Draw as many rows of a class as of all others: rows, and 1 where they are of the class.

        Args:
            number: of the class.
            rows: to draw from.
            rng: draws.
        """
        ours = rows[self.labels[rows] == number]
        others = rows[(self.labels[rows] != number) & (self.labels[rows] >= 0)]
        n = min(len(ours), len(others))
        drawn = np.concatenate([rng.permutation(ours)[:n], rng.permutation(others)[:n]])
        return drawn, np.repeat([1, 0], n)
