"""The model that a language training begins with: fresh, or another one, made sparse or not."""

import torch
from tokenizers import Tokenizer
from transformers import LlamaForCausalLM, PreTrainedModel

from sparsepath.errors import ConfigError
from sparsepath.models.language import END, check_heads, fresh_llama, fresh_topk
from sparsepath.models.parent import read_parent, read_parent_config
from sparsepath.models.topk_lm import TopKConfig
from sparsepath.nn.low_rank import add_low_rank
from sparsepath.train.recipe import Recipe

MAPS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
"""Maps that change by low rank: all of the layers."""


def check_start(recipe: Recipe) -> None:
    """See that sites, length and tokenizer fit the model, before anything is read or made.

    Raises:
        ConfigError: if a site keeps more entries than there are, or rows are longer than what the
            base was trained on.
        ModelError: if the base cannot be used.
    """
    sizes, topk = recipe.model, recipe.topk
    if sizes.base is None:
        check_heads(sizes.d_model, sizes.n_heads, sizes.n_kv_heads)
        config = TopKConfig(
            hidden_size=sizes.d_model,
            intermediate_size=sizes.d_mlp,
            num_attention_heads=sizes.n_heads,
            num_hidden_layers=sizes.n_layers,
        )
    else:
        config = TopKConfig(**read_parent_config(sizes.base))
        if recipe.data.length > config.max_position_embeddings:
            raise ConfigError(
                f"data.length = {recipe.data.length}, {sizes.base} was trained on "
                f"{config.max_position_embeddings} positions",
                hint="choose a shorter data.length",
            )
    for site, k in topk.sites.items():
        width = config.width_of(site) - topk.always_on
        if k > width:
            raise ConfigError(
                f"topk.sites.{site} = {k}; {width} entries compete there",
                hint=f"choose 1 to {width}",
            )
    if topk.sites and topk.dense_layers >= config.num_hidden_layers:
        raise ConfigError(
            f"topk.dense_layers = {topk.dense_layers} of {config.num_hidden_layers} layers",
            hint="leave at least one layer sparse",
        )


def first_model(recipe: Recipe, vocabulary: int) -> PreTrainedModel:
    """Make the model with its first weights.

    Args:
        recipe: of a language model.
        vocabulary: tokens of its tokenizer.

    Raises:
        ConfigError: if the tokenizer has more tokens than the base.
        ModelError: if the base cannot be used.
    """
    dense, sparse = _llama(recipe, vocabulary), recipe.topk
    model: PreTrainedModel = dense
    if sparse.sites:
        model = fresh_topk(dense, **sparse.keywords)
    if recipe.train.rank:
        generator = torch.Generator().manual_seed(recipe.seed)
        add_low_rank(model, MAPS, rank=recipe.train.rank, generator=generator)
    return model


def end_token(recipe: Recipe, tokenizer: Tokenizer) -> int | None:
    """Give the token that ends a document; None if there is none."""
    if recipe.model.base is None:
        found: int | None = tokenizer.token_to_id(END)
        return found
    ends = read_parent_config(recipe.model.base).get("eos_token_id")
    return ends[0] if isinstance(ends, list) else ends


def _llama(recipe: Recipe, vocabulary: int) -> LlamaForCausalLM:
    """Make or read the dense model.

    Raises:
        ConfigError: if the tokenizer has more tokens than the base.
    """
    sizes = recipe.model
    if sizes.base is None:
        return fresh_llama(
            vocabulary=vocabulary,
            length=recipe.data.length,
            d_model=sizes.d_model,
            n_layers=sizes.n_layers,
            n_heads=sizes.n_heads,
            n_kv_heads=sizes.n_kv_heads,
            d_mlp=sizes.d_mlp,
            seed=recipe.seed,
        )
    model = read_parent(sizes.base)
    if vocabulary > model.config.vocab_size:
        raise ConfigError(
            f"the tokenizer has {vocabulary} tokens, {sizes.base} {model.config.vocab_size}",
            hint="leave tokenizer.file out; the model's own tokenizer is used then",
        )
    return model
