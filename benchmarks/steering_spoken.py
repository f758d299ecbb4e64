"""Thirty things that single neurons of a real language model say, each raised by its neuron.

    python benchmarks/steering_spoken.py --model FOLDER... --words TEXT --choose TEXT
        --report TEXT [--concepts 30] [--least-score 0.75] [--full 1] [--runs FOLDER] [--out FILE]

FOLDER is a language model that was made sparse at `mlp_hidden`, with a catalogue beside it. A
concept is what a neuron makes likelier: the words among the ten tokens that its card names, two or
more, as far as --words, a large text, holds them whole. Of neurons whose label scores 0.75 or more
on held-out text (--least-score 0: of all, since a label tells what makes a neuron fire, not what it
says) those come first that speak most one-sidedly (the five tokens that they promote most, over the
five that they demote most); words of an earlier one are not taken again, nor are
words that the unsteered model would write in more than a tenth of the outputs. The judge looks for
the words, never at a neuron. On --choose the strength is sought that costs 4 % of bits per byte; on
--report effect and cost are told: 20 outputs of 40 tokens at temperature 1. Beside the neuron: a
random neuron of the same layer at the same cost, asking for the words, and a number added to the
words' logits at the same cost, which needs no neuron but the right to change the head. These are
measured for the first --full models. What is done of a model is kept under --runs, and taken.
"""

import argparse
import json
import math
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS
from tokenizers import Tokenizer
from torch import Tensor
from transformers import PreTrainedModel

from _trainings import gain_row
from sparsepath.artifacts.benchmark import BenchmarkRow, write_rows
from sparsepath.artifacts.catalogue import Catalogue
from sparsepath.artifacts.catalogue_schema import Details
from sparsepath.artifacts.edit import Edit
from sparsepath.artifacts.neuron import Neuron
from sparsepath.artifacts.store import write_json_atomic
from sparsepath.models.language_folder import load_language_model
from sparsepath.steering.hooks import steer
from sparsepath.steering.judge import Judge, word_judge
from sparsepath.train.trainer import MODEL_FOLDER
from steering_concepts import LEAST_SCORE, edit_of

MINUTES = 60
COMMAND = (
    "sparsepath bench steering_spoken --model MODEL... --words TEXT --choose TEXT --report TEXT"
)
RESULTS = Path("benchmarks/results")
MOST_BITS, CHOSEN_BITS = 1.05, 1.04
LEAST_WORDS, LEAST_TIMES, LENGTH, TOKENS = 2, 3, 96, 40
START, OUTPUTS, SEED = 4, 20, 9000
"""Tokens that an output begins with, outputs of a way, and what draws them."""
AFTER, LEAST_STARTS = 16, 6
"""Tokens of a beginning that holds the words, and beginnings below which nothing is told."""
LOOKS, NEAR_BITS = 7, 0.004
"""Looks of the search for a strength, and how near it may end below what it may cost."""
CHOOSE_ROWS, REPORT_ROWS, AT_ONCE = 32, 32, 8
"""Rows of a text on which cost is chosen and told, and rows in a pass."""


class Concept(NamedTuple):
    """Words, and the neuron that says them."""

    words: tuple[str, ...]
    tokens: tuple[int, ...]
    neuron: Neuron
    score: float
    """Of its label, on held-out text."""
    label: str
    usual: float
    """Its largest value on the catalogue's text."""


class Subject(NamedTuple):
    """A model, read by torch."""

    folder: Path
    model: PreTrainedModel
    tokenizer: Tokenizer
    largest: dict[tuple[int, int], float]
    """Largest size of each neuron on the catalogue's text, by layer and number."""

    def ids(self, text: str) -> list[int]:
        """Cut a text into tokens."""
        return list(self.tokenizer.encode(text, add_special_tokens=False).ids)

    @contextmanager
    def steered(self, edits: Sequence[Edit]) -> Iterator[None]:
        """Edit neurons, as strongly as is asked for."""
        if not edits:
            yield
            return
        with steer(self.model, *edits, unsafe_strength=True):
            yield


class Screen:
    """Asks how likely tokens are under edits, and at what cost, on rows of a text.

    An edit changes nothing below its layer, so a look begins with what the unedited model hands to
    that layer.
    """

    def __init__(self, subject: Subject, texts: Sequence[str], length: int = LENGTH) -> None:
        """Read the beginning of each text."""
        self.subject = subject
        rows = [subject.ids(text[: 20 * length])[:length] for text in texts]
        self.ids = torch.tensor([row for row in rows if len(row) == length])
        self.inputs = self._inputs()
        self.nats = float(-self._look(len(self.inputs) - 1, ())[1].mean())

    def __call__(self, edits: Sequence[Edit], tokens: Sequence[int] = ()) -> tuple[float, float]:
        """Give the mean probability of some tokens together, and the loss over the unedited one."""
        layer = min(
            [Neuron.parse(edit.neuron).layer for edit in edits], default=len(self.inputs) - 1
        )
        with self.subject.steered(edits):
            share, right = self._look(layer, tokens)
        return float(share.mean()), float(-right.mean()) / self.nats

    def raised(self, tokens: Sequence[int]) -> Callable[[float], tuple[float, float]]:
        """The same where a number is added to the tokens' logits."""
        share, right = self._look(len(self.inputs) - 1, tokens)
        is_one = torch.isin(self.ids[:, 1:], torch.tensor(tokens))

        def at(by: float) -> tuple[float, float]:
            grown = 1 + (math.exp(by) - 1) * share
            lost = grown[:, :-1].log() - right - by * is_one
            return float((math.exp(by) * share / grown).mean()), float(lost.mean()) / self.nats

        return at

    @torch.inference_mode()
    def _look(self, layer: int, tokens: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Give the tokens' probability at each place, and the log probability of what comes."""
        model: Any = self.subject.model
        whole, shares, rights = model.model.layers, [], []
        model.model.layers = whole[layer:]
        try:
            for part, ids in zip(
                self.inputs[layer].split(AT_ONCE), self.ids.split(AT_ONCE), strict=True
            ):
                told = model(inputs_embeds=part, use_cache=False).logits.log_softmax(dim=-1)
                shares.append(told[..., list(tokens)].exp().sum(dim=-1))
                rights.append(told[:, :-1].gather(-1, ids[:, 1:, None])[..., 0])
        finally:
            model.model.layers = whole
        return torch.cat(shares), torch.cat(rights)

    @torch.inference_mode()
    def _inputs(self) -> list[Tensor]:
        """Give what each layer reads, and after them what the final norm reads."""
        body: Any = self.subject.model.model
        found: list[list[Tensor]] = [[] for _ in range(len(body.layers) + 1)]
        handles = [
            module.register_forward_pre_hook(
                lambda _, given, to=to: to.append(given[0].clone()) or None
            )
            for module, to in zip([*body.layers, body.norm], found, strict=True)
        ]
        for ids in self.ids.split(AT_ONCE):
            body(input_ids=ids, use_cache=False)
        for handle in handles:
            handle.remove()
        return [torch.cat(parts) for parts in found]


def concepts_of(
    subject: Subject, screen: Screen, known: Counter[str], n: int, least_score: float
) -> list[Concept]:
    """Choose neurons by the rule above; known are the words of a large text."""
    with Catalogue(subject.folder / "concepts.sqlite") as catalogue:
        rows = catalogue.database.execute(
            "SELECT layer, site, number, side, score, details, label FROM neuron "
            "WHERE score >= ? AND NOT is_dead ORDER BY id",
            (least_score,),
        ).fetchall()
    ranked = sorted(
        ((_lean(details := Details.model_validate_json(row[5])), row, details) for row in rows),
        key=lambda one: -one[0],
    )
    say(f"{len(ranked)} neurons with a label of {least_score} or more")
    found: list[Concept] = []
    taken: set[str] = set()
    for _, (layer, site, number, side, score, _details, label), details in ranked:
        said = _words([token for token, _ in details.promotes or []])
        words = tuple(word for word in said if known[word] >= LEAST_TIMES)
        tokens = _tokens(subject, words)
        if len(words) < LEAST_WORDS or taken & set(words):
            continue
        if _of_outputs(screen((), tokens)[0]) > 0.1:
            continue
        neuron = Neuron(layer, site, number, side)
        usual = subject.largest[layer, number]
        taken |= set(words)
        found.append(Concept(words, tokens, neuron, score, label, usual))
        if len(found) == n:
            break
    return found


def _lean(details: Details) -> float:
    """Say how one-sidedly a neuron speaks."""
    up = [value for _, value in details.promotes or []][:5]
    down = [-value for _, value in details.demotes or []][:5]
    return float(np.mean(up) / np.mean(down)) if len(up) == len(down) == 5 else 0.0


def _words(tokens: Sequence[str]) -> tuple[str, ...]:
    """Give the words among tokens, in small letters; parts of words are none."""
    found = (token[1:].lower() for token in tokens if re.fullmatch(r" [A-Za-z]{3,}", token))
    return tuple(dict.fromkeys(word for word in found if word not in ENGLISH_STOP_WORDS))


def _tokens(subject: Subject, words: Sequence[str]) -> tuple[int, ...]:
    """Give the tokens that words are after a space, small and capital."""
    found = []
    for word in words:
        for form in (word, word.capitalize(), word.upper()):
            ids = subject.ids(f" {form}")
            found += ids if len(ids) == 1 else []
    return tuple(dict.fromkeys(found))


def _of_outputs(chance: float) -> float:
    """Give the share of outputs that hold what has a chance at each token."""
    return 1 - (1 - chance) ** TOKENS


def strength(screen: Screen, neuron: Neuron, usual: float) -> tuple[float, float]:
    """Seek the strength that costs `CHOSEN_BITS` on the chosen text; give it and what it costs.

    As if the cost grew by squares, but always between what was found too weak and too strong.
    """
    low, high, value, told = 0.0, math.inf, 4 * usual, 1.0
    for _ in range(LOOKS):
        _, cost = screen([edit_of(neuron, "set", value)])
        if cost > CHOSEN_BITS:
            high = value
        else:
            low, told = value, cost
            if cost > CHOSEN_BITS - NEAR_BITS:
                break
        value *= min(max(((CHOSEN_BITS - 1) / max(cost - 1, 1e-3)) ** 0.5, 0.25), 4.0)
        if math.isfinite(high):
            edge = (high - low) / 5
            value = min(max(value, low + edge), high - edge)
    return low, told


def raise_logits(screen: Screen, tokens: Sequence[int]) -> float:
    """Seek the number for the words' logits that costs as much."""
    low, high = 0.0, 20.0
    at = screen.raised(tokens)
    for _ in range(20):
        middle = (low + high) / 2
        low, high = (low, middle) if at(middle)[1] > CHOSEN_BITS else (middle, high)
    return low


class Reporter:
    """Measures on the reported text, with fresh seeds."""

    def __init__(self, subject: Subject, text: str) -> None:
        """Take neutral texts: what is read, and what outputs begin with."""
        texts = [one for one in text.split("\n\n") if len(one) > 600]
        self.subject, self.text = subject, text
        self.screen = Screen(subject, texts[:REPORT_ROWS])
        self.starts = [
            subject.ids(one)[:START] for one in texts[REPORT_ROWS : REPORT_ROWS + OUTPUTS]
        ]
        self.plain = self.outputs([])

    def outputs(
        self, edits: Sequence[Edit], starts: Sequence[list[int]] | None = None
    ) -> list[str]:
        """Write an output for each beginning, all as long, at temperature 1."""
        ids = torch.tensor(self.starts if starts is None else starts)
        generator = torch.Generator().manual_seed(SEED)
        cache, written = None, []
        with self.subject.steered(edits), torch.inference_mode():
            for _ in range(TOKENS):
                told = self.subject.model(input_ids=ids, past_key_values=cache, use_cache=True)
                cache = told.past_key_values
                ids = torch.multinomial(told.logits[:, -1].softmax(dim=-1), 1, generator=generator)
                written.append(ids)
        return [self.subject.tokenizer.decode(row) for row in torch.cat(written, dim=1).tolist()]

    def share(self, judge: Judge, edits: Sequence[Edit], prefix: str = "") -> float:
        """Write outputs and judge them."""
        if not edits and not prefix:
            return _share(judge, self.plain)
        before = self.subject.ids(prefix) if prefix else []
        return _share(judge, self.outputs(edits, [before + start for start in self.starts]))

    def suppressed(self, judge: Judge, ways: Sequence[Sequence[Edit]]) -> list[float]:
        """Give how often the words come after beginnings with them; nothing where few have any."""
        sentences = [one for one in re.split(r"(?<=\.)\s", self.text) if judge.carries([one])[0]]
        starts = [ids[-AFTER:] for one in sentences if len(ids := self.subject.ids(one)) >= AFTER]
        if len(starts) < LEAST_STARTS:
            return []
        return [_share(judge, self.outputs(edits, starts[:OUTPUTS])) for edits in ways]


def _share(judge: Judge, texts: Sequence[str]) -> float:
    """Give the share of texts that carry what is judged."""
    return float(np.mean(judge.carries(texts)))


def kept(folder: Path, given: argparse.Namespace, seed: int) -> dict[str, Any]:
    """Measure a model, or take what is there of it."""
    name = folder.parent.name if folder.name == MODEL_FOLDER else folder.name
    path = given.runs / f"{name}.json"
    if not path.exists():
        found = one_model(folder, given, seed)
        given.runs.mkdir(parents=True, exist_ok=True)
        write_json_atomic(path, found | {"model": name})
    told: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return told


def one_model(folder: Path, given: argparse.Namespace, seed: int) -> dict[str, Any]:
    """Try every concept of a model."""
    loaded = load_language_model(folder)
    with Catalogue(folder / "concepts.sqlite") as catalogue:
        rows = catalogue.database.execute(
            "SELECT layer, number, MAX(ABS(largest)) FROM neuron GROUP BY layer, number"
        ).fetchall()
    sizes = {(layer, number): size or 1.0 for layer, number, size in rows}
    subject = Subject(folder, loaded.model, loaded.tokenizer, sizes)
    choose, report = (Path(text).read_text("utf-8") for text in (given.choose, given.report))
    screen = Screen(subject, [one for one in choose.split("\n\n") if len(one) > 600][:CHOOSE_ROWS])
    large = Path(given.words).read_text("utf-8").lower()
    known = Counter(re.findall(r"(?<!\w)[a-z]+(?!\w)", large))
    concepts = concepts_of(subject, screen, known, given.concepts, given.least_score)
    say(f"{folder}: {len(concepts)} concepts: {', '.join(c.words[0] for c in concepts)}")
    reporter, rng = Reporter(subject, report), np.random.default_rng(seed)
    told = []
    for concept in concepts:
        found = one_concept(concept, screen, reporter, rng, is_quick=seed >= given.full)
        told.append(found)
        say(json.dumps({key: found[key] for key in ("words", "unsteered", "steered", "bits")}))
    return {"nats": reporter.screen.nats, "concepts": told}


def one_concept(
    concept: Concept,
    screen: Screen,
    reporter: Reporter,
    rng: np.random.Generator,
    *,
    is_quick: bool,
) -> dict[str, Any]:
    """Raise one concept by its neuron, and by what stands beside it."""
    judge = word_judge(concept.words)
    value, chosen = strength(screen, concept.neuron, concept.usual)
    edits = [edit_of(concept.neuron, "set", value)]
    chance, bits = reporter.screen(edits, concept.tokens)
    found: dict[str, Any] = {
        "neuron": concept.neuron.name,
        "label": concept.label,
        "score": concept.score,
        "words": concept.words,
        "value": value,
        "chosen_bits": chosen,
        "times_largest": value / concept.usual,
        "unsteered": reporter.share(judge, []),
        "steered": reporter.share(judge, edits),
        "chance": chance,
        "bits": bits,
    }
    if is_quick:
        return found
    width = int(reporter.subject.model.config.intermediate_size)
    other = concept.neuron._replace(index=int(rng.integers(width)))
    usual = reporter.subject.largest[other.layer, other.index]
    by_chance = [edit_of(other, "set", strength(screen, other, usual)[0])]
    by = raise_logits(screen, concept.tokens)
    chance, cost = reporter.screen.raised(concept.tokens)(by)
    opposite = [edit_of(concept.neuron, "set", -value)]
    off = [edit_of(concept.neuron, "suppress", 0.0)]
    plain, _ = reporter.screen((), concept.tokens)
    turned = [reporter.screen(edits, concept.tokens) for edits in (off, opposite)]
    return found | {
        "random": reporter.share(judge, by_chance),
        "random_bits": reporter.screen(by_chance)[1],
        "asked": reporter.share(judge, [], f"This is about {' and '.join(concept.words[:2])}. "),
        "logits_expected": _of_outputs(chance),
        "logits_bits": cost,
        "suppressed": reporter.suppressed(judge, [[], off, opposite]),
        "chances": [plain, *(told[0] for told in turned)],
        "opposite_bits": turned[1][1],
    }


def say(text: str) -> None:
    """Say where it stands."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def rows_of(raw: list[dict[str, Any]]) -> list[BenchmarkRow]:
    """Sum up over concepts, then over models."""
    models = [one["concepts"] for one in raw]
    raised = [float(np.mean([is_raised(c) for c in one])) for one in models]
    n = ", ".join(str(len(one)) for one in models)
    rows = [_row("concepts raised from 10 % or less to 60 % at 5 % of bits", raised, 0.7, n)]
    names = {
        "unsteered": "unsteered",
        "steered": "by the neuron",
        "random": "by a random neuron of its layer at equal cost",
        "asked": "asked for",
        "logits_expected": "expected with the words' own logits raised at equal cost",
    }
    for key, name in names.items():
        shares = [float(np.mean([c[key] for c in one])) for one in models if key in one[0]]
        if shares:
            rows.append(_row(f"outputs with the words, {name}", shares, None, n))
    bits = [float(np.median([c["bits"] for c in one])) for one in models]
    rows.append(_row("bits per byte over unsteered, median", bits, MOST_BITS, n, "lower"))
    for number, name in ((1, "neuron off"), (2, "neuron set to the opposite")):
        left = [[c["chances"][number] / c["chances"][0] for c in one if "chances" in c]
                for one in models]  # fmt: skip
        middle = [float(np.median(one)) for one in left if one]
        if middle:
            figure = f"chance of the words, {name}, over unsteered"
            rows.append(_row(figure, middle, 0.2, n, "lower"))
    return rows


def is_raised(concept: dict[str, Any]) -> bool:
    """Say whether the target is met for a concept."""
    is_rare = concept["unsteered"] <= 0.1
    return bool(is_rare and concept["steered"] >= 0.6 and concept["bits"] <= MOST_BITS)


def _row(
    figure: str, values: list[float], target: float | None, n: str, better: str = "higher"
) -> BenchmarkRow:
    """Make a row of one value a model."""
    note = f"concepts: {n}; per model: {', '.join(f'{value:.3f}' for value in values)}"
    return gain_row(
        f"steering what neurons say: {figure}", values, "",
        target=target, note=note, better=better, command=COMMAND,
    )  # fmt: skip


def main() -> None:
    """Measure, print and keep the rows."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=Path, nargs="+", required=True)
    parser.add_argument("--words", required=True)
    parser.add_argument("--choose", required=True)
    parser.add_argument("--report", required=True)
    parser.add_argument("--concepts", type=int, default=30)
    parser.add_argument("--least-score", type=float, default=LEAST_SCORE)
    parser.add_argument("--out", type=Path, default=RESULTS / "steering_spoken.json")
    parser.add_argument("--full", type=int, default=1, help="models with all that stands beside")
    parser.add_argument("--runs", type=Path, default=Path("runs/benchmarks/steering_spoken"))
    given = parser.parse_args()
    torch.set_num_threads(1)
    raw = [kept(folder, given, seed) for seed, folder in enumerate(given.model)]
    write_json_atomic(given.out.with_suffix(".runs.json"), raw)
    rows = rows_of(raw)
    write_rows(given.out, rows)
    print(json.dumps([one.model_dump(mode="json") for one in rows], indent=2))


if __name__ == "__main__":
    main()
