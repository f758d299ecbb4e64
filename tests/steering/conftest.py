"""Small language models whose neurons are known, because their weights were planted."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaForCausalLM, PreTrainedModel

from sparsepath.models.language import fresh_llama, fresh_topk
from sparsepath.runtime.language.engine import Engine

WORDS = ["<|end|>", "one", " one", " two", " three", " fire", " ice"]
"""Tokens of the planted model: it counts to three, again and again."""
FIRE, ICE = 7, 9
"""Its neurons for the last two words, which it never uses by itself."""
EVERYWHERE = {"attn_in": 7, "attn_out": 6, "mlp_in": 5, "mlp_hidden": 11, "block_out": 30}


@pytest.fixture(scope="session")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
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
    folder = tmp_path_factory.mktemp("planted") / "model"
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


@pytest.fixture(scope="session")
def random_models(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Folders of random models: `sparse` at every site but in the last layer, and `dense`."""
    place = tmp_path_factory.mktemp("random")

    def folder(kind: str) -> Path:
        if not (place / kind / "config.json").exists():
            _save(_random(kind), place / kind)
        return place / kind

    return folder


def _random(kind: str) -> PreTrainedModel:
    """A model of three layers."""
    sizes: dict[str, Any] = {
        "vocabulary": 301, "length": 96, "d_model": 48, "n_layers": 3, "n_heads": 4,
        "n_kv_heads": 2, "d_mlp": 88, "seed": 0,
    }  # fmt: skip
    llama = fresh_llama(**sizes)
    if kind == "dense":
        return llama
    return fresh_topk(llama, topk=EVERYWHERE, topk_by="magnitude", n_always_on=2, n_dense_layers=1)


def _save(model: PreTrainedModel, folder: Path) -> None:
    """Give it weights large enough to matter and write it."""
    with torch.no_grad():
        for name, weight in model.named_parameters():
            generator = torch.Generator().manual_seed(len(name))
            size = 0.15 if weight.dim() > 1 else 0.05
            noise = torch.randn(weight.shape, generator=generator) * size
            weight.copy_(1 + noise if "norm" in name else noise)
    model.save_pretrained(folder)
    word_tokenizer().save(str(folder / "tokenizer.json"))
