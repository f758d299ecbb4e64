"""A saved classifier as a self-ensemble on a labelled table: what it gains, when it is unsure."""

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float

from sparsepath.artifacts.store import write_text_atomic
from sparsepath.config import EnsembleOptions
from sparsepath.data.tables import read_texts
from sparsepath.errors import ConfigError, ModelError
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
from sparsepath.pathways.ensemble import Members, answer, run_members
from sparsepath.runtime.locate import locate_model
from sparsepath.trace.batches import encode_texts

MAX_ROWS = 2_000
"""Rows that are answered, at most; drawn by the seed."""


class _Others(NamedTuple):
    """What a model is compared on and with."""

    foreign: Path | str | None
    """Texts of another kind, if any."""
    deep: Sequence[Path | str]
    """Models of other seeds."""


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
    deep: Sequence[Path | str] = (),
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
        deep: models of the same labels, trained with other seeds; with `model` they are the deep
            ensemble that is compared where texts of another kind are given.
        out: a CSV file to write: for each row that was answered `row`, `label`, `probability` and,
            over the members, `spread` (standard deviation of that probability) and `disagreement`
            (share that gives another label).

    Raises:
        DataError: if a table cannot be read, or has labels that the model does not know.
        ConfigError: if `deep` is given without `foreign`.
        ModelError: if a model cannot be read, or one of `deep` has other labels.
        RunError: if `out` cannot be written.
    """
    if deep and foreign is None:
        raise ConfigError(
            "a deep ensemble is compared on texts of another kind only",
            hint="give them by --foreign, or leave out --deep",
        )
    options = options or EnsembleOptions()
    seed = options.seed
    folder = locate_model(Path(model))
    loaded = load_classifier(folder)
    rows = read_labelled(loaded, data, limit=MAX_ROWS, seed=seed)
    truth = rows.truth
    found = _members(loaded, rows.encoded, options)
    probabilities, dense = found.probabilities.numpy(), found.dense.numpy()
    is_calibration = _a_third(len(truth), seed)
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
        noticed=_notice(loaded, rows, found, _Others(foreign, deep), options),
    )


def _a_third(n: int, seed: int) -> Bool[np.ndarray, " rows"]:
    """Draw a third of the rows."""
    drawn = np.zeros(n, bool)
    drawn[np.random.default_rng(seed).permutation(n)[: n // 3]] = True
    return drawn


def _write_rows(
    out: Path,
    loaded: LoadedClassifier,
    rows: LabelledRows,
    probabilities: Float[np.ndarray, "members rows labels"],
) -> None:
    """Write what the ensemble says about each row, and how far its members differ."""
    mean, doubt = probabilities.mean(axis=0), unsure(probabilities)
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow(["row", "label", "probability", "spread", "disagreement"])
    for place in np.argsort(rows.row_ids):
        told = (mean[place].max(), doubt.spread[place], doubt.disagreement[place])
        label = loaded.labels[int(mean[place].argmax())]
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
    rows: LabelledRows,
    own: Members,
    others: _Others,
    options: EnsembleOptions,
) -> list[Noticed]:
    """Compare one pass, the self-ensemble, dropout and a deep ensemble on other texts."""
    if others.foreign is None:
        return []
    texts = read_texts(others.foreign).texts
    order = np.random.default_rng(options.seed).permutation(len(texts))[: len(rows.texts)]
    strange = [texts[i] for i in order]
    encoded = encode_texts(loaded.tokenizer, strange, loaded.model.config.max_length)
    found = _members(loaded, encoded, options)
    dropped = [
        run_dropout(loaded.model, ids, n_members=options.members, seed=options.seed).numpy()
        for ids in (rows.encoded, encoded)
    ]
    ways = [
        noticed("dense", own.dense.numpy()[None], found.dense.numpy()[None]),
        noticed("self-ensemble", own.probabilities.numpy(), found.probabilities.numpy()),
        noticed("dropout", *dropped),
    ]
    if others.deep:
        peers = [_peer(loaded, folder) for folder in others.deep]
        deep = (
            np.stack([first.dense.numpy(), *(_dense(peer, texts) for peer in peers)])
            for first, texts in ((own, rows.texts), (found, strange))
        )
        ways.append(noticed(f"deep ensemble of {1 + len(peers)}", *deep))
    return ways


def _peer(loaded: LoadedClassifier, folder: Path | str) -> LoadedClassifier:
    """Read another member of a deep ensemble.

    Raises:
        ModelError: if it has other labels.
    """
    peer = load_classifier(locate_model(Path(folder)))
    if peer.model.config.id2label != loaded.model.config.id2label:
        raise ModelError(
            f"{folder} has other labels, or the same ones in another order",
            hint="give models that were trained on the same table with other seeds",
        )
    return peer


def _dense(peer: LoadedClassifier, texts: Sequence[str]) -> Float[np.ndarray, "rows labels"]:
    """Answer texts in one pass."""
    config = peer.model.config
    encoded = encode_texts(peer.tokenizer, texts, config.max_length)
    found: Float[np.ndarray, "rows labels"] = answer(peer.model, encoded).numpy()
    return found


def _counts(members: int) -> list[int]:
    """Give the powers of two up to a number, and the number."""
    counts = [2**power for power in range(members.bit_length()) if 2**power < members]
    return [*counts, members]
