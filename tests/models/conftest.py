"""Tiny random classifiers of every family, and batches for them."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from transformers import (
    AutoModel,
    BertConfig,
    DistilBertConfig,
    ModernBertConfig,
    PretrainedConfig,
    RobertaConfig,
    XLMRobertaConfig,
)

from sparsepath.models.classifier import PathwayClassifier, from_encoder

_SIZES = {
    "vocab_size": 60,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 24,
    "max_position_embeddings": 40,
}

CONFIGS: dict[str, Callable[[], PretrainedConfig]] = {
    "bert": lambda: BertConfig(**_SIZES),
    "roberta": lambda: RobertaConfig(**_SIZES),
    "xlm-roberta": lambda: XLMRobertaConfig(**_SIZES),
    "distilbert": lambda: DistilBertConfig(
        vocab_size=60, dim=32, n_layers=3, n_heads=4, hidden_dim=24, max_position_embeddings=40
    ),
    # Layer 0 attends to everything, layers 1 and 2 to one neighbour on each side.
    "modernbert": lambda: ModernBertConfig(
        **_SIZES,
        local_attention=2,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        cls_token_id=1,
        sep_token_id=2,
    ),
}


def random_classifier(family: str, seed: int = 0) -> PathwayClassifier:
    """Build a classifier with three layers of four heads and 24 neurons, nothing near zero."""
    encoder = AutoModel.from_config(CONFIGS[family](), attn_implementation="sdpa")
    generator = torch.Generator().manual_seed(seed)
    model = from_encoder(encoder, ["a", "b", "c"], max_length=30, generator=generator)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(parameter + 0.3 * torch.randn(parameter.shape, generator=generator))
    return model


@pytest.fixture(params=list(CONFIGS))
def family(request: pytest.FixtureRequest) -> str:
    """Run the test for every family."""
    return str(request.param)


@pytest.fixture
def model(family: str) -> PathwayClassifier:
    """A random classifier of the family."""
    return random_classifier(family)


@pytest.fixture
def make_model() -> Callable[[str], PathwayClassifier]:
    """Build a random classifier of a named family."""
    return random_classifier


@pytest.fixture
def inputs() -> dict[str, Tensor]:
    """Two rows of 9 and 5 tokens; the padding id of the family is put in by `padded`."""
    rows = torch.tensor([[5, 6, 7, 8, 9, 10, 11, 12, 13], [14, 15, 16, 17, 18, -1, -1, -1, -1]])
    return {"input_ids": rows, "attention_mask": (rows >= 0).long()}


@pytest.fixture
def padded(family: str, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same with the padding id of the family."""
    pad_id = CONFIGS[family]().pad_token_id
    ids = inputs["input_ids"]
    return inputs | {"input_ids": torch.where(ids < 0, torch.full_like(ids, pad_id), ids)}
