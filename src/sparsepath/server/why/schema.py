"""What `/api/v1/explain` takes and gives."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from sparsepath.config import Language
from sparsepath.server.classify import ReceiptOut
from sparsepath.server.models import ModelName

MAX_CHARACTERS = 2000
"""Of a text that is explained."""

_Name = Annotated[str, Field(min_length=1, max_length=1000)]

Verdict = Literal["good", "weak", "none"]


class CanExplain(BaseModel):
    """Whether what is inside the model can be read here."""

    can: Literal["yes", "not_installed"]
    fix: str | None = Field(description="What to do where it cannot; null: it can.")


class ExplainAsked(BaseModel):
    """A text, and what is asked of it."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field(min_length=1, max_length=MAX_CHARACTERS)
    target: _Name | None = Field(
        default=None, description="Label, or token, that is explained; else the model's answer."
    )
    against: _Name | None = Field(
        default=None, description="Label, or token, that it is compared with; else the runner-up."
    )
    site: str | None = Field(
        default=None,
        max_length=40,
        description="Of a language model: where neurons are named, such as `L02.mlp_hidden`; else"
        " the last sparse site of the residual stream.",
    )
    lang: Language = Field(default="en", description="Of automatic labels of neurons.")
    contrast: str | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_CHARACTERS,
        description="Of a language model: a text whose values take the neurons' place in the test.",
    )


class TokenShareOut(BaseModel):
    """A token of the text."""

    text: str
    score: float = Field(description="Logits that it adds to the margin; an estimate of a label's.")
    is_special: bool = Field(description="Whether it stands for no part of the text.")


class UnitOut(BaseModel):
    """An attention head or a neuron that decided."""

    name: str = Field(description="`L02.H05`, `L02.M0117` or `L02/117`.")
    kind: Literal["head", "neuron"]
    score: float = Field(description="Logits that it adds to the margin.")
    concept: str | None = Field(description="Its label in the model's catalogue.")
    fires_for: str | None = Field(description="The label that most of its strongest texts have.")
    fires_for_share: float = Field(description="Share of them that have it, 0 to 1.")


class EdgeOut(BaseModel):
    """One token reads another one through a head."""

    head: str
    reader: int = Field(description="Place among `tokens`, from 0.")
    source: int = Field(description="Place of the token that is read.")
    score: float = Field(description="Logits that it adds to the margin.")


class LabelTest(BaseModel):
    """What remains of a label's margin; shares: 1 is the whole model, 0 all units at their mean."""

    verdict: Verdict = Field(
        description="`good`: the named units keep nine tenths of the margin and random ones less"
        " than three; `weak`: not so; `none`: units change too little for shares to tell."
    )
    margin_of_nothing: float = Field(description="Logits, with every unit at its mean.")
    kept: float = Field(description="With the named units only.")
    removed: float = Field(description="Without them.")
    random_kept: list[float] = Field(description="With as many random units only, per draw.")
    random_removed: list[float]
    confidence_kept: float = Field(description="Probability of the target.")
    confidence_removed: float


class LabelFacts(BaseModel):
    """Why a text got its label, by heads and neurons."""

    kind: Literal["label"] = "label"
    model: ModelName
    label: str = Field(description="What the server answers.")
    looked_into: str = Field(description="Folder of the single model that was looked into.")
    is_same_answer: bool = Field(description="Whether that model, read with torch, says the same.")
    target: str
    against: str
    probability: float = Field(description="Of the target, in the model that was looked into.")
    margin: float = Field(description="Logit of the target minus that of the other.")
    tokens: list[TokenShareOut]
    n_tokens_cut: int = Field(description="Tokens at the end that the model did not read.")
    units: list[UnitOut] = Field(description="The strongest of those that are named.")
    n_units: int
    n_units_kept: int = Field(description="How many are named and tested.")
    n_units_enough: int | None = Field(
        description="The fewest of them seen to keep nine tenths of the margin."
    )
    is_exact: bool = Field(description="Whether units' logits are exact shares of the margin.")
    edges: list[EdgeOut]
    catalogue: str | None = Field(description="By which neurons are asked for; null: none is here.")
    test: LabelTest


class LabelInside(LabelFacts):
    """The same, as it was recorded."""

    request: str
    record: ReceiptOut


class WordRead(BaseModel):
    """A word that a neuron read from."""

    text: str
    score: float = Field(description="What it adds to the neuron's value.")


class TokenNeuron(BaseModel):
    """An active neuron at one token."""

    name: str
    token: str
    position: int
    value: float
    score: float = Field(description="Logits that it adds to the margin.")
    concept: str | None = Field(description="Its label in the model's catalogue.")
    reads: list[WordRead]


class HeadOut(BaseModel):
    """An attention head, over all tokens."""

    name: str
    score: float = Field(description="Logits that go through it.")


class LeftOutOut(BaseModel):
    """The answer without one token of the text."""

    text: str
    answer: str = Field(description="The likeliest token then.")
    margin: float


class TokenTest(BaseModel):
    """What remains of a token's margin; shares: 1 is the whole model, 0 the site all zero."""

    verdict: Verdict = Field(
        description="`good`: the named entries keep nine tenths of the margin, random ones less"
        " than 0.15; `weak`: not so; `none`: the two tokens are nearly level."
    )
    kept: float
    removed: float
    swapped: float | None = Field(description="With their values from the contrast.")
    random_kept: list[float]
    random_removed: list[float]
    random_swapped: list[float]


class TokenFacts(BaseModel):
    """Why a language model goes on with a token."""

    kind: Literal["token"] = "token"
    model: ModelName
    answer: str = Field(description="The likeliest token.")
    target: str
    against: str
    probability: float = Field(description="Of the target, with the weights in fp32.")
    margin: float
    site: str
    is_sparse: bool = Field(description="Whether the site keeps its largest entries only.")
    n_active: int
    n_named: int
    words: list[TokenShareOut] = Field(description="They add up to the margin.")
    neurons: list[TokenNeuron]
    heads: list[HeadOut]
    left_out: list[LeftOutOut]
    catalogue: str | None
    test: TokenTest
    card: dict[str, Any] = Field(description="The audit card: `sparsepath explain --replay CARD`.")


class TokenInside(TokenFacts):
    """The same, as it was recorded."""

    request: str
    record: ReceiptOut
