"""A saved classifier as a self-ensemble on a labelled table: what it gains, when it is unsure."""

import csv
import io
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from sparsepath.artifacts.store import write_text_atomic
from sparsepath.config import EnsembleOptions
from sparsepath.data.tables import read_texts
from sparsepath.evaluate.ensemble import (
    Alone,
    Figures,
    answer_alone,
    figures,
    member_curve,
    unsure,
)
from sparsepath.evaluate.labelled import LabelledRows, read_labelled
from sparsepath.evaluate.unfamiliar import Noticed, noticed
from sparsepath.models.save import LoadedClassifier, load_classifier
from sparsepath.pathways.dropout import run_dropout
from sparsepath.pathways.ensemble import Members, run_members
from sparsepath.runtime.locate import locate_model
from sparsepath.trace.batches import encode_texts

MAX_ROWS = 2_000
"""Rows that are answered, at most; drawn by the seed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EnsembleReport:
    """What `ensemble` found, on rows that no threshold was chosen on."""

    model: str
    """Folder of the classifier."""
    options: EnsembleOptions
    """How it was asked."""
    rows: int
    """Rows that are reported on."""
    calibration_rows: int
    """Rows on which thresholds are chosen; none of these is reported on."""
    dense: Figures
    """One pass over all sources."""
    curve: list[Figures]
    """Ensembles of growing size."""
    spread: float
    """Mean over rows of the members' spread."""
    disagreement: float
    """Mean over rows of the share of members that disagree."""
    alone_dense: Alone
    """When the dense model may answer alone."""
    alone: Alone
    """When the whole ensemble may."""
    noticed: list[Noticed]
    """How well each way tells texts of another kind apart; empty without such texts."""

    def as_dict(self) -> dict[str, Any]:
        """Give plain values, as JSON holds them."""
        plain = asdict(self)
        for name in ("dense", "alone", "alone_dense"):
            plain[name] = getattr(self, name)._asdict()
        for name in ("curve", "noticed"):
            plain[name] = [point._asdict() for point in getattr(self, name)]
        return plain


def ensemble(
    model: Path | str,
    data: Path | str,
    options: EnsembleOptions | None = None,
    *,
    foreign: Path | str | None = None,
    out: Path | str | None = None,
) -> EnsembleReport:
    """Answer a labelled table by random sub-models of one classifier, and by the dense model.

    A third of the rows, drawn by the seed, chooses thresholds; all figures are of the others.

    Args:
        model: a model folder of a run or a training, or a run folder.
        data: a labelled table whose labels the model knows.
        options: settings other than the usual ones.
        foreign: texts of another kind, which the model should be unsure about; labels are not
            needed. As many as `data` has at most.
        out: a CSV file to write: for each row that was answered `row`, `label`, `probability` and,
            over the members, `spread` (standard deviation of that probability) and `disagreement`
            (share that gives another label).

    Raises:
        DataError: if a table cannot be read, or has labels that the model does not know.
        ModelError: if the model cannot be read.
        RunError: if `out` cannot be written.
    """
    options = options or EnsembleOptions()
    seed = options.seed
    folder = locate_model(Path(model))
    loaded = load_classifier(folder)
    rows = read_labelled(loaded, data, limit=MAX_ROWS, seed=seed)
    truth = rows.truth
    found = _members(loaded, rows.encoded, options)
    probabilities, dense = found.probabilities.numpy(), found.dense.numpy()
    is_calibration = np.zeros(len(truth), bool)
    is_calibration[np.random.default_rng(seed).permutation(len(truth))[: len(truth) // 3]] = True
    shown = ~is_calibration
    doubt = unsure(probabilities[:, shown])
    if out is not None:
        _write_rows(Path(out), loaded, rows, probabilities)
    return EnsembleReport(
        model=str(folder),
        options=options,
        rows=int(shown.sum()),
        calibration_rows=int(is_calibration.sum()),
        dense=figures(dense[shown], truth[shown], 0),
        curve=member_curve(probabilities[:, shown], truth[shown], _counts(options.members)),
        spread=float(doubt.spread.mean()),
        disagreement=float(doubt.disagreement.mean()),
        alone_dense=answer_alone(dense, truth, is_calibration, risk=options.risk),
        alone=answer_alone(probabilities.mean(axis=0), truth, is_calibration, risk=options.risk),
        noticed=[] if foreign is None else _notice(loaded, rows.encoded, found, foreign, options),
    )


def _write_rows(
    out: Path,
    loaded: LoadedClassifier,
    rows: LabelledRows,
    probabilities: Float[np.ndarray, "members rows labels"],
) -> None:
    """Write what the ensemble says about each row, and how far its members differ."""
    names = {
        int(number): str(name) for number, name in (loaded.model.config.id2label or {}).items()
    }
    mean, doubt = probabilities.mean(axis=0), unsure(probabilities)
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow(["row", "label", "probability", "spread", "disagreement"])
    for place in np.argsort(rows.row_ids):
        told = (mean[place].max(), doubt.spread[place], doubt.disagreement[place])
        label = names[int(mean[place].argmax())]
        writer.writerow([rows.row_ids[place], label, *(f"{value:.6f}" for value in told)])
    write_text_atomic(out, lines.getvalue())


def _members(
    loaded: LoadedClassifier, encoded: list[list[int]], options: EnsembleOptions
) -> Members:
    """Ask the sub-models and the dense model."""
    return run_members(
        loaded.model,
        encoded,
        n_members=options.members,
        keep=options.keep,
        mode=options.mode,
        generator=torch.Generator().manual_seed(options.seed),
    )


def _notice(
    loaded: LoadedClassifier,
    encoded: list[list[int]],
    own: Members,
    foreign: Path | str,
    options: EnsembleOptions,
) -> list[Noticed]:
    """Compare one pass, the self-ensemble and dropout on texts of another kind."""
    texts = read_texts(foreign).texts
    order = np.random.default_rng(options.seed).permutation(len(texts))[: len(encoded)]
    others = encode_texts(
        loaded.tokenizer, [texts[i] for i in order], loaded.model.config.max_length
    )
    found = _members(loaded, others, options)
    dropped = [
        run_dropout(loaded.model, rows, n_members=options.members, seed=options.seed).numpy()
        for rows in (encoded, others)
    ]
    return [
        noticed("dense", own.dense.numpy()[None], found.dense.numpy()[None]),
        noticed("self-ensemble", own.probabilities.numpy(), found.probabilities.numpy()),
        noticed("dropout", *dropped),
    ]


def _counts(members: int) -> list[int]:
    """Give the powers of two up to a number, and the number."""
    counts = [2**power for power in range(members.bit_length()) if 2**power < members]
    return [*counts, members]
