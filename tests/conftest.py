"""What every test runs under, and a small model folder that several parts need.

One thread, no network, nothing left in the user's folders. Environment first: torch and the
Hugging Face libraries read it when they are imported.
"""

import os

for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_DATASETS_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["TRITON_INTERPRET"] = "1"

from pathlib import Path  # noqa: E402

import pytest  # noqa: E402
from hypothesis import settings  # noqa: E402

settings.register_profile("sparsepath", deadline=None, derandomize=True)
settings.load_profile("sparsepath")

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "good", "fine", "bad", "poor", "a", "day", "very"]
"""Vocabulary of `model_folder`; the words from `good` on are its texts."""


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random BERT of two layers with labels `left` and `right`, saved with its graphs."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel

    from sparsepath.models.classifier import from_encoder
    from sparsepath.models.describe import describe
    from sparsepath.models.save import save_classifier
    from sparsepath.pathways.means import save_means
    from sparsepath.runtime.build import add_graphs
    from sparsepath.trace.batches import bucketed_batches, encode_texts
    from sparsepath.trace.gates import unit_means

    vocabulary = {word: number for number, word in enumerate(WORDS)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.add_special_tokens(WORDS[:4])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    config = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=24,
        max_position_embeddings=40,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = BertModel(config)
    generator = torch.Generator().manual_seed(0)
    model = from_encoder(encoder, ["left", "right"], max_length=30, generator=generator)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    folder = tmp_path_factory.mktemp("models") / "tiny"
    save_classifier(folder, model.eval(), tokenizer.to_str(), card="A model of a test.\n")
    weights = describe(model)
    add_graphs(folder, weights, labels=["left", "right"], pad_id=0, precisions=["fp32", "int8"])
    texts = ["a good day", "a very bad day", "poor", "fine"]
    encoded = encode_texts(tokenizer, texts, 30)
    save_means(folder, unit_means(model, bucketed_batches(encoded, None, 4, pad_id=0)))
    return folder
