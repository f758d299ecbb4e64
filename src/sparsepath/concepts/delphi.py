"""What neurons fire on, as delphi caches it for its explainers and scorers.

A catalogue keeps examples only, and delphi wants every firing; so the model reads the catalogue's
corpus once more. For each site there is a folder with `START_END.safetensors` (neurons START to
END) of

- `locations`, [firings, 3]: row, token in the row, and neuron less START; 16 bits, or 32 where they
  do not suffice;
- `activations`, [firings], fp16;
- `tokens`, [rows, length], 64 bits;

and a `config.json` with the keys of delphi's `CacheConfig` and `model_name`. Values no larger than
1e-5 are left out, as delphi does.

Source: eai-delphi 0.1.3, `latents/cache.py` (`save_splits`, `save_config`) and `latents/loader.py`.

Shape letters: R rows, T tokens of a row, K kept entries, N firings.
"""

import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt
from safetensors.numpy import save

from sparsepath.artifacts.catalogue import Catalogue
from sparsepath.artifacts.store import folder_atomic, write_bytes_atomic, write_json_atomic
from sparsepath.concepts.record import Recording, record
from sparsepath.concepts.rows import RowSettings
from sparsepath.concepts.search import load_subject
from sparsepath.concepts.shards import Shards, unsigned
from sparsepath.errors import ConfigError
from sparsepath.trace.hidden import SitePlace
from sparsepath.trace.sites import PARTS

N_SPLITS = 5
"""Files of a site, as delphi has them."""

LEAST_VALUE = 1e-5
"""Firings no larger are left out."""


class Firings(NamedTuple):
    """All firings of a site."""

    locations: Int[np.ndarray, "firings 3"]
    """Row, token, neuron; by row and token."""
    values: Float[np.ndarray, " firings"]


def export_delphi(
    catalogue: Catalogue,
    out: Path,
    *,
    corpus: str | None = None,
    tokens: int | None = None,
    tell: Callable[[int], None] = lambda _n: None,
) -> list[Path]:
    """Write a cache that delphi's `LatentDataset` reads.

    Args:
        catalogue: open, of a model that can be found.
        out: a new folder.
        corpus: what to read; None: the catalogue's.
        tokens: of it at most; None: as many as the catalogue read.
        tell: told how many tokens were read.

    Returns:
        The folder of each site.

    Raises:
        ConfigError: if the folder is there already.
        DataError: if the corpus cannot be read.
        ModelError: if the model is gone.
    """
    if out.exists():
        raise ConfigError(f"{out} is already there", hint="give a new folder")
    subject, facts = load_subject(catalogue), catalogue.facts
    columns: dict[str, str | None] = {"text": None, "label": None}
    columns.update(zip(columns, facts.columns, strict=False))
    read = subject.corpus(corpus or facts.corpus, columns)
    recording = Recording(
        model_sha256=",".join(file.sha256 for file in facts.files),
        tokenizer_sha256="",
        places=tuple(subject.places),
        rows=RowSettings(
            source=corpus or facts.corpus,
            length=facts.length,
            share_held_out=0.0,
            end_id=subject.end_id,
        ),
        n_tokens=tokens or facts.n_tokens,
        is_sparse=subject.is_sparse,
    )
    with folder_atomic(out) as folder:
        work = folder / "recording"
        shards = record(read.source, recording, work, tell)
        rows, _ = shards.rows()
        config = _config(recording, str(Path(facts.model).resolve()), rows.size)
        for place in subject.places:
            found = firings(shards, place, is_two_sided=facts.is_two_sided)
            n_features = place.width * (2 if facts.is_two_sided else 1)
            _write_site(folder / hookpoint(place), n_features, found, rows)
            write_json_atomic(folder / hookpoint(place) / "config.json", config)
        shutil.rmtree(work)
    return [out / hookpoint(place) for place in subject.places]


def hookpoint(place: SitePlace) -> str:
    """Name a site by the module that gives it; of `attn_out` and `mlp_hidden`, that is given it."""
    part = PARTS[place.site]
    return f"layers.{place.layer}" + (f".{part}" if part else "")


def firings(shards: Shards, place: SitePlace, *, is_two_sided: bool = False) -> Firings:
    """Collect the firings of a site over all shards.

    Args:
        shards: a finished recording.
        place: one that was recorded.
        is_two_sided: whether entries below zero are neurons of their own, behind all others, with
            the sizes of their values.
    """
    locations, values, n_rows = [], [], 0
    for number in range(len(shards.paths)):
        kept = shards.kept(number, place)
        where = np.nonzero(np.abs(kept.values) > LEAST_VALUE)
        row, token, _ = where
        neurons, sizes = kept.indices[where].astype(np.int32), kept.values[where]
        if is_two_sided:
            neurons, sizes = neurons + place.width * (sizes < 0), np.abs(sizes)
        found = np.stack([row + n_rows, token, neurons], axis=1).astype(np.int32)
        locations.append(found)
        values.append(sizes)
        n_rows += len(kept.values)
    return Firings(np.concatenate(locations), np.concatenate(values))


def _write_site(
    folder: Path, n_features: int, found: Firings, rows: UInt[np.ndarray, "rows length"]
) -> None:
    """Write the files of a site, neurons split evenly."""
    ends = np.linspace(0, n_features, min(N_SPLITS, n_features) + 1).astype(int).tolist()
    for start, end in pairwise(ends):
        mine = (found.locations[:, 2] >= start) & (found.locations[:, 2] < end)
        locations = found.locations[mine] - np.array([0, 0, start], np.int32)
        kind = unsigned(int(locations.max(initial=0)) + 1)
        content: dict[str, Any] = {
            "locations": np.ascontiguousarray(locations.astype(kind)),
            "activations": np.ascontiguousarray(found.values[mine]),
            "tokens": rows.astype(np.int64),
        }
        write_bytes_atomic(folder / f"{start}_{end - 1}.safetensors", save(content))


def _config(recording: Recording, model: str, n_tokens: int) -> dict[str, Any]:
    """Say what was read, with delphi's keys."""
    return {
        "dataset_repo": recording.rows.source,
        "dataset_split": "train",
        "dataset_name": "",
        "dataset_column": "text",
        "batch_size": 1,
        "cache_ctx_len": recording.rows.length,
        "n_tokens": n_tokens,
        "n_splits": N_SPLITS,
        "model_name": model,
    }
