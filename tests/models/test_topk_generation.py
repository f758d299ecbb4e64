"""What transformers asks of every model that generates, asked of sparse language models.

The names of the questions are those of its own `tests/generation/test_utils.py`.
"""

from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import DynamicCache
from transformers.generation.utils import (
    GenerateBeamDecoderOnlyOutput,
    GenerateDecoderOnlyOutput,
)

from sparsepath.models.topk_lm import TopKConfig, TopKForCausalLM

SITES = {"block_out": 8, "attn_in": 7, "attn_out": 6, "mlp_in": 5, "mlp_hidden": 9}
IDS = torch.arange(3, 21).view(2, 9)
MASK = torch.ones_like(IDS)
N_TOKENS, NEW = 50, 7


@pytest.fixture(scope="module")
def model() -> Any:
    """A tiny model whose expectations differ enough from token to token."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        found = TopKForCausalLM(
            TopKConfig(
                vocab_size=N_TOKENS, hidden_size=32, intermediate_size=48, num_hidden_layers=3,
                num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=64,
                pad_token_id=0, bos_token_id=1, eos_token_id=None, initializer_range=0.3,
                topk=SITES, n_dense_layers=1,
            )
        ).eval()  # fmt: skip
    assert found.can_generate()
    return found


def written(model: Any, ids: Tensor = IDS, **settings: Any) -> Any:
    """Write on, greedily unless asked otherwise."""
    usual = {
        "attention_mask": torch.ones_like(ids), "max_new_tokens": NEW, "do_sample": False
    }  # fmt: skip
    return model.generate(ids, **(usual | settings))


def by_hand(model: Any, ids: Tensor, n: int) -> Tensor:
    """Take the likeliest token n times, reading everything anew each time."""
    for _ in range(n):
        with torch.no_grad():
            best = model(ids, use_cache=False).logits[:, -1].argmax(dim=-1)
        ids = torch.cat([ids, best[:, None]], dim=1)
    return ids


def test_greedy_generate(model: Any) -> None:
    wanted = by_hand(model, IDS, NEW)
    assert len(wanted[:, IDS.shape[1] :].unique()) > 3
    assert torch.equal(written(model), wanted)


def test_greedy_generate_dict_outputs(model: Any) -> None:
    found = written(
        model, return_dict_in_generate=True, output_scores=True, output_logits=True,
        output_hidden_states=True,
    )  # fmt: skip
    assert isinstance(found, GenerateDecoderOnlyOutput)
    assert torch.equal(found.sequences, by_hand(model, IDS, NEW))
    assert found.scores is not None
    assert len(found.scores) == NEW
    assert found.scores[0].shape == (2, N_TOKENS)
    # Step by step, states of each layer; all but the first are of one token.
    hidden: Any = found.hidden_states
    assert [len(states) for states in hidden] == [4] * NEW
    assert hidden[0][1].shape == (2, 9, 32)
    assert hidden[1][1].shape == (2, 1, 32)
    assert int((hidden[1][1] != 0).sum(dim=-1).max()) == SITES["block_out"]


def test_sample_generate(model: Any) -> None:
    def drawn(seed: int) -> Tensor:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            found: Tensor = written(model, do_sample=True, top_k=0, num_return_sequences=3)
        return found

    assert drawn(1).shape == (6, 9 + NEW)
    assert torch.equal(drawn(1), drawn(1))
    assert not torch.equal(drawn(1), drawn(2))


@pytest.mark.parametrize("n_returned", [1, 2])
def test_beam_search_generate(model: Any, n_returned: int) -> None:
    found = written(
        model, num_beams=2, num_return_sequences=n_returned, return_dict_in_generate=True,
        output_scores=True, length_penalty=0.0,
    )  # fmt: skip
    assert isinstance(found, GenerateBeamDecoderOnlyOutput)
    assert found.sequences.shape == (2 * n_returned, 9 + NEW)
    # A score is what the model says of the whole answer.
    assert found.sequences_scores is not None
    best = found.sequences_scores.view(2, n_returned)[:, 0]
    torch.testing.assert_close(
        best, _log_chance(model, found.sequences[::n_returned]), atol=1e-4, rtol=1e-4
    )


def _log_chance(model: Any, ids: Tensor) -> Tensor:
    """Give the logarithm of the probability of all new tokens together."""
    with torch.no_grad():
        shares = model(ids).logits.log_softmax(dim=-1)[:, 8:-1]
    chances: Tensor = shares.gather(-1, ids[:, 9:, None]).sum(dim=(1, 2))
    return chances


def test_beam_sample_generate(model: Any) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        assert written(model, do_sample=True, num_beams=3).shape == (2, 9 + NEW)


def test_past_key_values_format(model: Any) -> None:
    with torch.no_grad():
        cache = model(IDS, use_cache=True).past_key_values
    assert isinstance(cache, DynamicCache)
    layers: list[Any] = cache.layers
    assert len(layers) == 3
    for layer in layers:
        assert layer.keys.shape == layer.values.shape == (2, 2, 9, 8)


def test_generate_continue_from_past_key_values(model: Any) -> None:
    first = written(model, max_new_tokens=3, return_dict_in_generate=True, use_cache=True)
    more = written(
        model, first.sequences, max_new_tokens=NEW - 3, past_key_values=first.past_key_values
    )
    assert torch.equal(more, by_hand(model, IDS, NEW))


def test_parts_of_a_text_through_a_cache_give_its_logits(model: Any) -> None:
    cache, found = DynamicCache(config=model.config), []
    with torch.no_grad():
        for part in IDS.split([4, 1, 4], dim=1):
            found.append(model(part, past_key_values=cache, use_cache=True).logits)
        whole = model(IDS).logits
    torch.testing.assert_close(torch.cat(found, dim=1), whole, atol=1e-4, rtol=1e-4)


def test_generate_with_static_cache(model: Any) -> None:
    found = written(model, cache_implementation="static", disable_compile=True)
    assert torch.equal(found, by_hand(model, IDS, NEW))


def test_generate_from_inputs_embeds(model: Any) -> None:
    embedded = model.get_input_embeddings()(IDS)
    found = model.generate(
        inputs_embeds=embedded, attention_mask=MASK, max_new_tokens=NEW, do_sample=False
    )
    # What was read has no ids, so only what is new comes back.
    assert torch.equal(found, by_hand(model, IDS, NEW)[:, 9:])


def test_left_padding_compatibility(model: Any) -> None:
    padded = torch.cat([torch.zeros(2, 4, dtype=torch.int64), IDS], dim=1)
    found = written(model, padded, attention_mask=(padded != 0).long())
    assert torch.equal(found[:, 4:], by_hand(model, IDS, NEW))


def test_rows_of_unequal_length_write_what_each_writes_alone(model: Any) -> None:
    padded = IDS.clone()
    padded[1, :5] = 0
    found = written(model, padded, attention_mask=(padded != 0).long())
    assert torch.equal(found[:1], by_hand(model, IDS[:1], NEW))
    assert torch.equal(found[1:, 5:], by_hand(model, IDS[1:, 5:], NEW))


def test_generate_with_and_without_position_ids(model: Any) -> None:
    positions = torch.arange(9).expand(2, -1)
    assert torch.equal(written(model, position_ids=positions), written(model))


def test_generate_without_input_ids(model: Any) -> None:
    found = model.generate(max_new_tokens=NEW, do_sample=False)
    assert torch.equal(found, by_hand(model, torch.tensor([[1]]), NEW))


def test_generate_methods_with_logits_to_keep(model: Any) -> None:
    with torch.no_grad():
        whole, last = model(IDS).logits, model(IDS, logits_to_keep=2).logits
    torch.testing.assert_close(last, whole[:, -2:])


@pytest.mark.parametrize("way", ["assistant", "prompt lookup"])
def test_assisted_decoding_matches_greedy_search(model: Any, way: str) -> None:
    if way == "assistant":
        with torch.random.fork_rng():
            torch.manual_seed(1)
            helper = TopKForCausalLM(model.config).eval()
        settings: dict[str, Any] = {"assistant_model": helper}
    else:
        settings = {"prompt_lookup_num_tokens": 3}
    repeating = torch.tensor([[5, 6, 7, 5, 6, 7, 5, 6]])
    found = written(model, repeating, **settings)
    assert torch.equal(found, by_hand(model, repeating, NEW))


def test_contiguous_and_noncontiguous_ids_write_the_same(model: Any) -> None:
    turned = IDS.T.contiguous().T
    assert not turned.is_contiguous()
    assert torch.equal(written(model, turned), written(model))
