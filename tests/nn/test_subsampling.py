"""Models of several families train with subsampled attention, and are dense elsewhere."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import (
    AutoModel,
    BertConfig,
    BertModel,
    DistilBertConfig,
    DistilBertModel,
    LlamaConfig,
    LlamaForCausalLM,
    ModernBertConfig,
    ModernBertModel,
    PreTrainedModel,
    ViTConfig,
    ViTModel,
)

from sparsepath.errors import ConfigError
from sparsepath.nn.sampling import Mode
from sparsepath.nn.subsampling import NAME, subsample

SIZES: dict[str, Any] = {
    "hidden_size": 16,
    "num_attention_heads": 4,
    "num_hidden_layers": 2,
    "intermediate_size": 16,
}


def bert(n_layers: int = 2) -> PreTrainedModel:
    """Make a small BERT without dropout."""
    config = BertConfig(
        **SIZES | {"num_hidden_layers": n_layers},
        vocab_size=40,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    return BertModel(config, add_pooling_layer=False)


def distilbert() -> PreTrainedModel:
    """Make a small DistilBERT without dropout."""
    return DistilBertModel(
        DistilBertConfig(
            dim=16,
            n_heads=4,
            n_layers=2,
            hidden_dim=16,
            vocab_size=40,
            dropout=0.0,
            attention_dropout=0.0,
        )
    )


def llama() -> PreTrainedModel:
    """Make a small Llama whose query heads share key heads."""
    return LlamaForCausalLM(
        LlamaConfig(**SIZES, vocab_size=40, num_key_value_heads=2, attention_dropout=0.0)
    )


def modernbert() -> PreTrainedModel:
    """Make a small ModernBERT whose second layer has a sliding window."""
    return ModernBertModel(
        ModernBertConfig(
            **SIZES, vocab_size=40, pad_token_id=0, local_attention=4, global_attn_every_n_layers=2
        )
    )


def vit() -> PreTrainedModel:
    """Make a small ViT of 16 patches."""
    config = ViTConfig(
        **SIZES,
        image_size=16,
        patch_size=4,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    return ViTModel(config, add_pooling_layer=False)


MAKERS: list[Callable[[], PreTrainedModel]] = [bert, distilbert, llama, modernbert, vit]


def seeded(make: Callable[[], PreTrainedModel], seed: int = 0) -> PreTrainedModel:
    """Make a model with weights from a seed, in training mode."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return make().train()


def inputs(model: PreTrainedModel, n: int = 24, *, is_padded: bool = False) -> dict[str, Tensor]:
    """Make a batch of two that the model reads."""
    generator = torch.Generator().manual_seed(5)
    if isinstance(model, ViTModel):
        return {"pixel_values": torch.randn(2, 3, 16, 16, generator=generator)}
    batch = {"input_ids": torch.randint(4, 40, (2, n), generator=generator)}
    if is_padded:
        mask = torch.ones(2, n, dtype=torch.long)
        mask[1, n // 2 :] = 0
        batch["attention_mask"] = mask
    return batch


def run(model: PreTrainedModel, batch: dict[str, Tensor]) -> Tensor:
    """Give the first output."""
    found: Tensor = model(**batch)[0]
    return found


@pytest.mark.parametrize("is_padded", [False, True])
@pytest.mark.parametrize("make", MAKERS)
def test_outside_the_block_the_attention_is_dense(
    make: Callable[[], PreTrainedModel], is_padded: bool
) -> None:
    model = seeded(make)
    batch = inputs(model, is_padded=is_padded)
    real = batch.get("attention_mask", torch.ones(2, 1)).bool()
    model.set_attn_implementation("eager")
    expected = run(model, batch)
    model.set_attn_implementation(NAME)
    found = run(model, batch)
    if is_padded and not isinstance(model, ViTModel):
        found, expected = found[real], expected[real]
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("mode", ["uniform", "local", "stratified"])
@pytest.mark.parametrize("is_padded", [False, True])
@pytest.mark.parametrize("make", MAKERS)
def test_keeping_all_sources_is_dense_and_keeping_some_is_not(
    make: Callable[[], PreTrainedModel], is_padded: bool, mode: Mode
) -> None:
    model = seeded(make)
    batch = inputs(model, is_padded=is_padded)
    real = batch.get("attention_mask", torch.ones(2, 17 if "input_ids" not in batch else 24)).bool()
    dense = run(model, batch)[real]
    for keep in (1.0, 0.999):  # the second one draws, and draws all
        with subsample(model, keep=keep, mode=mode):
            torch.testing.assert_close(run(model, batch)[real], dense)
    with subsample(model, keep=0.25, mode=mode):
        assert not torch.allclose(run(model, batch)[real], dense, atol=1e-3)
    torch.testing.assert_close(run(model, batch)[real], dense, atol=0.0, rtol=0.0)


@pytest.mark.parametrize("mode", ["uniform", "local", "stratified"])
def test_a_target_sees_no_more_sources_than_are_kept(mode: Mode) -> None:
    model = seeded(lambda: bert(n_layers=1))
    embeds = torch.randn(1, 24, 16, generator=torch.Generator().manual_seed(1)).requires_grad_()
    with subsample(model, keep=0.25, mode=mode):
        output = run(model, {"inputs_embeds": embeds})
    for target in (0, 11, 23):
        (grad,) = torch.autograd.grad(output[0, target, 0], embeds, retain_graph=True)
        seen = set(grad[0].abs().sum(dim=-1).nonzero().flatten().tolist())
        # Its own place always counts: the residual stream goes through it.
        assert 6 <= len(seen | {target}) <= 7


@pytest.mark.parametrize("per_head", [False, True])
@pytest.mark.parametrize("mode", ["uniform", "local", "stratified"])
def test_a_causal_model_never_looks_ahead(mode: Mode, per_head: bool) -> None:
    model = seeded(llama)
    batch = inputs(model)
    changed = {"input_ids": batch["input_ids"].clone()}
    changed["input_ids"][:, 13:] = 39
    outputs = []
    for given in (batch, changed):
        generator = torch.Generator().manual_seed(2)
        with subsample(
            model, keep=0.25, mode=mode, per_head=per_head, per_example=True, generator=generator
        ):
            outputs.append(run(model, given))
    torch.testing.assert_close(outputs[0][:, :13], outputs[1][:, :13])
    assert not torch.allclose(outputs[0][:, 13:], outputs[1][:, 13:])


def test_padding_changes_nothing_for_the_other_tokens() -> None:
    model = seeded(bert)
    short = {"input_ids": inputs(model)["input_ids"][:1, :12]}
    padded = {
        "input_ids": torch.cat([short["input_ids"], torch.zeros(1, 12, dtype=torch.long)], dim=1),
        "attention_mask": (torch.arange(24) < 12).long().unsqueeze(0),
    }
    with subsample(model, keep=0.999):
        torch.testing.assert_close(run(model, padded)[:, :12], run(model, short))


def test_each_pass_draws_anew_and_the_same_seed_draws_the_same() -> None:
    model = seeded(bert)
    batch = inputs(model)
    passes = []
    for seed in (7, 7, 8):
        with subsample(model, keep=0.25, generator=torch.Generator().manual_seed(seed)):
            passes += [run(model, batch), run(model, batch)]
    assert torch.equal(passes[0], passes[2])
    assert torch.equal(passes[1], passes[3])
    assert not torch.allclose(passes[0], passes[1])
    assert not torch.allclose(passes[0], passes[4])


def test_evaluation_is_dense_unless_asked_for() -> None:
    model = seeded(bert).eval()
    batch = inputs(model)
    dense = run(model, batch)
    with subsample(model, keep=0.25):
        torch.testing.assert_close(run(model, batch), dense)
    with subsample(model, keep=0.25, in_eval=True):
        assert not torch.allclose(run(model, batch), dense)


def test_activation_checkpointing_draws_the_same_sources_again() -> None:
    grads = []
    for is_checkpointed in (False, True):
        model = seeded(llama)
        if is_checkpointed:
            model.activation_checkpointing_enable()
        with subsample(model, keep=0.25, generator=torch.Generator().manual_seed(3)):
            run(model, inputs(model)).square().mean().backward()
        grads.append([p.grad for p in model.parameters()])
    for plain, checkpointed in zip(*grads, strict=True):
        torch.testing.assert_close(plain, checkpointed)


def test_what_is_saved_inside_the_block_is_dense(tmp_path: Path) -> None:
    model = seeded(bert)
    with subsample(model, keep=0.25):
        model.save_pretrained(tmp_path)
    loaded = AutoModel.from_pretrained(tmp_path, add_pooling_layer=False)
    batch = inputs(model)
    torch.testing.assert_close(run(loaded, batch), run(model.eval(), batch))
    assert loaded.config._attn_implementation == "sdpa"


def test_generation_inside_the_block_works() -> None:
    model = seeded(llama).eval()
    ids = inputs(model)["input_ids"]
    settings: dict[str, Any] = {"max_new_tokens": 4, "do_sample": False, "pad_token_id": 0}
    with subsample(model, keep=0.25):
        inside = model.generate(ids, **settings)  # type: ignore[operator]
    assert inside.tolist() == model.generate(ids, **settings).tolist()  # type: ignore[operator]


def test_each_layer_can_have_its_own_share() -> None:
    model = seeded(bert)
    batch = inputs(model)
    dense = run(model, batch)
    with subsample(model, keep=[1.0, 1.0]):
        torch.testing.assert_close(run(model, batch), dense)
    with subsample(model, keep=[1.0, 0.25]):
        assert not torch.allclose(run(model, batch), dense)


def test_settings_that_do_not_fit_are_refused_and_leave_the_model_as_it_was() -> None:
    model = seeded(bert)
    batch = inputs(model)
    with pytest.raises(ConfigError, match=r"keep = 1\.5"), subsample(model, keep=1.5):
        pass
    with pytest.raises(ConfigError, match="spread = 2"), subsample(model, spread=2.0):
        pass
    with pytest.raises(ConfigError, match="more layers"), subsample(model, keep=[0.5]):
        run(model, batch)
    with (
        pytest.raises(ConfigError, match="3 shares, but 2 layers"),
        subsample(model, keep=[0.5, 0.5, 0.5]),
    ):
        run(model, batch)
    with subsample(model), pytest.raises(ConfigError, match="already"), subsample(model):
        pass
    assert model.config._attn_implementation == "sdpa"
    with subsample(model, keep=0.25):
        run(model, batch)


def test_the_share_can_be_changed_inside_the_block() -> None:
    model = seeded(bert)
    batch = inputs(model)
    dense = run(model, batch)
    with subsample(model, keep=0.25) as sampler:
        assert not torch.allclose(run(model, batch), dense)
        sampler.set_keep(1.0)
        torch.testing.assert_close(run(model, batch), dense)
        with pytest.raises(ConfigError, match="keep = 0"):
            sampler.set_keep(0.0)
