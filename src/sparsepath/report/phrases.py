"""Sentences that a run wrote in English, said in the language of the report.

Stages write what they learnt, and data notes what was found, in English, into the run's files.
`assets/phrases.ja.json` holds their patterns; a sentence that matches none is shown as it is.
"""

import json
import re
from functools import cache
from importlib import resources
from typing import NamedTuple

from sparsepath.report.language import Words

_CLAUSE = "; "


class Phrase(NamedTuple):
    """A kind of sentence, and the replacements that turn it into the other language."""

    match: re.Pattern[str]
    subs: list[tuple[re.Pattern[str], str]]


def said(words: Words, sentence: str) -> str:
    """Say a sentence of a run file in the language of the report, clause by clause."""
    if words.lang == "en":
        return sentence
    known = _phrases(words.lang)
    clauses = [(_translated(known, clause) or clause) for clause in sentence.split(_CLAUSE)]
    return words("unit.clause").join(clauses)


def _translated(known: tuple[Phrase, ...], sentence: str) -> str | None:
    for phrase in known:
        if phrase.match.fullmatch(sentence):
            for pattern, text in phrase.subs:
                sentence = pattern.sub(text, sentence)
            return sentence
    return None


@cache
def _phrases(lang: str) -> tuple[Phrase, ...]:
    file = resources.files("sparsepath.report").joinpath("assets", f"phrases.{lang}.json")
    content = json.loads(file.read_text(encoding="utf-8"))
    return tuple(
        Phrase(
            re.compile(item["match"]),
            [(re.compile(pattern), text) for pattern, text in item["subs"]],
        )
        for item in content
    )
