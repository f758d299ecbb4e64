"""Evidence: what kind of token it is, by its characters or by the class of its word."""

import keyword
import re
from collections.abc import Callable

import numpy as np

from sparsepath.concepts.evidence import japanese
from sparsepath.concepts.evidence.base import Evidence, Feature, Kind, Mask, View, shifted
from sparsepath.concepts.evidence.scripts import has_spaces

WORDS: dict[str, str] = {
    "an article": "a an the",
    "a demonstrative": "this that these those",
    "a preposition": "of in on at by for with from to into onto over under between among through "
    "during before after about against within without along across behind beyond near since until "
    "upon toward towards around off out up down",
    "a pronoun": "i you he she it we they me him her us them who whom himself herself itself "
    "themselves one",
    "a possessive": "my your his her its our their whose",
    "a conjunction": "and or but nor so yet because although though while if when where unless "
    "whereas than as",
    "a form of be": "is are was were be been being am",
    "a form of have or do": "has have had having do does did doing done",
    "a modal verb": "can could may might must shall should will would",
    "a negation": "not no never none nothing neither nor cannot without",
    "a question word": "what which who when where why how",
    "a quantity word": "all some many few several most more less much any each every both other "
    "another such",
    "a number word": "zero one two three four five six seven eight nine ten eleven twelve hundred "
    "thousand million billion first second third fourth fifth half",
    "a month": "january february march april may june july august september october november "
    "december",
    "a weekday": "monday tuesday wednesday thursday friday saturday sunday",
    "a word of time": "year years day days month months week weeks century time date today "
    "later early late ago now then since until born died",
    "a word for people": "man woman men women people person child children son daughter father "
    "mother wife husband brother sister family king queen president director player",
    "a word for places": "city town village country state county district region province island "
    "river mountain lake sea street road area north south east west place located",
    "a word of speech": "said says say told asked called named known wrote written stated",
}
"""Word classes, by name."""

ENDINGS = ("ing", "ed", "ly", "tion", "ment", "ness", "ity", "er", "est", "al", "ic", "ous", "ive",
           "ist", "ism", "able", "ship", "ian", "ies", "es", "s")  # fmt: skip
"""Endings of words."""

CHARACTERS: dict[str, Callable[[str], bool]] = {
    "punctuation": lambda t: bool(t) and not any(c.isalnum() or c.isspace() for c in t),
    "the end of a sentence": lambda t: t in (".", "!", "?", '."', ".)", "。", "！", "？"),
    "a bracket": lambda t: bool(t) and all(c in "()[]{}（）「」『』" for c in t),
    "an opening bracket": lambda t: t[-1:] in ("(", "[", "{", "（", "「", "『"),
    "a closing bracket": lambda t: t[:1] in (")", "]", "}", "）", "」", "』"),
    "a quotation mark": lambda t: bool(t) and any(c in "\"'\u201c\u201d\u2018\u2019`" for c in t),
    "a dash": lambda t: bool(t) and all(c in "-\u2013\u2014" for c in t),
    "a mathematical sign": lambda t: bool(t) and all(c in "+-*/=<>%^|&~" for c in t),
    "a number": lambda t: t.isdigit(),
    "a number with one digit": lambda t: t.isdigit() and len(t) == 1,
    "a number with two digits": lambda t: t.isdigit() and len(t) == 2,
    "a number with three digits": lambda t: t.isdigit() and len(t) == 3,
    "a number with four digits": lambda t: t.isdigit() and len(t) == 4,
    "a single letter": lambda t: len(t) == 1 and t.isalpha(),
    "a capital letter": lambda t: len(t) == 1 and t.isupper(),
    "two or three letters": lambda t: t.isalpha() and len(t) in (2, 3),
    "capital letters": lambda t: len(t) > 1 and t.isalpha() and t.isupper(),
    "letters with accents": lambda t: any(c.isalpha() and "\u00c0" <= c <= "\u024f" for c in t),
    "Greek or Cyrillic letters": lambda t: any("\u0370" <= c <= "\u052f" for c in t),
    "Chinese, Japanese or Korean characters": lambda t: any(c >= "\u3000" for c in t),
    "a Python keyword": lambda t: keyword.iskeyword(t),
    "a name with an underscore": lambda t: "_" in t and any(c.isalpha() for c in t),
}
"""Patterns of a token's characters without space, by name."""

WITH_SPACE: dict[str, Callable[[str], bool]] = {
    "a line break": lambda t: "\n" in t,
    "white space": lambda t: bool(t) and not t.strip(),
    "indentation": lambda t: len(t) > 1 and not t.strip(),
    "the beginning of a word": lambda t: t[:1] == " " and t[1:2].isalpha(),
    "the beginning of a capitalised word": lambda t: t[:1] == " " and t[1:2].isupper(),
    "the beginning of a word in small letters": lambda t: t[:1] == " " and t[1:2].islower(),
    "letters that go on a word": lambda t: t[:1].isalpha() and t[:1].islower(),
    "a whole short word": lambda t: t[:1] == " " and t[1:].isalpha() and len(t) <= 4,
    "a long token": lambda t: t.strip().isalpha() and len(t.strip()) >= 6,
    "the end of a document": lambda t: not t,
}
"""Patterns of a token's characters with its space."""

_YEAR = re.compile(r"1[0-9]\d\d|20\d\d")


class Classes(Evidence):
    """Kinds of token, or of the token before."""

    def __init__(self, texts: list[str], *, before: bool) -> None:
        """Sort the vocabulary.

        Args:
            texts: of every token, by id.
            before: ask of the token before.
        """
        self._before = before
        tables: dict[str, Mask] = {}
        for name, is_one in (CHARACTERS | dict(japanese.CHARACTERS)).items():
            tables[name] = np.array([is_one(text.strip()) for text in texts], bool)
        for name, is_one in WITH_SPACE.items():
            tables[name] = np.array([is_one(text) for text in texts], bool)
        self._tables = tables
        self._of_words: dict[str, Callable[[str], bool]] = {
            name: frozenset(words.split()).__contains__ for name, words in WORDS.items()
        }
        own = {name: frozenset(words.split()) for name, words in japanese.WORDS.items()}
        bare = [text.strip() for text in texts]
        self._of_words |= {name: known.__contains__ for name, known in own.items()}
        self._of_words["a year"] = lambda word: _YEAR.fullmatch(word) is not None
        self._endings = {
            f"a word with the ending -{ending}": ending for ending in ENDINGS + japanese.ENDINGS
        }
        self._of_words |= {name: _ends(ending) for name, ending in self._endings.items()}
        self._of_tokens = {
            name: np.array([text in known for text in bare], bool) for name, known in own.items()
        }
        self._names = [*self._tables, *self._of_words]

    @property
    def features(self) -> list[Feature]:
        """Name every kind."""
        if self._before:
            return [
                Feature("previous", f"after {name}", False, f"after:{self._key(name)}")
                for name in self._names
            ]
        kind: Kind = "class"
        return [Feature(kind, name, True, self._key(name)) for name in self._names]

    def _key(self, name: str) -> str:
        """Give the key of a kind."""
        ending = self._endings.get(name)
        return f"class:{name}" if ending is None else f"ending:{ending}"

    def mask(self, view: View, number: int) -> Mask:
        """Say where tokens are of a kind."""
        name = self._names[number]
        if name in self._tables:
            found: Mask = view.by_token(self._tables[name])
        else:
            found = view.distinct.where(self._of_words[name]).reshape(view.tokens.shape)
        if name in self._of_tokens:  # a particle may be a token inside of a longer run
            found = found | view.by_token(self._of_tokens[name])
        return (shifted(found) if self._before else found).reshape(-1)


def _ends(ending: str) -> Callable[[str], bool]:
    """Say whether a word is longer than its ending, by two letters or one kanji at least."""
    longer = 2 if has_spaces(ending) else 1
    least = len(ending) + longer
    return lambda word: word.isalpha() and word.endswith(ending) and len(word) >= least
