"""Tiny classifiers of every family, a small tokenizer, and model folders that run."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
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
from sparsepath.models.describe import describe
from sparsepath.models.save import save_classifier
from sparsepath.runtime.build import add_graphs
from sparsepath.runtime.manifest import Precision

LABELS = ["card", "transfer", "refund"]
WORDS = ["my", "card", "is", "lost", "the", "money", "came", "back", "who", "sent", "it", "?", "!"]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
PIECES = [chr(code) for code in range(97, 123)] + [f"##{chr(code)}" for code in range(97, 123)]
DIGITS = [*"0123456789", *(f"##{digit}" for digit in "0123456789")]
VOCABULARY = [*SPECIAL, *WORDS, *PIECES, *DIGITS, ".", ",", "-", "'", "é", "カ", "ー", "ド"]
MAX_LENGTH = 24

TEXTS = [
    "my card is lost",
    "who sent the money?",
    "",
    "it came back! it came back! my money is the card who sent it back, is it lost?",
    "カード",
    "The MONEY came back",
]

_SIZES = {
    "vocab_size": len(VOCABULARY),
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 40,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
}

CONFIGS: dict[str, Callable[[], PretrainedConfig]] = {
    "bert": lambda: BertConfig(**_SIZES),
    "roberta": lambda: RobertaConfig(**(_SIZES | {"pad_token_id": 1})),
    "xlm-roberta": lambda: XLMRobertaConfig(**(_SIZES | {"pad_token_id": 1})),
    "distilbert": lambda: DistilBertConfig(
        vocab_size=len(VOCABULARY),
        dim=32,
        n_layers=3,
        n_heads=4,
        hidden_dim=40,
        max_position_embeddings=64,
    ),
    # Layer 0 attends to everything, layers 1 and 2 to three neighbours on each side.
    "modernbert": lambda: ModernBertConfig(
        **_SIZES,
        local_attention=6,
        bos_token_id=2,
        eos_token_id=3,
        cls_token_id=2,
        sep_token_id=3,
    ),
}


def random_classifier(
    config: PretrainedConfig, *, seed: int = 0, pooling: str = "mean"
) -> PathwayClassifier:
    """Build a classifier in which no weight is near zero."""
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        encoder = AutoModel.from_config(config, attn_implementation="sdpa")
        model = from_encoder(encoder, LABELS, pooling=pooling, max_length=MAX_LENGTH)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    return model.eval()


def word_tokenizer(*, lowercase: bool = True) -> Tokenizer:
    """Build a WordPiece tokenizer of the BERT kind."""
    numbers = {word: number for number, word in enumerate(VOCABULARY)}
    tokenizer = Tokenizer(models.WordPiece(numbers, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.add_special_tokens(SPECIAL)
    return tokenizer


def save_runnable(
    folder: Path, model: PathwayClassifier, precisions: tuple[Precision, ...] = ("fp32",)
) -> Path:
    """Write a whole model folder."""
    save_classifier(folder, model, word_tokenizer().to_str(), card="# a model\n")
    add_graphs(folder, describe(model), labels=LABELS, pad_id=0, precisions=precisions)
    return folder


@pytest.fixture(params=list(CONFIGS))
def any_config(request: pytest.FixtureRequest) -> PretrainedConfig:
    """The configuration of every family in turn."""
    return CONFIGS[request.param]()


@pytest.fixture
def bert() -> PathwayClassifier:
    """A tiny BERT classifier with three layers of four heads and 40 neurons."""
    return random_classifier(CONFIGS["bert"]())


@pytest.fixture
def tokenizer() -> Tokenizer:
    """A WordPiece tokenizer of the BERT kind."""
    return word_tokenizer()


@pytest.fixture
def make_folder(tmp_path: Path) -> Callable[..., Path]:
    """Write a model folder `name` below the test's own folder."""

    def make(
        name: str, model: PathwayClassifier, precisions: tuple[Precision, ...] = ("fp32",)
    ) -> Path:
        return save_runnable(tmp_path / name, model, precisions)

    return make
