"""The training loop that fine-tuning and distilling share: it ends on time and resumes exactly.

A fit has a budget in seconds. The first steps are timed, the number of steps is planned from them,
and the learning rate follows the share of planned steps that is done; when the machine slows down,
the plan shrinks so that the rate still decays to its end in time. With `n_steps` given, no clock is
read and the same seed gives the same weights.

Shape letters: B examples, C labels.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

from sparsepath.models.classifier import PathwayClassifier
from sparsepath.trace.batches import Batch, bucketed_batches
from sparsepath.train.checkpoint import FitState, load_state, save_state

N_TIMED_STEPS = 8
"""Steps after which the number of steps is planned."""

N_STEPS_BETWEEN_PLANS = 16
"""Steps between two looks at the clock."""

PATIENT_UNTIL = 0.5
"""Share of the plan before which no look counts against patience: at first a high rate costs
accuracy that its decay brings back."""

RECENT_SHARE = 0.05
"""Weight of the last step in the running mean of the time that a step takes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FitConfig:
    """How weights are moved; nothing about what they learn."""

    learning_rate: float = 1e-4
    """Highest rate of the encoder's layers."""

    classifier_rate_factor: float = 10.0
    """Rate of the classifier, as a multiple of `learning_rate`."""

    embedding_rate_factor: float = 1.0
    """Rate of the word embeddings, as a multiple of `learning_rate`."""

    batch_size: int = 32
    """Examples a step."""

    max_epochs: float = 5.0
    """Passes over the rows after which the fit ends even when time is left."""

    n_evaluations: int = 5
    """Looks at the validation rows, evenly spread over the steps; the best one is kept."""

    patience: int = 3
    """Looks without improvement after which the fit ends."""

    warmup_share: float = 0.1
    """Share of the steps over which the rate rises from zero."""

    final_rate_share: float = 0.02
    """Rate at the end, as a share of the highest."""

    weight_decay: float = 0.01
    """Decoupled weight decay of matrices; vectors have none."""

    clip_norm: float = 1.0
    """Largest norm of the gradient."""

    short_epochs: float = 0.0
    """A fit of fewer planned passes over the rows is a short one; `math.inf` makes each one short.
    A short fit has no dropout: what is seen once cannot be learnt by heart, nor can a small model
    overfit soft answers, and drawing what to drop takes up to a quarter of a step on a CPU."""

    short_rate_factor: float = 1.0
    """Rate of a short fit, as a multiple of the rate of a long one."""


class ValidationScore(NamedTuple):
    """One look at the validation rows."""

    accuracy: float
    """Share of rows that are right, 0 to 1."""
    nll_nats: float
    """Mean loss in nats."""

    @property
    def rank(self) -> tuple[float, float]:
        """Greater is better: accuracy first, then a lower loss."""
        return (self.accuracy, -self.nll_nats)


class FitResult(NamedTuple):
    """What a fit did."""

    n_steps: int
    """Steps taken."""
    epochs: float
    """Passes over the rows."""
    best: ValidationScore
    """The score of the weights that were kept."""
    wall_s: float
    """Seconds, over all runs of this fit."""
    ended: str
    """Why it ended: "planned", "patience" or "time"."""


LossFunction = Callable[[Tensor, Tensor], Tensor]
"""Gives the mean loss of logits (B, C) for the training rows named (B)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FitJob:
    """What is fitted to what."""

    model: PathwayClassifier
    """Changed in place; ends with the best weights seen."""

    encoded: Sequence[Sequence[int]]
    """Token ids of each training row."""

    pad_id: int
    """Token id that fills short rows."""

    loss: LossFunction
    """Loss of a batch."""

    validate: Callable[[PathwayClassifier], ValidationScore]
    """Scores a model in evaluation mode."""

    seed: int
    """Decides the order of the rows and the dropped entries."""

    budget_s: float
    """Seconds that the whole fit may take; `math.inf` for no limit."""

    on_step: Callable[[int, int, str], None] = lambda done, planned, learnt: None
    """Called after each step with steps done, steps planned and what is being learnt."""

    before_step: Callable[[int, int], None] = lambda done, planned: None
    """Called before each step with steps done and steps planned."""


@runtime_checkable
class Checkpoints(Protocol):
    """Where a fit keeps its state between steps."""

    def load(self) -> FitState | None:
        """Give the last state, if any."""

    def save(self, state: FitState) -> None:
        """Keep a state, whole or not at all."""


class Clock:
    """Seconds that a fit has used, over all its runs."""

    def __init__(self, used_s: float) -> None:
        """Start with the seconds that earlier runs used."""
        self._start = time.monotonic() - used_s

    @property
    def used_s(self) -> float:
        """Seconds since the start, earlier runs included."""
        return time.monotonic() - self._start


def fit(
    job: FitJob,
    config: FitConfig,
    *,
    checkpoints: Checkpoints | None = None,
    n_steps: int | None = None,
) -> FitResult:
    """Fit a model within a time budget and leave it with the best weights seen.

    Args:
        job: Model, rows, loss and budget.
        config: Rates and limits.
        checkpoints: Where the state is kept at each evaluation; an unfinished fit goes on from it.
        n_steps: Exact number of steps; the clock then decides nothing.

    Returns:
        What was done.
    """
    run = _Run(job, config, n_steps)
    saved = checkpoints.load() if checkpoints else None
    if saved is not None:
        run.restore(saved)
    else:
        run.look()
    while not run.is_done:
        run.step()
        if run.is_time_to_look:
            run.look()
            if checkpoints:
                checkpoints.save(run.state())
    if run.last_look != run.done:
        run.look()
    return run.finish()


class _Run:
    """The moving parts of one fit."""

    def __init__(self, job: FitJob, config: FitConfig, n_steps: int | None) -> None:
        """Build the optimiser; nothing is trained yet."""
        self.job, self.config = job, config
        self.steps_per_epoch = max(1, math.ceil(len(job.encoded) / config.batch_size))
        self.is_timed = n_steps is None and math.isfinite(job.budget_s)
        self.longest = max(1, math.ceil(self.steps_per_epoch * config.max_epochs))
        self.planned = self.longest if n_steps is None else n_steps
        self.optimizer = _optimizer(job.model, config)
        self.clock = Clock(0.0)
        self.done = self.last_look = 0
        self.progress = self.look_s = self.step_s = self.loss_nats = 0.0
        self.n_looks_without_gain = 0
        self.best: ValidationScore | None = None
        self.best_weights: dict[str, Tensor] = {}
        self.ended = ""
        self._batches: Iterator[Batch] = iter(())

    @property
    def is_done(self) -> bool:
        """Whether the plan, the patience or the time is used up."""
        if not self.ended and self.done >= self.planned:
            self.ended = "planned"
        return bool(self.ended)

    @property
    def is_short(self) -> bool:
        """Whether few passes over the rows are planned."""
        return self.planned / self.steps_per_epoch < self.config.short_epochs

    @property
    def is_time_to_look(self) -> bool:
        """Whether an evaluation is due."""
        every = max(1, math.ceil(self.planned / self.config.n_evaluations))
        return self.done - self.last_look >= every or self.done >= self.planned

    def step(self) -> None:
        """Take one step of the optimiser."""
        start_s = self.clock.used_s
        self.job.before_step(self.done, self.planned)
        batch = self._next_batch()
        self._set_rate()
        self.job.model.train(not self.is_short)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.job.seed * 1_000_003 + self.done)
            logits = self.job.model(
                input_ids=batch.input_ids, attention_mask=batch.attention_mask
            ).logits
            loss = self.job.loss(logits, batch.rows)
            loss.backward()
        torch.nn.utils.clip_grad_norm_(self.job.model.parameters(), self.config.clip_norm)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.loss_nats += 0.1 * (float(loss.detach()) - self.loss_nats)
        self.progress += (1 - self.progress) / max(1, self.planned - self.done)
        self.done += 1
        self._replan(self.clock.used_s - start_s)
        accuracy = f"{self.best.accuracy:.1%}" if self.best else "?"
        learnt = f"loss {self.loss_nats:.2f}, best on validation rows {accuracy}"
        self.job.on_step(self.done, self.planned, learnt)

    def look(self) -> None:
        """Score the model on the validation rows and keep it if it is the best."""
        start = self.clock.used_s
        self.job.model.eval()
        score = self.job.validate(self.job.model)
        if self.best is None or score.rank > self.best.rank:
            self.best = score
            weights = self.job.model.state_dict()
            self.best_weights = {name: value.detach().clone() for name, value in weights.items()}
            self.n_looks_without_gain = 0
        elif self.progress >= PATIENT_UNTIL:
            self.n_looks_without_gain += 1
            if self.n_looks_without_gain >= self.config.patience:
                self.ended = self.ended or "patience"
        self.last_look = self.done
        self.look_s = self.clock.used_s - start

    def state(self) -> FitState:
        """Give all that is needed to go on from here."""
        return save_state(
            self.job.model,
            self.optimizer,
            self.best_weights,
            {
                "done": self.done,
                "planned": self.planned,
                "progress": self.progress,
                "used_s": self.clock.used_s,
                "look_s": self.look_s,
                "step_s": self.step_s,
                "waits": self.n_looks_without_gain,
                "best": list(self.best or ()),
                "ended": self.ended,
            },
        )

    def restore(self, state: FitState) -> None:
        """Go on from a saved state, at the same row."""
        self.best_weights = load_state(state, self.job.model, self.optimizer)
        numbers = state.numbers
        self.done = self.last_look = int(numbers["done"])
        self.planned, self.progress = int(numbers["planned"]), float(numbers["progress"])
        self.look_s, self.step_s = float(numbers["look_s"]), float(numbers["step_s"])
        self.n_looks_without_gain = int(numbers["waits"])
        self.best, self.ended = ValidationScore(*numbers["best"]), str(numbers["ended"])
        self.clock = Clock(float(numbers["used_s"]))
        if self.done % self.steps_per_epoch:
            self._batches = self._epoch(self.done // self.steps_per_epoch)
            for _ in range(self.done % self.steps_per_epoch):
                next(self._batches)

    def finish(self) -> FitResult:
        """Leave the model with its best weights, in evaluation mode."""
        self.job.model.load_state_dict(self.best_weights)
        self.job.model.eval()
        assert self.best is not None
        epochs = self.done / self.steps_per_epoch
        return FitResult(self.done, epochs, self.best, self.clock.used_s, self.ended)

    def _next_batch(self) -> Batch:
        """Give the next batch; a new epoch begins with a new order."""
        if self.done % self.steps_per_epoch == 0:
            self._batches = self._epoch(self.done // self.steps_per_epoch)
        return next(self._batches)

    def _epoch(self, number: int) -> Iterator[Batch]:
        """Give the batches of one epoch; its order depends on the seed and its number only."""
        generator = torch.Generator().manual_seed(self.job.seed * 7_919 + number)
        return iter(
            bucketed_batches(
                self.job.encoded,
                None,
                self.config.batch_size,
                pad_id=self.job.pad_id,
                generator=generator,
            )
        )

    def _set_rate(self) -> None:
        """Warm up, then decay linearly with the share of the plan that is done."""
        warmup = max(N_TIMED_STEPS, self.config.warmup_share * self.planned)
        rise = min(1.0, (self.done + 1) / warmup)
        scale = rise * max(self.config.final_rate_share, 1 - self.progress)
        scale *= self.config.short_rate_factor if self.is_short else 1.0
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak"] * scale

    def _replan(self, taken_s: float) -> None:
        """Fit the plan to the clock, from the time that recent steps took."""
        share = 1.0 if self.done <= 2 else max(RECENT_SHARE, 1 / self.done)
        self.step_s += share * (taken_s - self.step_s)
        is_due = self.done == N_TIMED_STEPS or self.done % N_STEPS_BETWEEN_PLANS == 0
        if not self.is_timed or not is_due:
            return
        used_s = self.clock.used_s
        n_looks = self.config.n_evaluations * (1 - self.progress) + 1
        left_s = self.job.budget_s - used_s - n_looks * self.look_s
        self.planned = min(self.longest, self.done + max(0, int(left_s / self.step_s)))
        if used_s > self.job.budget_s:
            self.ended = "time"


def _optimizer(model: PathwayClassifier, config: FitConfig) -> torch.optim.Optimizer:
    """Build AdamW with a rate for each of classifier, word embeddings and the rest."""
    embedding = model.get_input_embeddings().weight
    groups: dict[tuple[float, float], list[Tensor]] = {}
    for name, parameter in model.named_parameters():
        factor = 1.0
        if name.startswith("classifier."):
            factor = config.classifier_rate_factor
        elif parameter is embedding:
            factor = config.embedding_rate_factor
        decay = config.weight_decay if parameter.ndim > 1 else 0.0
        groups.setdefault((factor, decay), []).append(parameter)
    return torch.optim.AdamW(
        [
            {"params": members, "peak": config.learning_rate * factor, "weight_decay": decay}
            for (factor, decay), members in groups.items()
        ],
        lr=config.learning_rate,
        fused=True,
    )
