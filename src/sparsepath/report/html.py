"""Build HTML from Python so that text from users can never become markup.

Plain strings are escaped wherever they are put; only `Html` goes in as it is, and `Html` is
made by `el`, `join` and `trusted` alone.
"""

import html
import json
import re
from collections.abc import Iterable
from typing import Any

_VOID = {"br", "col", "hr", "input", "meta"}
_BREAKS = re.compile(r"([_/.-]+)(?=\w)")
_STRONG = re.compile(r"\*([^*]+)\*")

Attribute = str | int | float | bool | None


class Html(str):
    """Markup that is already safe to put into the page."""

    __slots__ = ()


def trusted(markup: str) -> Html:
    """Declare markup that this package wrote itself as safe; never call it on a user's text."""
    return Html(markup)


def el(name: str, /, *children: str | None, **attributes: Attribute) -> Html:
    """One element.

    Args:
        name: Tag name.
        children: Strings are escaped, `Html` is not, None is left out.
        attributes: `cls` stands for `class`, a final underscore is dropped, other underscores
            become hyphens; True is a bare attribute, None and False are left out.
    """
    written = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in _VOID:
        return Html(f"<{name}{written}>")
    return Html(f"<{name}{written}>{join(children)}</{name}>")


def join(parts: Iterable[str | None]) -> Html:
    """Put parts one after the other, escaping those that are plain strings."""
    return Html("".join(_safe(part) for part in parts if part is not None))


def rich(template: str, **values: str) -> Html:
    """Fill a sentence of our own; `*words*` in it become strong, values are escaped."""
    marked = _STRONG.sub(r"<strong>\1</strong>", html.escape(template, quote=False))
    return Html(marked.format(**{key: _safe(value) for key, value in values.items()}))


def breakable(text: str) -> Html:
    """A user's name that may be broken after its underscores, hyphens, dots and slashes."""
    return Html(_BREAKS.sub(r"\1<wbr>", _safe(text)))


def script_json(content: Any) -> str:
    """JSON that may stand inside a script element, whatever texts it holds."""
    written = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for char in "<>&\u2028\u2029":
        written = written.replace(char, f"\\u{ord(char):04x}")
    return written


def _safe(part: str) -> str:
    if isinstance(part, Html):
        return str(part)
    return html.escape(part.replace("\0", "\N{REPLACEMENT CHARACTER}"))


def _attribute(key: str, value: Attribute) -> str:
    if value is None or value is False:
        return ""
    name = "class" if key == "cls" else key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{_safe(str(value))}"'
