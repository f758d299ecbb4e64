"""Rows that the candidate answers differently from the full model, with their texts."""

from collections import Counter
from collections.abc import Sequence

from sparsepath.artifacts.analysis import Flip
from sparsepath.report.html import Html, breakable, el
from sparsepath.report.inputs import View
from sparsepath.report.labels import subject
from sparsepath.report.language import Words
from sparsepath.report.section import Section, more_button, stack

_SHOWN_FLIPS = 12
_MAX_FLIPS = 300


def flips(view: View) -> Section | None:
    """Rows that the candidate answers differently from the full model, with their texts."""
    found = view.analysis.flips
    name = subject(view, [key for key, rows in found.items() if rows])
    if name is None:
        return None
    words, rows = view.words, found[name]
    counts = Counter(_outcome(flip) for flip in rows)
    summary = words.rich(
        "flips.about",
        name=name,
        n=words.integer(len(rows)),
        broken=words.integer(counts["broken"]),
        fixed=words.integer(counts["fixed"]),
        both=words.integer(counts["both"]),
    )
    order = {"broken": 0, "fixed": 1, "both": 2}
    shown = sorted(rows, key=lambda flip: order[_outcome(flip)])
    mixed = _interleaved(shown)[:_MAX_FLIPS]
    checks = el(
        "div",
        *(
            el(
                "label",
                el("input", type="checkbox", checked=True, value=key),
                words(f"flips.{key}"),
            )
            for key in order
            if counts[key]
        ),
        cls="checks",
        data_cards="flip-cards",
    )
    cards = [_flip_card(words, flip, is_later=i >= _SHOWN_FLIPS) for i, flip in enumerate(mixed)]
    body = stack(
        el("p", summary),
        checks,
        el("div", *cards, cls="cards", id="flip-cards"),
        more_button("flip-cards", words("more.flips", n=words.integer(len(mixed))))
        if len(mixed) > _SHOWN_FLIPS
        else None,
        _cut_note(words, len(mixed), len(rows)),
    )
    return Section("flips", body)


def _cut_note(words: Words, shown: int, n_all: int) -> Html | None:
    if shown == n_all:
        return None
    text = words("flips.cut", n=words.integer(shown), all=words.integer(n_all))
    return el("p", text, cls="small")


def _outcome(flip: Flip) -> str:
    if flip.full == flip.truth:
        return "broken"
    return "fixed" if flip.candidate == flip.truth else "both"


def _interleaved(rows: Sequence[Flip]) -> list[Flip]:
    """Outcomes in turn, so that the first cards show each of them."""
    piles = [
        [flip for flip in rows if _outcome(flip) == key] for key in ("broken", "fixed", "both")
    ]
    longest = max(len(pile) for pile in piles)
    return [pile[i] for i in range(longest) for pile in piles if i < len(pile)]


def _flip_card(words: Words, flip: Flip, *, is_later: bool) -> Html:
    outcome = _outcome(flip)
    answers = el(
        "dl",
        _answer(words("flips.truth"), flip.truth, None),
        _answer(words("flips.full"), flip.full, flip.full == flip.truth),
        _answer(words("flips.this"), flip.candidate, flip.candidate == flip.truth),
        cls="answers",
    )
    tag = el("span", words(f"flips.{outcome}"), cls=f"tag {outcome}")
    row = el("span", words("edges.row", row=words.integer(flip.row_id)), cls="small")
    return el(
        "article",
        el("p", tag, " ", row),
        el("p", flip.text, cls="text"),
        answers,
        cls="card later" if is_later else "card",
        data_kind=outcome,
    )


def _answer(name: str, label: str, is_right: bool | None) -> Html:
    mark = "" if is_right is None else "\N{CHECK MARK}" if is_right else "\N{MULTIPLICATION X}"
    return el(
        "div",
        el("dt", name),
        el("dd", el("i", mark, cls="mark") if mark else None, breakable(label)),
    )
