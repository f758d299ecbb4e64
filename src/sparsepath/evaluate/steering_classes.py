"""Steer a sparse classifier: try an edit on a text, find its strength on a table, keep it.

What counts is the label that the model gives, never the neuron. Read with `steered_classifier.py`.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sparsepath.artifacts.concept_names import neuron_called
from sparsepath.artifacts.edit import Edit
from sparsepath.artifacts.model_files import weights_sha256
from sparsepath.artifacts.provenance import now_utc
from sparsepath.artifacts.steering import make_preset, write_preset
from sparsepath.artifacts.steering_sweep import ClassPoint, ClassSweep, Goal, Recommended
from sparsepath.config import SweepOptions
from sparsepath.errors import ConfigError, DataError
from sparsepath.evaluate.labelled import LabelledRows, read_labelled
from sparsepath.evaluate.quality import wilson_interval
from sparsepath.evaluate.steered_classifier import SteeredClassifier
from sparsepath.evaluate.steering_strengths import (
    edit_limit,
    edits_of,
    read_strengths,
)
from sparsepath.steering.baselines import random_neurons
from sparsepath.trace.batches import encode_texts
from sparsepath.trace.edits import compiled
from sparsepath.version import __version__

ROWS = 1000
"""Rows of a table on which strengths are measured, at most."""


class TriedText(NamedTuple):
    """What a classifier says of one text."""

    text: str
    unsteered: dict[str, float]
    """Probability by label, the likeliest of the steered ones first."""
    steered: dict[str, float]
    edits: tuple[str, ...]
    """What was edited, by the names of neurons."""


def try_classes(
    model: Path | str,
    text: str,
    edits: Sequence[str] = (),
    *,
    preset: str | None = None,
    unsafe_strength: bool = False,
) -> TriedText:
    """Let a sparse classifier answer a text, without and with steering.

    Args:
        model: folder of it, or of the conversion that made it.
        text: any.
        edits: such as `L05/117=off`, or with a label of its catalogue.
        preset: name of one in the folder, or its file.
        unsafe_strength: allow any strength.

    Raises:
        ConfigError: if there is nothing to try, or an edit is out of range or too strong.
        ModelError: if the model cannot be read, has no such site, or the preset is of another one.
    """
    found = SteeredClassifier(model)
    own = found.edits(edits)
    found.check(own, unsafe_strength=unsafe_strength)
    asked = [*found.edits((), preset), *own]
    if not asked:
        raise ConfigError("nothing to try", hint='give --steer "L02/117=8" or --preset NAME')
    encoded = encode_texts(found.loaded.tokenizer, [text], found.loaded.model.config.max_length)
    before = found.probabilities(encoded)[0]
    with found.steered(asked):
        after = found.probabilities(encoded)[0]
    order = np.argsort(-after, kind="stable").tolist()
    return TriedText(
        text,
        {found.labels[i]: float(before[i]) for i in order},
        {found.labels[i]: float(after[i]) for i in order},
        tuple(str(edit) for edit in asked),
    )


def save_class_preset(  # noqa: PLR0913 - what is kept, and of what
    model: Path | str,
    name: str,
    edits: Sequence[str],
    *,
    preset: str | None = None,
    unsafe_strength: bool = False,
    note: str = "",
    author: str | None = None,
) -> Path:
    """Save edits as a preset in a sparse classifier's folder, over one of the same name.

    Args:
        model: folder of it, or of the conversion that made it.
        name: letters, digits, `.`, `-`, `_`.
        edits: as in `try_classes`.
        preset: begin with the edits of this one.
        unsafe_strength: allow any strength.
        note: what it is for.
        author: None: the name of the user of this machine.

    Returns:
        The file.

    Raises:
        ConfigError: if the edits contradict each other, are out of range or too strong.
        ModelError: if the model cannot be read, or has no such sparse site.
        RunError: if the folder cannot be written.
    """
    found = SteeredClassifier(model)
    own = found.edits(edits)
    found.check(own, unsafe_strength=unsafe_strength)
    whole = [*found.edits((), preset), *own]
    compiled(whole, found.able.sites)
    made = make_preset(
        name,
        whole,
        weights_sha256(found.folder),
        limits=[edit_limit(edit, found.able.ranges) for edit in whole],
        author=author,
        note=note,
    )
    return write_preset(found.folder, made)


class _Asked(NamedTuple):
    """Rows on which strengths are measured."""

    rows: LabelledRows
    chosen: NDArray[np.bool_]
    """Rows that are to turn."""
    target: int
    """Label that they are to turn to, or to turn from."""


def sweep_classes(  # noqa: PLR0913 - what is steered, on what, and told
    model: Path | str,
    neurons: Sequence[str],
    table: Path | str,
    target: str,
    options: SweepOptions | None = None,
    *,
    sources: Sequence[str] = (),
    tell: Callable[[ClassPoint], None] = lambda _: None,
) -> ClassSweep:
    """Measure at several strengths how many rows turn to a label, and what happens to the others.

    Args:
        model: folder of a sparse classifier, or of the conversion that made it.
        neurons: names, or labels of its catalogue; all get the same strength.
        table: labelled rows, of which the first `ROWS` drawn by the seed are read.
        target: label that rows are to turn to; with the goal `less`, to turn from.
        options: operation, strengths, goal, seed, random neurons; others are for language models.
        sources: labels of the rows that are to turn; empty: all but the target, or with the goal
            `less` the target.
        tell: is called with each point when it is known.

    Raises:
        ConfigError: if a label or neuron is unknown, a strength too large.
        DataError: if the table cannot be read, or has no rows that could turn.
        ModelError: if the model cannot be read, or has no such sparse site.
    """
    options = options or SweepOptions()
    found = SteeredClassifier(model)
    asked = _asked(found, table, target, sources, options)
    places = [neuron_called(name, found.folder) for name in neurons]
    if not places:
        raise ConfigError("no neuron", hint="name one, such as --steer L02/117")
    own = [edits_of(places, s, options, found.able) for s in read_strengths(options.strengths)]
    for edits in own:
        found.check(edits, unsafe_strength=options.unsafe_strength)
    ways: list[tuple[str, list[Edit]]] = [("unsteered", []), *(("neuron", edits) for edits in own)]
    if options.random_neurons:
        rng = np.random.default_rng(options.seed)
        entries = [place.entry for place in places]
        for other in random_neurons(entries, found.able.ranges, options.random_neurons, rng):
            ways += [
                (f"random neuron {other.name}", [e[0].model_copy(update={"neuron": other.name})])
                for e in own
            ]
    points: list[ClassPoint] = []
    for name, edits in ways:
        points.append(_point(found, asked, name, edits, points[0] if points else None))
        tell(points[-1])
    chosen = [found.labels[i] for i in sorted(set(asked.rows.truth[asked.chosen].tolist()))]
    return ClassSweep(
        model=str(model),
        model_sha256=weights_sha256(found.folder),
        neurons=tuple(place.name for place in places),
        operation=options.operation,
        goal=options.goal,
        target=target,
        sources=tuple(chosen),
        table=str(table),
        points=tuple(points),
        recommended=_recommended(points, options.goal),
        created=now_utc(),
        sparsepath=__version__,
    )


def _asked(
    found: SteeredClassifier,
    table: Path | str,
    target: str,
    sources: Sequence[str],
    options: SweepOptions,
) -> _Asked:
    """Read rows and choose those that are to turn; raises as `sweep_classes`."""
    for name in (target, *sources):
        if name not in found.labels:
            raise ConfigError(
                f"the classifier has no label {name!r}",
                hint=f"choose one of: {', '.join(found.labels)}",
            )
    rows = read_labelled(found.loaded, table, limit=ROWS, seed=options.seed)
    number = found.labels.index(target)
    if sources:
        chosen = np.isin(rows.truth, [found.labels.index(name) for name in sources])
    else:
        chosen = (rows.truth == number) == (options.goal == "less")
    if not chosen.any():
        raise DataError(
            f"{table} has no rows that could turn {'from' if options.goal == 'less' else 'to'} "
            f"{target!r}",
            hint="give a table with rows of the labels in question",
        )
    return _Asked(rows, chosen, number)


def _point(
    found: SteeredClassifier, asked: _Asked, name: str, edits: list[Edit], base: ClassPoint | None
) -> ClassPoint:
    """Measure one way."""
    with found.steered(edits):
        said = found.probabilities(asked.rows.encoded).argmax(axis=1)
    turned = said[asked.chosen] == asked.target
    rest = said[~asked.chosen] == asked.rows.truth[~asked.chosen]
    accuracy = float(rest.mean()) if len(rest) else None
    kept = wilson_interval(int(rest.sum()), len(rest)) if len(rest) else None
    lowest = None if base is None or base.accuracy_ci95 is None else base.accuracy_ci95[0]
    return ClassPoint(
        way=name,
        strength=edits[0].value if edits else None,
        n=len(turned),
        share=float(turned.mean()),
        share_ci95=tuple(wilson_interval(int(turned.sum()), len(turned))),
        n_others=len(rest),
        accuracy=accuracy,
        accuracy_ci95=None if kept is None else tuple(kept),
        is_harmless=lowest is None or accuracy is None or accuracy >= lowest,
    )


def _recommended(points: Sequence[ClassPoint], goal: Goal) -> Recommended | None:
    """Choose the harmless strength with the largest effect, with those beside it as good."""
    sign = 1 if goal == "more" else -1
    base = points[0]
    own = sorted(
        (p for p in points if p.way == "neuron" and p.strength is not None),
        key=lambda p: p.strength or 0.0,
    )
    good = [p for p in own if p.is_harmless and sign * p.share > sign * base.share]
    if not good:
        return None
    best = max(good, key=lambda p: (sign * p.share, p.accuracy or 0.0, -abs(p.strength or 0.0)))
    low = high = own.index(best)
    while low > 0 and own[low - 1] in good and own[low - 1].share == best.share:
        low -= 1
    while high + 1 < len(own) and own[high + 1] in good and own[high + 1].share == best.share:
        high += 1
    return Recommended(
        strength=best.strength or 0.0, low=own[low].strength or 0.0, high=own[high].strength or 0.0
    )
