"""Ask a catalogue: conditions, words, sums by layer; without a model."""

import re
from typing import Any, NamedTuple

from sparsepath.artifacts.catalogue import Catalogue
from sparsepath.artifacts.catalogue_schema import NeuronLine

WORDS_SEEN = 400
"""Neurons that a word finds before they are ordered."""


class LayerSummary(NamedTuple):
    """The neurons of one site and layer together; means over those that fire."""

    site: str
    layer: int
    neurons: int
    dead: int
    always_on: int
    clear: int
    """With a label that says something on held-out text."""
    mean_score: float | None
    token_entropy: float | None
    """Bits."""
    semantic_entropy: float | None
    """Bits."""


class Hit(NamedTuple):
    """A neuron that a search found."""

    line: NeuronLine
    strength: float
    """How well it fits, in the measure of the search; the best first."""
    why: str
    """What was found."""
    says: tuple[str, ...] = ()
    """Tokens that it makes likelier, where that was asked for."""


def conditions(
    *,
    layer: int | None = None,
    site: str | None = None,
    min_score: float | None = None,
    min_rate: float | None = None,
    max_rate: float | None = None,
) -> tuple[str, list[Any]]:
    """Make a condition on the table `neuron` with the values for its question marks."""
    wanted = [
        ("layer = ?", layer),
        ("site = ?", site),
        ("score >= ?", min_score),
        ("rate >= ?", min_rate),
        ("rate <= ?", max_rate),
    ]
    given = [(text, value) for text, value in wanted if value is not None]
    return " AND ".join(["1", *(text for text, _ in given)]), [value for _, value in given]


def layer_summaries(catalogue: Catalogue) -> list[LayerSummary]:
    """Sum up every layer, by site."""
    rows = catalogue.database.execute(
        "SELECT site, layer, COUNT(*), SUM(is_dead), SUM(is_always_on), "
        "COALESCE(SUM(score >= ?), 0), AVG(CASE WHEN is_dead THEN NULL ELSE score END), "
        "AVG(CASE WHEN is_dead THEN NULL ELSE token_entropy END), "
        "AVG(CASE WHEN is_dead THEN NULL ELSE semantic_entropy END) "
        "FROM neuron GROUP BY site, layer ORDER BY site, layer",
        (catalogue.facts.least_score,),
    )
    return [LayerSummary(*row) for row in rows]


def search_words(
    catalogue: Catalogue, text: str, *, where: str = "1", values: list[Any] | None = None
) -> list[Hit]:
    """Find neurons by words: those that fire on them, are labelled by them, or noted with them.

    A neuron's strength is the harmonic mean of how much of its firing the word is and how much of
    the word it fires on, summed over the word's spellings, plus its score where the label has the
    word, plus 2 where a person's label or note has it. Several words add up.

    Args:
        catalogue: open.
        text: words; punctuation alone is looked up as a token.
        where: condition on the table `neuron`.
        values: for its question marks.
    """
    strengths: dict[int, float] = {}
    reasons: dict[int, list[str]] = {}

    def add(id_: int, strength: float, why: str) -> None:
        strengths[id_] = strengths.get(id_, 0.0) + strength
        if why not in reasons.setdefault(id_, []):
            reasons[id_].append(why)

    for word in text.split() or [text]:
        _fires_on(catalogue, word, add)
        if terms := re.findall(r"\w+", word):
            _labelled(catalogue, " ".join(terms), add)
    allowed = {
        id_
        for (id_,) in catalogue.database.execute(
            f"SELECT id FROM neuron WHERE {where}", values or []
        )
    }
    best = sorted((id_ for id_ in strengths if id_ in allowed), key=lambda i: (-strengths[i], i))
    lines = catalogue.lines_of(best[:WORDS_SEEN])
    return [
        Hit(line, strengths[id_], ", ".join(reasons[id_]))
        for line, id_ in zip(lines, best, strict=False)
    ]


def _fires_on(catalogue: Catalogue, word: str, add: Any) -> None:
    """Find neurons that fire on a token that is the word, whatever its case and spaces."""
    forms = {space + form for space in ("", " ") for form in (word, word.lower(), word.title())}
    rows = catalogue.database.execute(
        "SELECT neuron, share, precision FROM fires_on WHERE text IN "
        f"({', '.join('?' * len(forms))})",
        sorted(forms),
    )
    for id_, share, precision in rows:
        add(id_, 2 * share * precision / (share + precision), f"fires on {word!r}")


def _labelled(catalogue: Catalogue, terms: str, add: Any) -> None:
    """Find neurons by full-text search; words of a text without spaces anywhere in a label."""
    if not _SPACED.fullmatch(terms):
        _inside(catalogue, terms, add)
        return
    rows = catalogue.database.execute(
        "SELECT words.rowid, words.label, words.note, n.score FROM words "
        "JOIN neuron n ON n.id = words.rowid "
        "WHERE words MATCH ? ORDER BY bm25(words, 10, 1, 20) LIMIT ?",
        ('{label note} : "' + terms + '"', WORDS_SEEN),
    ).fetchall()
    pattern = re.compile(rf"\b{re.escape(terms)}\b", re.IGNORECASE)
    for id_, label, note, score in rows:
        _add(id_, score, bool(pattern.search(note)), bool(pattern.search(label)), add)


_SPACED = re.compile(r"[^\u3041-\u30ff\u3400-\u9fff\uf900-\ufaff]*")
"""Text of languages that put spaces between words."""


def _inside(catalogue: Catalogue, terms: str, add: Any) -> None:
    """Find neurons whose label or note has a text anywhere."""
    rows = catalogue.database.execute(
        "SELECT words.rowid, INSTR(words.label, ?), INSTR(words.note, ?), n.score FROM words "
        "JOIN neuron n ON n.id = words.rowid "
        "WHERE INSTR(words.label, ?) OR INSTR(words.note, ?) ORDER BY words.rowid LIMIT ?",
        (terms, terms, terms, terms, WORDS_SEEN),
    ).fetchall()
    for id_, label, note, score in rows:
        _add(id_, score, bool(note), bool(label), add)


def _add(id_: int, score: float | None, in_note: bool, in_label: bool, add: Any) -> None:
    """Count a neuron whose words have a text."""
    if in_note:
        add(id_, 2.0, "a person's label or note")
    elif in_label:
        add(id_, max(0.0, 2 * (score or 0.5) - 1), "its label")
