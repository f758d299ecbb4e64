"""Steering: what a preset costs a token, and what single neurons of a trained model can do.

    python benchmarks/steering.py [--seconds 60] [--processor-time]
        [--model FOLDER --corpus FILE] [--concepts 12]

Overhead: models with random weights, as in decode.py, write with and without a preset of four
neurons, and with a trace of all sites, in turn; the plain model is measured twice, to know the
noise. --processor-time counts the thread's own time, for machines where other work runs beside.

Effect, only with --model: for each concept (a list of words) the neurons are taken whose value just
before its words differs most from their usual value, over the beginning of the corpus. Each is
swept; the strength with the largest effect at small side effects is then measured again with fresh
seeds, beside a random neuron, a random direction and the mean difference. Prompts for suppression
and neutral texts come from the end of the corpus.
"""

import argparse
import json
import re
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from _concepts import CONCEPTS
from decode import PROMPT, SHAPES, TOKENS, by_engine, prompt, saved, sparse
from sparsepath.artifacts.benchmark import BenchmarkRow, write_rows
from sparsepath.artifacts.model_files import locate_language_model
from sparsepath.artifacts.neuron import Neuron, Site
from sparsepath.artifacts.provenance import machine, now_utc, package_versions
from sparsepath.artifacts.steering_sweep import Sweep, SweepPoint
from sparsepath.artifacts.store import write_json_atomic
from sparsepath.config import GenerateOptions, SweepOptions
from sparsepath.data.corpus import documents
from sparsepath.evaluate.cost import Latency, speedup
from sparsepath.evaluate.steering_sweep import PROMPTS, sweep_steering
from sparsepath.kernels.by_input import Floats
from sparsepath.runtime.language.cache import Cache
from sparsepath.runtime.language.engine import Engine
from sparsepath.runtime.language.plain import PlainPass
from sparsepath.runtime.language.tracing import Trace
from sparsepath.runtime.timing import time_interleaved
from sparsepath.steering.judge import Judge, word_judge

MINUTES = 2
RESULTS = Path(__file__).parent / "results"
SITES = ("attn_in", "attn_out", "mlp_in", "mlp_hidden", "block_out")
PRESET = ("L00/3=1", "L02/17*1.5", "L03.M0021+0.5@answer", "L05/8=off if L04/2 fires")
STRENGTHS = (0.5, 1.0, 2.0, 4.0)
"""Times the usual largest value, with the sign that the concept has."""
READ, HELD_OUT, NEUTRAL = 200, 40, 12
"""Documents of the corpus, from its beginning and from its end; of these, neutral texts."""
TRIED = 2
"""Neurons of each concept."""


class Found(NamedTuple):
    """What one concept gave."""

    concept: str
    neuron: str
    base: SweepPoint
    best: SweepPoint | None
    """None where no strength was fluent and better than none."""
    others: dict[str, float]
    """Share of the outputs by baseline, at the same strength."""
    elicited: float
    """Share of unsteered outputs after prompts about the concept."""
    suppressed: float


def main() -> None:
    """Measure, print and keep the rows."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--shapes", default="6M")
    parser.add_argument("--model", type=Path)
    parser.add_argument("--corpus")
    parser.add_argument("--concepts", type=int, default=len(CONCEPTS))
    parser.add_argument("--processor-time", action="store_true")
    given, _ = parser.parse_known_args()
    clock = time.thread_time_ns if given.processor_time else time.perf_counter_ns
    rows = []
    for shape in given.shapes.split(","):
        with tempfile.TemporaryDirectory() as folder:
            rows += overhead(shape, Path(folder), given.seconds, clock)
    if given.model is not None:
        rows += effect(given.model, given.corpus, given.concepts)
    name = "steering.processor-time" if given.processor_time else "steering"
    write_rows(RESULTS / f"{name}.json", rows)
    print(json.dumps([row.model_dump(mode="json") for row in rows], indent=2))


def overhead(
    name: str, place: Path, seconds: float, clock: Callable[[], int]
) -> list[BenchmarkRow]:
    """Time a model with and without a preset, and with a trace of all its sites."""
    folder = saved(sparse(name, SITES), place / "model")
    engines = {told: Engine(folder, form="int8") for told in ("off", "off again", "on", "traced")}
    calls: Any = {told: by_engine(engine) for told, engine in engines.items()}
    asked = GenerateOptions(tokens=TOKENS)
    calls["traced"] = lambda number: list(
        engines["traced"].tokens(prompt(number), asked, trace=Trace())
    )
    rng = np.random.default_rng(0)
    numbers = rng.integers(0, 1000, size=(2000, 1))
    with engines["on"].steered(*PRESET, unsafe_strength=True):
        times = time_interleaved(calls, numbers, rng=rng, max_s=seconds, clock=clock)
    found = {
        told: Latency(float(np.median(ms)), float(np.percentile(ms, 95)), float(ms.mean()), 0.0, ms)
        for told, ms in times.items()
    }
    rows = []
    figures = {
        "on": ("a preset of 4 neurons", 1.02),
        "traced": ("a trace of all sites", 1.10),
        "off again": ("no preset (the noise)", None),
    }
    preset = {"on": f"; {', '.join(PRESET)}"}
    for told, (figure, target) in figures.items():
        ratio = speedup(found[told], found["off"])
        rows.append(
            row(
                f"time of writing with {figure}, {name}, all sites sparse, int8",
                ratio.ratio,
                unit="x",
                better="lower",
                target=target,
                ci95=ratio.ci95,
                n=ratio.n,
                note=f"median {found[told].p50_ms:.3f} ms for {TOKENS} tokens after {PROMPT}"
                f"{preset.get(told, '')}",
            )
        )
    assert name in SHAPES
    return rows


def effect(model: Path, corpus: str, n: int) -> list[BenchmarkRow]:
    """Steer towards concepts by single neurons of a trained model."""
    texts = list(documents(corpus))
    read, held_out = texts[:READ], texts[-HELD_OUT:]
    engine = Engine(locate_language_model(model), form="int8")
    found: list[Found] = []
    sweeps: list[Sweep] = []
    with tempfile.TemporaryDirectory() as folder:
        for name, part in (("neutral", held_out), ("read", read)):
            (Path(folder) / f"{name}.txt").write_text("\n\n".join(part), encoding="utf-8")
        chosen = dict(list(CONCEPTS.items())[:n])
        for concept, candidates in neurons_before(engine, chosen, read).items():
            judge = word_judge(chosen[concept])
            one, more = steered(model, concept, judge, candidates, (read, held_out), Path(folder))
            found.append(one)
            sweeps += more
    write_json_atomic(
        RESULTS / "steering.sweeps.json",
        {
            "concepts": [
                {**one._asdict(), "base": one.base.model_dump(),
                 "best": one.best and one.best.model_dump()}
                for one in found
            ],
            "sweeps": [{**sweep.model_dump(mode="json"), "model": model.parent.name}
                       for sweep in sweeps],
        },
    )  # fmt: skip
    return concept_rows(found, model)


def steered(
    model: Path,
    concept: str,
    judge: Judge,
    candidates: list[tuple[str, int]],
    parts: tuple[list[str], list[str]],
    place: Path,
) -> tuple[Found, list[Sweep]]:
    """Find a neuron and strength for one concept, and measure them again with fresh seeds."""
    neutral = str(place / "neutral.txt")
    common: dict[str, Any] = {
        "neutral": neutral, "n_neutral": NEUTRAL, "tokens": 40, "unsafe_strength": True,
    }  # fmt: skip
    sweeps = []
    for name, sign in candidates:
        strengths = ",".join(f"{sign * times}x" for times in STRENGTHS)
        options = SweepOptions(strengths=strengths, seed=1000, samples=2, **common)
        sweeps.append(sweep_steering(model, [name], judge, options))
    chosen = max(sweeps, key=best_share)
    (place / "with.txt").write_text("\n\n".join(t for t in parts[0] if any(judge.carries([t]))))
    (place / "without.txt").write_text(
        "\n\n".join(t for t in parts[0] if not any(judge.carries([t])))
    )
    best, base = None, chosen.points[0]
    others: dict[str, float] = {}
    if chosen.recommended is not None:
        options = SweepOptions(
            strengths=str(chosen.recommended.strength),
            seed=2000,
            samples=3,
            random_neurons=1,
            random_directions=1,
            mean_difference=(str(place / "with.txt"), str(place / "without.txt")),
            **common,
        )
        fresh = sweep_steering(model, list(chosen.neurons), judge, options)
        sweeps.append(fresh)
        base, best = fresh.points[:2]
        others = {point.way.split(" L0")[0].rstrip(" 1"): point.share for point in fresh.points[2:]}
    options = SweepOptions(strengths="0", goal="less", seed=3000, samples=2, **common)
    prompts = prompts_about(judge, parts[1] + parts[0][-100:])
    less = sweep_steering(model, [chosen.neurons[0]], judge, options, prompts=prompts or PROMPTS)
    sweeps.append(less)
    one = Found(
        concept, chosen.neurons[0], base, best, others, less.points[0].share, less.points[1].share
    )
    told = "nothing fluent" if best is None else f"{base.share:.0%} to {best.share:.0%}"
    print(
        f"{concept}: {one.neuron} {told}, {others}; suppressed {one.elicited:.0%} to "
        f"{one.suppressed:.0%}",
        file=sys.stderr,
    )
    return one, sweeps


def best_share(sweep: Sweep) -> float:
    """Give the largest share at small side effects; that of no steering where there is none."""
    return max(p.share for p in sweep.points if p.is_fluent)


class Contrast:
    """Values of one concept's places, summed up over a corpus."""

    def __init__(self, words: list[str]) -> None:
        """Take its words."""
        beginnings = [rf"\b{re.escape(word.removesuffix('*'))}" for word in words]
        self._pattern = re.compile("|".join(beginnings), re.IGNORECASE)
        self.n = 0
        self.sums: dict[int, Floats] = {}
        self.marks: list[int] = []

    def mark(self, text: str, offsets: list[tuple[int, int]]) -> None:
        """Find the tokens just before the words of a text."""
        starts = {match.start() for match in self._pattern.finditer(text)}
        starts |= {start - 1 for start in starts}  # a token may begin with the space
        self.marks = [i - 1 for i in range(1, len(offsets)) if offsets[i][0] in starts]
        self.n += len(self.marks)


def neurons_before(
    engine: Engine, concepts: dict[str, list[str]], texts: list[str]
) -> dict[str, list[tuple[str, int]]]:
    """Find the block_out neurons whose value differs most just before words of a concept.

    Returns:
        By concept, names of neurons with the sign of the difference.
    """
    contrasts = {concept: Contrast(words) for concept, words in concepts.items()}
    sums: dict[int, Floats] = {}
    squares: dict[int, Floats] = {}
    n = 0

    def tap(layer: int, site: Site, rows: Floats) -> None:
        if site != "block_out" or not engine.shape.kept(site, layer):
            return
        sums[layer] = sums.get(layer, 0) + rows.sum(axis=0)
        squares[layer] = squares.get(layer, 0) + np.square(rows).sum(axis=0)
        for one in contrasts.values():
            one.sums[layer] = one.sums.get(layer, 0) + rows[one.marks].sum(axis=0)

    runs = PlainPass(engine.weights, tap)
    for text in texts:
        encoded = engine.tokenizer.encode(text, add_special_tokens=False)
        ids = encoded.ids[: engine.shape.context]
        for one in contrasts.values():
            one.mark(text, encoded.offsets[: len(ids)])
        if ids:
            runs.run(np.array(ids, np.int32), Cache(engine.shape, len(ids)), 0)
            n += len(ids)
    found: dict[str, list[tuple[str, int]]] = {}
    usual = {
        layer: ((sums[layer] / n).astype(np.float32), (squares[layer] / n).astype(np.float32))
        for layer in sums
    }
    for concept, one in contrasts.items():
        if one.n < 5:
            print(f"{concept}: only {one.n} places in the corpus, left out", file=sys.stderr)
            continue
        found[concept] = ranked(one, usual)
    return found


def ranked(one: Contrast, usual: dict[int, tuple[Floats, Floats]]) -> list[tuple[str, int]]:
    """Give the neurons that differ most from their mean, given means and means of squares."""
    scored = []
    for layer, (mean, square) in usual.items():
        spread = np.sqrt(np.maximum(square - mean**2, 0)) + 1e-3
        for index, score in enumerate((one.sums[layer] / one.n - mean) / spread):
            scored.append((abs(float(score)), Neuron(layer, "block_out", index), score))
    scored.sort(key=lambda item: -item[0])
    return [(neuron.name, 1 if score > 0 else -1) for _, neuron, score in scored[:TRIED]]


def prompts_about(judge: Judge, texts: list[str]) -> list[str]:
    """Cut texts after their first sentences that carry a concept."""
    found = []
    for text in texts:
        sentences = re.split(r"(?<=\.)\s", text)
        for i in range(1, min(len(sentences), 8)):
            if judge.carries([sentences[i]])[0] and judge.carries([sentences[i - 1]])[0]:
                found.append(" ".join(sentences[max(0, i - 2) : i]))
                break
    return [prompt for prompt in found if len(prompt) < 600][:10]


def concept_rows(found: list[Found], model: Path) -> list[BenchmarkRow]:
    """Sum concepts up."""
    n = len(found)
    reached = [
        one.best is not None and one.base.share <= 0.1 and one.best.share >= 0.6
        and one.best.bits_ratio <= 1.05 for one in found
    ]  # fmt: skip
    shares = [(one.best or one.base).share for one in found]
    note = f"{model.parent.name}, {n} concepts, one neuron each, fresh seeds"
    rows = [
        row("concepts raised from at most 10 % to at least 60 % of the outputs by one neuron",
            float(np.mean(reached)), target=0.7, n=n, note=note),
        row("outputs with the concept, steered, mean of the concepts", float(np.mean(shares)), n=n,
            note=f"{note}; unsteered {np.mean([one.base.share for one in found]):.3f}"),
    ]  # fmt: skip
    for way in ("random neuron", "random direction", "mean difference"):
        told = [one.others[way] for one in found if way in one.others]
        if told:
            rows.append(
                row(f"the same by a {way} at equal strength", float(np.mean(told)), n=len(told),
                    better="lower", note=note)
            )  # fmt: skip
    elicited = [one for one in found if one.elicited > 0.1]
    if elicited:
        kept = [one.suppressed / one.elicited for one in elicited]
        rows.append(
            row("outputs with the concept after prompts about it, neuron off against on",
                float(np.median(kept)), unit="x", better="lower", target=0.2, n=len(kept),
                note=f"{note}; median of the concepts that come in more than 10 % of outputs")
        )  # fmt: skip
    return rows


def row(figure: str, value: float, **more: Any) -> BenchmarkRow:
    """Make one row."""
    settings: dict[str, Any] = {"unit": "", "better": "higher", "threads": 1} | more
    return BenchmarkRow(
        figure=f"steering: {figure}",
        value=value,
        machine=str(machine()["cpu"]),
        versions=package_versions(),
        command="sparsepath bench steering",
        date=now_utc()[:10],
        **settings,
    )


if __name__ == "__main__":
    main()
