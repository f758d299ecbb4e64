"""A language model with sparse hidden states: at its sites, saved, found again, generating."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from sparsepath.models.topk_lm import SITES, TopKConfig, TopKForCausalLM

ALL = {"block_out": 8, "attn_in": 7, "attn_out": 6, "mlp_in": 5, "mlp_hidden": 9}
IDS = torch.arange(3, 21).view(2, 9)


def config(**changes: Any) -> TopKConfig:
    """Describe a tiny model."""
    sizes = {
        "vocab_size": 50, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64,
        "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
    }  # fmt: skip
    return TopKConfig(**(sizes | {"topk": ALL} | changes))


def model(**changes: Any) -> TopKForCausalLM:
    """Build it with random weights."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return TopKForCausalLM(config(**changes)).eval()


@torch.no_grad()
def inputs_of(found: TopKForCausalLM, name: str) -> list[int]:
    """Count the entries that are not zero in what goes into a module, or comes out of blocks."""
    counts: list[int] = []
    handles = [
        module.register_forward_pre_hook(
            lambda _m, args: counts.append(int((args[0] != 0).sum(dim=-1).max()))
        )
        for path, module in found.named_modules()
        if path.endswith(name)
    ]
    found(IDS)
    for handle in handles:
        handle.remove()
    return counts


def test_every_site_is_as_sparse_as_asked_and_the_last_layers_are_dense() -> None:
    found = model(n_dense_layers=1)
    assert inputs_of(found, "q_proj") == [7, 7, 8]  # the last block is dense, what enters it is not
    assert inputs_of(found, "gate_proj") == [5, 5, 32]
    hidden = found(IDS, output_hidden_states=True).hidden_states
    # Before block 0, after block 0, after block 1; the last one has passed the norm.
    assert [int((h != 0).sum(dim=-1).max()) for h in hidden] == [32, 8, 8, 32]
    for layer in found.model.layers[:2]:
        x = torch.randn(3, 32)
        kept = layer.self_attn.o_proj.topk(x)
        assert ((kept != 0).sum(dim=-1) == 6).all()
        assert ((layer.mlp.down_proj.topk(torch.randn(3, 48)) != 0).sum(dim=-1) == 9).all()


def test_each_site_has_its_own_rule() -> None:
    layer = model(topk_by={"mlp_hidden": "magnitude"}).model.layers[0]
    assert (layer.mlp.down_proj.topk.by, layer.self_attn.o_proj.topk.by) == ("magnitude", "value")
    with pytest.raises(ValueError, match="nowhere"):
        model(topk_by={"nowhere": "value"})


def test_without_sites_it_is_a_llama_and_takes_its_weights() -> None:
    dense = model(topk={})
    llama = LlamaForCausalLM(LlamaConfig(**{
        key: value for key, value in config().to_dict().items()
        if key not in {"model_type", "topk", "topk_by", "topk_positive", "n_always_on",
                       "n_dense_layers", "straight_through", "architectures", "auto_map"}
    })).eval()  # fmt: skip
    sparse = model()
    assert set(sparse.state_dict()) == set(llama.state_dict())
    dense.load_state_dict(llama.state_dict())
    torch.testing.assert_close(dense(IDS).logits, llama(IDS).logits)
    assert not torch.allclose(sparse(IDS).logits, dense(IDS).logits)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"topk_by": "magnitude"},
        {"topk_by": {"mlp_hidden": "magnitude"}},
        {"n_always_on": 2},
    ],
)
def test_a_saved_model_is_sparse_again_with_and_without_sparsepath(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    found = model(**changes)
    found.save_pretrained(tmp_path)
    logits = found(IDS).logits
    assert "auto_map" in json.loads((tmp_path / "config.json").read_text())
    assert torch.equal(AutoModelForCausalLM.from_pretrained(tmp_path)(IDS).logits, logits)
    script = (
        "import sys, torch\n"
        "class Absent:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] == 'sparsepath': raise ImportError(name)\n"
        "sys.meta_path.insert(0, Absent())\n"
        "from transformers import AutoModelForCausalLM\n"
        "model = AutoModelForCausalLM.from_pretrained(sys.argv[1], trust_remote_code=True)\n"
        "ids = torch.arange(3, 21).view(2, 9)\n"
        "print(float(model(ids).logits.double().abs().sum()))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=False,
        env=os.environ | {"HF_HOME": str(tmp_path / "home")},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) == pytest.approx(
        float(logits.detach().double().abs().sum()), rel=1e-6
    )


def test_a_folder_is_never_taken_for_a_dense_model(tmp_path: Path) -> None:
    model().save_pretrained(tmp_path)
    found = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert isinstance(found, TopKForCausalLM)
    assert found.config.topk == ALL


def test_generating_with_and_without_a_cache_gives_the_same_tokens() -> None:
    found = model()
    settings = {"max_new_tokens": 12, "do_sample": False}
    with_cache = found.generate(IDS, use_cache=True, **settings)
    assert torch.equal(with_cache, found.generate(IDS, use_cache=False, **settings))
    assert with_cache.shape[1] > IDS.shape[1]


def test_padding_on_the_left_changes_nothing() -> None:
    found = model()
    padded = torch.cat([torch.zeros(2, 3, dtype=torch.int64), IDS], dim=1)
    mask = (padded != 0).long()
    positions = (mask.cumsum(dim=1) - 1).clamp(min=0)
    logits = found(padded, attention_mask=mask, position_ids=positions).logits[:, 3:]
    torch.testing.assert_close(logits, found(IDS).logits, atol=1e-5, rtol=1e-4)


def test_training_moves_weights_and_recomputed_activations_give_the_same_gradients() -> None:
    grads = []
    for recompute in (False, True):
        found = model(tie_word_embeddings=True).train()
        if recompute:
            found.activation_checkpointing_enable()
        found(IDS, labels=IDS).loss.backward()
        grads.append({n: p.grad for n, p in found.named_parameters()})
    for name, grad in grads[0].items():
        assert grad is not None, name
        torch.testing.assert_close(grads[1][name], grad)
    assert any(float(g.abs().sum()) > 0 for g in grads[0].values() if g is not None)


def test_an_unknown_site_is_refused_and_all_are_named() -> None:
    with pytest.raises(ValueError, match=", ".join(SITES)):
        model(topk={"somewhere": 3})
