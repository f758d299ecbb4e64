"""How edits are written: `L02/117=8`, `L02.M0117*0.5@answer`, `L02/117=off if L01/5 fires`.

NEURON =VALUE | =off | *FACTOR | +VALUE | -VALUE  [@POSITIONS]  [if NEURON fires]
                                                              [if NEURON>VALUE]
                                                              [if after TOKEN|TOKEN]

A label of the model's catalogue may stand in place of NEURON (`concept_names.py`).
"""

import re
from collections.abc import Callable, Sequence

from sparsepath.artifacts.concept_names import Find, finder
from sparsepath.artifacts.edit import Condition, Edit, Operation, on_entry
from sparsepath.errors import ConfigError

Encode = Callable[[str], Sequence[int]]
"""Gives the token ids of a text, without special ones."""

_NUMBER = r"[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?"
_EDIT = re.compile(
    rf"\s*(?P<neuron>.+?)\s*(?P<sign>[=*+-])\s*(?P<value>off|-?{_NUMBER})"
    r"\s*(?:@\s*(?P<positions>[\w:]+))?(?:\s+if\s+(?P<condition>.+?))?\s*"
)
_CONDITION = re.compile(
    rf"after\s+(?P<tokens>.+)"
    rf"|(?P<neuron>.+?)\s*(?:(?P<fires>\bfires)|>\s*(?P<above>-?{_NUMBER}))"
)
FORMS = (
    "write L02/117=8 (set), L02/117*0.5 (scale), L02/117+3 or L02/117-3 (add), L02/117=off "
    "(suppress); then, if wanted, @prompt, @answer, @last or @3:10; then `if L01/5 fires`, "
    "`if L01/5>0.5` or `if after the|a`"
)
"""What a user is told."""

NAMES_ONLY = finder(None)
"""Knows names of neurons, and no labels."""


def parse_edit(text: str, encode: Encode | None = None, find: Find = NAMES_ONLY) -> Edit:
    """Read an edit.

    Args:
        text: as in this module's first lines.
        encode: needed for conditions on tokens; tokens written as `#12` need none.
        find: knows the labels of the model's catalogue.

    Raises:
        ConfigError: if it is none, a word of its condition is no single token, or a label names no
            neuron, or several.
    """
    found = _EDIT.fullmatch(text)
    if found is None:
        raise ConfigError(f"{text!r} is no edit", hint=FORMS)
    operation, value = _operation(found["sign"], found["value"], text)
    entry, value = on_entry(find(found["neuron"]), operation, value)
    return Edit(
        neuron=entry,
        operation=operation,
        value=value,
        positions=found["positions"] or "all",
        only_if=None
        if found["condition"] is None
        else parse_condition(found["condition"], encode, find),
    )


def _operation(sign: str, value: str, text: str) -> tuple[Operation, float]:
    """Read what is done.

    Raises:
        ConfigError: if `off` stands behind another sign than `=`.
    """
    if value == "off":
        if sign != "=":
            raise ConfigError(f"{text!r} is no edit", hint=FORMS)
        return "suppress", 0.0
    if sign == "-":
        return "add", -float(value)
    operations: dict[str, Operation] = {"=": "set", "*": "scale", "+": "add"}
    return operations[sign], float(value)


def parse_condition(text: str, encode: Encode | None = None, find: Find = NAMES_ONLY) -> Condition:
    """Read what stands behind `if`: `L01/5 fires`, `L01/5>0.5`, `after the|a`.

    Raises:
        ConfigError: if it is no condition.
    """
    found = _CONDITION.fullmatch(text.strip())
    if found is None:
        raise ConfigError(f"{text!r} is no condition", hint=FORMS)
    if found["tokens"] is not None:
        ids = {id_ for word in found["tokens"].split("|") for id_ in _ids(word, encode)}
        return Condition(after=tuple(sorted(ids)))
    watched = find(found["neuron"])
    name = watched.entry.name if watched.side == "+" else watched.name
    return Condition(neuron=name, above=float(found["above"] or 0))


def _ids(word: str, encode: Encode | None) -> list[int]:
    """Give the tokens that are a word, with and without a space before it.

    Raises:
        ConfigError: if it is more than one token, or there is nothing to ask.
    """
    word = word.strip()
    if re.fullmatch(r"#\d+", word):
        return [int(word[1:])]
    if encode is None:
        raise ConfigError(
            f"a condition on the word {word!r} needs a tokenizer",
            hint="give encode=, a function from text to token ids, or write ids as #12",
        )
    ways = [list(encode(word)), list(encode(f" {word}"))]
    found = [ids[0] for ids in ways if len(ids) == 1]
    if not found or not word:
        raise ConfigError(
            f"{word!r} is {len(ways[0])} tokens of this model", hint="choose a word that is one"
        )
    return found
