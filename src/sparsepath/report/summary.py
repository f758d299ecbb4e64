"""The first screen: the decision in one sentence, the four figures behind it, what to do next.

Read with it: `choice.py`, which says what may be claimed of two candidates.
"""

from typing import NamedTuple

from sparsepath.artifacts.schema import Candidate
from sparsepath.report.choice import (
    against_full,
    full_model,
    group_of,
    latency_ms,
    pace,
    plain_controls,
    recommended,
    unpaired,
)
from sparsepath.report.html import Html, breakable, el, join
from sparsepath.report.inputs import View
from sparsepath.report.language import Words
from sparsepath.report.phrases import said
from sparsepath.report.section import bar, command, note, spot

_SAME_SPEED = 1.05
_FEW_ROWS = 500
_MAX_PLAIN = 4
_CLOSE = 0.005
_FROZEN = "frozen-encoder"
_DEFAULT_RULE = "smallest latency with accuracy within 1 point of full"
_UNMET = "no candidate meets this"


class _Pair(NamedTuple):
    """What the first screen is about."""

    chosen: Candidate
    full: Candidate | None


class _Scale(NamedTuple):
    """Ends of the small pictures beside the figures."""

    low: float
    high: float
    slowest: float
    largest: float


def summary(view: View) -> Html:
    """The whole first screen."""
    chosen = recommended(view.results)
    parts: list[Html | None] = [_eyebrow(view)]
    if chosen is None or view.results is None:
        parts += [el("h1", view.words("summary.none")), _state(view)]
        parts.append(el("p", view.words("summary.none.why"), cls="lead"))
        return el("header", *parts, cls="hero", id="top")
    pair = _Pair(chosen, full_model(view.candidates))
    is_unmet = _UNMET in (view.results.recommended.why if view.results.recommended else "")
    headline = _headline(view.words, pair, is_unmet=is_unmet)
    parts += [el("h1", headline), _state(view), _unmet(view, chosen) if is_unmet else None]
    parts.append(el("p", _rule(view), cls="lead"))
    parts.append(_tiles(view, pair))
    first = _verdict(view, pair) or _nearest(view, pair)
    verdicts = el("div", first, _hardly(view, pair), _plain_verdict(view, pair), cls="verdicts")
    below = el("div", el("div", verdicts, _next(view, pair)), _glance(view, pair), cls="two")
    return el("header", *parts, below, cls="hero", id="top")


def _eyebrow(view: View) -> Html:
    words = view.words
    parts = [words("summary.eyebrow")]
    if view.run.data_path:
        parts.append(view.run.data_path.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1])
    if view.results:
        data = view.results.data
        parts.append(words("summary.rows", rows=words.integer(data.rows_test)))
        parts.append(words("summary.labels", labels=words.integer(len(data.labels))))
    parts.append(words.date(view.run.created_utc))
    return el("p", *(el("span", part) for part in parts), cls="eyebrow")


def _state(view: View) -> Html | None:
    if view.run.status == "done":
        return None
    key = f"summary.state.{view.run.status}"
    return note(el("p", view.words.rich(key, error=view.run.error or "")), kind="warn")


def _headline(words: Words, pair: _Pair, *, is_unmet: bool) -> Html:
    chosen = pair.chosen
    if group_of(chosen) == "full" and not is_unmet:
        return words.rich("summary.keep", name=_name(chosen.name))
    relative, ratio = chosen.relative, pace(chosen, pair.full).ratio
    return words.rich(
        "summary.nearest" if is_unmet else "summary.take",
        name=_name(chosen.name),
        speed=_speed_words(words, ratio),
        size=_size_words(words, relative.size_ratio),
        loss=_loss_words(words, relative.accuracy_change),
    )


def _speed_words(words: Words, ratio: float) -> str:
    if ratio >= _SAME_SPEED:
        return words("summary.speed", ratio=words.ratio(ratio))
    if ratio > 1 / _SAME_SPEED:
        return words("summary.speed.same")
    return words("summary.speed.slower", ratio=words.ratio(1 / ratio))


def _name(name: str) -> Html:
    return el("span", breakable(name), cls="name")


def _size_words(words: Words, ratio: float) -> str:
    if ratio <= 0 or 1 / ratio < _SAME_SPEED:
        return words("summary.size.same")
    return words("summary.size", ratio=words.ratio(1 / ratio))


def _loss_words(words: Words, change: float) -> str:
    rounded = round(100 * change, 1)
    key = "summary.loss" if rounded < 0 else "summary.gain" if rounded > 0 else "summary.equal"
    return words(key, points=words.points(abs(change), plus=False))


def _rule(view: View) -> Html:
    words = view.words
    rule = _rule_words(view)
    n_considered = sum(not item.is_control for item in view.candidates)
    return words.rich("summary.rule", rule=rule, n=words.integer(n_considered))


def _rule_words(view: View) -> str:
    assert view.results is not None
    assert view.results.recommended is not None
    rule = view.results.recommended.rule
    return view.words("rule.default") if rule == _DEFAULT_RULE else said(view.words, rule)


def _unmet(view: View, chosen: Candidate) -> Html:
    text = view.words.rich("summary.unmet", rule=_rule_words(view), name=chosen.name)
    return note(el("p", text), kind="warn")


def _tiles(view: View, pair: _Pair) -> Html:
    words, chosen, relative = view.words, pair.chosen, pair.chosen.relative
    full = pair.full if pair.full is not chosen else None
    difference = against_full(chosen)
    size = words.rich("tile.size.detail", before=words.size(full.cost.size_bytes)) if full else None
    accuracy = words.percent(full.quality.accuracy) if full else ""
    tiles = [
        _speed_tile(words, chosen, full),
        _tile(
            words("tile.size"),
            words.size(chosen.cost.size_bytes),
            size,
            words("tile.size.share", share=words.percent(relative.size_ratio)),
        ),
        _tile(
            words("tile.accuracy"),
            words.percent(chosen.quality.accuracy),
            words.rich("tile.accuracy.detail", before=accuracy) if full else None,
            words("tile.interval", interval=words.percent_range(chosen.quality.accuracy_ci95)),
        ),
        _tile(
            words("tile.change"),
            words.points_value(relative.accuracy_change),
            words.rich("tile.change.detail"),
            words("tile.interval", interval=words.points_range(difference.interval))
            if difference
            else words("tile.change.none"),
        ),
    ]
    return el("div", *tiles, cls="tiles")


def _speed_tile(words: Words, chosen: Candidate, full: Candidate | None) -> Html:
    found = pace(chosen, full)
    key = "alone" if full is None else "mean" if found.is_mean else "detail"
    before = "" if found.before_ms is None else words.milliseconds(found.before_ms)
    detail = words.rich(f"tile.speed.{key}", now=words.milliseconds(found.now_ms), before=before)
    small = words("tile.speed.ratio")
    if found.interval is not None:
        low, high = (words.ratio(end) for end in found.interval)
        small = words("tile.interval", interval=words.between(low, high))
    return _tile(words("tile.speed"), words.times(found.ratio), detail, small)


def _tile(title: str, value: str, detail: Html | None, small: str) -> Html:
    return el(
        "div",
        el("h2", title),
        el("p", value, cls="value"),
        el("p", detail) if detail else None,
        el("p", small, cls="small"),
        cls="tile",
    )


def _verdict(view: View, pair: _Pair) -> Html | None:
    """Whether the loss against the full model is real."""
    words, chosen = view.words, pair.chosen
    if group_of(chosen) == "full":
        return None
    difference = against_full(chosen)
    if difference is None:
        return note(el("p", words.rich("verdict.unknown")), kind="plain")
    p = chosen.relative.accuracy_change_p
    text = words.rich(
        f"verdict.{difference.verdict}",
        change=words.points(difference.change),
        interval=words.points_range(difference.interval),
        p="" if p is None else words("verdict.p", p=words.p_value(p)),
        worst=words.points(max(0.0, -difference.interval[0]), plus=False),
    )
    return note(el("p", text), kind="warn" if difference.verdict == "worse" else "good")


def _nearest(view: View, pair: _Pair) -> Html | None:
    """What comes closest where nothing lighter was surely good enough, by the validation rows."""
    words = view.words
    lighter = [
        item
        for item in view.candidates
        if not item.is_control
        and item.quality.accuracy_valid is not None
        and pace(item, pair.full).ratio >= _SAME_SPEED
    ]
    if not lighter:
        return None
    nearest = max(lighter, key=lambda item: item.quality.accuracy_valid or 0.0)
    difference = against_full(nearest)
    if difference is None:
        return None
    text = words.rich(
        "summary.keep.nearest",
        name=friendly(words, nearest),
        speed=_speed_words(words, pace(nearest, pair.full).ratio),
        change=words.points(difference.change),
        interval=words.points_range(difference.interval),
    )
    return note(el("p", text), kind="plain")


def _hardly(view: View, pair: _Pair) -> Html | None:
    """Whether the full model learnt enough for a comparison with it to mean much."""
    frozen = next((item for item in view.candidates if item.name == _FROZEN), None)
    if pair.full is None or frozen is None or unpaired(pair.full, frozen).verdict == "better":
        return None
    text = view.words.rich(
        "verdict.hardly",
        full=view.words.percent(pair.full.quality.accuracy),
        frozen=view.words.percent(frozen.quality.accuracy),
    )
    return note(el("p", text), kind="warn")


def _plain_verdict(view: View, pair: _Pair) -> Html | None:
    """Whether something plain would do as well; a sceptic's first question."""
    words, chosen = view.words, pair.chosen
    rivals = [item for item in plain_controls(view.candidates) if item.name != chosen.name]
    if not rivals:
        return None
    limit = latency_ms(chosen) * _SAME_SPEED
    fast = [item for item in rivals if latency_ms(item) <= limit]
    slow = [item for item in rivals if latency_ms(item) > limit]
    as_good = [item for item in fast if unpaired(chosen, item).verdict != "better"]
    if as_good:
        difference = unpaired(chosen, as_good[0])
        is_close = difference.verdict == "unclear" and difference.change <= _CLOSE
        key = "plain.close" if is_close else f"plain.{difference.verdict}"
        text = _rival(words, key, chosen, as_good[0])
        return note(el("p", text), kind="warn")
    clauses = [_rival(words, "plain.fast", chosen, fast[0])] if fast else []
    if slow:
        is_ahead = unpaired(chosen, slow[0]).verdict == "worse"
        clauses.append(_rival(words, "plain.ahead" if is_ahead else "plain.slow", chosen, slow[0]))
    gap = " " if words.lang == "en" else ""
    text = join([words.rich("plain.good"), gap, *(part for c in clauses for part in (c, gap))])
    return note(el("p", text), kind="good")


def _rival(words: Words, key: str, chosen: Candidate, rival: Candidate) -> Html:
    difference = unpaired(chosen, rival)
    return words.rich(
        key,
        name=friendly(words, rival),
        accuracy=words.percent(rival.quality.accuracy),
        latency=words.milliseconds(latency_ms(rival)),
        ours=words.milliseconds(latency_ms(chosen)),
        change=words.points(abs(difference.change), plus=False),
        interval=words.points_range(difference.interval),
        ratio=words.ratio(latency_ms(rival) / max(latency_ms(chosen), 1e-6)),
    )


def friendly(words: Words, candidate: Candidate) -> str:
    """A name that someone who did not run it understands."""
    name = candidate.name.lower().replace("_", "-")
    if group_of(candidate) == "full":
        return words("name.full")
    if candidate.is_control or candidate.precision == "int8":
        if candidate.kind == "full" or name.startswith("full"):
            return (
                words("name.full-int8")
                if "int8" in name or candidate.precision == "int8"
                else candidate.name
            )
        for part in ("tfidf", "tf-idf", "frozen", "embedding"):
            if part in name:
                return words(f"name.{part.replace('tf-idf', 'tfidf')}")
    return candidate.name


def _next(view: View, pair: _Pair) -> Html:
    words, chosen = view.words, pair.chosen
    steps: list[Html] = []
    folder = chosen.folder or f"models/{chosen.name}"
    line = ["sparsepath", "predict", f"{view.folder}/{folder}", "new.csv", "-o", "labels.csv"]
    if chosen.precision != "fp32":
        line += ["--precision", chosen.precision]
    steps.append(el("li", words.rich("next.try"), command(line)))
    flips = view.analysis.flips.get(chosen.name, [])
    if flips:
        link = el("a", words("next.flips.link", n=words.integer(len(flips))), href="#flips")
        steps.append(el("li", words.rich("next.flips", link=link)))
    rows = view.results.data.rows_test if view.results else 0
    if rows < _FEW_ROWS:
        steps.append(el("li", words.rich("next.rows", n=words.integer(rows))))
    weak = weakest_label(view, chosen.name)
    if weak:
        steps.append(
            el(
                "li",
                words.rich("next.weak", label=breakable(weak[0]), recall=words.percent(weak[1], 0)),
            )
        )
    steps.append(el("li", words.rich("next.shadow")))
    return el("div", el("h2", words("next.title")), el("ol", *steps), cls="next")


def weakest_label(view: View, name: str) -> tuple[str, float] | None:
    """The label whose rows are found least often, with that share."""
    slices = [item for item in view.analysis.per_label.get(name, []) if item.recall is not None]
    if not slices:
        return None
    worst = min(slices, key=lambda item: (item.recall or 0.0, -item.n))
    return worst.label, worst.recall or 0.0


def _glance(view: View, pair: _Pair) -> Html:
    """The chosen model, the full one and the plain alternatives, side by side."""
    words = view.words
    first = [item for item in pair if item is not None]
    plain = [item for item in plain_controls(view.candidates) if item not in first]
    shown = list({item.name: item for item in [*first, *plain[:_MAX_PLAIN]]}.values())
    head = (el("span", words(f"glance.{key}")) for key in ("accuracy", "latency", "size"))
    scale = _Scale(
        min(item.quality.accuracy_ci95[0] for item in shown),
        max(item.quality.accuracy_ci95[1] for item in shown),
        max(latency_ms(item) for item in shown) or 1.0,
        max(item.cost.size_bytes for item in shown) or 1,
    )
    return el(
        "div",
        el("h2", words("glance.title")),
        el("div", *head, cls="glance-cells small"),
        *(_glance_row(words, item, scale, is_chosen=item is pair.chosen) for item in shown),
        el("p", words("glance.note"), cls="small"),
        cls="glance",
    )


def _glance_row(words: Words, item: Candidate, scale: _Scale, *, is_chosen: bool) -> Html:
    kind = "main" if is_chosen else "other"
    width = (scale.high - scale.low) or 1.0
    places = (item.quality.accuracy, *item.quality.accuracy_ci95)
    place, low, high = (0.03 + 0.94 * (value - scale.low) / width for value in places)
    cost = item.cost
    cells = (
        (words.percent(item.quality.accuracy), spot(place, low, high, kind)),
        (words.milliseconds(latency_ms(item)), bar(latency_ms(item) / scale.slowest, kind)),
        (words.size(cost.size_bytes), bar(cost.size_bytes / scale.largest, kind)),
    )
    tag = el("span", words("glance.chosen"), cls="tag") if is_chosen else None
    return el(
        "div",
        el("h3", el("span", breakable(friendly(words, item))), tag),
        el("div", *(el("span", text, mark) for text, mark in cells), cls="glance-cells num"),
        cls="glance-row",
    )
