"""Ask a catalogue which neurons make a word likelier, so that one can be found to steer with."""

import math
from typing import Any

from sparsepath.artifacts.catalogue import Catalogue
from sparsepath.artifacts.catalogue_query import WORDS_SEEN, Hit
from sparsepath.artifacts.catalogue_schema import Details
from sparsepath.errors import ConfigError


def search_says(
    catalogue: Catalogue, text: str, *, where: str = "1", values: list[Any] | None = None
) -> list[Hit]:
    """Find neurons that promote words, by the shortest way through the head.

    A neuron's strength is what it adds to the logits of the word's tokens (of whatever case, with
    or without a space before), summed, over the mean size of what it takes from the tokens that
    it demotes: how one-sidedly it says the word, whatever the scale of its layer. Several words
    add up. Which words a neuron says need not be those that make it fire.

    Args:
        catalogue: open.
        text: words, each a single token of the model.
        where: condition on the table `neuron`.
        values: for its question marks.

    Raises:
        ConfigError: if no neuron of the catalogue has a way to the head of its own.
    """
    words = list(dict.fromkeys(word.casefold() for word in text.split()))
    held = " OR ".join(["0", *["INSTR(LOWER(details), ?)"] * len(words)])
    # Only letters of ASCII are made small by SQLite, and JSON escapes some characters.
    asked = [word if word.isascii() and word.isalnum() else "promotes" for word in words]
    rows = catalogue.database.execute(
        f"SELECT id, details FROM neuron WHERE NOT is_dead AND ({held}) AND ({where})",
        [*asked, *(values or [])],
    )
    found: list[tuple[float, int, str, Details]] = []
    for id_, content in rows:
        details = Details.model_validate_json(content)
        said = [
            (token, value)
            for token, value in details.promotes or []
            if token.strip().casefold() in words
        ]
        if said:
            named = ", ".join(repr(token) for token, _ in said)
            found.append((_strength(details, said), id_, f"says {named}", details))
    found = sorted(found, key=lambda one: (-one[0], one[1]))[:WORDS_SEEN]
    if not found and _is_mute(catalogue):
        raise ConfigError(
            "of no neuron in this catalogue it is known what it makes likelier",
            hint="it is known of language models at block_out, attn_out and mlp_hidden: "
            "sparsepath concepts build MODEL CORPUS --site mlp_hidden",
        )
    lines = catalogue.lines_of([id_ for _, id_, _, _ in found])
    return [
        Hit(line, strength, why, tuple(token for token, _ in details.promotes or []))
        for line, (strength, _, why, details) in zip(lines, found, strict=True)
    ]


def _strength(details: Details, said: list[tuple[str, float]]) -> float:
    """Weigh what is said against what is unsaid."""
    against = [-value for _, value in details.demotes or []]
    usual = math.fsum(against) / len(against) if against else 1.0
    return math.fsum(value for _, value in said) / usual


def _is_mute(catalogue: Catalogue) -> bool:
    """Say whether nothing is known of what any neuron says."""
    known = "SELECT 1 FROM neuron WHERE json_extract(details, '$.promotes') IS NOT NULL LIMIT 1"
    return catalogue.database.execute(known).fetchone() is None
