"""Find the strength at which a neuron steers a language model without breaking it.

Read with: `steering/sweep.py` (what is measured), `steering_writer.py` (how).
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from sparsepath.artifacts.concept_names import neuron_called
from sparsepath.artifacts.edit import Edit
from sparsepath.artifacts.model_files import locate_language_model
from sparsepath.artifacts.neuron import Neuron, Site
from sparsepath.artifacts.provenance import now_utc
from sparsepath.artifacts.steering_sweep import Sweep, SweepPoint
from sparsepath.config import Form, SweepOptions
from sparsepath.data.neutral import neutral_texts
from sparsepath.data.tables import read_table
from sparsepath.errors import ConfigError
from sparsepath.evaluate.steering_strengths import Steerable, edits_of, read_strengths
from sparsepath.evaluate.steering_writer import LABELLED_ROWS, EngineWriter
from sparsepath.kernels.by_input import Floats
from sparsepath.runtime.engine import load_engine
from sparsepath.runtime.language.cache import Cache
from sparsepath.runtime.language.engine import Engine
from sparsepath.runtime.language.plain import PlainPass
from sparsepath.steering.baselines import (
    direction_edits,
    mean_difference,
    random_direction,
    random_neurons,
)
from sparsepath.steering.judge import Judge
from sparsepath.steering.sweep import Way, measure, recommend
from sparsepath.trace.edits import compiled
from sparsepath.trace.ranges import check_strengths
from sparsepath.version import __version__

PROMPTS = (
    "The", "It is", "In the", "One of the", "He said that", "She went to the", "There are",
    "After the", "When", "This was",
)  # fmt: skip
"""What outputs begin with, unless said otherwise."""

MEAN_TEXTS = 200
"""Texts of each kind from which a mean difference is taken, at most."""


def sweep_steering(  # noqa: PLR0913 - what is steered, judged and told
    model: Path | str,
    neurons: Sequence[str],
    judge: Judge,
    options: SweepOptions | None = None,
    *,
    prompts: Sequence[str] = PROMPTS,
    form: Form = "int8",
    tell: Callable[[SweepPoint], None] = lambda _: None,
) -> Sweep:
    """Measure strengths of an edit: how often outputs carry a concept, and what else changes.

    Args:
        model: folder of a language model of the Llama kind, or of a training.
        neurons: names, or labels of the catalogue beside the model; all get the same strength.
        judge: says which outputs carry the concept (`steering.judge.word_judge`,
            `classifier_judge`).
        options: other than the usual ones.
        prompts: what outputs begin with.
        form: how weights are stored.
        tell: is called with each point when it is known.

    Raises:
        ConfigError: if a neuron is out of range, a strength too large, or options contradict each
            other.
        DataError: if texts cannot be read.
        ModelError: if the model cannot be read, or has no such sparse site.
    """
    options = options or SweepOptions()
    if not prompts or "" in prompts:
        raise ConfigError("a prompt is empty", hint="give at least a word to begin with")
    engine = Engine(locate_language_model(Path(model)), form=form)
    places = [neuron_called(name, engine.folder) for name in neurons]
    ways = _ways(engine, places, options)
    labelled = options.labelled
    table = None
    if labelled is not None:
        table = read_table(Path(labelled), limit=LABELLED_ROWS, seed=options.seed)
    neutral = neutral_texts(options.neutral, options.n_neutral)
    writer = EngineWriter(engine, prompts, neutral, table, options)
    points = measure(ways, writer, judge, tell)
    own = [point for point in points if point.way == "neuron"]
    return Sweep(
        model=str(model),
        model_sha256=engine.weights.made_of,
        neurons=tuple(place.name for place in places),
        operation=options.operation,
        positions=options.positions,
        goal=options.goal,
        judge=judge.name,
        prompts=tuple(prompts),
        seeds=tuple(options.generation(i).seed for i in range(options.samples)),
        tokens=options.tokens,
        temperature=options.temperature,
        top_p=options.top_p,
        neutral=options.neutral or "docstrings of the standard library",
        n_neutral=len(neutral),
        points=tuple(points),
        recommended=recommend(points[0], own, options.goal),
        created=now_utc(),
        sparsepath=__version__,
    )


def classifier_judge(folder: Path | str, label: str) -> Judge:
    """Judge outputs by a classifier.

    Args:
        folder: model folder, such as RUN/models/NAME.
        label: what it answers for texts that carry the concept.

    Raises:
        ConfigError: if the classifier does not know the label.
        ModelError: if it cannot be read.
    """
    engine = load_engine(folder)
    if label not in engine.labels:
        raise ConfigError(
            f"the classifier has no label {label!r}",
            hint=f"choose one of: {', '.join(engine.labels)}",
        )
    wanted = engine.labels.index(label)
    return Judge(
        f"classifier {folder}: {label}",
        lambda texts: [bool(row.argmax() == wanted) for row in engine.predict(texts)],
    )


def _ways(engine: Engine, places: list[Neuron], options: SweepOptions) -> list[Way]:
    """List what is compared: no steering, the neurons at each strength, the baselines.

    Raises:
        ConfigError: if there is no neuron, or one is out of range or too strong.
    """
    if not places:
        raise ConfigError("no neuron", hint="name one, such as --steer L02/117")
    model = Steerable(engine.shape.sites, engine.ranges)
    strengths = read_strengths(options.strengths)
    own = [edits_of(places, strength, options, model) for strength in strengths]
    for edits in own:
        compiled(edits, engine.shape.sites, is_dense_allowed=options.is_dense_allowed)
        if not options.unsafe_strength:
            check_strengths(edits, engine.ranges)
    ways = [Way("unsteered", None, [])]
    ways += [Way("neuron", edits[0].value, edits) for edits in own]
    ways += _baselines(engine, places, own, options)
    if options.prompt_baseline is not None:
        ways.append(Way("prompt", None, [], prefix=f"{options.prompt_baseline} "))
    return ways


def _baselines(
    engine: Engine, places: list[Neuron], own: list[list[Edit]], options: SweepOptions
) -> Iterator[Way]:
    """List other neurons, and directions, at each strength."""
    rng = np.random.default_rng(options.seed)
    if options.random_neurons:
        entries = [place.entry for place in places]
        for other in random_neurons(entries, engine.ranges, options.random_neurons, rng):
            for edits in own:
                edit = edits[0].model_copy(update={"neuron": other.name})
                yield Way(f"random neuron {other.name}", edit.value, [edit])
    first = places[0]
    width = engine.shape.sites.widths[first.site]
    directions = {
        f"random direction {number + 1}": random_direction(width, rng)
        for number in range(options.random_directions)
    }
    if options.mean_difference is not None:
        rows = [_states(engine, first, source) for source in options.mean_difference]
        directions["mean difference"] = mean_difference(rows[0], rows[1])
    for name, direction in directions.items():
        for edits in own:
            yield Way(name, edits[0].value, direction_edits(direction, edits))


def _states(engine: Engine, place: Neuron, source: str) -> Floats:
    """Give the mean hidden state of each text of a corpus at a site, [texts, width]."""
    rows: list[Floats] = []

    def tap(layer: int, site: Site, hidden: Floats) -> None:
        if (layer, site) == (place.layer, place.site):
            rows.append(hidden.mean(axis=0))

    runs = PlainPass(engine.weights, tap)
    for text in neutral_texts(source, MEAN_TEXTS):
        ids = engine.encode(text)[: engine.shape.context]
        if ids:
            runs.run(np.array(ids, np.int32), Cache(engine.shape, len(ids)), 0)
    return np.array(rows)
