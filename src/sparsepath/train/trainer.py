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
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import NamedTuple

import psutil
import torch
from accelerate import Accelerator
from torch import Tensor
from transformers import PreTrainedModel

from sparsepath.artifacts.provenance import now_utc, package_versions
from sparsepath.artifacts.store import folder_atomic, write_json_atomic
from sparsepath.errors import RunError
from sparsepath.nn.subsampling import Subsampler, subsample
from sparsepath.train.language import (
    Evaluation,
    LanguageData,
    evaluate_language,
    make_language_model,
    next_token_loss,
    prepare_language,
)
from sparsepath.train.optimizers import make_optimizers, set_rates
from sparsepath.train.recipe import Recipe
from sparsepath.train.record import Record
from sparsepath.train.training_checkpoint import (
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
    _claim(recipe, out)
    run = _Training(recipe, out)
    with ExitStack() as stack:
        stack.enter_context(run.progress)
        if recipe.subsampling.keep < 1 or recipe.subsampling.keep_last is not None:
            run.sampler = stack.enter_context(_subsampled(run.plain_model, recipe))
        while run.step < recipe.train.steps:
            run.take_step()
    evaluation = run.evaluate()
    if run.accelerator.is_main_process:
        run.record.add("event", run.step, what="finished", time=now_utc())
        _save_model(run, evaluation)
    run.accelerator.wait_for_everyone()
    return Trained(out, evaluation, run.wall_s)


class _Training:
    """The moving parts of one training."""

    def __init__(self, recipe: Recipe, out: Path) -> None:
        """Prepare data, model and optimisers, and go to the newest checkpoint."""
        self.recipe, self.out = recipe, out
        settings = recipe.train
        self.accelerator = Accelerator(mixed_precision=_precision(recipe))
        with self.accelerator.main_process_first():
            self.data: LanguageData = prepare_language(recipe, out / DATA_FOLDER)
        self.plain_model: PreTrainedModel = make_language_model(recipe, self.data)
        if settings.checkpoint_activations:
            self.plain_model.activation_checkpointing_enable()
        optimizers = make_optimizers(self.plain_model, settings)
        prepared = self.accelerator.prepare(self.plain_model, *optimizers)
        self.model: torch.nn.Module = prepared[0]
        self.optimizers: list[torch.optim.Optimizer] = list(prepared[1:])
        self.model.train()
        self.sampler: Subsampler | None = None
        self.step, self.mean_nats, self.lowest_nats, self.earlier_s = 0, math.nan, math.inf, 0.0
        checkpoints = find_checkpoints(out / CHECKPOINTS_FOLDER)
        if checkpoints:
            numbers = read_checkpoint(checkpoints[-1], self.plain_model, self.optimizers)
            self.step, self.earlier_s = numbers["step"], numbers["wall_s"]
            self.mean_nats, self.lowest_nats = numbers["mean_nats"], numbers["lowest_nats"]
        self._start = time.monotonic()
        self.progress = TrainingProgress(settings.steps, is_shown=self.accelerator.is_main_process)
        if self.accelerator.is_main_process:
            self.record = Record(out, step=self.step)
            what = "resumed" if checkpoints else "started"
            self.record.add(
                "event", self.step, what=what, time=now_utc(), versions=package_versions()
            )

    @property
    def wall_s(self) -> float:
        """Seconds, over all starts."""
        return self.earlier_s + time.monotonic() - self._start

    @property
    def n_tokens(self) -> int:
        """Tokens that were predicted so far."""
        return self.step * self.recipe.train.batch_size * self.recipe.data.length

    def take_step(self) -> None:
        """Move the weights once, and write down what happened."""
        settings, n_steps = self.recipe.train, self.recipe.train.steps
        factor = settings.schedule.factor(self.step, n_steps)
        keep = self.recipe.subsampling.schedule.at(self.step, n_steps)
        rate = set_rates(self.optimizers, factor)
        self._seed(keep)
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
            self.evaluate()
        if self.step % settings.checkpoint_every == 0 or self.step == n_steps:
            self._keep()

    def evaluate(self) -> Evaluation:
        """Look at held-out rows, dense."""
        settings = self.recipe.train
        found = evaluate_language(
            self.plain_model,
            self.data,
            n_rows=settings.evaluate_rows,
            batch_size=max(1, settings.batch_size // settings.accumulate),
        )
        if self.accelerator.is_main_process:
            self.record.add("evaluation", self.step, **found._asdict(), wall_s=self.wall_s)
            self.progress.note(
                f"step {self.step}: held-out loss {found.loss_nats:.4f} nats a token, "
                f"{found.bits_per_byte:.4f} bits a byte"
            )
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
        settings = self.recipe.train
        rows = self._rows()
        total = torch.zeros((), device=rows.device)
        for part in rows.chunk(settings.accumulate):
            loss = next_token_loss(self.model, part)
            self.accelerator.backward(loss / settings.accumulate)
            total += loss.detach() / settings.accumulate
        mean: Tensor = self.accelerator.reduce(total, reduction="mean")
        return float(mean)

    def _rows(self) -> Tensor:
        """Read this process's part of the step's rows."""
        settings, accelerator = self.recipe.train, self.accelerator
        whole = self.data.train.batch(self.recipe.seed, self.step, settings.batch_size)
        rows = torch.from_numpy(whole)
        mine = rows.chunk(accelerator.num_processes)[accelerator.process_index]
        on_device: Tensor = mine.to(accelerator.device)
        return on_device

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
            tokens=self.n_tokens,
            wall_s=wall_s,
            keep=keep,
        )
        self.progress.say(
            self.step,
            f"loss {self.mean_nats:.3f} nats, "
            f"{self.mean_nats / math.log(2) / self.data.bytes_per_token:.3f} bits a byte, "
            f"keep {keep:.2f}, {psutil.Process().memory_info().rss / 1e9:.1f} GB",
            self.recipe.train.batch_size * self.recipe.data.length,
        )

    def _keep(self) -> None:
        """Write a checkpoint."""
        if self.accelerator.is_main_process:
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
            )
        self.accelerator.wait_for_everyone()


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


def _save_model(run: _Training, evaluation: Evaluation) -> None:
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
    with folder_atomic(run.out / MODEL_FOLDER) as folder:
        run.plain_model.save_pretrained(folder)
        (folder / "tokenizer.json").write_text(run.data.tokenizer_json, encoding="utf-8")
        shutil.copy(run.out / RECIPE_FILE, folder / RECIPE_FILE)
        (folder / "README.md").write_text(
            f"""---
library_name: transformers
pipeline_tag: text-generation
---
# {run.out.name}

A language model trained by `sparsepath train`; `recipe.json` describes the training completely.

- Attention: {history}
- Tokens seen: {run.n_tokens:,}; corpus: {run.recipe.data.source}
- Held-out rows: {evaluation.loss_nats:.4f} nats a token, {evaluation.bits_per_byte:.4f} bits a byte
""",
            encoding="utf-8",
        )
