"""Find, check and prepare the tokenizer of a model folder.

The tokenizer is kept as the text of `tokenizer.json`, without padding and truncation: who encodes
texts decides those.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from sparsepath.errors import ModelError
from sparsepath.models.folder import read_json_object

BERT_CLASSES = frozenset(
    {None, "BertTokenizer", "BertTokenizerFast", "DistilBertTokenizer", "DistilBertTokenizerFast"}
)
"""Tokenizer classes whose `vocab.txt` says all there is to know."""

ROBERTA_CLASSES = frozenset({None, "RobertaTokenizer", "RobertaTokenizerFast"})
"""Tokenizer classes whose `vocab.json` and `merges.txt` say all there is to know."""

SPECIAL_NAMES = {
    "unk_token": ("[UNK]", "<unk>"),
    "cls_token": ("[CLS]", "<s>"),
    "sep_token": ("[SEP]", "</s>"),
    "mask_token": ("[MASK]", "<mask>"),
    "pad_token": ("[PAD]", "<pad>"),
}
"""What the special tokens are called in the known families."""


class ReadTokenizer(NamedTuple):
    """A checked tokenizer, without padding and truncation."""

    text: str
    """Contents of `tokenizer.json`."""
    tokenizer: Tokenizer
    """The same, ready to use."""


def read_tokenizer(path: Path) -> ReadTokenizer:
    """Read the tokenizer of a model folder, or build it from older files.

    Args:
        path: a model folder.

    Raises:
        ModelError: if there is no usable tokenizer.
    """
    if (path / "tokenizer.json").exists():
        content = read_json_object(path / "tokenizer.json")
        content["padding"] = content["truncation"] = None
        text = json.dumps(content, ensure_ascii=False)
        return ReadTokenizer(text, parse_tokenizer(text, where=path / "tokenizer.json"))
    settings: dict[str, Any] = {}
    if (path / "tokenizer_config.json").exists():
        settings = read_json_object(path / "tokenizer_config.json")
    name = settings.get("tokenizer_class")
    if (path / "vocab.txt").exists() and name in BERT_CLASSES:
        return _with_text(_from_vocab_txt(path / "vocab.txt", settings))
    has_merges = (path / "merges.txt").exists() and (path / "vocab.json").exists()
    if has_merges and name in ROBERTA_CLASSES:
        return _with_text(_from_merges(path))
    raise ModelError(
        f"{path} has no tokenizer.json (tokenizer class {name!r})",
        hint="use a model that has one, or write it where transformers can load the tokenizer: "
        "AutoTokenizer.from_pretrained(...).save_pretrained(...)",
    )


def parse_tokenizer(text: str, *, where: Path) -> Tokenizer:
    """Build a tokenizer from the text of `tokenizer.json`.

    Args:
        text: contents of the file.
        where: named in the error.

    Raises:
        ModelError: if the tokenizers library does not accept it.
    """
    try:
        return Tokenizer.from_str(text)
    except Exception as error:  # tokenizers raises nothing narrower
        raise ModelError(
            f"{where} is not a tokenizer: {error}", hint="copy the file again, whole"
        ) from error


def _with_text(tokenizer: Tokenizer) -> ReadTokenizer:
    """Return a tokenizer built here with its text."""
    return ReadTokenizer(tokenizer.to_str(), tokenizer)


def special_tokens(tokenizer_json: Mapping[str, Any], pad_id: int | None) -> dict[str, str]:
    """Return the names that transformers gives to special tokens, for `tokenizer_config.json`.

    Args:
        tokenizer_json: contents of `tokenizer.json`.
        pad_id: id of the padding token; wins over its usual names.
    """
    vocab = tokenizer_json["model"]["vocab"]
    numbers = vocab if isinstance(vocab, dict) else {x[0]: i for i, x in enumerate(vocab)}
    numbers = dict(numbers)
    numbers |= {x["content"]: x["id"] for x in tokenizer_json.get("added_tokens") or ()}
    found = {
        role: next(name for name in names if name in numbers)
        for role, names in SPECIAL_NAMES.items()
        if any(name in numbers for name in names)
    }
    padding = [name for name, number in numbers.items() if number == pad_id]
    return found | ({"pad_token": padding[0]} if padding else {})


def _from_vocab_txt(path: Path, settings: Mapping[str, Any]) -> Tokenizer:
    """Build BERT's tokenizer from its list of tokens."""
    tokens = _lines(path)
    vocab = {token: number for number, token in enumerate(tokens)}
    missing = [name for name in ("[UNK]", "[CLS]", "[SEP]") if name not in vocab]
    if missing:
        raise ModelError(f"{path} lacks {', '.join(missing)}", hint="copy the model again, whole")
    tokenizer = Tokenizer(models.WordPiece(vocab, unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.normalizer = normalizers.BertNormalizer(
        lowercase=settings.get("do_lower_case", True),
        strip_accents=settings.get("strip_accents"),
        handle_chinese_chars=settings.get("tokenize_chinese_chars", True),
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    specials = [name for names in SPECIAL_NAMES.values() for name in names if name in vocab]
    tokenizer.add_special_tokens(specials)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", vocab["[CLS]"]), ("[SEP]", vocab["[SEP]"])],
    )
    return tokenizer


def _from_merges(path: Path) -> Tokenizer:
    """Build RoBERTa's tokenizer from its vocabulary and merges."""
    vocab = read_json_object(path / "vocab.json")
    merges = [
        (left, right)
        for left, _, right in (line.partition(" ") for line in _lines(path / "merges.txt"))
        if right and left != "#version:"
    ]
    missing = [name for name in ("<s>", "</s>", "<pad>", "<unk>") if name not in vocab]
    if missing:
        raise ModelError(
            f"{path / 'vocab.json'} lacks {', '.join(missing)}", hint="copy the model again, whole"
        )
    try:
        tokenizer = Tokenizer(models.BPE(vocab, merges))
    except Exception as error:  # as above
        raise ModelError(
            f"{path / 'merges.txt'} does not fit vocab.json: {error}",
            hint="copy the model again, whole",
        ) from error
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    specials = [name for names in SPECIAL_NAMES.values() for name in names if name in vocab]
    tokenizer.add_special_tokens(specials)
    tokenizer.post_processor = processors.RobertaProcessing(
        ("</s>", vocab["</s>"]), ("<s>", vocab["<s>"]), trim_offsets=True, add_prefix_space=False
    )
    return tokenizer


def _lines(path: Path) -> list[str]:
    """Read the lines of a text file."""
    try:
        return path.read_text(encoding="utf-8").rstrip("\n").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(
            f"{path} cannot be read: {error}", hint="copy the model again, whole"
        ) from error
