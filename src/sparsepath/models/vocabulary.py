"""Cut a tokenizer down to the tokens that some texts use, without changing how it reads them.

Kept are the tokens used, all special and added tokens, and the single characters or bytes into
which unseen words then fall apart. Of alphabets that the texts never use, the letters go as well.
Every text whose tokens were all named as used is tokenised to the same pieces as before:

- WordPiece takes the longest known prefix; the one taken before is still known, still longest.
- Unigram takes the likeliest path; that path remains and no new one appears. The score of unknown
  characters hangs on the lowest score of all pieces, so one piece with that score is kept.
- BPE applies the earliest merge; the merges applied inside a kept token are kept with their parts.

A tokenizer is the dictionary in `tokenizer.json`. Any other kind is returned whole.
"""

import copy
import itertools
import unicodedata
from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

MARKS = ("##", "\u2581", "\u0120")
"""First characters of tokens that continue a word (WordPiece) or start one (the others)."""


class ShrunkTokenizer(NamedTuple):
    """A smaller tokenizer and where its tokens came from."""

    tokenizer_json: dict[str, Any]
    """The new `tokenizer.json`."""
    kept_ids: list[int]
    """Old id of every new id, ascending."""


def used_ids(encoded: Iterable[Iterable[int]]) -> set[int]:
    """Return every token id that occurs in encoded texts."""
    return {token for row in encoded for token in row}


def shrink_tokenizer(tokenizer_json: Mapping[str, Any], used: Collection[int]) -> ShrunkTokenizer:
    """Keep the used tokens of a tokenizer and what unseen words need.

    Args:
        tokenizer_json: contents of `tokenizer.json`; left as it is.
        used: ids that the texts use; ids that the tokenizer lacks are ignored.
    """
    result = copy.deepcopy(dict(tokenizer_json))
    tokens = _tokens(result)
    kept = set(used) & set(tokens)
    kept |= {token["id"] for token in result.get("added_tokens") or ()}
    kept |= _ids_in_processor(result.get("post_processor"))
    model = result["model"]
    kind = model.get("type")
    if kind == "WordPiece":
        kept |= _letters(tokens, kept) | _named(tokens, {model["unk_token"]})
    elif kind == "Unigram":
        kept |= _letters(tokens, kept) | _unigram_extras(model)
    elif kind == "BPE" and not _has_affixes(model):
        kept |= {i for i, token in tokens.items() if len(token) == 1 or _is_byte(token)}
        kept |= _named(tokens, {model.get("unk_token")})
        kept |= _merge_closure(model, tokens, kept)
    elif kind == "WordLevel":
        kept |= _named(tokens, {model.get("unk_token")})
    else:
        return ShrunkTokenizer(result, sorted(tokens))
    kept_ids = sorted(kept & set(tokens))
    _renumber(result, {old: new for new, old in enumerate(kept_ids)})
    return ShrunkTokenizer(result, kept_ids)


def _tokens(tokenizer_json: Mapping[str, Any]) -> dict[int, str]:
    """Return every token by id."""
    vocab = tokenizer_json["model"]["vocab"]
    tokens = (
        {number: token for token, number in vocab.items()}
        if isinstance(vocab, dict)
        else {number: entry[0] for number, entry in enumerate(vocab)}
    )
    for token in tokenizer_json.get("added_tokens") or ():
        tokens[token["id"]] = token["content"]
    return tokens


def _named(tokens: Mapping[int, str], names: Collection[str | None]) -> set[int]:
    """Return the ids of tokens by their text."""
    return {number for number, token in tokens.items() if token in names}


def _ids_in_processor(processor: Mapping[str, Any] | None) -> set[int]:
    """Return the ids that a post-processor adds around a text."""
    if processor is None:
        return set()
    ids = {i for token in (processor.get("special_tokens") or {}).values() for i in token["ids"]}
    ids |= {processor[name][1] for name in ("sep", "cls") if name in processor}
    for part in processor.get("processors") or ():
        ids |= _ids_in_processor(part)
    return ids


def _bare(token: str) -> str:
    """Return a token without the mark of its place in a word."""
    for mark in MARKS:
        if token.startswith(mark) and token != mark:
            return token[len(mark) :]
    return token


def _script(character: str) -> str | None:
    """Return the alphabet of a letter, such as LATIN or HIRAGANA; None for everything else."""
    if unicodedata.category(character)[0] not in "LM" or character.isascii():
        return None
    return unicodedata.name(character, "").partition(" ")[0]


def _letters(tokens: Mapping[int, str], kept: Collection[int]) -> set[int]:
    """Return the tokens of one character, except letters of alphabets that no kept token has."""
    seen = {_script(c) for i in kept for c in tokens[i]} | {None}
    found = set()
    for number, token in tokens.items():
        bare = _bare(token)
        if _is_byte(token) or (len(bare) == 1 and _script(bare) in seen):
            found.add(number)
    return found


def _is_byte(token: str) -> bool:
    """Whether a token stands for one byte, as in `<0x0A>`."""
    return len(token) == 6 and token.startswith("<0x") and token.endswith(">")


def _unigram_extras(model: Mapping[str, Any]) -> set[int]:
    """Return the unknown token and one piece with the lowest score."""
    scores = [entry[1] for entry in model["vocab"]]
    extras = {scores.index(min(scores))} if scores else set()
    return extras if model.get("unk_id") is None else extras | {model["unk_id"]}


def _has_affixes(model: Mapping[str, Any]) -> bool:
    """Whether a BPE marks the inside or the end of words, so that merges do not join plain text."""
    return bool(model.get("continuing_subword_prefix") or model.get("end_of_word_suffix"))


def _pair(merge: str | list[str]) -> tuple[str, str]:
    """Return the two parts of a merge, which is written as a list or with a space between."""
    left, right = merge.split(" ", 1) if isinstance(merge, str) else merge
    return left, right


def _merge_closure(
    model: Mapping[str, Any], tokens: Mapping[int, str], kept: Collection[int]
) -> set[int]:
    """Return all tokens that appear on the way from characters to the kept tokens."""
    ranks = {_pair(merge): rank for rank, merge in enumerate(model["merges"])}
    numbers = model["vocab"]
    found: set[int] = set()
    for token in (tokens[number] for number in kept):
        parts = list(token)
        while len(parts) > 1:
            pairs = [(ranks.get((a, b), len(ranks)), i) for i, (a, b) in _neighbours(parts)]
            rank, i = min(pairs)
            if rank == len(ranks):
                break
            parts[i : i + 2] = [parts[i] + parts[i + 1]]
            found.add(numbers[parts[i]])
    return found


def _neighbours(parts: list[str]) -> Iterable[tuple[int, tuple[str, str]]]:
    """Return every pair of neighbours with its place."""
    return enumerate(itertools.pairwise(parts))


def _renumber(tokenizer_json: dict[str, Any], new_ids: Mapping[int, int]) -> None:
    """Drop tokens without a new id and give the others theirs, everywhere in the dictionary."""
    model = tokenizer_json["model"]
    if isinstance(model["vocab"], dict):
        model["vocab"] = {t: new_ids[i] for t, i in model["vocab"].items() if i in new_ids}
        vocab = model["vocab"]
        if "merges" in model:
            model["merges"] = [
                merge
                for merge in model["merges"]
                if all(part in vocab for part in (*_pair(merge), "".join(_pair(merge))))
            ]
    else:
        model["vocab"] = [x for i, x in enumerate(model["vocab"]) if i in new_ids]
        if model.get("unk_id") is not None:
            model["unk_id"] = new_ids[model["unk_id"]]
    for token in tokenizer_json.get("added_tokens") or ():
        token["id"] = new_ids[token["id"]]
    _renumber_processor(tokenizer_json.get("post_processor"), new_ids)
    padding = tokenizer_json.get("padding")
    if padding is not None:
        padding["pad_id"] = new_ids.get(padding["pad_id"], 0)


def _renumber_processor(processor: dict[str, Any] | None, new_ids: Mapping[int, int]) -> None:
    """Give the tokens that a post-processor adds their new ids."""
    if processor is None:
        return
    for token in (processor.get("special_tokens") or {}).values():
        token["ids"] = [new_ids[i] for i in token["ids"]]
    for name in ("sep", "cls"):
        if name in processor:
            processor[name] = [processor[name][0], new_ids[processor[name][1]]]
    for part in processor.get("processors") or ():
        _renumber_processor(part, new_ids)
