"""A classifier whose neurons are known: entry c of the residual stream fires on words of class c.

Attention and MLP add nothing, so what leaves the block is the embedding, of which the largest
entries stay. The class is the one whose words are most in the text.
"""

import csv
import random
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BertConfig, BertModel

from sparsepath.models.classifier import from_encoder
from sparsepath.models.families import encoder_sites
from sparsepath.models.save import save_classifier
from sparsepath.models.topk_classifier import make_sparse

CLASSES = {
    "refund": ["refund", "money", "return"],
    "card": ["card", "chip", "pin"],
    "login": ["login", "password", "screen"],
}
FILLERS = ["my", "the", "a", "is", "was", "not", "why", "please", "help", "today", "again", "with"]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
WIDTH, K = 16, 2


def words() -> list[str]:
    """Every word, by id."""
    return [*SPECIAL, *FILLERS, *(word for one in CLASSES.values() for word in one)]


def tokenizer() -> Tokenizer:
    """Whole words between [CLS] and [SEP]."""
    known = {word: number for number, word in enumerate(words())}
    found = Tokenizer(models.WordPiece(known, unk_token="[UNK]"))
    found.pre_tokenizer = pre_tokenizers.Whitespace()
    found.add_special_tokens(SPECIAL)
    found.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return found


def save_model(folder: Path, *, is_sparse: bool = True) -> Path:
    """Write a model folder; it needs no training."""
    names = list(CLASSES)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = BertModel(
            BertConfig(
                vocab_size=len(words()), hidden_size=WIDTH, num_hidden_layers=2,
                num_attention_heads=2, intermediate_size=8, max_position_embeddings=40,
                pad_token_id=0,
            ),
            add_pooling_layer=False,
        ).eval()  # fmt: skip
        dense = from_encoder(encoder, names, pooling="mean", max_length=32)
    with torch.no_grad():
        encoder.embeddings.position_embeddings.weight.zero_()
        encoder.embeddings.token_type_embeddings.weight.zero_()
        table = encoder_sites(encoder).embedding.weight
        table[:, :] = torch.rand(table.shape, generator=torch.Generator().manual_seed(1)) / 4
        table[:, : len(names)] = -1.0
        for number, own in enumerate(CLASSES.values()):
            table[[words().index(word) for word in own], number] = 3.0
        for layer in encoder.encoder.layer:
            for linear in (layer.attention.output.dense, layer.output.dense):
                linear.weight.zero_()
                linear.bias.zero_()
        dense.classifier.weight.zero_()
        dense.classifier.bias.zero_()
        dense.classifier.weight[:, : len(names)] = 2 * torch.eye(len(names))
    model = make_sparse(dense, {"block_out": K}, n_dense_layers=0) if is_sparse else dense
    save_classifier(folder, model, tokenizer().to_str(), card="")
    return folder


def save_table(path: Path, n: int = 240, seed: int = 0) -> Path:
    """Write texts of three words of their class and five others, with labels that come in turns."""
    draw = random.Random(seed)
    rows = []
    for number in range(n):
        label = list(CLASSES)[number % len(CLASSES)]
        some = [draw.choice(CLASSES[label]) for _ in range(3)] + draw.sample(FILLERS, 5)
        draw.shuffle(some)
        rows.append((" ".join(some), label))
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("question", "queue"), *rows])
    return path
