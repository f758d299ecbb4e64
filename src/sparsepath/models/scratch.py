"""A small encoder and its tokenizer, trained on nothing but the user's texts.

For machines that reach neither the hub nor the packaged model, and for the control "the same shape
trained from scratch". The tokenizer is a byte-pair encoding over characters: of the trainers in the
tokenizers library, only that one gives the same result in every process. Where words are separated
by spaces, tokens do not reach across them; where they are not, as in Japanese, only punctuation
separates.
"""

import json
from collections.abc import Iterator, Sequence

import torch
from tokenizers import (
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import BertConfig, BertModel, PreTrainedModel

from sparsepath.errors import ModelError
from sparsepath.models.base import BaseModel

SPECIAL_TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
"""Ids 0 to 3."""

PAD_ID = 0
"""Id of `[PAD]`."""

VOCABULARY_SIZE = 8000
"""Most tokens of a tokenizer trained here."""

SPACED_SHARE = 0.08
"""Texts with a smaller share of spaces count as written without them; English has 0.17."""

LONGEST_TOKEN = {True: 16, False: 6}
"""Characters of a token at most, where words are spaced and where not: no sentence becomes one."""

SAMPLE_CHARACTERS = 20_000_000
"""A tokenizer learns from at most so many characters, taken from the start."""

LONGEST_PIECE = 2000
"""Longer texts are cut into pieces of so many characters for training."""


def scratch_base_model(texts: Sequence[str], *, seed: int) -> BaseModel:
    """Build a small untrained encoder with a tokenizer made for these texts.

    Args:
        texts: training texts.
        seed: of the encoder's first weights.

    Raises:
        ModelError: if the texts are all empty.
    """
    tokenizer_json = train_tokenizer(texts)
    n_tokens = Tokenizer.from_str(tokenizer_json).get_vocab_size()
    encoder = small_encoder(n_tokens, seed=seed)
    return BaseModel(
        path_or_id="scratch",
        encoder=encoder,
        tokenizer_json=tokenizer_json,
        origin="untrained encoder, tokenizer made from the data",
        max_length=int(encoder.config.max_position_embeddings),
        licence=None,
        pooling="mean",
    )


def train_tokenizer(texts: Sequence[str], *, vocabulary_size: int = VOCABULARY_SIZE) -> str:
    """Make a tokenizer for some texts and return the text of its `tokenizer.json`.

    Args:
        texts: any language.
        vocabulary_size: most tokens.

    Raises:
        ModelError: if the texts are all empty.
    """
    sample = list(_sample(texts))
    n_characters = sum(len(x) for x in sample)
    if not any(x.strip() for x in sample):
        raise ModelError(
            f"no tokenizer can be made from {len(texts)} empty texts", hint="check the text column"
        )
    is_spaced = sum(x.count(" ") for x in sample) / n_characters >= SPACED_SHARE
    tokenizer = Tokenizer(models.BPE(unk_token="[UNK]", fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    splits = [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation()]
    if is_spaced:
        splits.insert(1, pre_tokenizers.Metaspace(prepend_scheme="always"))
        tokenizer.decoder = decoders.Metaspace(prepend_scheme="always")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(splits)
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size,
        min_frequency=2,
        special_tokens=SPECIAL_TOKENS,
        max_token_length=LONGEST_TOKEN[is_spaced],
        show_progress=False,
    )
    tokenizer.train_from_iterator(sample, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(x, SPECIAL_TOKENS.index(x)) for x in ("[CLS]", "[SEP]")],
    )
    return json.dumps(json.loads(tokenizer.to_str()), ensure_ascii=False)


def small_encoder(
    n_tokens: int, *, seed: int, d_model: int = 256, n_layers: int = 4, max_tokens: int = 512
) -> PreTrainedModel:
    """Build an untrained BERT of a few million parameters.

    Args:
        n_tokens: rows of the word embeddings.
        seed: of the weights; torch's global generators stay as they were.
        d_model: width of the residual stream, a multiple of 32.
        n_layers: layers.
        max_tokens: longest text.
    """
    config = BertConfig(
        vocab_size=n_tokens,
        hidden_size=d_model,
        num_hidden_layers=n_layers,
        num_attention_heads=max(1, d_model // 64),
        intermediate_size=4 * d_model,
        max_position_embeddings=max_tokens,
        pad_token_id=PAD_ID,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder: PreTrainedModel = BertModel._from_config(
            config, attn_implementation="sdpa", add_pooling_layer=False
        )
    encoder.train(False)
    return encoder


def _sample(texts: Sequence[str]) -> Iterator[str]:
    """Yield pieces of the texts until there are enough characters."""
    left = SAMPLE_CHARACTERS
    for text in texts:
        for start in range(0, len(text), LONGEST_PIECE):
            if left <= 0:
                return
            yield text[start : start + LONGEST_PIECE]
            left -= LONGEST_PIECE if start + LONGEST_PIECE <= len(text) else len(text) - start
