"""Notice a corpus in another language, or of another kind, than what a model was trained on.

A tokenizer cuts text that it was not made for into more pieces. How many tokens a byte takes is
known of the training's own held-out text, where the model lies beside its training; elsewhere
only unknown tokens and parts of characters tell, which other alphabets give.
"""

import json
from itertools import islice
from pathlib import Path

from tokenizers import Tokenizer

from sparsepath.artifacts.training_record import trained_tokens_per_byte
from sparsepath.concepts.vocabulary import token_bytes
from sparsepath.data.corpus import documents
from sparsepath.data.unknown import MAX_UNKNOWN_SHARE, unknown_share

N_DOCUMENTS, N_CHARACTERS = 100, 2000
"""Documents that are looked at, the first ones, and characters of each."""

MOST_TOKENS = 1.25
"""Times as many tokens for a byte as in the training's text, above which there is a warning."""

MOST_BROKEN = 0.3
"""Share of tokens that are only parts of characters, above which there is one."""


def unfamiliar(corpus: str, tokenizer: Tokenizer, folder: Path) -> str | None:
    """Say in a sentence that a corpus is not what a model was trained on; None where it seems so.

    Args:
        corpus: as `data.corpus` reads it.
        tokenizer: of the model.
        folder: of the model, perhaps beside the record of its training.

    Raises:
        DataError: if the corpus cannot be read.
    """
    texts = [text[:N_CHARACTERS] for text in islice(documents(corpus), N_DOCUMENTS)]
    encoded = [tokenizer.encode(text, add_special_tokens=False).ids for text in texts]
    n_tokens, n_bytes = sum(map(len, encoded)), sum(len(text.encode()) for text in texts)
    if not n_tokens:
        return None
    signs = []
    unk = json.loads(tokenizer.to_str())["model"].get("unk_token")
    unk_id = None if unk is None else tokenizer.token_to_id(unk)
    read = iter(encoded)
    share = unknown_share(texts, lambda _text: next(read), unk_id).share
    if share > MAX_UNKNOWN_SHARE:
        signs.append(f"the model's tokenizer does not know {share:.0%} of its tokens")
    trained = trained_tokens_per_byte(folder.parent)
    found = n_tokens / n_bytes
    if trained is not None and found > MOST_TOKENS * trained:
        signs.append(
            f"it takes {100 * found:.0f} tokens for 100 bytes, the text that the model was "
            f"trained on {100 * trained:.0f}"
        )
    broken = _broken(tokenizer)
    part = sum(id_ in broken for ids in encoded for id_ in ids) / n_tokens
    if trained is None and part > MOST_BROKEN:
        signs.append(f"{part:.0%} of its tokens are only parts of characters")
    if not signs:
        return None
    return (
        f"{corpus} may be in another language, or of another kind, than what the model was trained "
        f"on: {'; '.join(signs)}; neurons will say little about it. "
        "fix: give a corpus like the training's, or a model that was trained on such text"
    )


def _broken(tokenizer: Tokenizer) -> set[int]:
    """Find the tokens that are no whole characters."""
    found = set()
    for id_, piece in enumerate(token_bytes(tokenizer, tokenizer.get_vocab_size())):
        try:
            piece.decode()
        except UnicodeDecodeError:
            found.add(id_)
    return found
