"""What candidates answer, each in its own engine and precision."""

import os

import numpy as np
from jaxtyping import Bool, Float

from sparsepath.evaluate.quality import is_right
from sparsepath.poc.controls import TfidfEngine
from sparsepath.poc.state import Draft
from sparsepath.poc.workspace import QUALITY_BATCH, Workspace
from sparsepath.runtime.base import Engine
from sparsepath.runtime.engine import load_engine


def candidate_engine(work: Workspace, draft: Draft, *, threads: int | None = None) -> Engine:
    """Load what answers for a candidate.

    Args:
        work: The run.
        draft: The candidate.
        threads: Threads of one matrix product; all processors if None.
    """
    if draft.folder is None:
        return TfidfEngine(work)
    threads = threads or os.cpu_count() or 1
    return load_engine(work.path(draft.folder), threads=threads, precision=draft.precision)


def valid_answers(work: Workspace, draft: Draft) -> Float[np.ndarray, "rows labels"]:
    """Give a candidate's probabilities on all validation rows.

    Asked once in the life of a workspace: call it when the candidate learns no more.
    """
    key = f"answers of {draft.name}"
    known = work.memory.get(key)
    if not isinstance(known, np.ndarray):
        known = candidate_engine(work, draft).predict(work.valid.texts, QUALITY_BATCH)
        work.memory[key] = known
    return known


def valid_right(work: Workspace, draft: Draft) -> Bool[np.ndarray, " rows"]:
    """Say on which validation rows a candidate is right."""
    return is_right(valid_answers(work, draft), work.valid.labels.numpy())
