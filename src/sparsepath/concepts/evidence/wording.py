"""How tokens are called in a label."""

from sparsepath.concepts.evidence.scripts import has_spaces

N_NAMED = 5
"""Words or tokens that a label spells out; `show` has all of them."""

NAMES = {
    ",": "a comma",
    ".": "a full stop",
    ":": "a colon",
    ";": "a semicolon",
    "?": "a question mark",
    "!": "an exclamation mark",
    "-": "a hyphen",
    "\u2013": "a dash",
    "\u2014": "a long dash",
    "/": "a slash",
    "(": "an opening bracket",
    ")": "a closing bracket",
    "[": "an opening square bracket",
    "]": "a closing square bracket",
    "{": "an opening brace",
    "}": "a closing brace",
    '"': "a quotation mark",
    "'": "an apostrophe",
    "\u2019": "an apostrophe",
    "=": "an equals sign",
    "%": "a per cent sign",
    "$": "a dollar sign",
    "#": "a hash sign",
    "*": "an asterisk",
    "_": "an underscore",
    "\n": "a line break",
    "": "the end of a document",
    "\u3002": "a Japanese full stop",
    "\u3001": "a Japanese comma",
    "\u300c": "an opening Japanese bracket",
    "\u300d": "a closing Japanese bracket",
    "\u30fb": "a middle dot",
}
"""Tokens that have a name."""


def one_token(text: str) -> str:
    """Name a token.

    Args:
        text: of it, with its space.
    """
    bare = text.strip(" ")
    if bare in NAMES:
        return NAMES[bare]
    if not text.strip():
        breaks = text.count("\n")
        return "a line break and indentation" if breaks else f"{len(text)} spaces"
    if not bare.isalnum():
        return quoted(text)
    if bare.isdigit():
        return f"the number {quoted(text)}"
    if not has_spaces(bare):
        return f"the characters {quoted(text)}"
    return f"the word {quoted(text)}" if text[0] == " " else f"the piece {quoted(text)}"


def some_tokens(texts: list[str]) -> str:
    """Name a few tokens.

    Args:
        texts: of each, with its space.
    """
    if len(texts) == 1:
        return one_token(texts[0])
    is_words = all(text[:1] == " " and text.strip().isalpha() for text in texts)
    if is_words:
        return f"the words {either([quoted(text) for text in texts])}"
    names = [NAMES.get(text.strip(" ")) or quoted(text) for text in texts]
    return either(list(dict.fromkeys(names)))


def quoted(text: str) -> str:
    """Put a token into quotation marks; one that goes on a word has dots before it."""
    shown = text.strip(" ").replace("\n", "\u21b5").replace("\t", "\u21e5")
    is_rest = text[:1].isalpha() and has_spaces(text[:1])
    return f'"\u2026{shown}"' if is_rest else f'"{shown}"'


def either(names: list[str]) -> str:
    """Join names by commas and `or`; of many the first ones and how many more."""
    if len(names) > N_NAMED + 1:
        names = [*names[:N_NAMED], f"{len(names) - N_NAMED} others"]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
