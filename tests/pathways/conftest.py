"""Small classifiers: random ones of every family, and a trained one that really uses its units."""

from collections.abc import Callable

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from torch import nn
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
from sparsepath.trace.batches import Batch, bucketed_batches
from sparsepath.trace.gates import UnitMeans, unit_means

SIZES = {
    "vocab_size": 40,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 40,
    "pad_token_id": 0,
}

CONFIGS: dict[str, Callable[[], PretrainedConfig]] = {
    "bert": lambda: BertConfig(**SIZES),
    "roberta": lambda: RobertaConfig(**SIZES),
    "xlm-roberta": lambda: XLMRobertaConfig(**SIZES),
    "distilbert": lambda: DistilBertConfig(
        vocab_size=40, dim=32, n_layers=3, n_heads=4, hidden_dim=64, max_position_embeddings=40
    ),
    "modernbert": lambda: ModernBertConfig(
        **SIZES, local_attention=4, bos_token_id=1, eos_token_id=2, cls_token_id=1, sep_token_id=2
    ),
}

CLS, SEP, UNKNOWN, FLIP, FIRST_KEY, N_KEYS = 1, 2, 3, 4, 5, 4
N_STEPS = 220


def random_classifier(family: str) -> PathwayClassifier:
    """Build a classifier with three layers of four heads and 64 neurons."""
    torch.manual_seed(0)
    encoder = AutoModel.from_config(CONFIGS[family](), attn_implementation="sdpa")
    generator = torch.Generator().manual_seed(1)
    model = from_encoder(encoder, [f"label {i}" for i in range(N_KEYS)], generator=generator)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return model


def rows(n: int, seed: int) -> tuple[list[list[int]], list[int]]:
    """Make texts: a key word gives the label, and a flip word, where present, the next label."""
    generator = torch.Generator().manual_seed(seed)
    encoded, labels = [], []
    for _ in range(n):
        length = int(torch.randint(4, 10, (), generator=generator))
        words = torch.randint(FIRST_KEY + N_KEYS, 40, (length,), generator=generator).tolist()
        key, flip = torch.randperm(length, generator=generator)[:2].tolist()
        label = int(torch.randint(N_KEYS, (), generator=generator))
        words[key] = FIRST_KEY + label
        if torch.rand((), generator=generator) < 0.5:
            words[flip] = FLIP
            label = (label + 1) % N_KEYS
        encoded.append([CLS, *words, SEP])
        labels.append(label)
    return encoded, labels


def batches(n: int, seed: int, size: int = 64) -> list[Batch]:
    """Make labelled batches of that task."""
    return list(bucketed_batches(*rows(n, seed), size, pad_id=0))


@pytest.fixture(params=list(CONFIGS))
def family(request: pytest.FixtureRequest) -> str:
    """Run the test for every family."""
    return str(request.param)


@pytest.fixture
def model(family: str) -> PathwayClassifier:
    """A random classifier of the family."""
    return random_classifier(family)


@pytest.fixture(scope="session")
def trained() -> PathwayClassifier:
    """A BERT that has learnt the task; tests leave it as it is."""
    classifier = random_classifier("bert")
    generator = torch.Generator().manual_seed(2)
    optimizer = torch.optim.AdamW(classifier.parameters(), lr=3e-3)
    encoded, labels = rows(64 * N_STEPS, seed=3)
    for batch in bucketed_batches(encoded, labels, 64, pad_id=0, generator=generator):
        loss = nn.functional.cross_entropy(
            classifier(batch.input_ids, batch.attention_mask).logits, batch.labels
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    classifier.zero_grad()
    return classifier.eval()


@pytest.fixture(scope="session")
def fit_rows() -> list[Batch]:
    """Rows to score, fit and average on."""
    return batches(320, seed=4)


@pytest.fixture(scope="session")
def judge_rows() -> list[Batch]:
    """Other rows to measure on."""
    return batches(256, seed=5)


@pytest.fixture(scope="session")
def means(trained: PathwayClassifier, fit_rows: list[Batch]) -> UnitMeans:
    """Unit means of the trained classifier."""
    return unit_means(trained, fit_rows)


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    """Words `w9` ... `w39`, `key0` ... `key3` and `flip`, with the ids of the task."""
    names = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "flip", "key0", "key1", "key2", "key3"]
    names += [f"w{i}" for i in range(9, 40)]
    made = Tokenizer(models.WordLevel({name: i for i, name in enumerate(names)}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", CLS), ("[SEP]", SEP)]
    )
    return made
