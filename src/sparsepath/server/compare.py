"""`/api/v1/runs/{run}/compare`: two candidates on the same test rows, by slice and row by row."""

import math
from typing import Annotated, Literal

import numpy as np
from fastapi import APIRouter, Depends, Query
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from sparsepath.artifacts.answers import ANSWERS_FILE, Answers, Column
from sparsepath.errors import RunError
from sparsepath.server.auth import Principal, asker
from sparsepath.server.problems import Problem
from sparsepath.server.runs import open_run
from sparsepath.server.service import Served

MAX_PAGE = 200
"""Rows of one answer, at most."""

Z95 = 1.959964

Which = Literal["all", "gained", "lost", "differ", "both-wrong"]
"""Rows: all; those that only the second candidate gets; only the first; where they say different
things; where both are wrong."""

Boolean = NDArray[np.bool_]

router = APIRouter(prefix="/api/v1/runs", tags=["runs"])


class SliceFigures(BaseModel):
    """Both candidates on some of the rows."""

    kind: Literal["all", "label", "length"]
    name: str = Field(description="A label, or lengths in characters such as `0-80`.")
    n: int
    first: float = Field(description="Accuracy of the first candidate, 0 to 1.")
    second: float
    change: float = Field(description="Second minus first.")
    change_ci95: tuple[float, float] = Field(description="Paired: both answered the same rows.")
    gained: int = Field(description="Rows that only the second gets right.")
    lost: int = Field(description="Rows that only the first gets right.")


class Comparison(BaseModel):
    """Two candidates side by side."""

    first: str
    second: str
    candidates: list[str] = Field(description="All that can be compared.")
    slices: list[SliceFigures] = Field(description="All rows, then by label, then by length.")
    n_by_kind: dict[Which, int]


class ComparedRow(BaseModel):
    """A test row with both answers."""

    row_id: int
    text: str
    truth: str
    first: str
    first_probability: float
    second: str
    second_probability: float


class ComparedRows(BaseModel):
    """A page of rows."""

    n: int = Field(description="Rows that fit, on all pages.")
    offset: int
    rows: list[ComparedRow]


class Pair(BaseModel):
    """Which candidates are compared."""

    first: str
    second: str


class Wanted(Pair):
    """Which rows are wanted."""

    which: Which = "differ"
    label: str | None = Field(default=None, description="Only rows whose true label is this.")
    offset: int = Field(default=0, ge=0, le=10**9)
    limit: int = Field(default=50, ge=1, le=MAX_PAGE)


@router.get("/{run}/compare")
def compare(
    run: str,
    asked: Annotated[Pair, Query()],
    service: Served,
    _who: Annotated[Principal, Depends(asker("viewer"))],
) -> Comparison:
    """Compare two candidates on all test rows, by label and by length of the text."""
    with _opened(service, run) as answers:
        names = answers.candidates
        first, second = _column(answers, asked.first), _column(answers, asked.second)
        right = first.labels == answers.truth, second.labels == answers.truth
        masks = _masks(first, second, answers.truth)
        slices = [_figures("all", "", np.ones(len(right[0]), bool), *right)]
        for number, label in enumerate(answers.labels):
            slices.append(_figures("label", label, answers.truth == number, *right))
        for name, mask in _by_length(answers.lengths):
            slices.append(_figures("length", name, mask, *right))
    return Comparison(
        first=asked.first,
        second=asked.second,
        candidates=names,
        slices=[found for found in slices if found.n],
        n_by_kind={which: int(mask.sum()) for which, mask in masks.items()},
    )


@router.get("/{run}/rows")
def list_rows(
    run: str,
    asked: Annotated[Wanted, Query()],
    service: Served,
    _who: Annotated[Principal, Depends(asker("reviewer"))],
) -> ComparedRows:
    """Give a page of test rows with their texts and both answers."""
    with _opened(service, run) as answers:
        labels = answers.labels
        first, second = _column(answers, asked.first), _column(answers, asked.second)
        mask = _masks(first, second, answers.truth)[asked.which]
        if asked.label is not None:
            number = labels.index(asked.label) if asked.label in labels else -1
            mask = mask & (answers.truth == number)
        found = np.flatnonzero(mask)
        page = found[asked.offset : asked.offset + asked.limit].tolist()
        rows = [
            ComparedRow(
                row_id=row.id,
                text=row.text,
                truth=labels[answers.truth[i]],
                first=labels[first.labels[i]],
                first_probability=round(float(first.probabilities[i]), 4),
                second=labels[second.labels[i]],
                second_probability=round(float(second.probabilities[i]), 4),
            )
            for i, row in zip(page, answers.rows(page), strict=True)
        ]
    return ComparedRows(n=len(found), offset=asked.offset, rows=rows)


def _opened(service: Served, run: str) -> Answers:
    """Open the answers of a run.

    Raises:
        Problem: if there is no such run, or its answers were not kept.
    """
    place = open_run(service, run)
    try:
        return Answers(place.path / ANSWERS_FILE)
    except RunError as err:
        raise Problem(404, "no_answers", err.message, fix=err.hint) from err


def _column(answers: Answers, name: str) -> Column:
    try:
        return answers.of(name)
    except RunError as err:
        raise Problem(404, "candidate_not_found", err.message, fix=err.hint) from err


def _masks(first: Column, second: Column, truth: NDArray[np.int64]) -> dict[Which, Boolean]:
    """Say which rows are of which kind."""
    one, two = first.labels == truth, second.labels == truth
    return {
        "all": np.ones(len(truth), bool),
        "gained": two & ~one,
        "lost": one & ~two,
        "differ": first.labels != second.labels,
        "both-wrong": ~one & ~two,
    }


def _by_length(lengths: NDArray[np.int64]) -> list[tuple[str, Boolean]]:
    """Cut the rows into quarters by the length of their texts."""
    if not len(lengths):
        return []
    ends = np.unique(np.quantile(lengths, (0.25, 0.5, 0.75, 1.0)).astype(np.int64)).tolist()
    found, begin = [], int(lengths.min())
    for end in ends:
        found.append((f"{begin}-{end}", (lengths >= begin) & (lengths <= end)))
        begin = end + 1
    return found


def _figures(
    kind: Literal["all", "label", "length"], name: str, mask: Boolean, one: Boolean, two: Boolean
) -> SliceFigures:
    """Compare on the rows of a mask."""
    n = int(mask.sum())
    one, two = one[mask], two[mask]
    gained, lost = int((two & ~one).sum()), int((one & ~two).sum())
    return SliceFigures(
        kind=kind,
        name=name,
        n=n,
        first=float(one.mean()) if n else 0.0,
        second=float(two.mean()) if n else 0.0,
        change=(gained - lost) / n if n else 0.0,
        change_ci95=_interval(gained, lost, n),
        gained=gained,
        lost=lost,
    )


def _interval(gained: int, lost: int, n: int) -> tuple[float, float]:
    """Give the interval of a paired difference, which is never of width zero.

    Source: Bonett, Price 2012, "Adjusted Wald confidence interval for a difference of binomial
    proportions based on paired data", equation 3: one more row of each kind.
    """
    more, less = (gained + 1) / (n + 2), (lost + 1) / (n + 2)
    half = Z95 * math.sqrt((more + less - (more - less) ** 2) / (n + 2))
    return max(-1.0, more - less - half), min(1.0, more - less + half)
