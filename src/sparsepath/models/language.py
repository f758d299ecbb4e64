"""A Llama of any size with fresh weights, and a byte-level tokenizer made from a corpus."""

from collections.abc import Iterator
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM

from sparsepath.errors import ConfigError
from sparsepath.models.topk_lm import TopKConfig, TopKForCausalLM

END = "<|end|>"
"""The token between documents."""

TOKENIZER_BYTES = 20_000_000
"""A tokenizer learns from at most so many characters of a corpus, taken from its start."""


def train_byte_tokenizer(texts: Iterator[str], *, size: int) -> Tokenizer:
    """Make a byte-level BPE tokenizer; id 0 is `END`. The same texts give the same tokenizer.

    Args:
        texts: read up to `TOKENIZER_BYTES`.
        size: tokens at most, at least 300.

    Raises:
        ConfigError: if `size` leaves no room beside the 256 bytes.
    """
    if size < 300:
        raise ConfigError(f"tokenizer.size = {size}", hint="choose 300 or more")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=[END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_first(texts, TOKENIZER_BYTES), trainer)
    return tokenizer


def fresh_llama(  # noqa: PLR0913 - a shape has so many sizes
    *,
    vocabulary: int,
    length: int,
    d_model: int,
    n_layers: int,
    n_heads: int,
    n_kv_heads: int,
    d_mlp: int,
    seed: int,
) -> LlamaForCausalLM:
    """Make a Llama whose output layer shares the embedding's weights.

    Args:
        vocabulary: tokens.
        length: positions at most.
        d_model: width of the residual stream.
        n_layers: layers.
        n_heads: query heads; divides `d_model`.
        n_kv_heads: key and value heads; divides `n_heads`.
        d_mlp: neurons of each MLP.
        seed: of the weights.

    Raises:
        ConfigError: if heads do not divide.
    """
    check_heads(d_model, n_heads, n_kv_heads)
    config = LlamaConfig(
        vocab_size=vocabulary,
        max_position_embeddings=length,
        hidden_size=d_model,
        num_hidden_layers=n_layers,
        num_attention_heads=n_heads,
        num_key_value_heads=n_kv_heads,
        intermediate_size=d_mlp,
        tie_word_embeddings=True,
        bos_token_id=0,
        eos_token_id=0,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return LlamaForCausalLM(config)


def check_heads(d_model: int, n_heads: int, n_kv_heads: int) -> None:
    """See that heads divide a width.

    Raises:
        ConfigError: if they do not.
    """
    if d_model % n_heads or n_heads % n_kv_heads:
        raise ConfigError(
            f"d_model = {d_model}, n_heads = {n_heads}, n_kv_heads = {n_kv_heads}",
            hint="let n_kv_heads divide n_heads, and n_heads divide d_model",
        )


def fresh_topk(llama: LlamaForCausalLM, **topk: Any) -> TopKForCausalLM:
    """Make a model with sparse hidden states and the weights of a Llama.

    Args:
        llama: of the same shape.
        topk: settings of `TopKConfig` beside those of a Llama.

    Raises:
        ConfigError: if a site is unknown, or keeps more entries than there are.
    """
    settings = llama.config.to_dict()
    for name in ("model_type", "architectures", "auto_map", "transformers_version"):
        settings.pop(name, None)
    with torch.random.fork_rng():
        found = TopKForCausalLM(TopKConfig(**settings, **topk))
    found.load_state_dict(llama.state_dict())
    return found


def _first(texts: Iterator[str], limit: int) -> Iterator[str]:
    """Pass texts on until there were so many characters."""
    n_read = 0
    for text in texts:
        yield text
        n_read += len(text)
        if n_read >= limit:
            return
