"""What sparse hidden states cost a language model, trained like a dense one of the same size.

    python benchmarks/topk_lm.py [--data DATA] [--arms block_out ...] [--seeds 0 1 2]

A Llama of 1.1 million parameters beside its embedding sees 4 million tokens: of the standard
library's sources, or with --data of Wikipedia, about three passes over 5 MB of articles. Every arm
has the tokens, the rates and the seeds of the dense one. Run folders are kept under --runs, and a
finished one is taken as it is.
"""

import argparse
import json
from pathlib import Path

from _trainings import SMALL_LANGUAGE_MODEL, Done, first_articles, gain_row, train_once
from sparsepath.artifacts.benchmark import BenchmarkRow, write_rows
from sparsepath.train.recipe import Recipe
from sparsepath.train.recipe_file import read_recipe

MINUTES = 90
COMMAND = "sparsepath bench topk_lm --data DATA"
RESULTS = Path("benchmarks/results/topk_lm.json")
RECIPE = Path("recipes/corpus-lm-dense.toml")
EVERYWHERE = (
    "topk.sites={block_out=20, attn_in=20, attn_out=20, mlp_in=20, mlp_hidden=48}",
    "topk.dense_layers=1",
)
MIXED = (
    "topk.by={attn_in='magnitude', attn_out='magnitude', mlp_in='magnitude', "
    "mlp_hidden='magnitude'}"
)
BLOCK_OUT = ("topk.sites={block_out=20}", "topk.dense_layers=2")
ALWAYS_ON = (
    "topk.sites={block_out=16, attn_in=16, attn_out=16, mlp_in=16, mlp_hidden=44}",
    "topk.always_on=4",
    "topk.dense_layers=1",
    MIXED,
)
"""As many entries in all, four of them the same for every token."""
SUBSAMPLED = ("subsampling.keep=0.5",)

ARMS: dict[str, tuple[str, ...]] = {
    "dense": (),
    "block_out": BLOCK_OUT,
    "block_out, by magnitude": (*BLOCK_OUT, "topk.by=magnitude"),
    "block_out, long annealing": (*BLOCK_OUT, "topk.share=0.7"),
    "block_out, by magnitude, long annealing": (
        *BLOCK_OUT,
        "topk.by=magnitude",
        "topk.share=0.7",
    ),
    "all sites, by magnitude, long annealing": (
        *EVERYWHERE,
        "topk.by=magnitude",
        "topk.share=0.7",
    ),
    "block_out, straight-through": (*BLOCK_OUT, "topk.straight_through=true"),
    "block_out, 8 always on": (*BLOCK_OUT, "topk.always_on=8", "topk.sites={block_out=12}"),
    "block_out, revived": (*BLOCK_OUT, "topk.revive=0.03"),
    "block_out, by magnitude, subsampled attention": (
        *BLOCK_OUT,
        "topk.by=magnitude",
        *SUBSAMPLED,
    ),
    "dense, subsampled attention": SUBSAMPLED,
    "all sites": EVERYWHERE,
    "all sites, by magnitude but at block_out": (*EVERYWHERE, MIXED),
    "all sites, by magnitude but at block_out, short annealing": (
        *EVERYWHERE,
        MIXED,
        "topk.share=0.1",
    ),
    "all sites, by magnitude but at block_out, longer annealing": (
        *EVERYWHERE,
        MIXED,
        "topk.share=0.6",
    ),
    "all sites, by magnitude but at block_out, 4 always on": ALWAYS_ON,
    "all sites, by magnitude": (*EVERYWHERE, "topk.by=magnitude"),
    "all sites, by magnitude, straight-through": (
        *EVERYWHERE,
        "topk.by=magnitude",
        "topk.straight_through=true",
    ),
}
"""Changes of the recipe. An eighth of the entries stays wherever a site is sparse."""

TARGETS = {
    "block_out": 1.0,
    "block_out, by magnitude": 1.0,
    "all sites, by magnitude": 3.0,
    "all sites, by magnitude but at block_out": 3.0,
    "all sites, by magnitude but at block_out, 4 always on": 3.0,
}
"""Per cent of bits per byte that may be lost."""


def main() -> None:
    """Train what is not there yet, print and keep the rows."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path)
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(TARGETS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--runs", type=Path, default=Path("runs/benchmarks/topk_lm"))
    given = parser.parse_args()
    dense = [learnt("dense", seed, given) for seed in given.seeds]
    rows = [compared(arm, dense, given) for arm in given.arms]
    write_rows(RESULTS, rows)
    print(json.dumps([row.model_dump(mode="json") for row in rows], indent=2))


def learnt(arm: str, seed: int, given: argparse.Namespace) -> Done:
    """Train one arm with one seed."""
    name = arm.replace(", ", "-").replace(" ", "-")
    return train_once(recipe(arm, seed, given), given.runs / f"{name}-{given.steps}-seed{seed}")


def recipe(arm: str, seed: int, given: argparse.Namespace) -> Recipe:
    """Describe a training."""
    source = "stdlib" if given.data is None else first_articles(given.data, given.runs)
    changes = [f"seed={seed}", f"data.source={source}", f"train.steps={given.steps}"]
    changes += [f"train.evaluate_every={given.steps}", f"train.checkpoint_every={given.steps}"]
    return read_recipe(RECIPE, [*changes, *SMALL_LANGUAGE_MODEL, *ARMS[arm]])


def compared(arm: str, dense: list[Done], given: argparse.Namespace) -> BenchmarkRow:
    """Say by how many per cent an arm's bits per byte are above the dense model's."""
    ours = [learnt(arm, seed, given) for seed in given.seeds]
    pairs = list(zip(dense, ours, strict=True))
    bits = [(d.scores["bits_per_byte"], s.scores["bits_per_byte"]) for d, s in pairs]
    told = "; ".join(f"{before:.4f} to {after:.4f}" for before, after in bits)
    slower = sum(s.wall_s / d.wall_s for d, s in pairs) / len(pairs)
    return gain_row(
        f"language model, {arm}: bits per byte above the dense model",
        [100 * (after / before - 1) for before, after in bits],
        "%",
        better="lower",
        target=TARGETS.get(arm),
        command=COMMAND,
        note=f"dense to sparse, per seed: {told}; {given.steps} steps of 4,096 tokens; "
        f"a step takes {slower:.2f} times as long",
    )


if __name__ == "__main__":
    main()
