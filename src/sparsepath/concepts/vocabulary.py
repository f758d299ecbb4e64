"""The tokens of a model as texts."""

import json

from tokenizers import Tokenizer

from sparsepath.artifacts.spelling import byte_level, sentence_piece, word_piece


def token_bytes(tokenizer: Tokenizer, n: int) -> list[bytes]:
    """Give the bytes of every token, by id.

    Args:
        tokenizer: byte-level, with marked spaces, or of words and pieces.
        n: ids of the model; those without a token are empty.
    """
    settings = json.loads(tokenizer.to_str())
    marks = json.dumps([settings.get("decoder"), settings.get("pre_tokenizer")])
    is_bytes, is_marked = "ByteLevel" in marks, "\\u2581" in marks or "Metaspace" in marks
    spelled = byte_level if is_bytes else sentence_piece if is_marked else word_piece
    special = {id_ for id_, token in tokenizer.get_added_tokens_decoder().items() if token.special}
    found = [b""] * n
    for piece, id_ in tokenizer.get_vocab().items():
        if id_ < n:
            found[id_] = piece.encode() if id_ in special else spelled(piece)
    return found
