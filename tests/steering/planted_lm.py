"""A small language model whose neurons are known, because its weights were planted."""

from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaForCausalLM

from sparsepath.models.language import fresh_llama, fresh_topk
from sparsepath.runtime.language.engine import Engine

WORDS = ["<|end|>", "one", " one", " two", " three", " fire", " ice"]
"""Tokens of the planted model: it counts to three, again and again."""
FIRE, ICE = 7, 9
"""Its neurons for the last two words, which it never uses by itself."""


def save_planted(folder: Path) -> Path:
    """A TopK model that counts; entries 7 and 9 of its residual stream speak of fire and of ice.

    Attention and MLPs add nothing, so what a token's embedding holds goes through every block.
    """
    llama = fresh_llama(
        vocabulary=len(WORDS), length=64, d_model=16, n_layers=3, n_heads=2, n_kv_heads=2, d_mlp=8,
        seed=0,
    )  # fmt: skip
    llama.config.tie_word_embeddings = False
    llama = LlamaForCausalLM(llama.config)
    with torch.no_grad():
        for weight in llama.parameters():
            weight.fill_(1.0 if weight.dim() == 1 else 0.0)
        embedding, head = llama.model.embed_tokens.weight, llama.lm_head.weight
        for token, neuron in ((0, 4), (1, 1), (2, 1), (3, 2), (4, 3), (5, FIRE), (6, ICE)):
            embedding[token, neuron] = 1.0
        for neuron, follows in ((1, 3), (2, 4), (3, 2), (4, 2), (FIRE, 5), (ICE, 6)):
            head[follows, neuron] = 2.0
    model = fresh_topk(
        llama, topk={"block_out": 4}, topk_by="value", topk_positive=True, n_dense_layers=0
    )
    model.save_pretrained(folder)
    word_tokenizer().save(str(folder / "tokenizer.json"))
    assert Engine(folder).ranges  # measured once, for all tests
    return folder


def word_tokenizer() -> Tokenizer:
    """A byte-level tokenizer with whole words, and the last word for all that is unknown."""
    names = [word.replace(" ", "\u0120") for word in WORDS]
    vocabulary = dict(zip(names, range(len(names)), strict=True))
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=names[0]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer
