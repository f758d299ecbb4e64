"""A candidate that asks the full model several times: the self-ensemble of `poc --train ssa`.

Each of its members sees a random part of the sources of attention. It costs as many passes, and may
know better when it is unsure.
"""

import numpy as np
import torch

from sparsepath.artifacts.store import folder_atomic
from sparsepath.evaluate.quality import nll_nats
from sparsepath.models.describe import describe
from sparsepath.pathways.ensemble import run_members
from sparsepath.poc.answers import valid_right
from sparsepath.poc.state import Draft
from sparsepath.poc.workspace import MODELS_FOLDER, Workspace
from sparsepath.runtime.build import save_self_ensemble

MEMBERS = 8
"""Sub-models: enough for most of what averaging gives."""

KEEPS = (0.5, 0.75)
"""Shares of the sources among which validation rows choose."""

ROWS_PER_SECOND, LEAST_ROWS, MOST_ROWS = 8, 64, 256
"""Validation rows that choose, by the time there is."""

NAME = "ensemble"


def add_ensemble(work: Workspace, budget_s: float) -> str:
    """Choose what its members keep and write it; say what it does on validation rows."""
    n_rows = int(min(MOST_ROWS, max(LEAST_ROWS, ROWS_PER_SECOND * budget_s)))
    losses = {keep: _loss(work, keep, n_rows) for keep in KEEPS}
    keep = min(losses, key=lambda share: losses[share])
    folder = f"{MODELS_FOLDER}/{NAME}"
    with folder_atomic(work.path(folder)) as built:
        save_self_ensemble(
            built,
            describe(work.full),
            members=MEMBERS,
            keep=keep,
            seed=work.options.seed,
            labels=work.label_names,
            pad_id=work.pad_id,
        )
        text = work.encoder.small_tokenizer_json
        (built / "tokenizer.json").write_text(text, encoding="utf-8")
    draft = Draft(
        name=NAME,
        kind="ensemble",
        folder=folder,
        parent="full",
        note=f"mean of {MEMBERS} random sub-models of the full model, each seeing {keep:.0%} of "
        "the sources of attention",
    )
    draft.accuracy_valid = float(valid_right(work, draft).mean())
    work.state.put(draft)
    return f"{NAME} of {MEMBERS} that keep {keep:.0%} {draft.accuracy_valid:.1%}"


def _loss(work: Workspace, keep: float, n_rows: int) -> float:
    """Measure the mean of the members on the first validation rows."""
    found = run_members(
        work.full,
        work.valid.encoded[:n_rows],
        n_members=MEMBERS,
        keep=keep,
        generator=work.generator(8),
    )
    mean: torch.Tensor = found.probabilities.mean(dim=0)
    truth = work.valid.labels[:n_rows].numpy()
    return nll_nats(mean.numpy().astype(np.float64), truth)
