"""A language model whose neurons are known: entry c of the residual stream fires on list c only.

Attention and MLP add nothing, so what leaves the block is the embedding, of which the largest
entries stay. A word of list c has entry c far above all others; entries that belong to no list take
small values at random, so that something else is kept beside.
"""

import random
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers

from sparsepath.models.topk_lm import TopKConfig, TopKForCausalLM

N_LISTS, N_OTHERS, K = 50, 14, 4
LISTS = [[f"{a}{b}{c}" for c in ("a", "e", "u")] for a in "bdfgk" for b in
         ("al", "en", "il", "or", "um", "ast", "ent", "ilk", "orm", "unt")]  # fmt: skip
FILLERS = [f"{a}{b}" for a in "hjmnpr" for b in ("ab", "ed", "ig", "op", "us")]
END = "<|end|>"


def words() -> list[str]:
    """Every word of the vocabulary, by id."""
    return [END, ",", *(word for one in LISTS for word in one), *FILLERS]


def save_tokenizer(folder: Path) -> None:
    """Write a tokenizer of whole words."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer(
        models.WordLevel({word: i for i, word in enumerate(words())}, unk_token=END)
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.add_special_tokens([END])
    tokenizer.save(str(folder / "tokenizer.json"))


def save_model(
    folder: Path,
    *,
    neuron_of: dict[int, int] | None = None,
    left_out: tuple[int, ...] = (),
    n_layers: int = 1,
    is_two_sided: bool = False,
) -> Path:
    """Write a model folder.

    Args:
        folder: where.
        neuron_of: neurons of lists that are not of the same number.
        left_out: lists that no neuron fires on.
        n_layers: blocks; all do the same.
        is_two_sided: whether entries are kept by magnitude and the second half of the lists takes
            the entries of the first half, below zero.
    """
    width = N_LISTS + N_OTHERS
    generator = torch.Generator().manual_seed(0)
    embedding = torch.full((len(words()), width), 0.0 if is_two_sided else -1.0)
    embedding[:, N_LISTS:] = torch.rand(len(words()), N_OTHERS, generator=generator) / 4 + 0.1
    for number, one in enumerate(LISTS):
        if number not in left_out:
            ids = [words().index(word) for word in one]
            below, entry = divmod(number, N_LISTS // 2) if is_two_sided else (0, number)
            embedding[ids, (neuron_of or {}).get(number, entry)] = -2.0 if below else 2.0
    config = TopKConfig(
        vocab_size=len(words()), hidden_size=width, intermediate_size=8, num_hidden_layers=n_layers,
        num_attention_heads=2, num_key_value_heads=2, max_position_embeddings=64, bos_token_id=0,
        eos_token_id=0, tie_word_embeddings=True, topk={"block_out": K}, n_dense_layers=0,
        topk_by="magnitude" if is_two_sided else "value",
    )  # fmt: skip
    with torch.random.fork_rng():
        model = TopKForCausalLM(config).eval()
    with torch.no_grad():
        model.get_input_embeddings().weight.copy_(embedding)
        for block in model.model.layers:
            block.self_attn.o_proj.weight.zero_()
            block.mlp.down_proj.weight.zero_()
    model.save_pretrained(folder)
    save_tokenizer(folder)
    return folder


def save_corpus(path: Path, n_documents: int = 400, seed: int = 0) -> Path:
    """Write documents of twenty random words each, with commas between some."""
    draw = random.Random(seed)
    known = [word for word in words() if word.isalpha()]
    documents = [
        " ".join(draw.choice([*known, ","]) if i % 7 else "," for i in range(20))
        for _ in range(n_documents)
    ]
    path.write_text("\n\n".join(documents), encoding="utf-8")
    return path
