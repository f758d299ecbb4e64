"""Third stage: fine-tune the whole model within its time."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch
from jaxtyping import Float

from sparsepath.models.classifier import PathwayClassifier
from sparsepath.models.families import encoder_sites
from sparsepath.nn.subsampling import subsample
from sparsepath.poc.baselines import base_classifier, whole_classifier
from sparsepath.poc.saving import save_candidate
from sparsepath.poc.state import Draft
from sparsepath.poc.workspace import MODELS_FOLDER, Workspace
from sparsepath.train.checkpoint import FileCheckpoints
from sparsepath.train.finetune import label_loss
from sparsepath.train.linear import ABSENT_BIAS
from sparsepath.train.loop import FitConfig, FitJob, FitResult, fit
from sparsepath.train.schedule import KeepSchedule

FULL = FitConfig(
    learning_rate=1e-4,
    batch_size=32,
    max_epochs=8.0,
    n_evaluations=6,
    short_epochs=2.0,
    short_rate_factor=2.5,
)
"""How the full model is fitted."""

SSA = KeepSchedule(keep=0.5, dense=0.2)
"""Sources of attention that `--train ssa` keeps over the steps."""


def run_full(work: Workspace, budget_s: float) -> str:
    """Fine-tune from the logistic regression of the frozen encoder; keep the best weights."""
    model = base_classifier(work)
    _start_classifier(work, model)
    checkpoints = FileCheckpoints(work.work_folder / "full-fit.safetensors")
    with _attention(work, model) as follow:
        result = _fit(work, model, budget_s, checkpoints, follow)
    draft = Draft(
        name="full",
        kind="full",
        folder=f"{MODELS_FOLDER}/full",
        note=f"the whole model, fine-tuned for {result.epochs:.1f} passes over the training rows",
        accuracy_valid=result.best.accuracy,
        nll_valid=result.best.nll_nats,
        is_distilled=False,
    )
    save_candidate(work, draft, _with_whole_vocabulary(work, model), is_whole=True)
    checkpoints.remove()
    work.state.facts["full_steps"] = result.n_steps
    work.state.facts["full_epochs"] = round(result.epochs, 3)
    work.state.facts["full_ended"] = result.ended
    plain = [d.accuracy_valid or 0.0 for d in work.state.drafts if d.control is not None]
    if result.best.accuracy <= max(plain, default=0.0):
        work.progress.note(
            f"  in {result.epochs:.1f} passes the full model learnt no more than a plain "
            "alternative; more --minutes or a smaller --model may change that"
        )
    return (
        f"{result.best.accuracy:.1%} right on validation rows after {result.n_steps} steps "
        f"({result.epochs:.1f} passes)"
    )


def _fit(
    work: Workspace,
    model: PathwayClassifier,
    budget_s: float,
    checkpoints: FileCheckpoints,
    follow: Callable[[int, int], None],
) -> FitResult:
    """Fine-tune within the time."""

    def on_step(done: int, planned: int, learnt: str) -> None:
        follow(done, planned)
        work.progress.say(f"step {done} of {planned}, {learnt}")

    job = FitJob(
        model=model,
        encoded=work.train.encoded,
        pad_id=work.pad_id,
        loss=label_loss(work.train.labels),
        validate=work.judge,
        seed=work.options.seed,
        budget_s=budget_s,
        on_step=on_step,
    )
    # Attention is subsampled in training mode only, which short fits would leave.
    config = FULL if work.options.train == "dense" else replace(FULL, short_epochs=0.0)
    return fit(job, config, checkpoints=checkpoints)


@contextmanager
def _attention(work: Workspace, model: PathwayClassifier) -> Iterator[Callable[[int, int], None]]:
    """Let attention be subsampled where the run asks for it; yields what is told each step."""
    if work.options.train == "dense":
        yield lambda done, planned: None
        return
    generator = torch.Generator()
    with subsample(model.encoder, keep=SSA.keep, per_example=True, generator=generator) as sampler:

        def follow(done: int, planned: int) -> None:
            sampler.set_keep(SSA.at(done, planned))
            # What a step draws follows from its number, so that a fit goes on exactly.
            generator.manual_seed(work.options.seed * 1_000_003 + done)

        yield follow


def _start_classifier(work: Workspace, model: PathwayClassifier) -> None:
    """Begin with the classifier that fits the frozen encoder."""
    linear = work.load("frozen-encoder").classifier
    with torch.no_grad():
        model.classifier.weight.copy_(linear.weight)
        model.classifier.bias.copy_(start_bias(linear.bias))


def start_bias(bias: Float[torch.Tensor, " labels"]) -> Float[torch.Tensor, " labels"]:
    """Give the biases to start from: a label that the regression did not meet may still be learnt.

    Args:
        bias: of the logistic regression; `ABSENT_BIAS` for such labels.
    """
    is_absent = bias == ABSENT_BIAS
    return bias.where(~is_absent, bias[~is_absent].min())


@torch.no_grad()
def _with_whole_vocabulary(work: Workspace, model: PathwayClassifier) -> PathwayClassifier:
    """Put the fitted weights into a model with every word embedding of the base model."""
    whole = whole_classifier(work)
    fitted, target = model.state_dict(), whole.state_dict()
    embedding = encoder_sites(whole.encoder).embedding.weight
    for name, value in fitted.items():
        if target[name].shape == value.shape:
            target[name].copy_(value)
    embedding[torch.tensor(work.encoder.kept_ids)] = encoder_sites(model.encoder).embedding.weight
    whole.eval()
    return whole
