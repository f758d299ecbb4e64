"""Values of a language model's neurons on ordinary text, measured once and kept beside the model.

They lie in `ranges.safetensors` in the model's folder with the hash of the weights.
"""

import contextlib
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from tokenizers import Tokenizer

from sparsepath.artifacts.neuron import SITES, Site
from sparsepath.data.neutral import neutral_texts
from sparsepath.kernels.by_input import Floats
from sparsepath.runtime.language.cache import Cache
from sparsepath.runtime.language.kept import write_tensors
from sparsepath.runtime.language.plain import PlainPass
from sparsepath.runtime.language.weights import Weights
from sparsepath.trace.edits import Spot
from sparsepath.trace.ranges import Range, Ranges

FILE = "ranges.safetensors"

VERSION = "1"
"""Of the file; others are made again."""


def read_ranges(folder: Path, weights: Weights, tokenizer: Tokenizer) -> Ranges:
    """Read how large values get, or measure it and keep it.

    Args:
        folder: of the model; where it cannot be written, nothing is kept.
        weights: of the model.
        tokenizer: of the model.
    """
    path = folder / FILE
    found = _read(path, weights.made_of)
    if found is None:
        found = measure_ranges(weights, tokenizer, neutral_texts())
        with contextlib.suppress(OSError, SafetensorError):
            _write(path, found, weights.made_of)
    return found


def measure_ranges(weights: Weights, tokenizer: Tokenizer, texts: list[str]) -> Ranges:
    """Measure the values of every site of a model.

    Args:
        weights: of the model.
        tokenizer: of the model.
        texts: read one by one, each up to what the model was trained on.
    """
    found: dict[Spot, Range] = {}

    def tap(layer: int, site: Site, rows: Floats) -> None:
        nothing = Range(np.zeros(rows.shape[1], np.float32), 0.0, 0)
        found[layer, site] = found.get((layer, site), nothing).with_rows(rows)

    runs = PlainPass(weights, tap)
    for text in texts:
        ids = tokenizer.encode(text, add_special_tokens=False).ids[: weights.shape.context]
        if ids:
            runs.run(np.array(ids, np.int32), Cache(weights.shape, len(ids)), 0)
    return found


def _write(path: Path, ranges: Ranges, made_of: str) -> None:
    """Keep ranges, whole or not at all."""
    tensors = {f"{layer}.{site}": found.largest for (layer, site), found in ranges.items()}
    sums = {
        f"{layer}.{site}": f"{found.squares!r} {found.n_kept}"
        for (layer, site), found in ranges.items()
    }
    write_tensors(path, tensors, {"version": VERSION, "made_of": made_of, **sums})


def _read(path: Path, made_of: str) -> Ranges | None:
    """Read ranges; None if there are none of this model."""
    try:
        with safe_open(path, framework="numpy") as opened:
            facts = opened.metadata() or {}
            if facts.get("version") != VERSION or facts.get("made_of") != made_of:
                return None
            found: dict[Spot, Range] = {}
            for name in opened.keys():  # noqa: SIM118 - this is no mapping
                layer, _, place = name.partition(".")
                squares, _, n_kept = facts[name].partition(" ")
                site = next(site for site in SITES if site == place)
                found[int(layer), site] = Range(
                    opened.get_tensor(name), float(squares), int(n_kept)
                )
            return found
    except (OSError, SafetensorError):
        return None
