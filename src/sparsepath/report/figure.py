"""What all charts share: colours, fonts, axes; charts are plain JSON, drawn by plotly.js.

Colours are those of Okabe and Ito, told apart with any colour vision; every series also has its
own marker or dash. Text of users that goes into a chart passes `label` first, because plotly
reads a little markup of its own.
"""

import html
import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

BLUE = "#0072B2"
SKY = "#56B4E9"
ORANGE = "#E69F00"
VERMILION = "#D55E00"
GREEN = "#009E73"
PURPLE = "#AA4499"
GREY = "#6B7280"
INK = "#1A2233"

FONT = (
    '-apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", "Hiragino Sans", '
    '"Noto Sans CJK JP", "Noto Sans JP", "Yu Gothic", Meiryo, sans-serif'
)
FONT_SIZE = 14

Json = dict[str, Any]

NARROW_MARGIN: Json = {"l": 56, "r": 12, "t": 12, "b": 60}
"""Margins where there is little width."""


class Variant(NamedTuple):
    """One drawing: traces, layout, and what differs where there is little width."""

    data: list[Json]
    layout: Json
    narrow: Mapping[str, Any] = MappingProxyType({})
    """Merged over `layout` in boxes less than 560 pixels wide."""


class Figure(NamedTuple):
    """A chart with one or more variants; the first is shown."""

    variants: dict[str, Variant]
    has_tools: bool = False
    """Whether zoom and download buttons are offered."""

    def as_json(self) -> Json:
        """What the page's script draws."""
        variants: Json = {
            key: {"data": list(item.data), "layout": item.layout, "narrow": dict(item.narrow)}
            for key, item in self.variants.items()
        }
        return {"variants": variants, "first": next(iter(self.variants)), "tools": self.has_tools}


def single(data: list[Json], layout: Json, narrow: Json | None = None) -> Figure:
    """A figure with one variant."""
    return Figure({"": Variant(data, layout, narrow or {})})


def label(text: str, width: int = 44, lines: int = 3) -> str:
    """A user's text for a chart: broken into lines, long ones shortened, markup escaped."""
    clean = " ".join(text.replace("\0", "\N{REPLACEMENT CHARACTER}").split())
    pieces: list[str] = []
    while clean and len(pieces) < lines:
        cut = _cut(clean, width)
        pieces.append(clean[:cut].strip())
        clean = clean[cut:].strip()
    if clean and pieces:
        pieces[-1] = pieces[-1][: width - 1] + "\N{HORIZONTAL ELLIPSIS}"
    return "<br>".join(html.escape(piece, quote=False) for piece in pieces)


def layout(**parts: Any) -> Json:
    """The common layout with `parts` over it."""
    base: Json = {
        "font": {"family": FONT, "size": FONT_SIZE, "color": INK},
        "paper_bgcolor": "#ffffff",
        "plot_bgcolor": "#ffffff",
        "margin": {"l": 64, "r": 20, "t": 16, "b": 56},
        "hovermode": "closest",
        "hoverlabel": {
            "bgcolor": "#ffffff",
            "bordercolor": "#9AA3B2",
            "align": "left",
            "font": {"family": FONT, "size": 14, "color": INK},
        },
        "dragmode": False,
    }
    return {**base, **parts}


def axis(title: str, **parts: Any) -> Json:
    """One axis with the common look."""
    base: Json = {
        "title": {"text": title, "standoff": 12, "font": {"size": 14}},
        "automargin": True,
        "gridcolor": "#E5E8EE",
        "linecolor": "#9AA3B2",
        "zeroline": False,
        "showline": True,
        "ticks": "outside",
        "tickcolor": "#9AA3B2",
        "ticklen": 5,
        "tickfont": {"size": 13},
    }
    return {**base, **parts}


def log_ticks(values: Sequence[float]) -> tuple[list[float], list[str]]:
    """Ticks at 1, 2, 5 times powers of ten around positive values, and their plain labels."""
    low, high = min(values), max(values)
    decades = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1)
    ticks = [step * 10.0**decade for decade in decades for step in (1, 2, 5)]
    inside = [tick for tick in ticks if low / 2.5 <= tick <= high * 2.5]
    return inside, [f"{tick:g}" for tick in inside]


def log_range(values: Sequence[float], pad: float = 0.08) -> list[Any]:
    """Axis range, in powers of ten, with some air at both ends."""
    low, high = math.log10(min(values)), math.log10(max(values))
    air = max(0.06, pad * (high - low))
    return [low - air, high + air]


def faded(colour: str, opacity: float) -> str:
    """A colour with some of the paper showing through."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity})"


def _cut(text: str, width: int) -> int:
    """Where to break a line: the last space within `width`, else at `width`."""
    if len(text) <= width:
        return len(text)
    space = text.rfind(" ", width // 2, width + 1)
    return space if space > 0 else width
