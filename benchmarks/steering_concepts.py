"""Thirty concepts of a model's own catalogue, each raised by one neuron: how often that works.

    python benchmarks/steering_concepts.py --model FOLDER... [--dense FOLDER... --sae FOLDER...]
        --choose TEXT --report TEXT [--concepts 30]

A concept is a word that the label of a neuron lists: of neurons whose label scores 0.75 or more on
held-out text, the best first, each gives the first of its words that is one token, four letters or
longer, rare and no stop word, and no other's. The catalogue was made on a third text. The judge
looks for the word (and words that begin with it), never at a neuron. On --choose each way gets
the strength that makes the word likeliest at no more than 5 % more bits; on --report it is measured
with fresh seeds. Ways by one neuron: the label's, set, added to, set only after some frequent
words; its entry in all sparse layers; and the neuron of all that makes the word likeliest. Beside
them: latents over the dense twin, the mean difference, chance, and asking.
"""

import argparse
import json
import re
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from _trainings import gain_row, rows_of_others
from sparsepath.artifacts.benchmark import BenchmarkRow, write_rows
from sparsepath.artifacts.catalogue import Catalogue
from sparsepath.artifacts.catalogue_schema import Details
from sparsepath.artifacts.edit import Condition, Edit, on_entry
from sparsepath.artifacts.neuron import Neuron, Site
from sparsepath.artifacts.store import write_json_atomic
from sparsepath.config import SweepOptions
from sparsepath.evaluate.steering_sweep import PROMPTS
from sparsepath.evaluate.steering_writer import EngineWriter
from sparsepath.kernels.by_input import Floats
from sparsepath.models.autoencoder_folder import read_autoencoder
from sparsepath.runtime.language.cache import Cache
from sparsepath.runtime.language.engine import Engine
from sparsepath.runtime.language.plain import PlainPass
from sparsepath.steering.baselines import direction_edits, random_direction
from sparsepath.steering.judge import word_judge
from sparsepath.steering.latents import latent_edits
from sparsepath.steering.sweep import Way
from sparsepath.trace.ranges import limit_of

MINUTES = 30
COMMAND = "sparsepath bench steering_concepts --model MODEL... --choose TEXT --report TEXT"
RESULTS = Path("benchmarks/results")
LEAST_SCORE, RARE, MOST_BITS = 0.75, 0.002, 1.05
TIMES = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Of the usual largest value."""
AFTER = ("the", "a", "an", "of", "in", "and", "to", "his", "was")
"""Words after which a condition lets an edit act."""
LOUD = "label's neuron, set to twice its largest value, at any cost"
ROWS, LENGTH = 2, 96
"""Text on which strengths are chosen."""
LEAST_EXPECTED = 0.15
"""Share below which outputs are not written, to save time; 0.6 is wanted."""
REPORTED_TOKENS = 40


class Concept(NamedTuple):
    """A word, and the neuron whose label lists it."""

    word: str
    token: int
    neuron: Neuron
    score: float


class Told(NamedTuple):
    """What one way did for one concept."""

    way: str
    edits: list[str]
    chosen_bits: float
    expected: float
    """Share of outputs that hold the word, by its mean probability at the tokens of a text."""
    share: float | None
    """Share of the outputs that were written; None: none were, since less is expected than
    `LEAST_EXPECTED`."""
    bits: float
    """Over those unsteered."""


class Screen:
    """Asks how likely each token is under edits, and at what cost, on some rows of a text."""

    def __init__(self, engine: Engine, text: str, rows: int = ROWS) -> None:
        """Take rows from a text's beginning."""
        self.engine, self.text = engine, text
        ids = engine.tokenizer.encode(text[: 40 * rows * LENGTH], add_special_tokens=False).ids
        self.rows = [ids[i * LENGTH : (i + 1) * LENGTH] for i in range(rows)]
        self.base, self.nats = self._read()

    def __call__(self, edits: Sequence[Edit]) -> tuple[Floats, float]:
        """Give the mean probability of each token, and the loss over that without edits."""
        with self.engine.steered(*edits, unsafe_strength=True, is_dense_allowed=True):
            shares, nats = self._read()
        return shares, nats / self.nats

    def _read(self) -> tuple[Floats, float]:
        shares, nats = np.zeros(self.engine.shape.vocabulary, np.float64), 0.0
        for ids in self.rows:
            logits = self.engine.read(ids, self.engine.cache(len(ids), n_prompt=1), len(ids))
            found = np.exp(logits - logits.max(axis=1, keepdims=True))
            found /= found.sum(axis=1, keepdims=True)
            nats -= float(np.log(found[np.arange(len(ids) - 1), ids[1:]] + 1e-12).mean())
            shares += found.mean(axis=0)
        return (shares / len(self.rows)).astype(np.float32), nats / len(self.rows)


def concepts_of(engine: Engine, n: int, base: Floats) -> list[Concept]:
    """Choose words by the rule above."""
    found: list[Concept] = []
    with Catalogue(engine.folder / "concepts.sqlite") as catalogue:
        rows = catalogue.database.execute(
            "SELECT layer, site, number, side, score, details FROM neuron "
            "WHERE score >= ? AND NOT is_dead ORDER BY score DESC, id",
            (LEAST_SCORE,),
        ).fetchall()
    taken: set[str] = set()
    for layer, site, number, side, score, details in rows:
        parts = Details.model_validate_json(details).rule
        values = [
            value for part in parts if part.kind in ("token", "word") for value in part.values
        ]
        for value in values:
            word = value.strip()
            ids = engine.tokenizer.encode(f" {word}", add_special_tokens=False).ids
            is_word = re.fullmatch(r"[a-z]{4,}", word) and word not in ENGLISH_STOP_WORDS
            if is_word and word not in taken and len(ids) == 1 and base[ids[0]] < RARE:
                taken.add(word)
                neuron = Neuron(layer, site, number, side)
                found.append(Concept(word, ids[0], neuron, score))
                break
        if len(found) == n:
            break
    return found


def edit_of(neuron: Neuron, operation: Any, value: float, **more: Any) -> Edit:
    """Edit one side of an entry."""
    entry, strength = on_entry(neuron, operation, value)
    return Edit(neuron=entry, operation=operation, value=strength, **more)


def by_neuron(engine: Engine, concept: Concept) -> dict[str, list[list[Edit]]]:
    """List the ways that use the neuron of the label, with an edit for each strength."""
    one = concept.neuron
    usual = limit_of(one.entry, engine.ranges).largest or 1.0
    after = Condition(after=tuple(sorted({i for word in AFTER for i in ids_of(engine, word)})))
    layers = range(engine.shape.sites.n_sparse_layers)
    return {
        "label's neuron, set": [[edit_of(one, "set", x * usual)] for x in TIMES],
        "label's neuron, added to": [[edit_of(one, "add", x * usual)] for x in TIMES],
        "label's neuron, set after frequent words": [
            [edit_of(one, "set", x * usual, only_if=after)] for x in TIMES
        ],
        "label's entry in all sparse layers, set": [
            [edit_of(one._replace(layer=k), "set", x * usual) for k in layers] for x in TIMES
        ],
    }


def ids_of(engine: Engine, word: str) -> list[int]:
    """Give the token that a word with a space before it is."""
    ids = engine.tokenizer.encode(f" {word}", add_special_tokens=False).ids
    return ids if len(ids) == 1 else []


def every_neuron(engine: Engine, sites: Sequence[Site], times: Sequence[float]) -> Iterator[Edit]:
    """List an edit for each neuron of some sites and strength."""
    shape = engine.shape.sites
    for layer in range(shape.n_sparse_layers):
        for site in sites:
            for index in range(shape.widths[site]):
                neuron = Neuron(layer, site, index)
                if usual := limit_of(neuron, engine.ranges).largest:
                    yield from (edit_of(neuron, "set", x * usual) for x in times)


def likeliest(
    screen: Screen, edits: Sequence[list[Edit]], tokens: Sequence[int]
) -> tuple[list[tuple[int, float]], Floats]:
    """Find for each token the edit that makes it likeliest at a small cost, and at any cost.

    Returns:
        Number and cost by token; -1 where none is cheap; and the largest probability at any cost.
    """
    best, top = [(-1, 1.0)] * len(tokens), screen.base[list(tokens)].copy()
    any_cost = top.copy()
    for number, one in enumerate(edits):
        shares, cost = screen(one)
        here = shares[list(tokens)]
        any_cost = np.maximum(any_cost, here)
        if cost <= MOST_BITS:
            for k in np.flatnonzero(here > top):
                best[k], top[k] = (number, cost), here[k]
    return best, any_cost


def differences(engine: Engine, concepts: Sequence[Concept], text: str, layer: int) -> list[Floats]:
    """Give for each concept the mean state just before its word, without the mean of all."""
    ids = engine.tokenizer.encode(text, add_special_tokens=False).ids
    sums = [np.zeros(engine.shape.d_model, np.float64) for _ in concepts]
    total, counts, n = np.zeros(engine.shape.d_model), [0] * len(concepts), 0
    rows: list[Floats] = []

    def tap(number: int, site: Site, hidden: Floats) -> None:
        if (number, site) == (layer, "block_out"):
            rows.append(hidden)

    runs = PlainPass(engine.weights, tap)
    for start in range(0, min(len(ids), 30_000), 256):
        part = ids[start : start + 256]
        runs.run(np.array(part, np.int32), Cache(engine.shape, len(part)), 0)
        hidden = rows.pop()
        total, n = total + hidden.sum(axis=0), n + len(part)
        for k, concept in enumerate(concepts):
            places = [t - 1 for t in range(1, len(part)) if part[t] == concept.token]
            sums[k] += hidden[places].sum(axis=0)
            counts[k] += len(places)
    return [
        (s / max(count, 1) - (total / n if count else 0)).astype(np.float32)
        for s, count in zip(sums, counts, strict=True)
    ]


class Reporter:
    """Measures chosen edits on the reported part."""

    def __init__(self, engine: Engine, text: str) -> None:
        """Take neutral texts from the part."""
        options = SweepOptions(
            is_dense_allowed=True,
            unsafe_strength=True,
            tokens=REPORTED_TOKENS,
            samples=2,
            seed=9000,
        )
        neutral = [one for one in text.split("\n\n") if len(one) > 400][:6]
        self.engine, self.neutral, self.text = engine, neutral, text
        self.writer = EngineWriter(engine, PROMPTS, neutral, None, options)
        self.options = options
        self.screen = Screen(engine, "\n\n".join(neutral), 4)
        self.plain = [output.text for output in self.writer.outputs(Way("", None, []))]

    def tell(
        self, concept: Concept, way: str, edits: list[Edit], chosen: float, prefix: str = ""
    ) -> Told:
        """Read the text with the edits, and write and judge where that promises something."""
        shares, bits = self.screen(edits) if edits else (self.screen.base, 1.0)
        expected = 1 - (1 - float(shares[concept.token])) ** REPORTED_TOKENS
        judge, share = word_judge([f"{concept.word}*"]), None
        if prefix or (edits and expected >= LEAST_EXPECTED):
            outputs = self.writer.outputs(Way(way, None, edits, prefix))
            share = float(np.mean(judge.carries([output.text for output in outputs])))
        elif not edits:
            share = float(np.mean(judge.carries(self.plain)))
        return Told(way, [str(edit) for edit in edits[:4]], chosen, expected, share, bits)

    def suppressed(self, concept: Concept) -> tuple[float, float]:
        """Give how often the word comes after prompts with it, with its neuron on and off."""
        judge = word_judge([f"{concept.word}*"])
        sentences = [one for one in re.split(r"(?<=\.)\s", self.text) if 40 < len(one) < 400]
        prompts = [one for one in sentences if judge.carries([one])[0]][:6]
        if not prompts:
            return 0.0, 0.0
        writer = EngineWriter(self.engine, prompts, self.neutral[:1], None, self.options)
        off = [edit_of(concept.neuron, "suppress", 0.0)]
        ways = (Way("", None, []), Way("off", None, off))
        on, less = ([output.text for output in writer.outputs(way)] for way in ways)
        return float(np.mean(judge.carries(on))), float(np.mean(judge.carries(less)))


def one_model(folder: Path, given: argparse.Namespace, pair: tuple[Path, Path] | None) -> Any:
    """Try all ways on one model."""
    engine = Engine(folder, form="fp32")
    choose, report = (Path(text).read_text("utf-8") for text in (given.choose, given.report))
    screen = Screen(engine, choose)
    concepts = concepts_of(engine, given.concepts, screen.base)
    say(f"{folder.name}: {len(concepts)} concepts: {', '.join(one.word for one in concepts)}")
    reporter = Reporter(engine, report)
    found: list[list[Told]] = [[reporter.tell(one, "unsteered", [], 1.0)] for one in concepts]
    by_label(screen, reporter, concepts, found)
    kept: list[dict[str, Any]] = [
        {"word": c.word, "neuron": c.neuron.name, "score": c.score} for c in concepts
    ]
    if not given.quick:
        likely = by_any_neuron(screen, reporter, concepts, found)
        by_others(screen, reporter, concepts, found)
        if pair is not None:
            by_latent(pair, concepts, (choose, report), found)
        for one, concept, share in zip(kept, concepts, likely, strict=True):
            before, off = reporter.suppressed(concept)
            one |= {"share_before": before, "share_off": off, "likeliest_at_any_cost": float(share)}
    for one, told in zip(kept, found, strict=True):
        one["ways"] = [way._asdict() for way in told]
    return {"model": folder.name, "concepts": kept}


def by_label(
    screen: Screen, reporter: Reporter, concepts: Sequence[Concept], found: list[list[Told]]
) -> None:
    """Try the neuron of each label."""
    engine = screen.engine
    for k, concept in enumerate(concepts):
        for way, edits in by_neuron(engine, concept).items():
            ((number, cost),), _ = likeliest(screen, edits, [concept.token])
            chosen = edits[number] if number >= 0 else []
            found[k].append(reporter.tell(concept, way, chosen, cost))
        usual = limit_of(concept.neuron.entry, engine.ranges).largest
        loud = [edit_of(concept.neuron, "set", 2 * usual)]
        found[k].append(reporter.tell(concept, LOUD, loud, 0.0))
    say("label's neurons done")


def by_any_neuron(
    screen: Screen, reporter: Reporter, concepts: Sequence[Concept], found: list[list[Told]]
) -> Floats:
    """Try the neuron of all that makes each word likeliest; give what any makes of it."""
    engine, tokens = screen.engine, [one.token for one in concepts]
    sites: list[Site] = [s for s in ("block_out", "mlp_hidden") if s in engine.shape.topk]
    times = (-3.0, -1.0, 1.0, 3.0) if len(sites) == 1 else (-2.0, 2.0)
    every = [[edit] for edit in every_neuron(engine, sites, times)]
    best, any_cost = likeliest(screen, every, tokens)
    for k, (number, cost) in enumerate(best):
        chosen = every[number] if number >= 0 else []
        found[k].append(reporter.tell(concepts[k], "likeliest neuron, set", chosen, cost))
    say("all neurons done")
    return any_cost


def by_others(
    screen: Screen, reporter: Reporter, concepts: Sequence[Concept], found: list[list[Told]]
) -> None:
    """Try what is no neuron of the label: directions, chance, and asking."""
    engine, rng = screen.engine, np.random.default_rng(0)
    layer = engine.shape.sites.n_sparse_layers - 1
    like = [Edit(neuron=Neuron(layer, "block_out", 0).name, operation="add", value=1.0)]
    for k, direction in enumerate(differences(engine, concepts, screen.text, layer)):
        concept = concepts[k]
        size = float(np.linalg.norm(direction)) or 1.0
        ways = {"mean difference": direction / size,
                "random direction": random_direction(len(direction), rng)}  # fmt: skip
        for way, unit in ways.items():
            edits = [
                [
                    e.model_copy(update={"value": e.value * x * size})
                    for e in direction_edits(unit, like)
                ]
                for x in (0.5, 1.0, 2.0, 4.0)
            ]
            ((number, cost),), _ = likeliest(screen, edits, [concept.token])
            chosen = edits[number] if number >= 0 else []
            found[k].append(reporter.tell(concept, way, chosen, cost))
        width = engine.shape.sites.widths[concept.neuron.site]
        other = concept.neuron._replace(index=int(rng.integers(width)))
        edits = by_neuron(engine, concept._replace(neuron=other))["label's neuron, set"]
        ((number, cost),), _ = likeliest(screen, edits, [concept.token])
        chosen = edits[number] if number >= 0 else []
        found[k].append(reporter.tell(concept, "random neuron, set", chosen, cost))
        asked = f"This is about {concept.word}. "
        found[k].append(reporter.tell(concept, "asking", [], 1.0, asked))
    say("baselines done")


def by_latent(
    pair: tuple[Path, Path], concepts: Sequence[Concept], texts: tuple[str, str], found: Any
) -> None:
    """Add the latent over the dense twin that makes each word likeliest."""
    engine = Engine(pair[0], form="fp32")
    small = Screen(engine, texts[0], 2)
    autoencoder = read_autoencoder(pair[1])
    config = autoencoder.config
    names = [f"L{config.layer:02d}/{index}" for index in range(config.n_latents)]
    edits = [latent_edits(autoencoder, f"{name}+{x}") for name in names for x in (2, 6)]
    best, _ = likeliest(small, edits, [one.token for one in concepts])
    reporter = Reporter(engine, texts[1])
    for k, (number, cost) in enumerate(best):
        chosen = edits[number] if number >= 0 else []
        found[k].append(
            reporter.tell(concepts[k], "likeliest latent over the dense twin, added", chosen, cost)
        )
    say("latents done")


def say(text: str) -> None:
    """Say where it stands."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def rows_of(raw: list[Any], kind: str) -> list[BenchmarkRow]:
    """Sum up over concepts, then over the models that tried a way."""
    rows = []
    for number, way in enumerate(told["way"] for told in raw[0]["concepts"][0]["ways"]):
        models = [one["concepts"] for one in raw if len(one["concepts"][0]["ways"]) > number]
        told = [[concept["ways"][number] for concept in one] for one in models]
        shares = [float(np.mean([share_of(x) for x in one])) for one in told]
        most = [max(share_of(x) for x in one) for one in told]
        bits = [float(np.median([x["bits"] for x in one])) for one in told]
        reached = [
            float(np.mean([is_raised(concept, number) for concept in one])) for one in models
        ]
        n = [len(one) for one in models]
        note = f"{n} concepts; per model: {listed(reached)}; bits per byte {listed(bits)}"
        is_one = "neuron" in way and "random" not in way and "any cost" not in way
        if number:
            figure = f"{kind}: concepts raised to 60 %, {way}"
            rows.append(row(figure, reached, 0.7 if is_one else None, note))
        note = f"{listed(shares)}; the most of any: {listed(most)}"
        rows.append(row(f"{kind}: outputs with the concept, {way}", shares, None, note))
    kept = [
        [c["share_off"] / c["share_before"] for c in one["concepts"] if c["share_before"] > 0.1]
        for one in raw
        if "share_off" in one["concepts"][0]
    ]
    if kept and all(kept):
        middle = [float(np.median(one)) for one in kept]
        note = f"{[len(one) for one in kept]} concepts that come in more than 10 % after a prompt "
        note += f"with it; medians per model: {listed(middle)}"
        figure = f"{kind}: outputs with the concept, label's neuron off over on"
        rows.append(row(figure, middle, 0.2, note, "lower"))
    return rows


def is_raised(concept: dict[str, Any], number: int) -> bool:
    """Say whether a way meets the target for a concept."""
    before, told = concept["ways"][0], concept["ways"][number]
    return bool(before["share"] <= 0.1 and share_of(told) >= 0.6 and told["bits"] <= MOST_BITS)


def share_of(told: dict[str, Any]) -> float:
    """Give the share of the outputs, or the one to be expected where none were written."""
    return float(told["expected"] if told["share"] is None else told["share"])


def listed(values: Sequence[float]) -> str:
    """Write figures."""
    return ", ".join(f"{value:.3f}" for value in values)


def row(figure: str, values: list[float], target: float | None, note: str, better: str = "higher"
        ) -> BenchmarkRow:  # fmt: skip
    """Make a row of one value a model."""
    figure = f"steering, {figure}"
    return gain_row(figure, values, "", target=target, note=note, better=better, command=COMMAND)


def main() -> None:
    """Measure, print and keep the rows."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=Path, nargs="+", required=True)
    parser.add_argument("--dense", type=Path, nargs="*", default=[])
    parser.add_argument("--sae", type=Path, nargs="*", default=[])
    parser.add_argument("--choose", required=True)
    parser.add_argument("--report", required=True)
    parser.add_argument("--concepts", type=int, default=30)
    parser.add_argument("--quick", action="store_true", help="only the neurons of labels")
    parser.add_argument("--kind", default="block_out", help="what the models are, in the rows")
    given = parser.parse_args()
    pairs = [*zip(given.dense, given.sae, strict=True), *[None] * len(given.model)]
    raw = []
    for folder, pair in zip(given.model, pairs, strict=False):
        raw.append(one_model(folder, given, pair))
        write_json_atomic(RESULTS / f"steering_concepts.{given.kind}.runs.json", raw)
    rows = rows_of(raw, given.kind)
    path = RESULTS / "steering_concepts.json"
    write_rows(path, [*rows_of_others(path, [f"steering, {given.kind}"]), *rows])
    print(json.dumps([one.model_dump(mode="json") for one in rows], indent=2))


if __name__ == "__main__":
    main()
