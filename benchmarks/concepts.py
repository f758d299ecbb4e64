"""Neurons catalogued: what it costs beside the bare passes, and how fast a catalogue opens.

    python benchmarks/concepts.py [--tokens 65536] [--layers 8] [--d-model 512]

The time is taken with random weights: the recording and the labels of a TopK model, against the
same batches through its body alone, on one thread in turn. The target is meant for one million
tokens; fewer make the fixed part (questions about a sample of the text) weigh more.
"""

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

from sparsepath.artifacts.benchmark import BenchmarkRow, write_rows
from sparsepath.artifacts.catalogue import Catalogue
from sparsepath.artifacts.catalogue_schema import CatalogueFacts, Details
from sparsepath.artifacts.catalogue_write import NeuronRow, new_catalogue
from sparsepath.artifacts.neuron import Neuron
from sparsepath.artifacts.provenance import machine, package_versions
from sparsepath.concepts.build import build_catalogue
from sparsepath.concepts.language import BATCH_TOKENS
from sparsepath.concepts.options import CatalogueOptions
from sparsepath.data.corpus import documents
from sparsepath.kernels.allocator import keep_freed_memory
from sparsepath.models.language import fresh_llama, fresh_topk, train_byte_tokenizer
from sparsepath.models.language_folder import read_language_model

Found = TypeVar("Found")

MINUTES = 10
COMMAND = "sparsepath bench concepts"
RESULTS = Path("benchmarks/results/concepts.json")
VOCABULARY, LENGTH, K = 8192, 128, 64
OPEN_LAYERS, OPEN_WIDTH = 24, 4096


def main() -> None:
    """Measure, print and keep the rows."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--tokens", type=int, default=65_536)
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--d-model", type=int, default=512)
    parser.add_argument("--corpus", default="stdlib")
    parser.add_argument("--no-opening", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as place:
        rows = cost(given, Path(place))
        rows += [] if given.no_opening else [opening(Path(place))]
    write_rows(RESULTS, rows)
    print(json.dumps([row.model_dump(mode="json") for row in rows], indent=2))


def cost(given: argparse.Namespace, place: Path) -> list[BenchmarkRow]:
    """Compare a build with the bare passes."""
    folder = place / "model"
    # Made by another process, so that the peak of this one is the build's.
    making = get_context("spawn").Process(target=random_model, args=(given, folder))
    making.start()
    making.join()
    keep_freed_memory()  # as the command does
    options = CatalogueOptions(tokens=given.tokens, length=LENGTH, vectors=False)
    build, facts = timed(lambda: build_catalogue(folder, given.corpus, options).facts)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    model = read_language_model(folder).get_submodule("model")
    batch = torch.randint(0, VOCABULARY, (BATCH_TOKENS // LENGTH, LENGTH))

    def bare() -> None:
        with torch.inference_mode():
            for _ in range(given.tokens // BATCH_TOKENS):
                model(input_ids=batch, use_cache=False)

    passes, _ = timed(bare)
    case = f"{given.layers} layers, d = {given.d_model}, {given.tokens:,} tokens"
    note = f"build {build:.1f} s, passes {passes:.1f} s of processor time; k = {K}"
    return [
        row(f"catalogue over bare passes, {case}", build / passes, "x", 1.3, note),
        row(f"peak memory of the process, {case}", peak / 1e9, "GB", 1.0),
        row("bytes stored for each kept activation", facts.bytes_per_kept, "bytes", 12.0),
    ]


def random_model(given: argparse.Namespace, folder: Path) -> Path:
    """Write a TopK model with random weights."""
    tokenizer = train_byte_tokenizer(documents(given.corpus), size=VOCABULARY)
    llama = fresh_llama(
        vocabulary=VOCABULARY,
        length=LENGTH,
        d_model=given.d_model,
        n_layers=given.layers,
        n_heads=8,
        n_kv_heads=8,
        d_mlp=given.d_model * 8 // 3,
        seed=0,
    )
    fresh_topk(llama, topk={"block_out": K}, n_dense_layers=0).save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def opening(place: Path) -> BenchmarkRow:
    """Open a catalogue of many made-up neurons and list the best."""
    path = made_up_catalogue(place / "large.sqlite")
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        with Catalogue(path) as catalogue:
            catalogue.lines(limit=20)
            catalogue.card(Neuron(OPEN_LAYERS - 1, "block_out", OPEN_WIDTH - 1))
        seconds.append(time.perf_counter() - start)
    case = f"{OPEN_LAYERS} layers of {OPEN_WIDTH:,}"
    note = f"{path.stat().st_size / 1e6:.0f} MB; open, list 20, show one; median of 5"
    return row(f"opening a catalogue of {case}", float(np.median(seconds)), "s", 1.0, note)


def made_up_catalogue(path: Path) -> Path:
    """Write a catalogue of made-up neurons."""
    details = Details(
        bounds=(0, 1), histogram=[1] * 20, promotes=[], demotes=[], together=[], join="or",
        rule=[], duplicates=[],
    )  # fmt: skip
    context = ("top", 1.0, 20, bytes(4 * 29), bytes(2 * 29))
    with new_catalogue(path) as writer:
        writer.tokens([b"x"] * VOCABULARY, [1] * VOCABULARY)
        for layer in range(OPEN_LAYERS):
            for number in range(OPEN_WIDTH):
                writer.add(
                    NeuronRow(
                        Neuron(layer, "block_out", number), f"the word {number}", "", "token",
                        number / OPEN_WIDTH, 0.5, 0.5, 9, 9, 0.1, 1.0, 1.0, 1.0, 1.0, False, False,
                        details, [(number, str(number + i), 0.1, 0.1, 2.0) for i in range(8)],
                        [context] * 12, bytes(200),
                    )
                )  # fmt: skip
        writer.facts(
            CatalogueFacts(
                made_at="", model="", files=[], corpus="", corpus_sha256="", n_documents=1,
                n_tokens=1, n_held_out=1, length=1, k={"block_out": 1},
                widths={"block_out": OPEN_WIDTH}, layers={"block_out": list(range(OPEN_LAYERS))},
                is_sparse=True, is_two_sided=False,
                least_score=0.65, mean_score=None, mean_control=None,
                pattern_step=1, n_clusters=1, encoder=None, bytes_per_kept=4, versions={},
            )
        )  # fmt: skip
    return path


def timed(call: Callable[[], Found]) -> tuple[float, Found]:
    """Give the processor time of a call, in seconds, and what it gave."""
    start = time.process_time()
    found = call()
    return time.process_time() - start, found


def row(
    figure: str,
    value: float,
    unit: str,
    target: float | None,
    note: str = "",
    better: str = "lower",
) -> BenchmarkRow:
    """Make a row."""
    return BenchmarkRow(
        figure=figure,
        value=value,
        unit=unit,
        better="higher" if better == "higher" else "lower",
        target=target,
        threads=1,
        machine=str(machine()["cpu"]),
        versions=package_versions(),
        command=COMMAND,
        date=datetime.now(UTC).strftime("%Y-%m-%d"),
        note=note,
    )


if __name__ == "__main__":
    main()
