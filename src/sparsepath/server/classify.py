"""`/api/v1/classify`: labels, how sure they are, and why."""

import hashlib
import time
from math import log as log_of
from typing import Annotated, Any, Final

import numpy as np
from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field

from sparsepath.audit.record import Draft, canonical
from sparsepath.runtime.left_out import parts, shares, without
from sparsepath.server.auth import Principal, asker
from sparsepath.server.classifier import Answer
from sparsepath.server.logs import log
from sparsepath.server.models import ModelName, name_of
from sparsepath.server.problems import Problem
from sparsepath.server.review_rules import ReviewRules
from sparsepath.server.service import Served, Service
from sparsepath.server.serving_classifier import Labelled, ServedClassifier
from sparsepath.server.waiting import while_reachable

MAX_EXPLAINED = 8
"""Texts of one request that are explained, at most."""

MAX_PARTS = 128
"""Words of a text that are left out one by one, at most; the first ones."""

ROLE: Final = "viewer"
"""What a key must be allowed to do, at least, to ask."""

router = APIRouter(prefix="/api/v1", tags=["classify"])


class Question(BaseModel):
    """What is asked: one text or many."""

    model_config = ConfigDict(extra="forbid")

    text: str | None = Field(default=None, description="One text; or give `texts`.")
    texts: list[str] | None = Field(default=None, min_length=1, description="Several texts.")
    explain: bool = Field(
        default=False,
        description="Also say how much each word of a text speaks for its label; one more "
        "pass of the model a word.",
    )
    against: str | None = Field(
        default=None,
        max_length=1000,
        description="Label that an explanation compares with; else the runner-up.",
    )


class Uncertainty(BaseModel):
    """How unsure an answer is, from its probabilities alone."""

    entropy: float = Field(description="0: one label is certain; 1: all are as likely.")
    margin: float = Field(description="Probability of the label minus that of the runner-up.")


class WordShare(BaseModel):
    """A word, and what it does to the answer."""

    start: int = Field(description="Place of its first character in the text, from 0.")
    end: int = Field(description="Place after its last character.")
    share: float = Field(
        description="How much the lead falls without it, in nats; above 0 speaks for the label."
    )


class Explanation(BaseModel):
    """What the words of a text do to the lead of its label over another one."""

    method: str = Field(default="left-out", description="Each word is left out once.")
    against: str = Field(
        description="The label that was asked for; the runner-up where it is none or the answer."
    )
    words: list[WordShare]
    is_cut: bool = Field(description="Whether the text has more words than were left out.")


class ReceiptOut(BaseModel):
    """The record of an answer in the audit log."""

    seq: int
    hash: str


class Label(BaseModel):
    """The answer to a text."""

    label: str
    probability: float
    probabilities: dict[str, float]
    uncertainty: Uncertainty
    stage: int = Field(description="Stage of a cascade or early exit that answered, from 0.")
    waits: bool = Field(description="Whether it waits for a person, being less sure than asked.")
    explanation: Explanation | None = None
    record: ReceiptOut


class Labels(BaseModel):
    """Answers to the texts, in their order."""

    request: str
    model: ModelName
    answers: list[Label]


@router.post("/classify")
async def classify(
    question: Question,
    request: Request,
    service: Served,
    who: Annotated[Principal, Depends(asker(ROLE))],
) -> Labels:
    """Give label, probabilities and uncertainty of one text or many."""
    return Labels.model_validate(await answered(question, request, service, who))


async def answered(
    question: Question, request: Request, service: Service, who: Principal
) -> dict[str, Any]:
    """Answer a question of someone who may ask it, no longer than the client waits.

    Returns:
        The content of `Labels`.

    Raises:
        Problem: if the question cannot be answered, the client left or the time is over.
    """
    texts = _texts(question, service)
    request.state.n_texts = len(texts)
    await service.limits.charge(who.key, len(texts) - 1)
    if service.options.log_texts:
        log("texts", request=request.state.request_id, texts=texts)
    work = _answered(service, texts, question, request.state.request_id, who)
    return await while_reachable(request, work, service.options.timeout_s)


def _texts(question: Question, service: Service) -> list[str]:
    """Read the texts; there must be some, not too many, and a classifier for them."""
    _ = service.classifier
    if (question.text is None) == (question.texts is None):
        raise Problem(422, "invalid", "give `text` or `texts`", fix="give exactly one of them")
    texts = [question.text] if question.text is not None else question.texts or []
    if question.against is not None and question.against not in service.classifier.labels:
        raise Problem(422, "no_label", "`against` is no label", fix="see /api/v1/models for them")
    most = MAX_EXPLAINED if question.explain else service.options.max_texts
    if len(texts) > min(most, service.options.queue_texts):
        raise Problem(
            422, "too_many", f"{len(texts)} texts in one request", fix=f"send at most {most}"
        )
    return texts


async def _answered(
    service: Service, texts: list[str], question: Question, id_: str, who: Principal
) -> dict[str, Any]:
    """Ask the engine, and record what it said."""
    begun = time.perf_counter()
    follower = service.followed
    by, told = await follower.run(texts, lambda one: _asked(service, one, texts, question))
    name = name_of(by.model).model_dump()
    ms = round(1000 * (time.perf_counter() - begun), 3)
    facts: dict[str, Any] = {
        "request": id_,
        "by": who.name,
        "model": name,
        "latency_ms": ms,
    }
    drafts = [
        Draft(
            kind="decision",
            body=facts | _recorded(one, service),
            texts={"input": text},
            waits=one["waits"],
        )
        for text, one in zip(texts, told, strict=True)
    ]
    receipts = await service.journal.write(drafts)
    follower.answered(by, len(texts), ms)
    if (rollout := follower.beside) is not None:
        seqs, said = [receipt.seq for receipt in receipts], [one["label"] for one in told]
        follower.offer(Labelled(texts, seqs, said, rollout.new.labels))
    labels = [
        one | {"record": receipt._asdict()} for one, receipt in zip(told, receipts, strict=True)
    ]
    return {"request": id_, "model": name, "answers": labels}


async def _asked(
    service: Service, by: ServedClassifier, texts: list[str], question: Question
) -> list[dict[str, Any]]:
    """Ask a model, and put what it said into words."""
    answers = await by.batcher.ask(texts)
    explanations: list[Explanation | None] = [None] * len(texts)
    if question.explain:
        pairs = zip(texts, answers, strict=True)
        explanations = [
            await _explained(service, by, text, answer, question.against) for text, answer in pairs
        ]
    return [
        _told(by.model.labels, answer, explanation, service.review)
        for answer, explanation in zip(answers, explanations, strict=True)
    ]


def _told(
    labels: list[str], answer: Answer, explanation: Explanation | None, rules: ReviewRules
) -> dict[str, Any]:
    """Put what the engine said into words."""
    p: list[float] = answer.probabilities.tolist()
    best = max(range(len(p)), key=p.__getitem__)  # of equal ones the first
    entropy = -sum(one * log_of(max(one, 1e-300)) for one in p) / log_of(max(2, len(p)))
    margin = round(p[best] - max(p[:best] + p[best + 1 :]), 6) if len(p) > 1 else 1.0
    label, probability = labels[best], round(p[best], 6)
    return {
        "label": label,
        "probability": probability,
        "probabilities": {label: round(share, 6) for label, share in zip(labels, p, strict=True)},
        "uncertainty": {"entropy": round(entropy, 6), "margin": margin},
        "stage": answer.stage,
        "waits": rules.reason(label, probability, margin) is not None,
        "explanation": None if explanation is None else explanation.model_dump(),
    }


def _recorded(told: dict[str, Any], service: Service) -> dict[str, Any]:
    """Give what the log keeps of an answer; of an explanation its hash."""
    margin = told["uncertainty"]["margin"]
    reason = service.review.reason(told["label"], told["probability"], margin)
    review = None
    if reason is not None:
        review = {**reason._asdict(), "labels": list(told["probabilities"])}
    explanation = told["explanation"]
    digest = None
    if explanation is not None:
        digest = hashlib.sha256(canonical(explanation).encode()).hexdigest()
    return {
        "label": told["label"],
        "probability": told["probability"],
        "uncertainty": told["uncertainty"],
        "stage": told["stage"],
        "explanation_sha256": digest,
        "preset": None,
        "policy": None,
        "review": review,
    }


async def _explained(
    service: Service, by: ServedClassifier, text: str, answer: Answer, wanted: str | None
) -> Explanation:
    """Leave out each word of a text."""
    order = np.argsort(-answer.probabilities, kind="stable")
    label, against = int(order[0]), int(order[min(1, len(order) - 1)])
    labels = by.model.labels
    if wanted is not None and labels.index(wanted) != label:
        against = labels.index(wanted)
    found = parts(text)
    looked_at = found[: min(MAX_PARTS, service.options.queue_texts)]
    rows = await by.batcher.ask([without(text, part) for part in looked_at])
    left_out = [row.probabilities for row in rows]
    scores = shares(answer.probabilities, left_out, label, against)
    words = [
        WordShare(start=part.start, end=part.end, share=round(score, 6))
        for part, score in zip(looked_at, scores, strict=True)
    ]
    return Explanation(
        against=by.model.labels[against], words=words, is_cut=len(found) > len(looked_at)
    )
