"""Small language models whose neurons are known, because their weights were planted."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.steering.planted_lm import save_planted, word_tokenizer
from transformers import PreTrainedModel

from sparsepath.models.language import fresh_llama, fresh_topk

EVERYWHERE = {"attn_in": 7, "attn_out": 6, "mlp_in": 5, "mlp_hidden": 11, "block_out": 30}


@pytest.fixture(scope="session")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A TopK model that counts, as `planted_lm.py` makes it."""
    return save_planted(tmp_path_factory.mktemp("planted") / "model")


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
