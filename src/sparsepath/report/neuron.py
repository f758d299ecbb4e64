"""One neuron for a reader: coloured in a terminal, as one HTML page, or as plain content.

Page and terminal speak the languages of the report; automatic labels are English.
Texts of the corpus and of people go through `html.py`, which escapes them.
"""

from typing import Any

from rich.console import Console
from rich.style import Style
from rich.text import Text

from sparsepath.artifacts.catalogue_schema import CatalogueFacts, Context, NeuronCard
from sparsepath.pathways.shading import FOR_RGB, PAGE_STYLE, colour
from sparsepath.report.html import Html, el, join, trusted
from sparsepath.report.language import Words, words

BANDS = ("top", "0.1%", "1%", "10%", "50%")
"""Bands in the order of the page."""

BARS = "\u2581\u2582\u2583\u2584\u2585\u2586\u2587\u2588"
"""Bars of a histogram in a terminal."""

_STYLE = trusted(
    PAGE_STYLE
    + """
main{max-width:64rem;margin:0 auto;padding:2rem 1.25rem 3rem}
h2{font-size:1.05rem;margin:2rem 0 .5rem}
.label{font-size:1.25rem}
.text{background:var(--card);border-radius:.5rem;padding:.5rem .8rem;margin:.4rem 0}
.text{white-space:pre-wrap;display:flex;gap:1rem;align-items:baseline}
.text .n{flex:none;width:4.5rem;text-align:right;color:var(--soft)}
.text .n{font-variant-numeric:tabular-nums;font-size:.9rem}
.text span span{border-radius:.2rem;padding:.1em 0}
.text b{font-weight:inherit;border-bottom:2px solid rgb(37,99,205)}
.two{columns:18rem 3;column-gap:2.5rem}
.two section{break-inside:avoid;padding-top:1.5rem}
.two h2{margin-top:0}
th:first-child{white-space:nowrap}
:lang(ja) p,:lang(ja) th{word-break:auto-phrase}
th,td{padding:.3rem .5rem .3rem 0;border-bottom:1px solid var(--line);vertical-align:baseline}
td.n{white-space:nowrap}
td code{white-space:pre}
code{font-family:ui-monospace,"DejaVu Sans Mono",Menlo,Consolas,monospace;font-size:.9em}
code{background:var(--card);padding:.05rem .3rem;border-radius:.25rem;white-space:pre-wrap}
svg{display:block;max-width:100%}
"""
)


def neuron_json(card: NeuronCard) -> dict[str, Any]:
    """Give all that is known of a neuron as plain content for JSON."""
    plain = card._asdict() | {
        "details": card.details.model_dump(mode="json"),
        "fires_on": [token._asdict() for token in card.fires_on],
        "contexts": [context._asdict() for context in card.contexts],
        "remarks": [remark._asdict() for remark in card.remarks],
        "endpoint": [label._asdict() for label in card.endpoint],
    }
    del plain["line"]
    return card.line._asdict() | {"neuron": card.line.neuron.name} | plain


def print_neuron(card: NeuronCard, console: Console, lang: str = "en") -> None:
    """Print a neuron to a terminal; firings are bold and coloured by their strength.

    Args:
        card: of the neuron.
        console: where; without colours brackets mark the token.
        lang: `en` or `ja`.
    """
    line, details, w = card.line, card.details, words(lang)

    def listed(key: str, items: list[str]) -> None:
        console.print(Text(w(key) + w("unit.colon") + (w.listed(items) or "-")))

    console.print(Text(f"{line.neuron.name}: {_label(line.label, w)}", style="bold"))
    for sentence in sentences(card, w):
        console.print(Text(sentence))
    if card.is_dead:
        return
    top = max(1, *details.histogram)
    bars = "".join(BARS[min(7, 8 * n // (top + 1))] if n else " " for n in details.histogram)
    listed("neuron.values", [f"{details.bounds[0]:.2f} |{bars}| {details.bounds[1]:.2f}"])
    listed("neuron.fires", [_token_line(token) for token in card.fires_on[:8]])
    for name, tokens in (("promotes", details.promotes), ("demotes", details.demotes)):
        if tokens is not None:
            shown = [f"{quoted(text)} {value:+.2f}" for text, value in tokens[:8]]
            listed(f"neuron.{name}", shown)
    for key, lines in _neighbours(card, w).items():
        listed(key, lines)
    band = ""
    for context in card.contexts:
        if context.band != band:
            band = context.band
            console.print(Text(f"\n{w.known('neuron.band', band)}", style="bold"))
        console.print(
            _coloured(context, card.largest, marked=console.no_color or not console.is_terminal)
        )
    for remark in card.remarks:
        said = "; ".join(
            f"{w.known('neuron', k)}: {v}"
            for k, v in remark._asdict().items()
            if v and k not in ("by", "at")
        )
        console.print(Text(f"\n{remark.by}, {remark.at}: {said}"))


def sentences(card: NeuronCard, w: Words) -> list[str]:
    """Say how often a neuron fires and how far its label can be trusted."""
    line = card.line
    if card.is_dead:
        return [w("neuron.dead")]
    found = [w("neuron.person", label=_label(card.automatic, w))] if line.by_person else []
    found += [
        w(
            "neuron.endpoint",
            model=label.model,
            endpoint=label.endpoint,
            label=quoted(label.label),
            n=w.integer(label.trials),
            score=w.number(label.score, 3),
            own=w.number(label.own_score, 3),
        )
        for label in card.endpoint
    ]
    found.append(_trust(card, w))
    found.append(
        w(
            "neuron.rate",
            rate=w.percent(line.rate, 2),
            n=w.integer(card.fired),
            mean=w.number(line.mean),
            token=w.number(line.token_entropy, 1),
            semantic=w.number(line.semantic_entropy, 1),
        )
    )
    for part in card.details.rule:
        if len(part.values) > 1:
            shown = " ".join(quoted(value) for value in part.values)
            found.append(part.phrase + w("unit.colon") + shown)
    if card.is_always_on:
        found.append(w("neuron.always"))
    if card.details.duplicates:
        found.append(w("neuron.duplicates", names=w.listed(card.details.duplicates)))
    return found


def _trust(card: NeuronCard, w: Words) -> str:
    """Say how well the automatic label does on held-out text."""
    if card.line.score is None:
        return w("neuron.unjudged", n=w.integer(card.held_out), guess=card.guess)
    judged = w(
        "neuron.judged",
        score=w.number(card.line.score, 3),
        f1=w.number(card.f1 or 0),
        control=w.number(card.control or 0, 3),
    )
    if card.automatic == card.guess:
        return judged
    return f"{judged} {w('neuron.guess', guess=card.guess)}"


def _label(label: str, w: Words) -> str:
    """Say a label; those that say nothing have words of their own in each language."""
    return w.known("neuron.label", label)


def quoted(text: str) -> str:
    """Show a token, white space and codes by signs; part of a character as a question mark."""
    shown = text.replace("\n", "\u21b5").replace("\t", "\u21e5").replace("\r", "\u240d")
    shown = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in shown)
    return f'"{shown}"'


def _token_line(token: Any) -> str:
    return f"{quoted(token.text)} {token.share:.0%} ({token.lift:,.0f}x)"


def _neighbours(card: NeuronCard, w: Words) -> dict[str, list[str]]:
    """Write classes and neurons that belong to a neuron."""
    found = {
        "neuron.classes": [_class_line(*told, w) for told in card.details.classes],
        "neuron.together": [f"{name} {share:.0%}" for name, share in card.details.together],
    }
    return {key: lines for key, lines in found.items() if lines}


def _class_line(name: str, share: float, area: float, w: Words) -> str:
    return w("neuron.class", name=name, share=w.percent(share, 0), area=w.number(area, 3))


def _coloured(context: Context, largest: float, *, marked: bool) -> Text:
    """Colour the tokens of a context."""
    text = Text(f"{context.value:>8.2f}  ", style="dim")
    for number, (piece, value) in enumerate(zip(context.texts, context.values, strict=True)):
        shown = piece.replace("\n", "\u21b5")
        style = Style.null()
        if value:
            strength = min(1.0, 0.25 + 0.75 * abs(value) / max(abs(largest), 1e-9))
            red, green, blue = colour(value)
            shade = [round(255 - (255 - c) * strength) for c in (red, green, blue)]
            ink = "white" if strength > 0.55 else "black"
            style = Style(color=ink, bgcolor=f"rgb({shade[0]},{shade[1]},{shade[2]})")
        if number == context.at:
            style += Style(bold=True, underline=True)
            shown = f"[[{shown}]]" if marked else shown
        text.append(shown, style=style)
    return text


def neuron_html(card: NeuronCard, facts: CatalogueFacts, lang: str = "en") -> str:
    """Write a neuron as one page that needs nothing else.

    Args:
        card: of the neuron.
        facts: of its catalogue.
        lang: `en` or `ja`.

    Raises:
        ConfigError: if it is another one.
    """
    name, w = card.line.neuron.name, words(lang)
    label = _label(card.line.label, w)
    body = [
        el("h1", name),
        el("p", label, cls="label"),
        *(el("p", sentence) for sentence in sentences(card, w)),
    ]
    if not card.is_dead:
        body += [_histogram(card, w), _tables(card, w), *_contexts(card, w)]
    body += _remarks(card, w)
    body += [el("p", w("neuron.warning", text=text), cls="soft") for text in facts.warnings]
    body.append(
        el(
            "p",
            w(
                "neuron.source",
                model=_of(facts, w),
                corpus=facts.corpus,
                n=w.integer(facts.n_tokens),
                held_out=w.integer(facts.n_held_out),
                date=w.moment(facts.made_at),
            ),
            cls="soft",
        )
    )
    head = join(
        [
            el("meta", charset="utf-8"),
            el("meta", name_="viewport", content="width=device-width, initial-scale=1"),
            el("title", f"{name}: {label}"),
            el("style", _STYLE),
        ]
    )
    page = el("html", el("head", head), el("body", el("main", *body)), lang=w.lang)
    return f"<!doctype html>\n{page}\n"


def _of(facts: CatalogueFacts, w: Words) -> str:
    """Say what the catalogue is of."""
    if facts.autoencoder is None:
        return facts.model
    return w("neuron.latent", folder=facts.autoencoder.folder, model=facts.model)


def _histogram(card: NeuronCard, w: Words) -> Html:
    """Draw how often it has which value."""
    bins, (low, high) = card.details.histogram, card.details.bounds
    top, n = max(1, *bins), len(bins)
    bars = [
        el(
            "rect",
            x=20 * i,
            y=round(60 - 60 * count / top, 1),
            width=18,
            height=round(60 * count / top, 1),
            fill=f"rgb{FOR_RGB}",
        )
        for i, count in enumerate(bins)
    ]
    picture = el("svg", *bars, viewBox=f"0 0 {20 * n} 60", width=20 * n, height=60, role="img",
                 aria_label=w("neuron.values.alt"))  # fmt: skip
    ends = w("neuron.values.ends", low=w.number(low), high=w.number(high))
    return el("section", el("h2", w("neuron.values")), picture, el("p", ends, cls="soft"))


def _tables(card: NeuronCard, w: Words) -> Html:
    """Write tokens and neighbours side by side."""
    rows = [
        el(
            "tr",
            el("td", el("code", quoted(t.text))),
            el("td", f"{t.share:.1%}", cls="n"),
            el("td", f"{t.precision:.1%}", cls="n"),
            el("td", f"{t.lift:,.1f}", cls="n"),
        )
        for t in card.fires_on
    ]
    heads = [w(f"neuron.{name}") for name in ("token", "share", "precision", "lift")]
    head = el("tr", *(el("th", text, cls="n" if i else None) for i, text in enumerate(heads)))
    parts = [el("section", el("h2", w("neuron.fires")), el("table", head, *rows))]
    lists = (("promotes", card.details.promotes), ("demotes", card.details.demotes))
    for name, tokens in lists:
        if tokens is not None:
            lines = [(quoted(t), f"{v:+.3f}".replace("-", "\u2212")) for t, v in tokens]
            parts.append(_list(w(f"neuron.{name}"), lines))
    if card.details.classes:
        told = [_class_line(*one, w) for one in card.details.classes]
        parts.append(el("section", el("h2", w("neuron.classes")), *(el("p", one) for one in told)))
    together = [(name, f"{share:.0%}") for name, share in card.details.together]
    parts.append(_list(w("neuron.together"), together))
    return el("div", *parts, cls="two")


def _list(title: str, rows: list[tuple[str, str]]) -> Html:
    """Write names with a number each."""
    lines = [el("tr", el("td", el("code", name)), el("td", n, cls="n")) for name, n in rows]
    return el("section", el("h2", title), el("table", *lines) if lines else el("p", "-"))


def _contexts(card: NeuronCard, w: Words) -> list[Html]:
    """Write examples, by band."""
    found = []
    for band in BANDS:
        some = [context for context in card.contexts if context.band == band]
        if some:
            found.append(el("h2", w.known("neuron.band", band)))
            found += [_context(context, card.largest) for context in some]
    return found


def _context(context: Context, largest: float) -> Html:
    """Write one example."""
    pieces = []
    for number, (text, value) in enumerate(zip(context.texts, context.values, strict=True)):
        shown: str = text.replace("\n", "\u21b5\n")
        if number == context.at:
            shown = el("b", shown)
        red, green, blue = colour(value)
        share = min(1.0, abs(value) / max(abs(largest), 1e-9))
        style = f"background:rgba({red},{green},{blue},{0.12 + 0.5 * share:.2f})" if value else None
        pieces.append(el("span", shown, style=style, title=f"{value:.2f}" if value else None))
    return el("div", el("span", f"{context.value:.2f}", cls="n"), el("span", *pieces), cls="text")


def _remarks(card: NeuronCard, w: Words) -> list[Html]:
    """Write what people said."""
    if not card.remarks:
        return []
    rows = [
        el(
            "tr",
            *(el("td", cell or "") for cell in (r.by, w.moment(r.at), r.label, verdict, r.note)),
        )
        for r in card.remarks
        for verdict in [r.verdict and w.known("neuron.verdict", r.verdict)]
    ]
    names = ("by", "at", "label", "verdict", "note")
    head = el("tr", *(el("th", w(f"neuron.{name}")) for name in names))
    return [el("h2", w("neuron.remarks")), el("table", head, *rows)]
