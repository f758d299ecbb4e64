"""How far explanations of a next token hold: what the named entries keep of the margin.

    python benchmarks/next_token.py MODEL [MODEL ...] --corpus TEXT [--places 60]

MODEL is a folder of a language model, best one of several seeds; TEXT holds documents that it did
not learn from, separated by blank lines. At random places of them the likeliest token is explained
against the second, where the lead is at least half a logit. Named are at most a twentieth of the
active entries of the site. As many entries are chosen by integrated gradients, by attention (what
the last token reads, times the size of the entry), by value times gradient without anything held,
and at random; each set is kept alone, all other entries at zero. Where captum is installed
(extra `bench`), its integrated gradients stand beside ours, with as many steps.
"""

import argparse
import json
import statistics
import sys
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parent))

from _trainings import gain_row
from sparsepath.artifacts.benchmark import BenchmarkRow, write_rows
from sparsepath.artifacts.neuron import Site
from sparsepath.models.language_folder import LoadedLanguageModel, load_language_model
from sparsepath.pathways.next_token import Asked, question_of
from sparsepath.pathways.next_token_check import Decided, choose, only, part_of, run_masks
from sparsepath.trace.frozen import reading

MINUTES = 10
COMMAND = "sparsepath bench next_token"
RESULTS = Path("benchmarks/results/next_token.json")
STEPS = 16
"""Of the path of integrated gradients."""
LEAST_LEAD = 0.5
"""Logits."""
SHORTEST, LONGEST = 16, 48
"""Tokens of a text."""
N_RANDOM = 20


def main() -> None:
    """Explain, print and keep the rows."""
    parser = argparse.ArgumentParser()
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--places", type=int, default=60)
    parser.add_argument("--name", default="sparse", help="of these models, in the figures")
    given = parser.parse_args()
    kept: dict[str, list[float]] = {}
    removed, sizes = [], []
    for number, folder in enumerate(given.models):
        loaded = load_language_model(folder)
        found = [
            one
            for ids in _texts(loaded, given.corpus, 4 * given.places, seed=number)
            if (one := _judged(loaded, ids)) is not None
        ][: given.places]
        for way in found[0][0]:
            kept.setdefault(way, []).append(statistics.median(one[0][way] for one in found))
        removed.append(statistics.median(one[1] for one in found))
        sizes.append(statistics.fmean(one[2] for one in found))
    rows = [row for row in _known() if not row.figure.startswith(f"{given.name}:")]
    rows += _rows(given.name, kept, removed, sizes, given.places)
    write_rows(RESULTS, rows)
    print(json.dumps([row.model_dump(mode="json") for row in rows], indent=2))


def _known() -> list[BenchmarkRow]:
    """Give the rows of earlier calls."""
    if not RESULTS.exists():
        return []
    return [BenchmarkRow.model_validate(row) for row in json.loads(RESULTS.read_text())]


def _rows(
    name: str,
    kept: dict[str, list[float]],
    removed: list[float],
    sizes: list[float],
    n: int,
) -> list[BenchmarkRow]:
    """Put the figures into rows."""
    note = (
        f"median of {n} places a model; named are {100 * statistics.fmean(sizes):.1f} % on average"
    )
    targets = {"named": 0.9, "random": 0.15}
    rows = [
        gain_row(
            f"{name}: margin kept by the entries {way}",
            values,
            "share",
            target=targets.get(way),
            better="lower" if way == "random" else "higher",
            note=note,
            command=COMMAND,
        )
        for way, values in kept.items()
    ]
    rows.append(
        gain_row(
            f"{name}: margin left without the named entries",
            removed,
            "share",
            target=None,
            better="lower",
            note=note,
            command=COMMAND,
        )
    )
    return rows


def _texts(loaded: LoadedLanguageModel, corpus: Path, n: int, *, seed: int) -> list[list[int]]:
    """Cut stretches of random lengths out of random documents."""
    documents = corpus.read_text("utf-8").split("\n\n")
    generator = torch.Generator().manual_seed(seed)
    found: list[list[int]] = []
    while len(found) < n:
        document = documents[int(torch.randint(len(documents), (), generator=generator))]
        ids = list(loaded.tokenizer.encode(document).ids)
        size = int(torch.randint(SHORTEST, LONGEST + 1, (), generator=generator))
        if len(ids) < size:
            continue
        start = int(torch.randint(len(ids) - size + 1, (), generator=generator))
        found.append(ids[start : start + size])
    return found


def _judged(
    loaded: LoadedLanguageModel, ids: list[int]
) -> tuple[dict[str, float], float, float] | None:
    """Give what each way keeps, what is left without the named, and their share; None: no lead."""
    decided = question_of(loaded, ids, Asked())
    if decided.margin < LEAST_LEAD:
        return None
    named = choose(decided, 0.05)
    active, n = decided.active, len(named)
    generator = torch.Generator().manual_seed(len(ids))
    values = decided.reading.sites[decided.place][0].detach()
    ranked = {
        "by integrated gradients": integrated(decided).flatten(),
        **({} if find_spec("captum") is None else {"by captum": by_captum(decided).flatten()}),
        "by attention": (_attention(decided)[:, None] * values.abs()).flatten(),
        "by value times gradient": _plain(decided).flatten(),
    }
    sets = {"named": named}
    for way, scores in ranked.items():
        order = scores[active].argsort(descending=True)[:n]
        sets[way] = active[order].tolist()
    masks = [only(decided, places) for places in sets.values()]
    drawn = [torch.randperm(len(active), generator=generator)[:n] for _ in range(N_RANDOM)]
    masks += [only(decided, active[places].tolist()) for places in drawn]
    masks += [~only(decided, named), only(decided, [])]
    margins = run_masks(decided, masks).margins
    parts = [part_of(value, margins[-1], decided.margin) for value in margins[:-1]]
    kept = dict(zip(sets, parts, strict=False))
    kept["random"] = statistics.fmean(parts[len(sets) : len(sets) + N_RANDOM])
    return kept, parts[-1], n / len(active)


def _margin(decided: Decided, scaled: Tensor) -> Tensor:
    """Run the model with other values of the site."""

    def edit(layer: int, site: Site, values: Tensor) -> Tensor:
        return scaled if (layer, site) == decided.place else values

    target, against = decided.question
    with reading(decided.model, edit):
        logits = decided.model(input_ids=torch.tensor([decided.ids]), use_cache=False).logits
    margin: Tensor = logits[0, -1, target] - logits[0, -1, against]
    return margin


def integrated(decided: Decided) -> Tensor:
    """Integrate gradients from zero to the site's values, [tokens, entries]."""
    values = decided.reading.sites[decided.place].detach()
    total = torch.zeros_like(values)
    for step in range(STEPS):
        scaled = (values * ((step + 0.5) / STEPS)).requires_grad_()
        (gradient,) = torch.autograd.grad(_margin(decided, scaled), scaled)
        total += gradient
    return (values * total / STEPS)[0]


def by_captum(decided: Decided) -> Tensor:
    """Let captum do the same, where it is installed, [tokens, entries]."""
    from captum.attr import IntegratedGradients

    def margins(scaled: Tensor) -> Tensor:
        return torch.stack([_margin(decided, one[None]) for one in scaled])

    values = decided.reading.sites[decided.place].detach()
    found = IntegratedGradients(margins).attribute(
        values, torch.zeros_like(values), n_steps=STEPS, method="riemann_middle"
    )
    result: Tensor = found[0].detach()
    return result


def _plain(decided: Decided) -> Tensor:
    """Multiply values by gradients of the model as it is."""
    values = decided.reading.sites[decided.place].detach().requires_grad_()
    (gradient,) = torch.autograd.grad(_margin(decided, values), values)
    return (values * gradient)[0].detach()


@torch.no_grad()
def _attention(decided: Decided) -> Tensor:
    """Give how much the last token reads each token, over the heads of the layers behind."""
    before = decided.model.config._attn_implementation
    decided.model.set_attn_implementation("eager")
    try:
        patterns = decided.model(
            input_ids=torch.tensor([decided.ids]), use_cache=False, output_attentions=True
        ).attentions
    finally:
        decided.model.set_attn_implementation(before)
    behind = patterns[decided.place[0] + 1 :] or patterns[-1:]
    read = torch.stack([pattern[0, :, -1].mean(0) for pattern in behind]).mean(0)
    read[-1] += 1.0  # the stream goes on to the last token itself
    return read


if __name__ == "__main__":
    main()
