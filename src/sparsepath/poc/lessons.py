"""What candidates learn from the full model: its answers to training rows and to made-up texts.

Asked once in a run; later stages, and a run that goes on, read the answers from the run folder.
"""

from typing import NamedTuple, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sparsepath.poc.state import save_state
from sparsepath.poc.teacher import Teacher
from sparsepath.poc.workspace import Workspace
from sparsepath.train.finetune import NO_LABEL
from sparsepath.train.made_up import make_up

MADE_UP_PER_ROW = 1.0
"""Made-up texts for each training row, where time allows."""

PROBE_ROWS = 256
"""Rows on which the full model's int8 graph is compared with the exact one, and on which it is
timed."""


STORED = "lessons"
"""Tensors of a run that hold the answers."""


class Lessons(NamedTuple):
    """What is learnt from."""

    encoded: list[list[int]]
    """Training rows, then made-up ones."""
    labels: Int[Tensor, " rows"]
    """Their labels; `NO_LABEL` for made-up ones."""
    teacher: Float[Tensor, "rows labels"]
    """What the full model answers, as logits."""


def find_lessons(work: Workspace, budget_s: float) -> Lessons:
    """Let the full model answer training rows, then as many made-up ones as there is time.

    Args:
        work: The run.
        budget_s: Seconds for the answers, where they are not there yet.
    """
    stored = stored_lessons(work)
    if stored is not None:
        return stored
    probe = work.valid.encoded[:PROBE_ROWS]
    teacher = Teacher(work.full, probe, pad_id=work.pad_id, folder=work.work_folder / "teacher")
    n_own, n_made_up = _affordable_lessons(work, teacher, budget_s)
    work.progress.say(
        f"the full model in {teacher.precision} answers {n_own + n_made_up} texts, "
        f"{n_made_up} of them made up"
    )
    encoded, labels = _rows(work)
    answers = teacher.answer(encoded)
    work.save_tensors(STORED, {"answers": answers})
    return Lessons(encoded, labels, answers)


def stored_lessons(work: Workspace) -> Lessons | None:
    """Give the lessons of an earlier stage; None where there was no time for them."""
    if not (work.work_folder / f"{STORED}.safetensors").exists():
        return None
    encoded, labels = _rows(work)
    return Lessons(encoded, labels, work.load_tensors(STORED)["answers"])


def _rows(work: Workspace) -> tuple[list[list[int]], Int[Tensor, " rows"]]:
    """Give the rows that are learnt from, the same ones each time, and their labels."""
    n_own, n_made_up = _counts(work)
    made_up = make_up(
        work.train.encoded,
        n_made_up,
        max_length=work.encoder.max_length,
        generator=work.generator(3),
    )
    chosen = sorted(work.shuffled(len(work.train.encoded))[:n_own])
    encoded = [*(work.train.encoded[i] for i in chosen), *made_up]
    return encoded, torch.cat([work.train.labels[chosen], torch.full((n_made_up,), NO_LABEL)])


def _affordable_lessons(work: Workspace, teacher: Teacher, budget_s: float) -> tuple[int, int]:
    """Say how many training rows and made-up texts the full model can answer in the time.

    A run that goes on takes the numbers from before, since a fit that goes on needs the same rows.
    """
    if "lessons" not in work.state.facts:
        probe = [work.train.encoded[i] for i in work.shuffled(len(work.train.encoded))[:PROBE_ROWS]]
        start_s = work.plan.used_s
        teacher.answer(probe)
        n_answers = int(budget_s * len(probe) / max(1e-6, work.plan.used_s - start_s))
        n_own = min(len(work.train.encoded), max(len(probe), n_answers))
        n_made_up = max(0, min(int(MADE_UP_PER_ROW * n_own), n_answers - n_own))
        work.state.facts["lessons"] = [n_own, n_made_up]
        save_state(work.folder, work.state)
    return _counts(work)


def _counts(work: Workspace) -> tuple[int, int]:
    """Give the numbers of training rows and of made-up texts."""
    n_own, n_made_up = (int(n) for n in cast("list[int]", work.state.facts["lessons"]))
    return n_own, n_made_up
