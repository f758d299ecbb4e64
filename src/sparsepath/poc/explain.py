"""Tenth stage: what decided, for every wrong test row and a sample of the right ones.

The full model is explained: the one with all the units, of which sub-models have a part.
"""

import statistics

from sparsepath.artifacts.explanation import (
    ExplanationRecord,
    ExplanationTest,
    NamedScore,
    TokenScore,
)
from sparsepath.artifacts.provenance import now_utc, package_versions, sha256_folder
from sparsepath.artifacts.store import append_jsonl, read_jsonl
from sparsepath.pathways.explain import Explanation, explain_text
from sparsepath.pathways.explain_check import do_units_decide
from sparsepath.poc.measure import FULL_ANSWERS
from sparsepath.poc.score import load_means
from sparsepath.poc.workspace import MODELS_FOLDER, Workspace

EXPLANATIONS_FILE = "explanations.jsonl"

ROWS_LEFT = "rows not explained"
"""Fact of a run that tells how many rows wait for more time."""

RIGHT_PER_WRONG = 4
"""A right row is explained after so many wrong ones, and `LEAST_RIGHT_ROWS` first."""

LEAST_RIGHT_ROWS = 10

MAX_UNITS, MAX_EDGES = 20, 10
"""Units and edges of a record."""


def run_explain(work: Workspace, budget_s: float) -> str:
    """Explain rows until all are done or the time is used up; what is done is kept."""
    end_s = work.plan.used_s + budget_s
    path = work.folder / EXPLANATIONS_FILE
    records = read_jsonl(path, ExplanationRecord) if path.exists() else []
    done = {record.row_id for record in records}
    order, n_wrong = _order(work)
    means, digest = load_means(work), sha256_folder(work.path(f"{MODELS_FOLDER}/full"))
    for number, i in enumerate(order):
        if work.test.row_ids[i] in done:
            continue
        if records and work.plan.used_s > end_s:
            break
        found = explain_text(
            work.full,
            work.small_tokenizer,
            work.test.texts[i],
            means=means,
            generator=work.generator(100 + i),
        )
        record = _record(work, i, found, digest)
        append_jsonl(path, record)
        records.append(record)
        work.progress.say(f"{number + 1} of {len(order)} rows explained ({n_wrong} are wrong)")
    work.state.facts[ROWS_LEFT] = len(order) - len(records)
    said = f"{len(records)} of {len(order)} rows explained ({n_wrong} wrong ones)"
    tested = [record for record in records if record.test.units_decide]
    if not tested:
        return f"{said}; word embeddings decide all of them"
    kept = statistics.mean(record.test.margin_kept for record in tested)
    chance = statistics.mean(statistics.mean(record.test.random_margin_kept) for record in tested)
    share = statistics.mean(record.share_units_kept for record in tested)
    return (
        f"{said}; the named {share:.0%} of the units keep {kept:.0%} of the margin, a random "
        f"{share:.0%} {chance:.0%}"
    )


def _order(work: Workspace) -> tuple[list[int], int]:
    """Order the measured test rows, a few right ones first; say how many are wrong."""
    answers = work.load_tensors(FULL_ANSWERS)
    positions = answers["positions"].tolist()
    is_right = (answers["predicted"] == work.test.labels[positions]).tolist()
    shuffled = [positions[i] for i in work.shuffled(len(positions))]
    right_ones = {i for i, right in zip(positions, is_right, strict=True) if right}
    right = [i for i in shuffled if i in right_ones]
    wrong = [i for i in shuffled if i not in right_ones]
    order = right[:LEAST_RIGHT_ROWS]
    for number, i in enumerate(wrong):
        order.append(i)
        extra = LEAST_RIGHT_ROWS + number // RIGHT_PER_WRONG
        if number % RIGHT_PER_WRONG == RIGHT_PER_WRONG - 1 and extra < len(right):
            order.append(right[extra])
    return order, len(wrong)


def _record(work: Workspace, i: int, found: Explanation, digest: str) -> ExplanationRecord:
    """Make the audit record of one explained row."""
    test = found.test
    return ExplanationRecord(
        row_id=work.test.row_ids[i],
        text=found.text,
        truth=work.label_names[int(work.test.labels[i])],
        predicted=found.predicted,
        runner_up=found.runner_up,
        probability=found.probability,
        margin=found.margin,
        tokens=[TokenScore(text=token.marked, score=token.score) for token in found.tokens],
        units=[NamedScore(name=u.name, score=u.score) for u in found.units[:MAX_UNITS]],
        n_units_kept=found.n_units_kept,
        share_units_kept=found.share_units_kept,
        edges=[NamedScore(name=e.name, score=e.score) for e in found.edges[:MAX_EDGES]],
        test=ExplanationTest(
            units_decide=do_units_decide(found.margin, test.margin_of_nothing),
            margin_kept=test.margin_kept,
            margin_kept_raw=test.margin_kept_raw,
            margin_when_removed=test.margin_when_removed,
            confidence_kept=test.confidence_kept,
            confidence_removed=test.confidence_removed,
            random_margin_kept=test.random_margin_kept,
            random_confidence_kept=test.random_confidence_kept,
            random_margin_when_removed=test.random_margin_when_removed,
        ),
        model_sha256=digest,
        data_sha256=work.rows_file.sha256,
        versions=package_versions(),
        created_utc=now_utc(),
    )
