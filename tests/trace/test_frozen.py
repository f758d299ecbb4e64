"""Held at a text, a language model gives the same answers and is linear: shares add up."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from transformers import (
    BertConfig,
    BertModel,
    LlamaForCausalLM,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from sparsepath.artifacts.neuron import SITES, Site
from sparsepath.errors import ModelError
from sparsepath.models.language import fresh_llama, fresh_topk
from sparsepath.trace.frozen import frozen, held_norms, is_sparse, reading

EVERYWHERE = {"block_out": 9, "attn_in": 8, "attn_out": 7, "mlp_in": 6, "mlp_hidden": 11}


def _llama() -> LlamaForCausalLM:
    model = fresh_llama(
        vocabulary=40, length=32, d_model=32, n_layers=3, n_heads=4, n_kv_heads=2, d_mlp=48, seed=1
    )
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(4 if parameter.dim() > 1 else 1)
    return model.eval()


def _topk(**topk: int) -> PreTrainedModel:
    return fresh_topk(
        _llama(), topk=topk or EVERYWHERE, topk_by="magnitude", topk_positive=False,
        n_always_on=1, n_dense_layers=1, straight_through=False,
    ).eval()  # fmt: skip


def _qwen() -> PreTrainedModel:
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=40, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=32,
    )  # fmt: skip
    model = Qwen2ForCausalLM(config).eval()
    for layer in model.model.layers:
        torch.nn.init.normal_(layer.self_attn.v_proj.bias)
    return model


MODELS: dict[str, Callable[[], PreTrainedModel]] = {"dense": _llama, "sparse": _topk, "qwen": _qwen}


def _ids(n: int = 9) -> Tensor:
    return torch.randint(40, (1, n), generator=torch.Generator().manual_seed(n))


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("n", [1, 9])
def test_answers_stay_and_the_model_is_as_before(name: str, n: int) -> None:
    model, ids = MODELS[name](), _ids(n)
    plain = model(ids).logits
    before = model.config._attn_implementation
    with frozen(model), reading(model) as found:
        held = model(ids).logits
    torch.testing.assert_close(held, plain, rtol=1e-4, atol=1e-4)
    assert model.config._attn_implementation == before
    assert not any("forward" in module.__dict__ for module in model.modules())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    torch.testing.assert_close(model(ids).logits, plain, rtol=0, atol=0)
    assert set(found.sites) == {
        (layer, site) for layer in range(model.config.num_hidden_layers) for site in SITES
    }


@pytest.mark.parametrize("name", ["dense", "sparse"])
def test_every_layer_of_the_residual_stream_adds_up_to_the_margin(name: str) -> None:
    model = MODELS[name]()
    embedded = model.get_input_embeddings()(_ids()).detach().requires_grad_()
    with frozen(model), reading(model) as found:
        logits = model(inputs_embeds=embedded, use_cache=False).logits[0, -1]
    margin = logits[3] - logits[5]
    streams = [embedded, *(found.sites[layer, "block_out"] for layer in range(3))]
    for stream, gradient in zip(streams, torch.autograd.grad(margin, streams), strict=True):
        total = float((stream * gradient).sum().detach())
        assert total == pytest.approx(float(margin.detach()), rel=1e-4)


def test_sites_that_do_not_carry_the_stream_share_what_goes_through_them() -> None:
    model = _topk()
    with frozen(model), reading(model) as found:
        margin = model(_ids()).logits[0, -1, 3]
    pairs: list[tuple[Site, Site]] = [("attn_in", "attn_out"), ("mlp_in", "mlp_hidden")]
    for first, last in pairs:
        values = [found.sites[1, first], found.sites[1, last]]
        gradients = torch.autograd.grad(margin, values, retain_graph=True)
        before, after = (
            float((v * g).sum().detach()) for v, g in zip(values, gradients, strict=True)
        )
        # What enters a branch leaves it: branches of a Llama have no biases.
        assert before == pytest.approx(after, rel=1e-3, abs=1e-4)


def test_sparse_sites_are_read_after_their_topk() -> None:
    model = _topk()
    with torch.no_grad(), reading(model) as found:
        model(_ids())
    for site, k in EVERYWHERE.items():
        place = next(place for place in found.sites if place == (0, site))
        assert int((found.sites[place] != 0).sum(-1).max()) == k + 1  # one is always on
        assert is_sparse(model, 0, place[1])
        assert not is_sparse(model, 2, place[1])


def test_an_edit_goes_on() -> None:
    model, ids = _topk(block_out=9), _ids()

    def without(layer: int, site: Site, values: Tensor) -> Tensor:
        return values * 0 if (layer, site) == (1, "block_out") else values

    with torch.no_grad(), reading(model, without) as found:
        logits = model(ids).logits
    assert float(found.sites[1, "block_out"].abs().max()) == 0.0
    assert float(logits.abs().max()) == 0.0  # nothing reaches the head of a model without biases


def test_held_norms_do_not_blow_up_what_is_left() -> None:
    model, ids = _llama(), _ids()
    with torch.no_grad(), frozen(model) as scales:
        whole = model(ids).logits

        def half(layer: int, site: Site, values: Tensor) -> Tensor:
            return values / 2 if (layer, site) == (2, "block_out") else values

        with reading(model, half):
            freely = model(ids).logits
    with torch.no_grad(), reading(model, half), held_norms(model, scales):
        held = model(ids).logits
    torch.testing.assert_close(held, whole / 2, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(freely, held)  # the frozen model holds its scales as well
    with torch.no_grad(), reading(model, half):
        torch.testing.assert_close(model(ids).logits, whole, rtol=1e-3, atol=1e-3)


def test_another_kind_is_told() -> None:
    config = BertConfig(
        vocab_size=20, hidden_size=8, num_hidden_layers=1, num_attention_heads=1,
        intermediate_size=8,
    )  # fmt: skip
    with pytest.raises(ModelError, match="a bert cannot be taken apart"), frozen(BertModel(config)):
        pass
