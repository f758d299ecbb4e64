"""What shown explanations share: colours by score, numbers, tables, and the frame of a page."""

import html
from collections.abc import Iterable, Sequence
from statistics import fmean

from rich.console import Console
from rich.table import Table
from rich.text import Text

FOR_RGB, AGAINST_RGB = (37, 99, 205), (214, 104, 20)
"""Colours of tokens that speak for the target, and against it."""

FAINTEST = 0.08
"""Share of the strongest score below which a token stays uncoloured."""

DEEPEST = 0.65
"""How much of the colour the strongest token gets, 0 to 1."""

PAGE_STYLE = """
:root{color-scheme:light dark}
:root{--ink:#1b2430;--soft:#5b6675;--line:#dfe3e8;--page:#fff;--card:#f6f7f9}
@media (prefers-color-scheme:dark){
:root{--ink:#e8ebef;--soft:#a3adb9;--line:#39414c;--page:#14181d;--card:#1d232a}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);line-height:1.6;overflow-wrap:anywhere}
body{font-family:system-ui,-apple-system,"Segoe UI","Hiragino Sans","Noto Sans JP",sans-serif}
main{max-width:60rem;margin:0 auto;padding:2rem 1.25rem 3rem}
h1{font-size:1.6rem;line-height:1.3;margin:0 0 .25rem}
p{margin:.4rem 0}
.soft{color:var(--soft);font-size:.9rem}
table{border-collapse:collapse;width:100%;font-size:.95rem}
th{text-align:left;font-weight:600;color:var(--soft);font-size:.85rem}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}
"""
"""What all pages share: colours for screens of both kinds, letters, tables."""

STYLE = (
    PAGE_STYLE
    + """
h2{font-size:1.05rem;margin:2.25rem 0 .5rem}
.text{font-size:1.25rem;line-height:2.1;background:var(--card);border-radius:.6rem}
.text{padding:1rem 1.2rem;margin:1rem 0 .5rem;white-space:pre-wrap}
.text span{border-radius:.25rem;padding:.15em 0}
.two{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,20rem),1fr));gap:0 2.5rem}
th,td{padding:.35rem .5rem .35rem 0;border-bottom:1px solid var(--line);vertical-align:baseline}
.score td.n{white-space:nowrap}
.own td{font-weight:650}
.bar{display:inline-block;height:.6em;border-radius:.15em;margin-right:.5em}
@media print{main{max-width:none;padding:0}h2{break-after:avoid}tr{break-inside:avoid}
.text span,.bar{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
"""
)
"""Of an explanation's page, for screens and for paper."""


def colour(score: float) -> tuple[int, int, int]:
    """Return the colour of a score's sign."""
    return FOR_RGB if score > 0 else AGAINST_RGB


def rich_colour(rgb: Iterable[int]) -> str:
    """Write a colour for rich."""
    return f"rgb({','.join(str(part) for part in rgb)})"


def paper(score: float, strength: float) -> str:
    """Write the background of a token for rich, so pale that black letters stay readable.

    Args:
        score: gives the colour.
        strength: 0 to 1.
    """
    return rich_colour(round(255 - (255 - part) * DEEPEST * strength) for part in colour(score))


def strengths(scores: Sequence[float]) -> list[float]:
    """Return each score as a share of the strongest one, 0 to 1; 0 where it is too faint."""
    top = max((abs(score) for score in scores), default=0.0)
    shares = [abs(score) / top if top else 0.0 for score in scores]
    return [share if share >= FAINTEST else 0.0 for share in shares]


def marked(piece: str, score: float, strength: float) -> str:
    """Colour a piece of text as markup; it is escaped."""
    if not strength or not piece:
        return escaped(piece)
    rgb = ",".join(str(part) for part in colour(score))
    return (
        f'<span style="background:rgba({rgb},{DEEPEST * strength:.2f})" '
        f'title="{score:+.2f}">{escaped(piece)}</span>'
    )


def page(title: str, body: str, lang: str, style: str = STYLE) -> str:
    """Return a page that loads nothing; the body is markup."""
    return (
        f'<!doctype html>\n<html lang="{lang}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escaped(title)}</title><style>{style}</style></head>"
        f"<body><main>{body}</main></body></html>\n"
    )


def section(title: str, content: str, note: str = "") -> str:
    """Return a part of a page; the content is markup."""
    below = f'<p class="soft">{escaped(note)}</p>' if note else ""
    return f"<section><h2>{escaped(title)}</h2>{content}{below}</section>"


def plain_table() -> Table:
    """Return an empty table without lines."""
    return Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))


def print_titled(console: Console, title: str, table: Table) -> None:
    """Print a table below its title, which may be wider than the table."""
    console.print()
    console.print(Text(title, style="bold"))
    console.print(table)


def escaped(text: str) -> str:
    """Escape text for markup."""
    return html.escape(text)


def percent(share: float) -> str:
    """Write a share."""
    return f"{100 * share:.1f}\N{NO-BREAK SPACE}%".replace("-", "\N{MINUS SIGN}")


def signed(score: float) -> str:
    """Write a score with its sign."""
    return f"{score:+.2f}".replace("-", "\N{MINUS SIGN}")


def spread(shares: Sequence[float]) -> str:
    """Write the mean and the range of several shares."""
    if not shares:
        return ""
    ends = f"{100 * min(shares):.0f} … {100 * max(shares):.0f}".replace("-", "\N{MINUS SIGN}")
    return f"{percent(fmean(shares))} ({ends})"
