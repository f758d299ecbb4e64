"""The loop learns, keeps the best weights, ends on time, and resumes to the same bits."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch import Tensor
from transformers import AutoModel, BertConfig

from sparsepath.models.classifier import PathwayClassifier, from_encoder
from sparsepath.train.checkpoint import FileCheckpoints, FitState
from sparsepath.train.finetune import label_loss, score_on
from sparsepath.train.loop import FitConfig, FitJob, FitResult, ValidationScore, fit

CONFIG = FitConfig(learning_rate=3e-3, batch_size=8, max_epochs=4.0, n_evaluations=4, patience=9)


class Task(NamedTuple):
    """Rows whose label is the side of the vocabulary that their tokens come from."""

    encoded: list[list[int]]
    labels: Tensor


def small_model(seed: int = 0, dropout: float = 0.1) -> PathwayClassifier:
    """Build a random BERT of one layer."""
    config = BertConfig(
        vocab_size=40,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=16,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        encoder = AutoModel.from_config(config, attn_implementation="sdpa")
    generator = torch.Generator().manual_seed(seed)
    return from_encoder(encoder, ["low", "high"], max_length=12, generator=generator)


@pytest.fixture
def task() -> Task:
    """64 rows of 3 to 8 tokens."""
    generator = torch.Generator().manual_seed(1)
    encoded, labels = [], []
    for row in range(64):
        label = row % 2
        length = 1 + int(torch.randint(5, (1,), generator=generator))
        low = 4 + 18 * label
        body = torch.randint(low, low + 18, (length,), generator=generator).tolist()
        encoded.append([2, *body, 3])
        labels.append(label)
    return Task(encoded, torch.tensor(labels))


def job(task: Task, model: PathwayClassifier, **changes: object) -> FitJob:
    """Describe a fit of `model` on the task, without a limit of time."""
    plain = FitJob(
        model=model,
        encoded=task.encoded,
        pad_id=0,
        loss=label_loss(task.labels),
        validate=score_on(task.encoded, task.labels, 0),
        seed=3,
        budget_s=math.inf,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def weights(model: PathwayClassifier) -> torch.Tensor:
    """Give all weights as one vector."""
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def test_a_fit_learns_the_task(task: Task) -> None:
    model = small_model()
    before = score_on(task.encoded, task.labels, 0)(model).accuracy
    result = fit(job(task, model), CONFIG)
    assert result.best.accuracy > max(0.95, before)
    assert result.n_steps == 32
    assert result.epochs == 4.0


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(task: Task) -> None:
    models = [small_model() for _ in range(3)]
    for model, seed in zip(models, (3, 3, 4), strict=True):
        fit(job(task, model, seed=seed), CONFIG)
    assert torch.equal(weights(models[0]), weights(models[1]))
    assert not torch.equal(weights(models[0]), weights(models[2]))


def test_a_short_fit_has_another_rate(task: Task) -> None:
    short = replace(CONFIG, short_epochs=5.0, short_rate_factor=0.5)
    models = [small_model(dropout=0.0) for _ in range(3)]
    half = replace(short, learning_rate=CONFIG.learning_rate / 2, short_rate_factor=1.0)
    other = replace(short, short_rate_factor=1.0)
    for model, config in zip(models, (short, half, other), strict=True):
        fit(job(task, model), config)
    torch.testing.assert_close(weights(models[0]), weights(models[1]))
    assert not torch.equal(weights(models[0]), weights(models[2]))


def test_a_short_fit_has_no_dropout(task: Task) -> None:
    fits = {0.0: small_model(), 5.0: small_model(), 9.0: small_model(dropout=0.0)}
    for least, model in fits.items():
        fit(job(task, model), replace(CONFIG, short_epochs=least))
    assert torch.equal(weights(fits[5.0]), weights(fits[9.0]))
    assert not torch.equal(weights(fits[0.0]), weights(fits[5.0]))


class Stops:
    """Keeps states like a file does, and interrupts the fit after some of them."""

    def __init__(self, inner: FileCheckpoints, after: int) -> None:
        """Interrupt after the save number `after`."""
        self.inner, self.left = inner, after

    def load(self) -> FitState | None:
        """Give the last state."""
        return self.inner.load()

    def save(self, state: FitState) -> None:
        """Keep the state, then interrupt when the time has come."""
        self.inner.save(state)
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


@pytest.mark.parametrize("after", [1, 3])
@pytest.mark.parametrize("n_evaluations", [4, 5])
def test_an_interrupted_fit_ends_with_the_same_bits(
    task: Task, tmp_path: Path, after: int, n_evaluations: int
) -> None:
    config = replace(CONFIG, n_evaluations=n_evaluations)
    whole = small_model()
    expected = fit(job(task, whole), config)
    files = FileCheckpoints(tmp_path / "fit.safetensors")
    with pytest.raises(KeyboardInterrupt):
        fit(job(task, small_model()), config, checkpoints=Stops(files, after))
    resumed = small_model(seed=9)
    result = fit(job(task, resumed), config, checkpoints=files)
    assert torch.equal(weights(resumed), weights(whole))
    assert (result.n_steps, result.best) == (expected.n_steps, expected.best)


def test_a_damaged_checkpoint_starts_the_fit_anew(task: Task, tmp_path: Path) -> None:
    files = FileCheckpoints(tmp_path / "fit.safetensors")
    with pytest.raises(KeyboardInterrupt):
        fit(job(task, small_model()), CONFIG, checkpoints=Stops(files, 1))
    content = files.path.read_bytes()
    files.path.write_bytes(content[: len(content) // 2])
    whole, again = small_model(), small_model()
    fit(job(task, whole), CONFIG)
    fit(job(task, again), CONFIG, checkpoints=files)
    assert torch.equal(weights(again), weights(whole))


def scores(*accuracies: float) -> Callable[[PathwayClassifier], ValidationScore]:
    """Give a validation that reports these accuracies one after the other."""
    left = list(accuracies)
    return lambda model: ValidationScore(left.pop(0), 1.0)


def test_the_best_weights_are_kept_and_patience_ends_the_fit(task: Task) -> None:
    model, seen = small_model(), []
    inner = scores(0.1, 0.2, 0.9, 0.5, 0.4, 0.3)

    def validate(current: PathwayClassifier) -> ValidationScore:
        seen.append(weights(current).clone())
        return inner(current)

    result = fit(job(task, model, validate=validate), replace(CONFIG, n_evaluations=5, patience=2))
    assert result.ended == "patience"
    assert result.best.accuracy == 0.9
    assert torch.equal(weights(model), seen[2])


def timed(task: Task, budget_s: float, monkeypatch: pytest.MonkeyPatch, step_s: float) -> FitResult:
    """Run a fit in which every reading of the clock moves it on by half a step."""
    now = [0.0]

    def tick() -> float:
        now[0] += step_s / 4
        return now[0]

    monkeypatch.setattr("sparsepath.train.loop.time.monotonic", tick)
    config = replace(CONFIG, max_epochs=1000.0)
    return fit(job(task, small_model(), budget_s=budget_s, validate=lambda m: FLAT), config)


FLAT = ValidationScore(0.5, 1.0)


def test_a_fit_with_a_budget_ends_within_it(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    result = timed(task, 40.0, monkeypatch, step_s=0.5)
    assert result.n_steps > 16
    assert 20.0 < result.wall_s <= 44.0
