"""A base model small enough to train within a test, and a table that it can learn."""

import csv
import random
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel

TOPICS = {
    "card": ["card", "lost", "stolen", "chip", "pin", "swallowed", "blocked", "contactless"],
    "money": ["money", "transfer", "sent", "arrived", "pending", "refund", "balance", "salary"],
    "app": ["app", "login", "password", "screen", "crashed", "update", "phone", "notification"],
}
FILLERS = """my the a is was has not why when please help today again still with for""".split()  # noqa: SIM905 - a list of words
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]


@pytest.fixture(scope="session")
def base_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random BERT of two layers with the words of the table."""
    words = [*FILLERS, *(word for topic in TOPICS.values() for word in topic)]
    letters = [chr(code) for code in range(97, 123)]
    pieces = [*SPECIAL, *words, *letters, *(f"##{letter}" for letter in letters)]
    vocabulary = {piece: number for number, piece in enumerate(dict.fromkeys(pieces))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(SPECIAL)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = BertModel(config, add_pooling_layer=False)
    folder = tmp_path_factory.mktemp("base") / "tiny-bert"
    encoder.save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


@pytest.fixture(scope="session")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """360 different questions with three labels, about one in twenty with a wrong one."""
    chance = random.Random(0)
    path = tmp_path_factory.mktemp("table") / "questions.csv"
    seen: set[str] = set()
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["question", "queue"])
        while len(seen) < 360:
            label = chance.choice(list(TOPICS))
            words = chance.sample(TOPICS[label], 3) + chance.sample(FILLERS, 5)
            chance.shuffle(words)
            text = " ".join(words)
            if text not in seen:
                seen.add(text)
                writer.writerow([text, chance.choice([label] * 19 + ["card"])])
    return path
