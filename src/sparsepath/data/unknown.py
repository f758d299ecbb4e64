"""How much of the texts a model's tokenizer cannot read."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

MULTILINGUAL_MODELS = ("intfloat/multilingual-e5-small", "xlm-roberta-base")
"""Models that read a hundred languages, the smaller one first."""

MAX_UNKNOWN_SHARE = 0.05
"""Above this share of unknown tokens there is a warning."""

_N_TEXTS = 2_000


class UnknownShare(NamedTuple):
    """What a tokenizer makes of some texts."""

    share: float
    """Unknown tokens per token, 0 to 1."""

    n_tokens: int
    """Tokens that were counted."""

    warning: str | None
    """A sentence for the user if the share is high."""


def unknown_share(
    texts: Sequence[str], encode: Callable[[str], Sequence[int]], unk_id: int | None
) -> UnknownShare:
    """Measure the share of unknown tokens on up to 2,000 texts, evenly spread over the list.

    Args:
        texts: Texts of the table.
        encode: Turns a text into token ids; without special tokens the share is exact.
        unk_id: Id of the unknown token; None for tokenizers that know every byte.
    """
    step = max(1, -(-len(texts) // _N_TEXTS))
    ids = [token for text in texts[::step] for token in encode(text)]
    if not ids or unk_id is None:
        return UnknownShare(0.0, len(ids), None)
    share = sum(token == unk_id for token in ids) / len(ids)
    if share <= MAX_UNKNOWN_SHARE:
        return UnknownShare(share, len(ids), None)
    return UnknownShare(
        share,
        len(ids),
        f"the model's tokenizer does not know {share:.0%} of the tokens of these texts; "
        f"a multilingual model reads them: --model {MULTILINGUAL_MODELS[0]} "
        f"(or {MULTILINGUAL_MODELS[1]})",
    )
