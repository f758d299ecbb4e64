"""Explaining the next token with a model on disk; cards of it, and seeing them again."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

from sparsepath.artifacts.catalogue import CATALOGUE_FILE, Catalogue
from sparsepath.artifacts.decision import (
    TOLERANCE,
    CardQuestion,
    DecisionCard,
    text_sha256,
)
from sparsepath.artifacts.model_files import locate_language_model, weights_sha256
from sparsepath.artifacts.neuron import SITES, Neuron
from sparsepath.artifacts.provenance import machine, now_utc, package_versions, sha256_file
from sparsepath.config import Language
from sparsepath.errors import ConfigError, ModelError
from sparsepath.models.language_folder import load_language_model
from sparsepath.pathways.next_token import Asked, Labels, NextToken, explain_next_token

LISTS = ("words", "neurons", "heads", "sites", "left_out")
"""Parts of the evidence that are lists of named scores."""


class Difference(NamedTuple):
    """A figure of a card that came out otherwise."""

    figure: str
    card: object
    now: object


def explain_token(model: Path | str, text: str, asked: Asked | None = None) -> NextToken:
    """Explain why a language model goes on as it does.

    Where a catalogue lies beside the model, neurons are shown with what it says they stand for.

    Args:
        model: folder of a model of the Llama kind, or of a training.
        text: at least one token.
        asked: other than the usual.

    Raises:
        ModelError: if the model cannot be read, or is of another kind.
        ConfigError: if a token or a place is not the model's.
        DataError: if the text is empty or too long.
        RunError: if the catalogue is damaged, or of another model.
    """
    folder = locate_language_model(Path(model))
    loaded = load_language_model(folder)
    if not (folder / CATALOGUE_FILE).is_file():
        return explain_next_token(loaded, text, asked)
    with Catalogue(folder) as catalogue:
        return explain_next_token(loaded, text, asked, labels=_labels(catalogue))


def _labels(catalogue: Catalogue) -> Labels:
    """Give the labels of a catalogue; a neuron that it does not have gets none."""

    def label(neuron: Neuron, value: float) -> str | None:
        if catalogue.facts.is_two_sided:
            neuron = neuron._replace(side="+" if value > 0 else "-")
        return catalogue.label_of(neuron)

    return label


def relabelled(model: Path | str, told: NextToken, lang: Language) -> NextToken:
    """Say what the neurons stand for in another language, for people; a card keeps English.

    Args:
        model: what was explained.
        told: the explanation.
        lang: of the labels.

    Raises:
        ModelError: if there is no such model.
        RunError: if the catalogue is damaged, or of another model.
    """
    folder = locate_language_model(Path(model))
    if lang == "en" or not (folder / CATALOGUE_FILE).is_file():
        return told
    with Catalogue(folder, lang) as catalogue:
        label = _labels(catalogue)
        neurons = [
            one._replace(label=label(Neuron.parse(one.name), one.value)) for one in told.neurons
        ]
    return replace(told, neurons=neurons)


def card_of(
    model: Path | str, told: NextToken, asked: Asked, *, keeps_text: bool = True
) -> DecisionCard:
    """Put an explanation on a card.

    Args:
        model: what was explained.
        told: the explanation.
        asked: what was asked.
        keeps_text: whether the text may stand in the card; else only its hash does, and the words
            and tokens of the evidence are left out.
    """
    folder = locate_language_model(Path(model))
    catalogue = folder / CATALOGUE_FILE
    layer, _, site = told.site.partition(".")
    evidence = asdict_plain(told)
    del evidence["text"]
    if not keeps_text:
        for name in ("words", "left_out", "neurons"):
            del evidence[name]
    return DecisionCard(
        text=told.text if keeps_text else None,
        text_sha256=text_sha256(told.text),
        question=CardQuestion(
            target=told.target,
            against=told.against,
            target_id=told.target_id,
            against_id=told.against_id,
            layer=int(layer[1:]),
            site=site,
            contrast=asked.contrast,
            share=asked.share,
            n_random=asked.n_random,
            seed=asked.seed,
        ),
        evidence=evidence,
        model_sha256=weights_sha256(folder),
        catalogue_sha256=sha256_file(catalogue) if catalogue.is_file() else None,
        versions=package_versions(),
        machine=str(machine().get("cpu", "")),
        created_utc=now_utc(),
    ).sealed()


def replay(model: Path | str, card: DecisionCard, text: str | None = None) -> list[Difference]:
    """Explain the same again and compare every figure.

    Args:
        model: the model of the card.
        card: what was told.
        text: the text, where the card holds only its hash.

    Returns:
        What came out otherwise, by more than 0.001; nothing if all is the same.

    Raises:
        ModelError: if the model is another one.
        ConfigError: if the text is missing, or another one.
    """
    if weights_sha256(locate_language_model(Path(model))) != card.model_sha256:
        raise ModelError(
            f"the weights of {model} are not those of the card ({card.model_sha256[:12]}…)",
            hint="give the model that the card was written with",
        )
    known = card.text if text is None else text
    if known is None:
        raise ConfigError("the card holds no text", hint="give the text that it is about")
    if text_sha256(known) != card.text_sha256:
        raise ConfigError("the text is not the one of the card", hint="give it to the letter")
    question = card.question
    site = next(site for site in SITES if site == question.site)
    asked = Asked(
        target=question.target,
        against=question.against,
        pair=None
        if question.target_id is None or question.against_id is None
        else (question.target_id, question.against_id),
        place=(question.layer, site),
        contrast=question.contrast,
        share=question.share,
        n_random=question.n_random,
        seed=question.seed,
    )
    now = asdict_plain(explain_token(model, known, asked))
    return list(_differences("", card.evidence, {name: now[name] for name in card.evidence}))


def asdict_plain(told: NextToken) -> dict[str, Any]:
    """Turn an explanation into what JSON can hold."""
    plain: dict[str, Any] = asdict(told)
    for name in LISTS:
        plain[name] = [_named(item) for item in getattr(told, name)]
    return plain


def _named(item: Any) -> Any:
    """Turn a named tuple, and those in it, into a dictionary."""
    if hasattr(item, "_asdict"):
        return {name: _named(value) for name, value in item._asdict().items()}
    return [_named(value) for value in item] if isinstance(item, list) else item


def _differences(name: str, card: Any, now: Any) -> list[Difference]:
    """Compare figures, however deep they lie."""
    if isinstance(card, dict) and isinstance(now, dict):
        return [
            found
            for key in card
            for found in _differences(f"{name}.{key}" if name else key, card[key], now.get(key))
        ]
    if isinstance(card, list) and isinstance(now, list) and len(card) == len(now):
        return [
            found
            for i, pair in enumerate(zip(card, now, strict=True))
            for found in _differences(f"{name}[{i}]", *pair)
        ]
    if isinstance(card, float) and isinstance(now, int | float):
        close = abs(card - now) <= TOLERANCE * max(1.0, abs(card))
        return [] if close else [Difference(name, card, now)]
    return [] if card == now else [Difference(name, card, now)]
