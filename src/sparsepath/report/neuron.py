"""One neuron for a reader: coloured in a terminal, as one HTML page, or as plain content.

Texts of the corpus and of people go through `html.py`, which escapes them.
"""

from typing import Any

from rich.console import Console
from rich.style import Style
from rich.text import Text

from sparsepath.artifacts.catalogue_schema import CatalogueFacts, Context, NeuronCard
from sparsepath.pathways.shading import FOR_RGB, PAGE_STYLE, colour
from sparsepath.report.html import Html, el, join, trusted

BANDS = {
    "top": "Where it fires most",
    "0.1%": "Around the strongest 0.1 %",
    "1%": "Around the strongest 1 %",
    "10%": "Around the strongest 10 %",
    "50%": "Around the middle",
}
"""Headings of the bands."""

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
.two{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,18rem),1fr));gap:0 2.5rem}
th,td{padding:.3rem .5rem .3rem 0;border-bottom:1px solid var(--line);vertical-align:baseline}
td.n{white-space:nowrap}
td code{white-space:pre}
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
    }
    del plain["line"]
    return card.line._asdict() | {"neuron": card.line.neuron.name} | plain


def print_neuron(card: NeuronCard, console: Console) -> None:
    """Print a neuron to a terminal; firings are bold and coloured by their strength.

    Args:
        card: of the neuron.
        console: where; without colours brackets mark the token.
    """
    line, details = card.line, card.details
    console.print(Text(f"{line.neuron.name}: {line.label}", style="bold"))
    for sentence in sentences(card):
        console.print(Text(sentence))
    if card.is_dead:
        return
    top = max(1, *details.histogram)
    bars = "".join(BARS[min(7, 8 * n // (top + 1))] if n else " " for n in details.histogram)
    console.print(Text(f"values {details.bounds[0]:.2f} |{bars}| {details.bounds[1]:.2f}"))
    console.print(Text("fires on   " + ", ".join(_token_line(t) for t in card.fires_on[:8])))
    for name, tokens in (("promotes", details.promotes), ("demotes", details.demotes)):
        if tokens is not None:
            shown = ", ".join(f"{quoted(text)} {value:+.2f}" for text, value in tokens[:8])
            console.print(Text(f"{name:<10} {shown or '-'}"))
    if details.together:
        shown = ", ".join(f"{name} {share:.0%}" for name, share in details.together)
        console.print(Text(f"fires with {shown}"))
    band = ""
    for context in card.contexts:
        if context.band != band:
            band = context.band
            console.print(Text(f"\n{BANDS.get(band, band)}", style="bold"))
        console.print(
            _coloured(context, card.largest, marked=console.no_color or not console.is_terminal)
        )
    for remark in card.remarks:
        said = "; ".join(f"{k}: {v}" for k, v in remark._asdict().items() if v and k not in "byat")
        console.print(Text(f"\n{remark.by}, {remark.at}: {said}"))


def sentences(card: NeuronCard) -> list[str]:
    """Say how often a neuron fires and how far its label can be trusted."""
    line = card.line
    if card.is_dead:
        return ["It never fired on this corpus."]
    found = []
    if card.line.by_person:
        found.append(f"A person's label; the automatic one: {card.automatic}")
    if line.score is None:
        found.append(f"Label not judged: {card.held_out} firings on held-out text. {card.guess}")
    else:
        guess = "" if card.automatic == card.guess else f" The best guess was: {card.guess}."
        found.append(
            f"On held-out text the automatic label tells where it fires with a balanced accuracy "
            f"of {line.score:.3f} (F1 {card.f1 or 0:.2f}); another neuron's label "
            f"{card.control or 0:.3f}.{guess}"
        )
    found.append(
        f"It fires at {line.rate:.2%} of the tokens ({card.fired:,}), mean value {line.mean:.2f}; "
        f"token entropy {line.token_entropy:.1f} bits, semantic entropy "
        f"{line.semantic_entropy:.1f} bits."
    )
    for part in card.details.rule:
        if len(part.values) > 1:
            found.append(f"{part.phrase}: {' '.join(quoted(value) for value in part.values)}")
    if card.is_always_on:
        found.append("It is on nearly always.")
    if card.details.duplicates:
        found.append(f"Near-duplicates: {', '.join(card.details.duplicates)}.")
    return found


def quoted(text: str) -> str:
    """Show a token with its spaces and line breaks; part of a character as a question mark."""
    shown = text.replace("\n", "\u21b5").replace("\t", "\u21e5").replace("\r", "\u240d")
    return f'"{shown}"'


def _token_line(token: Any) -> str:
    return f"{quoted(token.text)} {token.share:.0%} ({token.lift:,.0f}x)"


def _coloured(context: Context, largest: float, *, marked: bool) -> Text:
    """Colour the tokens of a context."""
    text = Text(f"{context.value:>8.2f}  ", style="dim")
    for number, (piece, value) in enumerate(zip(context.texts, context.values, strict=True)):
        shown = piece.replace("\n", "\u21b5")
        style = Style.null()
        if value:
            strength = min(1.0, 0.25 + 0.75 * abs(value) / max(largest, 1e-9))
            red, green, blue = colour(value)
            shade = [round(255 - (255 - c) * strength) for c in (red, green, blue)]
            ink = "white" if strength > 0.55 else "black"
            style = Style(color=ink, bgcolor=f"rgb({shade[0]},{shade[1]},{shade[2]})")
        if number == context.at:
            style += Style(bold=True, underline=True)
            shown = f"[[{shown}]]" if marked else shown
        text.append(shown, style=style)
    return text


def neuron_html(card: NeuronCard, facts: CatalogueFacts) -> str:
    """Write a neuron as one page that needs nothing else.

    Args:
        card: of the neuron.
        facts: of its catalogue.
    """
    name = card.line.neuron.name
    body = [
        el("h1", name),
        el("p", card.line.label, cls="label"),
        *(el("p", sentence) for sentence in sentences(card)),
    ]
    if not card.is_dead:
        body += [_histogram(card), _tables(card), *_contexts(card)]
    body += _remarks(card)
    body.append(
        el(
            "p",
            f"{_of(facts)}; corpus {facts.corpus}, {facts.n_tokens:,} tokens, "
            f"{facts.n_held_out:,} of them held out; {facts.made_at}.",
            cls="soft",
        )
    )
    head = join(
        [
            el("meta", charset="utf-8"),
            el("meta", name_="viewport", content="width=device-width, initial-scale=1"),
            el("title", f"{name}: {card.line.label}"),
            el("style", _STYLE),
        ]
    )
    page = el("html", el("head", head), el("body", el("main", *body)), lang="en")
    return f"<!doctype html>\n{page}\n"


def _of(facts: CatalogueFacts) -> str:
    """Say what the catalogue is of."""
    model = f"Model {facts.model}"
    if facts.autoencoder is None:
        return model
    return f"Latent of the sparse autoencoder {facts.autoencoder.folder}; {model}"


def _histogram(card: NeuronCard) -> Html:
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
                 aria_label="How often it has which value")  # fmt: skip
    ends = el("p", f"values from {low:.2f} to {high:.2f} where it fires", cls="soft")
    return el("section", el("h2", "Values"), picture, ends)


def _tables(card: NeuronCard) -> Html:
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
    heads = ("Token", "of its firings", "of the token", "times as often")
    head = el("tr", *(el("th", text, cls="n" if i else None) for i, text in enumerate(heads)))
    parts = [el("section", el("h2", "Fires on"), el("table", head, *rows))]
    lists = (("Promotes", card.details.promotes, "+.3f"), ("Demotes", card.details.demotes, "+.3f"))
    for title, tokens, form in lists:
        if tokens is not None:
            parts.append(_list(title, [(quoted(t), format(v, form)) for t, v in tokens]))
    together = [(name, f"{share:.0%}") for name, share in card.details.together]
    parts.append(_list("Fires with", together))
    return el("div", *parts, cls="two")


def _list(title: str, rows: list[tuple[str, str]]) -> Html:
    """Write names with a number each."""
    lines = [el("tr", el("td", el("code", name)), el("td", n, cls="n")) for name, n in rows]
    return el("section", el("h2", title), el("table", *lines) if lines else el("p", "-"))


def _contexts(card: NeuronCard) -> list[Html]:
    """Write examples, by band."""
    found = []
    for band, title in BANDS.items():
        some = [context for context in card.contexts if context.band == band]
        if some:
            found.append(el("h2", title))
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
        share = min(1.0, abs(value) / max(largest, 1e-9))
        style = f"background:rgba({red},{green},{blue},{0.12 + 0.5 * share:.2f})" if value else None
        pieces.append(el("span", shown, style=style, title=f"{value:.2f}" if value else None))
    return el("div", el("span", f"{context.value:.2f}", cls="n"), el("span", *pieces), cls="text")


def _remarks(card: NeuronCard) -> list[Html]:
    """Write what people said."""
    if not card.remarks:
        return []
    rows = [
        el("tr", *(el("td", cell or "") for cell in (r.by, r.at, r.label, r.verdict, r.note)))
        for r in card.remarks
    ]
    head = el("tr", *(el("th", name) for name in ("By", "At", "Label", "Verdict", "Note")))
    return [el("h2", "Remarks"), el("table", head, *rows)]
