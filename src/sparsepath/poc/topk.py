"""Seventh stage: a sparse twin of the full model, whose neurons explain each decision.

Of what leaves the last layer, each token keeps the largest eighth, by value. Nothing but the mean
over tokens and the linear classifier follows (in most families), so that what each neuron adds to
an answer is known exactly. The twin learns from the full model's answers while k falls from all
entries to the eighth; only the last layer and the classifier learn, which a few steps are enough
for (LOG.md). ONNX Runtime multiplies zeros like other numbers: the twin is no faster, it explains.

Read with: `models/topk_classifier.py`, `pathways/explain_sparse.py`.
"""

import math
import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch

from sparsepath.artifacts.analysis import SparseReport
from sparsepath.artifacts.neurons import NeuronFacts, NeuronsFile
from sparsepath.models.classifier import PathwayClassifier
from sparsepath.models.families import encoder_layers
from sparsepath.models.topk_classifier import sparse_copy, sparse_sites
from sparsepath.models.units import UnitMask
from sparsepath.nn.topk import KSchedule
from sparsepath.pathways.attribution import Question
from sparsepath.pathways.explain_check import ExplanationTest, do_units_decide
from sparsepath.pathways.explain_sparse import sparse_units
from sparsepath.pathways.neurons import Texts, study_neurons
from sparsepath.pathways.selection import Case
from sparsepath.poc.analysis import update_analysis
from sparsepath.poc.lessons import Lessons, stored_lessons
from sparsepath.poc.saving import save_candidate
from sparsepath.poc.state import Draft
from sparsepath.poc.submodels import latency_model
from sparsepath.poc.workspace import MODELS_FOLDER, Workspace
from sparsepath.train.checkpoint import FileCheckpoints
from sparsepath.train.finetune import predict_logits, score_on, teacher_loss
from sparsepath.train.loop import FitConfig, FitJob, FitResult, ValidationScore, fit
from sparsepath.train.sparsity import Sparsity

NAME = "topk-8th"

SHARE = 1 / 8
"""Share of the entries that a token keeps."""

FIT = FitConfig(
    learning_rate=1e-3,
    classifier_rate_factor=5.0,
    batch_size=64,
    max_epochs=30.0,
    n_evaluations=2,
    short_epochs=math.inf,
)
"""How the twin learns."""

SCHEDULE = KSchedule(shape="cosine", share=0.5)
"""How k falls over the steps."""

LEAST_SECONDS, LEAST_ROWS = 4.0, 320
"""A shorter stage, or one in which fewer rows can be learnt from, is left out."""

FIT_SHARE, LOOK_SHARE, STUDY_SHARE = 0.55, 0.04, 0.15
"""Shares of the stage's time for learning, for each look at validation rows meanwhile, and for
looking at what neurons fire for; the rest is for writing the model and testing explanations."""

ROW_COST = 1.5
"""What a row costs that is learnt from, over what one costs that is only answered."""

PROBE_ROWS = 32
"""Rows that are timed."""

JUDGE_ROWS, LEAST_JUDGE_ROWS = 400, 96
"""Validation rows that judge it while it learns: at most, and however little time there is."""

STUDIED_ROWS, LEAST_STUDIED_ROWS = 2_000, 128
"""Training rows on which neurons are looked at: likewise."""

TESTED_ROWS, LEAST_TESTED_ROWS = 40, 4
"""Validation rows whose explanations are tested: at most, and however little time is left."""

N_RANDOM = 20
"""Random sets of an explanation's test."""

LEAST_SHARE_OF_TEXTS = 0.01
"""A neuron that fires in fewer texts is not shown as what stands for a label."""


class _Affordable(NamedTuple):
    """What there is time for."""

    fit_s: float
    """Seconds of learning."""
    judging: int
    """Validation rows that judge."""
    studied: int
    """Training rows on which neurons are looked at."""


class Tested(NamedTuple):
    """One explanation's test, and how many of how many neurons it named."""

    test: ExplanationTest
    n_named: int
    n_active: int


def run_topk(work: Workspace, budget_s: float) -> str:
    """Make the sparse twin, look at its neurons, and test its explanations."""
    end_s = work.plan.used_s + budget_s
    checkpoints = FileCheckpoints(work.work_folder / f"fit-{NAME}.safetensors")
    if work.state.is_done("measure"):
        return "left out: this run was measured without it"
    lessons = stored_lessons(work)
    rows = None if lessons is None else _affordable(work, lessons, budget_s)
    if lessons is None or rows is None:
        checkpoints.remove()
        return "left out: there was no time for it"
    model = sparse_twin(work.full)
    result = _learn(work, model, lessons, checkpoints, rows)
    neurons = _study(work, model, rows.studied)
    draft = _draft(work, model, result)
    save_candidate(work, draft, model, neurons=neurons)
    checkpoints.remove()
    tested = _test(work, model, neurons, end_s)
    report = _report(neurons, tested)
    update_analysis(work.folder, sparse=report)
    said = f"{NAME} {result.best.accuracy:.1%} on validation rows after {result.n_steps} steps"
    if report.margin_kept is None or report.random_margin_kept is None:
        return said
    return (
        f"{said}; the named {report.share_named:.0%} of the neurons that fire keep "
        f"{report.margin_kept:.0%} of the margin, a random {report.share_named:.0%} "
        f"{report.random_margin_kept:.0%}"
    )


def sparse_twin(full: PathwayClassifier) -> PathwayClassifier:
    """Give the full model with a sparse last layer, not trained yet; weights are its own."""
    last = len(full.config.layers) - 1
    twin = sparse_copy(full, {"block_out": SHARE}, first_layer=last, n_dense_layers=0)
    twin.eval()
    return twin


def _affordable(work: Workspace, lessons: Lessons, budget_s: float) -> _Affordable | None:
    """Time some rows and say what there is time for; None where that is too little."""
    if budget_s < LEAST_SECONDS:
        return None
    probe = lessons.encoded[:PROBE_ROWS]
    start_s = work.plan.used_s
    predict_logits(work.full, probe, work.pad_id)
    row_s = max(1e-6, (work.plan.used_s - start_s) / len(probe))
    if FIT_SHARE * budget_s < LEAST_ROWS * ROW_COST * row_s:
        return None
    judging, studied = int(LOOK_SHARE * budget_s / row_s), int(STUDY_SHARE * budget_s / row_s)
    return _Affordable(
        fit_s=FIT_SHARE * budget_s,
        judging=min(JUDGE_ROWS, max(LEAST_JUDGE_ROWS, judging)),
        studied=min(STUDIED_ROWS, max(LEAST_STUDIED_ROWS, studied)),
    )


def _learn(
    work: Workspace,
    model: PathwayClassifier,
    lessons: Lessons,
    checkpoints: FileCheckpoints,
    rows: _Affordable,
) -> FitResult:
    """Distil the twin while k falls; every look is at the k that it will have."""
    sparsity = Sparsity(model, SCHEDULE)
    n = rows.judging
    judge = score_on(work.valid.encoded[:n], work.valid.labels[:n], work.pad_id)

    def validate(judged: PathwayClassifier) -> ValidationScore:
        for site in sparsity.sites.values():
            site.set_k(site.k)
        return judge(judged)

    job = FitJob(
        model=model,
        encoded=lessons.encoded,
        pad_id=work.pad_id,
        loss=teacher_loss(lessons.teacher, lessons.labels, temperature=1.0, label_share=0.0),
        validate=validate,
        seed=work.options.seed,
        budget_s=rows.fit_s,
        on_step=lambda done, planned, learnt: work.progress.say(
            f"{NAME}, step {done} of {planned}, {learnt}"
        ),
        before_step=sparsity.follow,
    )
    with _only_the_last_learns(model):
        result = fit(job, FIT, checkpoints=checkpoints)
    for site in sparsity.sites.values():
        site.set_k(site.k)
    return result


@contextmanager
def _only_the_last_learns(model: PathwayClassifier) -> Iterator[None]:
    """Let only the last layer, what follows it, and the classifier learn inside the block."""
    layers = encoder_layers(model.encoder)
    still = [*layers[:-1], model.get_submodule("encoder.embeddings")]
    parameters = [parameter for module in still for parameter in module.parameters()]
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)


def _draft(work: Workspace, model: PathwayClassifier, result: FitResult) -> Draft:
    """Describe the candidate."""
    topk = sparse_sites(model)[0].topk
    return Draft(
        name=NAME,
        kind="topk",
        folder=f"{MODELS_FOLDER}/{NAME}",
        parent="full",
        note=f"each token keeps the {topk.k} largest of {topk.width} entries after the last layer; "
        f"learnt from the full model in {result.n_steps} steps",
        predicted_ms=latency_model(work).predict_ms(UnitMask.full(model).shape),
        accuracy_valid=result.best.accuracy,
        nll_valid=result.best.nll_nats,
        is_distilled=True,
    )


def _study(work: Workspace, model: PathwayClassifier, n: int) -> NeuronsFile:
    """Look at what each neuron fires for, on training rows."""
    rows = work.train
    chosen = work.shuffled(len(rows.texts))[:n]
    work.progress.say(f"looking at what neurons fire for in {len(chosen)} training rows")
    return study_neurons(
        model,
        work.small_tokenizer,
        Texts(
            [rows.texts[i] for i in chosen],
            [rows.encoded[i] for i in chosen],
            [work.label_names[int(rows.labels[i])] for i in chosen],
            [rows.row_ids[i] for i in chosen],
        ),
        pad_id=work.pad_id,
    )


def _test(
    work: Workspace, model: PathwayClassifier, neurons: NeuronsFile, end_s: float
) -> list[Tested]:
    """Test explanations of validation rows until the time is used up."""
    found: list[Tested] = []
    for number, i in enumerate(work.shuffled(len(work.valid.texts))[:TESTED_ROWS]):
        if number >= LEAST_TESTED_ROWS and work.plan.used_s > end_s:
            break
        ids = torch.tensor(work.valid.encoded[i])
        with torch.no_grad():
            logits = model(ids.unsqueeze(0)).logits[0]
        target, against = logits.argsort(descending=True, stable=True)[:2].tolist()
        case = Case(model, ids, None, Question(target, against), logits)
        units = sparse_units(case, neurons, N_RANDOM, work.generator(200 + i))
        if do_units_decide(case.margin, units.test.margin_of_nothing):
            found.append(Tested(units.test, units.n_units_kept, units.n_units))
        work.progress.say(f"{number + 1} explanations tested")
    return found


def _report(neurons: NeuronsFile, tested: list[Tested]) -> SparseReport:
    """Put together what the report shows: medians over texts."""
    if not tested:
        return SparseReport(name=NAME, n_tested=0, neurons=_of_labels(neurons))
    tests = [item.test for item in tested]
    return SparseReport(
        name=NAME,
        n_tested=len(tested),
        n_named=statistics.median(item.n_named for item in tested),
        n_active=statistics.median(item.n_active for item in tested),
        share_named=statistics.median(item.n_named / item.n_active for item in tested),
        margin_kept=statistics.median(test.margin_kept for test in tests),
        random_margin_kept=statistics.median(
            statistics.fmean(test.random_margin_kept) for test in tests
        ),
        margin_when_removed=statistics.median(test.margin_when_removed for test in tests),
        random_margin_when_removed=statistics.median(
            statistics.fmean(test.random_margin_when_removed) for test in tests
        ),
        neurons=_of_labels(neurons),
    )


def _of_labels(neurons: NeuronsFile) -> list[NeuronFacts]:
    """Give for each label the neuron that stands for it most clearly."""
    best: dict[str, NeuronFacts] = {}
    for neuron in neurons.neurons:
        if neuron.label is None or neuron.share_of_texts < LEAST_SHARE_OF_TEXTS:
            continue
        rank = (neuron.label_share, -neuron.share_of_texts)
        known = best.get(neuron.label)
        if known is None or rank > (known.label_share, -known.share_of_texts):
            best[neuron.label] = neuron
    return [best[label] for label in sorted(best)]
