"""Runs a recipe: subsampled steps, then dense ones, with checkpoints from which it goes on exactly.

A step is a function of the weights, the moments and its number: rows, sources, dropout and rates
are derived from the recipe's seed and that number. So a training that was killed and started again
writes the same losses, to the last bit on one machine, as one that was not.

The same code runs in several processes under `torchrun` (Accelerate): each reads its part of every
step's rows.

Read with: `recipe.py` (all settings), `language.py` (the task), `training_checkpoint.py`.
"""

import math
import shutil
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import NamedTuple

import psutil
import torch
from accelerate import Accelerator
from torch import Tensor
from transformers import PreTrainedModel

from sparsepath.artifacts.model_files import write_sums
from sparsepath.artifacts.provenance import now_utc, package_versions
from sparsepath.artifacts.store import folder_atomic, write_json_atomic
from sparsepath.errors import ConfigError, RunError, SparsepathError
from sparsepath.nn.subsampling import Subsampler, subsample
from sparsepath.train.autoencoder import AutoencoderTask
from sparsepath.train.images import ImageTask
from sparsepath.train.interrupts import between_steps
from sparsepath.train.language import LanguageTask
from sparsepath.train.molecules import MoleculeTask
from sparsepath.train.optimizers import make_optimizers, set_rates
from sparsepath.train.recipe import Recipe, TaskName
from sparsepath.train.record import Record
from sparsepath.train.sharding import shard, whole
from sparsepath.train.sparsity import Sparsity
from sparsepath.train.task import Batch, Evaluation, Task, cut
from sparsepath.train.tensorboard import Events
from sparsepath.train.texts import TextTask
from sparsepath.train.training_checkpoint import (
    Place,
    find_checkpoints,
    read_checkpoint,
    write_checkpoint,
)
from sparsepath.train.training_progress import TrainingProgress

RECIPE_FILE, MODEL_FOLDER, DATA_FOLDER, CHECKPOINTS_FOLDER = (
    "recipe.json",
    "model",
    "data",
    "checkpoints",
)

SMOOTHING = 0.05
"""Weight of the last step in the running mean of the loss."""

PRIME = 1_000_003
"""Spreads seeds, steps and parts over the seeds of generators."""


class Trained(NamedTuple):
    """What a training left."""

    folder: Path
    """The run folder; `model` inside it is an ordinary Hugging Face folder."""
    evaluation: Evaluation
    """The last look at held-out rows."""
    wall_s: float
    """Seconds, over all starts."""


def train(recipe: Recipe, out: Path) -> Trained:
    """Train by a recipe, or go on where an earlier start of the same one ended.

    Args:
        recipe: everything that decides the result.
        out: run folder, made if it is not there.

    Raises:
        ConfigError: if settings do not fit together.
        DataError: if the corpus cannot be read.
        RunError: if the folder belongs to another recipe, or the loss is no number or rises.
    """
    is_new = not (out / RECIPE_FILE).exists()
    try:
        run = _Training(recipe, out)
    except SparsepathError:
        # A refused recipe leaves nothing that would stand in the way of the corrected one; what
        # was there before, `_claim` refused.
        if is_new and (out / RECIPE_FILE).exists():
            shutil.rmtree(out, ignore_errors=True)
        raise
    with ExitStack() as stack:
        stack.enter_context(run.progress)
        if recipe.subsampling.keep < 1 or recipe.subsampling.keep_last is not None:
            run.sampler = stack.enter_context(
                _subsampled(run.task.attending(run.plain_model), recipe)
            )
        interrupt = stack.enter_context(between_steps())
        while run.step < recipe.train.steps:
            run.take_step()
            # Several processes do not stop at the same step: theirs is the last checkpoint.
            if interrupt.is_wanted and run.accelerator.num_processes == 1:
                run.keep()
                run.record.close()
                raise KeyboardInterrupt
    evaluation = [run.evaluate(part) for part in run.task.parts][-1]
    model = run.whole_model()
    if run.accelerator.is_main_process:
        run.record.add("event", run.step, what="finished", time=now_utc())
        run.record.close()
        _save_model(run, model, evaluation)
    run.accelerator.wait_for_everyone()
    return Trained(out, evaluation, run.wall_s)


class _Training:
    """The moving parts of one training."""

    def __init__(self, recipe: Recipe, out: Path) -> None:
        """Prepare data, model and optimisers, and go to the newest checkpoint."""
        self.recipe, self.out = recipe, out
        settings = recipe.train
        self.accelerator = Accelerator(mixed_precision=_precision(recipe))
        if self.accelerator.is_main_process:
            _claim(recipe, out)
        self.accelerator.wait_for_everyone()
        with self.accelerator.main_process_first():
            self.task: Task = make_task(recipe, out / DATA_FOLDER)
        self.plain_model = self.task.model()
        if settings.checkpoint_activations:
            self.plain_model.activation_checkpointing_enable()
        n_parts = settings.accumulate * self.accelerator.num_processes
        if settings.batch_size % n_parts:
            raise ConfigError(
                f"train.batch_size = {settings.batch_size} for {n_parts} parts (accumulate times "
                "processes)",
                hint="make batch_size a multiple of the parts",
            )
        self.is_sharded = settings.sharding == "full" and self.accelerator.num_processes > 1
        self.model, self.optimizers = self._prepared()
        self.model.train()
        self.sampler: Subsampler | None = None
        self.sparsity = Sparsity(self.plain_model, recipe.topk.schedule, revive=recipe.topk.revive)
        self.step, self.mean_nats, self.lowest_nats, self.earlier_s = 0, math.nan, math.inf, 0.0
        checkpoints = find_checkpoints(out / CHECKPOINTS_FOLDER)
        if checkpoints:
            numbers = read_checkpoint(checkpoints[-1], self.plain_model, self.optimizers)
            self.step, self.earlier_s = numbers["step"], numbers["wall_s"]
            self.mean_nats, self.lowest_nats = numbers["mean_nats"], numbers["lowest_nats"]
        self._start = time.monotonic()
        self.progress = TrainingProgress(settings.steps, is_shown=self.accelerator.is_main_process)
        if self.accelerator.is_main_process:
            events = Events(out, step=self.step) if settings.tensorboard else None
            self.record = Record(out, step=self.step, events=events)
            what = "resumed" if checkpoints else "started"
            self.record.add(
                "event", self.step, what=what, time=now_utc(), versions=package_versions()
            )

    def _prepared(self) -> tuple[torch.nn.Module, list[torch.optim.Optimizer]]:
        """Put the model on its device, whole in every process or spread over them."""
        accelerator, settings = self.accelerator, self.recipe.train
        if self.is_sharded:
            self.plain_model.to(accelerator.device)
            is_bf16 = _precision(self.recipe) == "bf16"
            shard(self.plain_model, n_processes=accelerator.num_processes, is_bf16=is_bf16)
            return self.plain_model, make_optimizers(self.plain_model, settings)
        optimizers = make_optimizers(self.plain_model, settings)
        model, *prepared = accelerator.prepare(self.plain_model, *optimizers)
        return model, prepared

    def whole_model(self) -> PreTrainedModel:
        """Give the model in one piece; all processes must call it."""
        if not self.is_sharded:
            return self.plain_model
        weights = {name: whole(value) for name, value in self.plain_model.state_dict().items()}
        found = self.task.model()
        found.load_state_dict(weights)
        return found

    @property
    def wall_s(self) -> float:
        """Seconds, over all starts."""
        return self.earlier_s + time.monotonic() - self._start

    @property
    def tokens_a_step(self) -> int:
        """Tokens that a step reads at most."""
        return self.recipe.train.batch_size * self.task.tokens_a_row

    def take_step(self) -> None:
        """Move the weights once, and write down what happened."""
        settings, n_steps = self.recipe.train, self.recipe.train.steps
        factor = settings.schedule.factor(self.step, n_steps)
        keep = self.recipe.subsampling.schedule.at(self.step, n_steps)
        rate = set_rates(self.optimizers, factor)
        self._seed(keep)
        self.sparsity.follow(self.step, n_steps)
        loss_nats = self._accumulate()
        self._check(loss_nats)
        self.accelerator.clip_grad_norm_(self.model.parameters(), settings.clip_norm)
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self.step += 1
        if self.accelerator.is_main_process:
            self._say(loss_nats, rate, keep)
        if self.step % settings.evaluate_every == 0 and self.step < n_steps:
            self.evaluate(self.task.parts[0])
        if self.step % settings.checkpoint_every == 0 or self.step == n_steps:
            self.keep()

    def evaluate(self, part: str) -> Evaluation:
        """Look at rows that weights are not fitted on, dense."""
        found = self.task.evaluate(self.plain_model, part)
        # They are counted while training, so only the first look after some steps has news.
        if self.accelerator.is_main_process and self.sparsity.sites and part == self.task.parts[0]:
            neurons = self.sparsity.neurons()
            self.record.add("neurons", self.step, sites=neurons)
            self.progress.note(f"step {self.step}: {self.sparsity.sentence(neurons)}")
        if self.accelerator.is_main_process:
            self.record.add(
                "evaluation",
                self.step,
                part=part,
                loss_nats=found.loss_nats,
                n=found.n,
                wall_s=self.wall_s,
                **found.scores,
            )
            self.progress.note(f"step {self.step}: {part} rows: {found.text}")
        return found

    def _seed(self, keep: float) -> None:
        """Let everything random in this step follow from its number."""
        seed = ((self.recipe.seed * PRIME + self.step) * PRIME) % (1 << 62)
        place = self.accelerator.process_index
        torch.manual_seed(seed + place)
        if self.sampler is not None:
            # A set that a whole batch shares is the same in all processes.
            is_own = self.recipe.subsampling.per_example
            self.sampler.generator.manual_seed(seed + place * is_own)
            self.sampler.set_keep(keep)

    def _accumulate(self) -> float:
        """Run forward and backward over the step's rows; return their mean loss in nats."""
        n_parts = self.recipe.train.accumulate
        mine = self._batch()
        total = torch.zeros((), device=self.accelerator.device)
        for place in range(n_parts):
            loss = self.task.loss(self.model, cut(mine, n_parts, place))
            self.accelerator.backward((loss + self.sparsity.loss()) / n_parts)
            total += loss.detach() / n_parts
        mean: Tensor = self.accelerator.reduce(total, reduction="mean")
        return float(mean)

    def _batch(self) -> Batch:
        """Read this process's part of the step's rows."""
        accelerator = self.accelerator
        whole = self.task.batch(self.step)
        mine = cut(whole, accelerator.num_processes, accelerator.process_index)
        return {name: value.to(accelerator.device) for name, value in mine.items()}

    def _check(self, loss_nats: float) -> None:
        """Stop at a loss that is no number, or far above what it was.

        Raises:
            RunError: naming the step and its rows.
        """
        is_first = math.isnan(self.mean_nats)
        mean = loss_nats if is_first else self.mean_nats + SMOOTHING * (loss_nats - self.mean_nats)
        limit = self.lowest_nats + self.recipe.train.diverged
        if not math.isfinite(loss_nats) or mean > limit:
            first = self.step * self.recipe.train.batch_size
            what = "is no number" if not math.isfinite(loss_nats) else f"rose above {limit:.2f}"
            if self.accelerator.is_main_process:
                self.record.add("event", self.step, what="diverged", loss_nats=str(loss_nats))
            raise RunError(
                f"the loss {what} at step {self.step + 1} ({loss_nats:.4g} nats; rows {first} to "
                f"{first + self.recipe.train.batch_size - 1} in the order of seed "
                f"{self.recipe.seed})",
                hint="lower train.rate or raise train.warmup, and train into a new folder; "
                "the checkpoints so far are kept",
            )
        self.mean_nats, self.lowest_nats = mean, min(self.lowest_nats, mean)

    def _say(self, loss_nats: float, rate: float, keep: float) -> None:
        """Write the line of a step."""
        wall_s = self.wall_s
        self.record.add(
            "step",
            self.step,
            loss_nats=loss_nats,
            lr=rate,
            tokens=self.step * self.tokens_a_step,
            wall_s=wall_s,
            keep=keep,
        )
        self.progress.say(
            self.step,
            f"{self.task.told(self.mean_nats)}, keep {keep:.2f}, "
            f"{psutil.Process().memory_info().rss / 1e9:.1f} GB",
            self.tokens_a_step,
        )

    def keep(self) -> None:
        """Write a checkpoint."""
        accelerator = self.accelerator
        if self.is_sharded or accelerator.is_main_process:
            place = Place()
            if self.is_sharded:
                place = Place(
                    accelerator.process_index,
                    accelerator.num_processes,
                    accelerator.wait_for_everyone,
                )
            write_checkpoint(
                self.out / CHECKPOINTS_FOLDER,
                self.step,
                self.plain_model,
                self.optimizers,
                {
                    "wall_s": self.wall_s,
                    "mean_nats": self.mean_nats,
                    "lowest_nats": self.lowest_nats,
                },
                keep=self.recipe.train.keep_checkpoints,
                place=place,
            )
        accelerator.wait_for_everyone()


def make_task(recipe: Recipe, folder: Path) -> Task:
    """Make what a recipe learns.

    Args:
        recipe: the recipe.
        folder: for what is made of the data.
    """
    return TASKS[recipe.task](recipe, folder)


TASKS: dict[TaskName, Callable[[Recipe, Path], Task]] = {
    "language-model": LanguageTask,
    "image-classification": ImageTask,
    "text-classification": TextTask,
    "molecule-regression": MoleculeTask,
    "sparse-autoencoder": AutoencoderTask,
}
"""What each `task` of a recipe is."""


def _precision(recipe: Recipe) -> str:
    """Choose the number format of the forward pass."""
    wanted = recipe.train.precision
    if wanted == "auto":
        has_bf16 = torch.cuda.is_available() and torch.cuda.is_bf16_supported()
        return "bf16" if has_bf16 else "no"
    return "no" if wanted == "fp32" else wanted


def _subsampled(model: PreTrainedModel, recipe: Recipe) -> AbstractContextManager[Subsampler]:
    """Enter subsampled attention as the recipe asks for it."""
    part = recipe.subsampling
    return subsample(
        model,
        keep=part.keep,
        mode=part.mode,
        spread=part.spread,
        per_example=part.per_example,
        per_head=part.per_head,
        generator=torch.Generator(),
    )


def _claim(recipe: Recipe, out: Path) -> None:
    """Make the folder this recipe's, or see that it is.

    Raises:
        RunError: if it is another one's, or holds something else.
    """
    path, content = out / RECIPE_FILE, recipe.model_dump_json(indent=2)
    if path.exists():
        if Recipe.model_validate_json(path.read_text("utf-8")) != recipe:
            raise RunError(
                f"{out} holds the training of another recipe",
                hint="give --out a new folder, or the recipe as it was",
            )
        return
    if out.exists() and any(out.iterdir()):
        raise RunError(f"{out} is not empty and holds no training", hint="give --out a new folder")
    write_json_atomic(path, recipe.model_dump(mode="json"))
    assert Recipe.model_validate_json(content) == recipe


def _save_model(run: _Training, model: PreTrainedModel, evaluation: Evaluation) -> None:
    """Write the trained model as an ordinary Hugging Face folder with a card."""
    part = run.recipe.subsampling
    n_dense = run.recipe.train.steps - round((1 - part.dense) * run.recipe.train.steps)
    history = (
        "dense attention in every step"
        if run.sampler is None
        else f"subsampled attention (keep {part.keep:g}"
        + ("" if part.keep_last is None else f" to {part.keep_last:g}")
        + f", {part.mode}), the last {n_dense} of {run.recipe.train.steps} steps dense"
    )
    if run.sparsity.sites:
        kept = ", ".join(f"{k} at {site}" for site, k in run.recipe.topk.sites.items())
        topk = run.recipe.topk
        first = f"the first {topk.dense_first} and " if topk.dense_first else ""
        history += f"; sparse hidden states: {kept}, {first}the last {topk.dense_layers} dense"
    card = f"""---
library_name: transformers
---
# {run.out.name}

Trained by `sparsepath train`; `recipe.json` describes the training completely.

- Task: {run.recipe.task}; data: {run.task.source}
- Attention: {history}
- Tokens seen: {run.step * run.tokens_a_step:,} at most
- {evaluation.n:,} {evaluation.part} predictions: {evaluation.text}
"""
    with folder_atomic(run.out / MODEL_FOLDER) as folder:
        run.task.save(model, folder, card)
        shutil.copy(run.out / RECIPE_FILE, folder / RECIPE_FILE)
        write_sums(folder)
