"""A small catalogue of neurons, written by hand: no model is made or read for it."""

from pathlib import Path

import numpy as np
from tests.server.runs import HOSTILE

from sparsepath.artifacts.catalogue import CATALOGUE_FILE
from sparsepath.artifacts.catalogue_schema import CatalogueFacts, Details, RulePart
from sparsepath.artifacts.catalogue_write import NeuronRow, new_catalogue
from sparsepath.artifacts.neuron import Neuron

PIECES = [b"<end>", b" the", b" refund", b" please", HOSTILE.encode()]
IDS = np.array([1, 2, 3, 4, 1], "<u4")
VALUES = np.array([0, 4, 0.5, 0, 0], "<f2")


def write_catalogue(folder: Path, *, n: int = 300) -> Path:
    """Write a catalogue of two layers; the first neuron's label is markup."""
    path = folder / CATALOGUE_FILE
    with new_catalogue(path) as writer:
        writer.tokens(PIECES, [9] * len(PIECES))
        for number in range(n):
            writer.add(_row(number, n))
        writer.facts(
            CatalogueFacts(
                made_at="2026-11-21T09:30:00Z", model="lm", files=[], corpus="a/mails.txt",
                corpus_sha256="0", n_documents=9, n_tokens=9000, n_held_out=900, length=16,
                k={"block_out": 4}, widths={"block_out": n // 2}, layers={"block_out": [0, 1]},
                is_sparse=True, is_two_sided=False, least_score=0.6, mean_score=0.8,
                mean_control=0.51, pattern_step=1, n_clusters=1, encoder=None, bytes_per_kept=1.0,
                versions={},
            )
        )  # fmt: skip
    return path


def _row(number: int, n: int) -> NeuronRow:
    label = HOSTILE if number == 0 else f"fires on refunds, case {number}"
    score = 1.0 - number / (2 * n)
    return NeuronRow(
        neuron=Neuron(number * 2 // n, "block_out", number % (n // 2)),
        label=label, guess=label, kind="token", score=score, f1=0.9, control=0.5, held_out=50,
        fired=200, rate=0.01, mean=2.0, largest=4.0, token_entropy=1.0, semantic_entropy=1.0,
        is_dead=False, is_always_on=False,
        details=Details(
            bounds=(0.0, 4.0), histogram=[5, 3, 1, 0, 2], promotes=[(HOSTILE, 0.5), (" back", 0.2)],
            demotes=[], together=[("L00/1", 0.4)], join="and",
            rule=[RulePart(kind="token", phrase=label, values=[" refund"])], duplicates=[],
        ),
        fires_on=[(2, " refund", 0.7, 0.9, 30.0), (4, HOSTILE, 0.1, 0.2, 3.0)],
        examples=[
            (band, value, 1, IDS.tobytes(), VALUES.tobytes())
            for band, value in (("top", 4.0), ("0.5", 1.0))
        ],
        pattern=b"",
    )  # fmt: skip
