"""Second stage: the plain models that a sceptic asks for, and the start of the full one."""

import copy

import numpy as np
import torch

from sparsepath.models.classifier import PathwayClassifier, from_encoder
from sparsepath.models.surgery import extract
from sparsepath.models.units import UnitMask
from sparsepath.poc.saving import save_candidate
from sparsepath.poc.state import Draft
from sparsepath.poc.workspace import MODELS_FOLDER, Rows, Workspace
from sparsepath.train.finetune import pooled_features, put_classifier
from sparsepath.train.linear import TextClassifier, fit_linear, fit_tfidf

LINEAR_ROWS = 10_000
"""Training rows of logistic regression, at most."""

FEW_LABELS = 20
"""Up to so many labels TF-IDF is also tried with runs of three words."""

ENOUGH_MINUTES = 3.0
"""Shorter runs try runs of two words only."""

TOKENS_PER_SECOND = 4_000
"""Tokens a second that an encoder surely reads; decides how many rows to take."""


def run_baselines(work: Workspace, budget_s: float) -> str:
    """Fit logistic regression on the frozen encoder and on its embedding layer."""
    length = sum(len(ids) for ids in work.train.encoded) / len(work.train.encoded)
    n_rows = int(min(LINEAR_ROWS, max(300, budget_s * TOKENS_PER_SECOND / length)))
    rows = _some(work, n_rows)
    model = base_classifier(work)
    embeddings = extract(model, no_layers(model)).eval()
    said = []
    for name, body, note in (
        ("frozen-encoder", model, "logistic regression on the frozen encoder"),
        ("word-embeddings", embeddings, "logistic regression on the mean of its embedding layer"),
    ):
        features = pooled_features(body, rows.encoded, work.pad_id).numpy()
        linear = fit_linear(features, rows.labels.numpy(), len(work.label_names))
        put_classifier(body, linear.weight, linear.bias)
        score = work.judge(body)
        draft = Draft(
            name=name,
            kind="control",
            folder=f"{MODELS_FOLDER}/{name}",
            control=name,
            note=note,
            accuracy_valid=score.accuracy,
            nll_valid=score.nll_nats,
        )
        save_candidate(work, draft, body)
        said.append(f"{name} {score.accuracy:.1%}")
        work.progress.say(f"{note}: {score.accuracy:.1%} on validation rows")
    tfidf = fit_tfidf_control(work).probabilities(work.valid.texts).argmax(axis=1)
    accuracy = float(np.mean(tfidf == work.valid.labels.numpy()))
    work.state.put(
        Draft(
            name="tf-idf",
            kind="control",
            folder=None,
            control="tf-idf",
            note="TF-IDF with logistic regression",
            accuracy_valid=accuracy,
        )
    )
    return ", ".join([f"tf-idf {accuracy:.1%}", *said]) + " right on validation rows"


def base_classifier(work: Workspace) -> PathwayClassifier:
    """Give the base encoder with an untrained classifier and the reduced vocabulary."""
    return work.reduced(whole_classifier(work))


def whole_classifier(work: Workspace) -> PathwayClassifier:
    """Give the base encoder with an untrained classifier and its whole vocabulary."""
    model = from_encoder(
        copy.deepcopy(work.encoder.encoder),
        labels=work.label_names,
        pooling=work.encoder.pooling,
        max_length=work.encoder.max_length,
        generator=work.generator(),
    )
    model.eval()
    return model


def no_layers(model: PathwayClassifier) -> UnitMask:
    """Give the mask that keeps nothing but embeddings and classifier."""
    full = UnitMask.full(model)
    return UnitMask(torch.zeros_like(full.heads), torch.zeros_like(full.neurons))


def fit_tfidf_control(work: Workspace) -> TextClassifier:
    """Fit TF-IDF with logistic regression on the training rows, once in the life of a workspace.

    Runs of two or three words, whichever is better on the validation rows, where time allows.
    """
    known = work.memory.get("tf-idf")
    if isinstance(known, TextClassifier):
        return known
    rows, valid = _some(work, 4 * LINEAR_ROWS), work.valid
    n_labels = len(work.label_names)
    is_affordable = n_labels <= FEW_LABELS and work.options.minutes >= ENOUGH_MINUTES
    fits = [
        fit_tfidf(rows.texts, rows.labels.numpy(), n_labels, longest_word_run=longest)
        for longest in ((2, 3) if is_affordable else (2,))
    ]
    truth = valid.labels.numpy()
    best = max(
        fits, key=lambda fit: float((fit.probabilities(valid.texts).argmax(1) == truth).mean())
    )
    work.memory["tf-idf"] = best
    return best


def _some(work: Workspace, n: int) -> Rows:
    """Give at most `n` training rows, by the seed."""
    rows = work.train
    chosen = work.shuffled(len(rows.texts))[:n]
    return Rows(
        [rows.texts[i] for i in chosen],
        [rows.encoded[i] for i in chosen],
        rows.labels[chosen],
        [rows.row_ids[i] for i in chosen],
    )
