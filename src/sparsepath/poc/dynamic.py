"""Eighth stage: candidates that choose per text how much of a model to use.

A cascade asks a light sub-model first and a heavier one where it is not sure; an early exit stops
inside one model. Which models, and the thresholds, are chosen on validation rows: the combination
that lies highest above the line of the static candidates, in a cheap and in a dear region. Cascades
of int8 graphs are chosen anew, since there a heavy model costs less.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations, pairwise
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from sparsepath.artifacts.store import folder_atomic
from sparsepath.evaluate.cost import measure_latency
from sparsepath.evaluate.quality import is_right
from sparsepath.models.classifier import PathwayClassifier
from sparsepath.models.describe import describe
from sparsepath.models.surgery import extract
from sparsepath.models.units import UnitMask
from sparsepath.models.weights import Affine
from sparsepath.pathways.controls import layer_drop_masks
from sparsepath.poc.answers import valid_answers, valid_right
from sparsepath.poc.baselines import no_layers
from sparsepath.poc.ensemble import add_ensemble
from sparsepath.poc.saving import add_int8
from sparsepath.poc.state import Draft
from sparsepath.poc.submodels import latency_model
from sparsepath.poc.workspace import MODELS_FOLDER, Workspace
from sparsepath.runtime.build import Exit, save_cascade, save_early_exit
from sparsepath.runtime.engine import load_engine
from sparsepath.runtime.manifest import Precision
from sparsepath.train.finetune import pooled_features
from sparsepath.train.linear import fit_linear

THRESHOLD_QUANTILES = np.linspace(0.02, 0.98, 33)
"""Shares of the rows that a stage passes on, tried as thresholds."""

EXIT_ROWS = 6_000
"""Training rows on which the exits are fitted, at most."""

MAX_STAGES = 3
"""Most models of a cascade."""

LEAST_RATIO = 1.5
"""A stage costs at least so many times the stage before it, or asking both is not worth it."""

AGREEMENT = 0.99
"""Share of the validation rows on which the safe cascade gives its heaviest model's label. Few rows
differ, so this share is known better than a difference in accuracy, and a cheap combination is less
likely to have it by luck."""

LEAST_INT8_SECONDS = 5.0
"""Stages shorter than this leave out cascades in int8."""

TIMED_ROWS, TIMED_S = 64, 3.0
"""Validation rows on which int8 graphs are timed, and for how many seconds at most."""


class StageAnswers(NamedTuple):
    """What one stage says about the validation rows."""

    name: str
    """The candidate, or the exit."""
    cost_ms: float
    """Predicted milliseconds when it answers alone; for an exit, of this stage only."""
    confidence: Float[np.ndarray, " rows"]
    """Its highest probability."""
    answer: Int[np.ndarray, " rows"]
    """The label it gives."""
    is_right: Bool[np.ndarray, " rows"]
    """Whether that is right."""


class Choice(NamedTuple):
    """One combination of stages and thresholds."""

    stages: tuple[StageAnswers, ...]
    """Lightest first."""
    thresholds: tuple[float, ...]
    """Least confidence with which all but the last answer."""
    cost_ms: float
    """Mean predicted milliseconds."""
    accuracy: float
    """Share of validation rows that are right."""
    agreement: float
    """Share on which the label is that of the last stage."""

    def advantage(self, line: "StaticLine") -> float:
        """Accuracy above the static line at equal cost."""
        return self.accuracy - line.accuracy_at(self.cost_ms)


class StaticLine:
    """The best accuracy of single models at a cost, straight between them in log milliseconds."""

    def __init__(self, points: Sequence[tuple[float, float]]) -> None:
        """Take (milliseconds, accuracy) of single models."""
        best = -1.0
        self.points: list[tuple[float, float]] = []
        for cost_ms, accuracy in sorted(points):
            if accuracy > best:
                best = accuracy
                self.points.append((cost_ms, accuracy))

    def accuracy_at(self, cost_ms: float) -> float:
        """Interpolate; left of the lightest model its accuracy, right of the last the best."""
        return sum(share * point[1] for point, share in self.mixture(cost_ms))

    def mixture(self, cost_ms: float) -> list[tuple[tuple[float, float], float]]:
        """Give the points on either side with their shares, which sum to 1."""
        above = [point for point in self.points if point[0] >= cost_ms]
        below = [point for point in self.points if point[0] < cost_ms]
        if not above or not below:
            return [(self.points[-1] if not above else self.points[0], 1.0)]
        left, right = below[-1], above[0]
        share = float(np.log(cost_ms / left[0]) / np.log(right[0] / left[0]))
        return [(left, 1 - share), (right, share)]


def run_dynamic(work: Workspace, budget_s: float) -> str:
    """Choose and write cascades and an early exit."""
    answers = _answers(work)
    line = StaticLine([(a.cost_ms, float(a.is_right.mean())) for a in answers])
    said = _write_cascades(work, wanted_cascades(answers, line), "fp32")
    exits = _early_exit(work, budget_s, line)
    said.append(f"early-exit {exits.accuracy:.1%} at {exits.cost_ms:.2f} ms")
    if work.options.train == "ssa":
        said.append(add_ensemble(work, budget_s))
    if budget_s >= LEAST_INT8_SECONDS:
        answers = _int8_answers(work, [answer.name for answer in answers])
        line = StaticLine([(a.cost_ms, float(a.is_right.mean())) for a in answers])
        said += _write_cascades(work, wanted_cascades(answers, line), "int8")
    return ", ".join(said)


def wanted_cascades(answers: Sequence[StageAnswers], line: StaticLine) -> dict[str, Choice]:
    """Choose cascades: a cheap one, a dear one, and the cheapest that answers as the last model.

    The last model of `answers` is the one that the safe cascade stands for.
    """
    choices = cascades(answers)
    middle = float(np.exp(np.mean(np.log([answers[0].cost_ms, answers[-1].cost_ms]))))
    cheap = [c for c in choices if c.cost_ms <= middle]
    dear = [c for c in choices if c.cost_ms > middle]
    safe = [c for c in choices if c.stages[-1] is answers[-1] and c.agreement >= AGREEMENT]
    found = {}
    if cheap:
        found["cascade-light"] = max(cheap, key=lambda c: c.advantage(line))
    if dear:
        found["cascade-strong"] = max(dear, key=lambda c: c.advantage(line))
    if safe:
        found["cascade-safe"] = min(safe, key=lambda c: c.cost_ms)
    return found


def _write_cascades(
    work: Workspace, wanted: Mapping[str, Choice], precision: Precision
) -> list[str]:
    """Write chosen cascades; say what each is expected to do."""
    said = []
    for name, choice in wanted.items():
        full_name = name if precision == "fp32" else f"{name}-{precision}"
        _write_cascade(work, full_name, choice, precision)
        said.append(f"{full_name} {choice.accuracy:.1%} at {choice.cost_ms:.2f} ms")
    return said


def cascades(answers: Sequence[StageAnswers]) -> list[Choice]:
    """List cascades of two or three models, lightest first, with many thresholds.

    Where all models cost nearly the same, as very small ones do, the first and the last make one.
    """
    found = []
    for n in range(2, MAX_STAGES + 1):
        for stages in combinations(answers, n):
            if all(a.cost_ms * LEAST_RATIO <= b.cost_ms for a, b in pairwise(stages)):
                found += choices_of(stages)
    return found or choices_of((answers[0], answers[-1]))


def choices_of(stages: Sequence[StageAnswers]) -> list[Choice]:
    """Try one confidence threshold for all stages of a combination, lightest first."""
    levels = np.unique(np.quantile(stages[0].confidence, THRESHOLD_QUANTILES))
    return [_at_threshold(stages, float(level)) for level in levels]


def _at_threshold(stages: Sequence[StageAnswers], level: float) -> Choice:
    """Let the first sure stage answer each row."""
    n = len(stages[0].confidence)
    is_open, is_right, cost_ms = np.ones(n, bool), np.zeros(n, bool), 0.0
    agrees = np.zeros(n, bool)
    for number, stage in enumerate(stages):
        cost_ms += stage.cost_ms * float(is_open.mean())
        is_last = number == len(stages) - 1
        answered = is_open & (is_last | (stage.confidence >= level))
        is_right |= answered & stage.is_right
        agrees |= answered & (stage.answer == stages[-1].answer)
        is_open &= ~answered
    thresholds = (level,) * (len(stages) - 1)
    accuracy, agreement = float(is_right.mean()), float(agrees.mean())
    return Choice(tuple(stages), thresholds, cost_ms, accuracy, agreement)


def _answers(work: Workspace) -> list[StageAnswers]:
    """Let distilled sub-models and the full model answer the validation rows."""
    whole_ms = latency_model(work).predict_ms(UnitMask.full(work.full).shape)
    submodels = [d for d in work.state.drafts if d.kind == "submodel" and d.precision == "fp32"]
    drafts = [d for d in submodels if d.is_distilled] or submodels
    drafts.append(work.state.draft("full"))
    found = [_stage(work, d, d.predicted_ms or whole_ms) for d in drafts]
    return sorted(found, key=lambda a: a.cost_ms)


def _stage(work: Workspace, draft: Draft, cost_ms: float) -> StageAnswers:
    """Reduce a candidate's answers to what a cascade looks at."""
    answers = valid_answers(work, draft)
    labels, right = answers.argmax(axis=1), valid_right(work, draft)
    return StageAnswers(draft.name, cost_ms, answers.max(axis=1), labels, right)


def _int8_answers(work: Workspace, names: Sequence[str]) -> list[StageAnswers]:
    """Quantise some candidates, let them answer the validation rows, and time them."""
    for name in names:
        add_int8(work, work.state.draft(name))
    folders = {f"{name}-int8": work.path(f"{MODELS_FOLDER}/{name}") for name in names}
    rows = work.shuffled(len(work.valid.texts))[:TIMED_ROWS]
    latency = measure_latency(
        {
            name: load_engine(folder, threads=work.options.threads, precision="int8")
            for name, folder in folders.items()
        },
        [work.valid.texts[row] for row in rows],
        seed=work.options.seed,
        max_s=TIMED_S,
    )
    found = []
    for name in folders:
        draft = work.state.draft(name)
        found.append(_stage(work, draft, latency[name].mean_ms))
        draft.accuracy_valid = float(found[-1].is_right.mean())
    heaviest = found.pop(next(i for i, a in enumerate(found) if a.name == "full-int8"))
    return [*sorted(found, key=lambda a: a.cost_ms), heaviest]


def _write_cascade(work: Workspace, name: str, choice: Choice, precision: Precision) -> None:
    """Write a folder that names its stages."""
    names = [stage.name for stage in choice.stages]
    folder = f"{MODELS_FOLDER}/{name}"
    with folder_atomic(work.path(folder)) as built:
        drafts = [work.state.draft(stage) for stage in names]
        stages = [work.path(draft.folder) for draft in drafts if draft.folder]
        save_cascade(built, stages, choice.thresholds)
    work.state.put(
        Draft(
            name=name,
            kind="dynamic",
            folder=folder,
            precision=precision,
            parent="full",
            note=f"{' then '.join(names)}, passing on below {choice.thresholds[0]:.2f}",
            predicted_ms=choice.cost_ms,
            accuracy_valid=choice.accuracy,
            thresholds=list(choice.thresholds),
            stages=names,
        )
    )


def _early_exit(work: Workspace, budget_s: float, line: StaticLine) -> Choice:
    """Fit exits inside the full model, choose the threshold and write the stages."""
    latency = latency_model(work)
    full = UnitMask.full(work.full)
    n_layers = full.n_layers
    exits = sorted({round(n_layers * share) for share in (0.0, 1 / 3, 2 / 3, 1.0)})
    n_rows = int(min(EXIT_ROWS, max(150, 60 * budget_s)))
    truth = work.valid.labels.numpy()[: int(max(150, 200 * budget_s))]
    masks = [no_layers(work.full), *layer_drop_masks(full)[1:], full]
    heads, stages, before_ms = [], [], 0.0
    for stop in exits:
        if stop == n_layers:
            head = _last_exit(work)
            probabilities = valid_answers(work, work.state.draft("full"))[: len(truth)]
        else:
            body = extract(work.full, masks[stop]).eval()
            head = _fitted_exit(work, body, n_rows)
            probabilities = _exit_answers(work, body, head, len(truth))
        total_ms = latency.predict_ms(full.shape[:stop])
        stages.append(
            StageAnswers(
                f"exit after layer {stop}",
                total_ms - before_ms,
                probabilities.max(axis=1),
                probabilities.argmax(axis=1),
                is_right(probabilities, truth),
            )
        )
        heads.append(head)
        before_ms = total_ms
    choice = max(choices_of(stages), key=lambda c: c.advantage(line))
    _write_early_exit(work, exits, heads, choice)
    return choice


def _last_exit(work: Workspace) -> Affine:
    """Give the full model's classifier."""
    linear = work.full.classifier
    weight, bias = linear.weight.detach().numpy(), linear.bias.detach().numpy()
    return Affine(weight=np.ascontiguousarray(weight.T), bias=bias)


def _fitted_exit(work: Workspace, body: PathwayClassifier, n_rows: int) -> Affine:
    """Fit one exit on training rows."""
    chosen = work.shuffled(len(work.train.texts))[:n_rows]
    features = pooled_features(body, [work.train.encoded[i] for i in chosen], work.pad_id)
    labels = work.train.labels[chosen].numpy()
    weight, bias = fit_linear(features.numpy(), labels, len(work.label_names))
    return Affine(weight=np.ascontiguousarray(weight.T), bias=bias)


def _exit_answers(
    work: Workspace, body: PathwayClassifier, head: Affine, n_rows: int
) -> Float[np.ndarray, "rows labels"]:
    """Let one exit answer the first validation rows."""
    features = pooled_features(body, work.valid.encoded[:n_rows], work.pad_id).numpy()
    logits = features @ head.weight + head.bias
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    answers: Float[np.ndarray, "rows labels"] = exponentials / exponentials.sum(1, keepdims=True)
    return answers


def _write_early_exit(
    work: Workspace, exits: list[int], heads: list[Affine], choice: Choice
) -> None:
    """Write the stage graphs."""
    weights = describe(work.full)
    folder = f"{MODELS_FOLDER}/early-exit"
    with folder_atomic(work.path(folder)) as built:
        save_early_exit(
            built,
            weights,
            [Exit(after=stop, head=head) for stop, head in zip(exits, heads, strict=True)],
            choice.thresholds,
            labels=work.label_names,
            pad_id=work.pad_id,
        )
        text = work.encoder.small_tokenizer_json
        (built / "tokenizer.json").write_text(text, encoding="utf-8")
    work.state.put(
        Draft(
            name="early-exit",
            kind="dynamic",
            folder=folder,
            parent="full",
            note=f"stops after layer {', '.join(map(str, exits))} above {choice.thresholds[0]:.2f}",
            predicted_ms=choice.cost_ms,
            accuracy_valid=choice.accuracy,
            thresholds=list(choice.thresholds),
            stages=[stage.name for stage in choice.stages],
        )
    )
