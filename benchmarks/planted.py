"""Planted concepts: are they found by search, and is the checkpoint known at which they appear?

    python benchmarks/planted.py [--seeds 0 1 2] [--checkpoints 10]

The models are those of the tests: fifty neurons fire on one list of words each, by construction, so
that the truth is known. Search: the first hit for a word of a list is its neuron. Checkpoints: at
every one some more of the fifty are there, the others fire on nothing; the checkpoint from which on
`sparsepath concepts track` says that a neuron means what it means at the end is compared with the
one at which it was planted. What these figures cannot say is how a trained model's neurons, whose
truth nobody knows, would fare.
"""

import argparse
import json
import random
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.concepts import planted

from _trainings import gain_row
from sparsepath.artifacts.benchmark import write_rows
from sparsepath.artifacts.catalogue import Catalogue
from sparsepath.artifacts.catalogue_query import search_words
from sparsepath.concepts.build import build_catalogue
from sparsepath.concepts.options import CatalogueOptions
from sparsepath.concepts.track import track

MINUTES = 5
COMMAND = "sparsepath bench planted"
RESULTS = Path("benchmarks/results/planted.json")
OPTIONS = CatalogueOptions(length=16, held_out=0.25, vectors=False)


def main() -> None:
    """Measure, print and keep the rows."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--checkpoints", type=int, default=10)
    given = parser.parse_args()
    found, right, near = [], [], []
    for seed in given.seeds:
        with tempfile.TemporaryDirectory() as place:
            found.append(share_found(Path(place), seed))
        with tempfile.TemporaryDirectory() as place:
            off = distances(Path(place), seed, given.checkpoints)
        right.append(sum(d == 0 for d in off) / len(off))
        near.append(sum(d <= 1 for d in off) / len(off))
    case = f"{planted.N_LISTS} planted concepts"
    rows = [
        gain_row(f"first hit of a search is the neuron, {case}", found, "share", target=0.95,
                 command=COMMAND, note=f"seeds {given.seeds}: {found}"),
        gain_row(f"checkpoint of appearance within one of the truth, {case}", near, "share",
                 target=0.9, command=COMMAND,
                 note=f"{given.checkpoints} checkpoints; seeds {given.seeds}: {near}; "
                 f"exactly right: {right}"),
    ]  # fmt: skip
    write_rows(RESULTS, rows)
    print(json.dumps([row.model_dump(mode="json") for row in rows], indent=2))


def share_found(place: Path, seed: int) -> float:
    """Search for a word of every list."""
    draw = random.Random(seed)
    order = list(range(planted.N_LISTS))
    draw.shuffle(order)
    folder = planted.save_model(place / "model", neuron_of=dict(enumerate(order)))
    corpus = planted.save_corpus(place / "corpus.txt", seed=seed)
    build_catalogue(folder, str(corpus), OPTIONS)
    with Catalogue(folder) as catalogue:
        firsts = [search_words(catalogue, draw.choice(one))[0] for one in planted.LISTS]
    hits = [hit.line.neuron.index for hit in firsts]
    return sum(a == b for a, b in zip(hits, order, strict=True)) / len(hits)


def distances(place: Path, seed: int, n_checkpoints: int) -> list[int]:
    """Plant concepts one after the other; give how far from the truth each is put, in steps."""
    draw = random.Random(seed)
    truth = [draw.randrange(n_checkpoints) for _ in planted.LISTS]
    corpus = str(planted.save_corpus(place / "corpus.txt", seed=seed))
    names = [f"step {number}" for number in range(n_checkpoints)]
    catalogues = []
    for number, name in enumerate(names):
        missing = tuple(i for i, first in enumerate(truth) if first > number)
        folder = planted.save_model(place / name, left_out=missing)
        build_catalogue(folder, corpus, OPTIONS)
        catalogues.append(Catalogue(folder))
    lives = track(catalogues, names).lives
    for catalogue in catalogues:
        catalogue.close()
    told = {life.neuron.index: life.settled_at for life in lives}
    return [
        n_checkpoints if (at := told[i]) is None else abs(names.index(at) - first)
        for i, first in enumerate(truth)
    ]


if __name__ == "__main__":
    main()
