"""Neurons look to SAEBench like an autoencoder that says a TopK model's states exactly."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from sparsepath.errors import ConfigError, ModelError
from sparsepath.evaluate.saebench import NeuronDictionary, saebench_neurons
from sparsepath.models.language import fresh_llama, fresh_topk
from sparsepath.models.quiet import quiet
from sparsepath.trace.hidden import dense_places, hidden_at

FIELDS = {
    "model_name", "d_in", "d_sae", "hook_layer", "hook_name", "context_size", "hook_head_index",
    "architecture", "apply_b_dec_to_input", "finetuning_scaling_factor", "activation_fn_str",
    "activation_fn_kwargs", "prepend_bos", "normalize_activations", "dtype", "device",
    "model_from_pretrained_kwargs", "dataset_path", "dataset_trust_remote_code", "seqpos_slice",
    "training_tokens", "sae_lens_training_version", "neuronpedia_id",
}  # fmt: skip
"""Of `CustomSAEConfig` of sae-bench 0.6.0."""


def saved(folder: Path, **topk: Any) -> Path:
    """Write a model that was never trained."""
    model: Any = fresh_llama(
        vocabulary=99, length=64, d_model=32, n_layers=3, n_heads=2, n_kv_heads=2, d_mlp=40, seed=0
    )
    if topk:
        model = fresh_topk(model, n_dense_layers=1, **topk)
    model.save_pretrained(folder)
    return folder


def states(folder: Path, layer: int) -> torch.Tensor:
    """Hidden states of a text, [1, T, D]."""
    with quiet():
        model = AutoModelForCausalLM.from_pretrained(folder)
    place = dense_places(model, ("block_out",))[layer]
    return hidden_at(model, place, torch.arange(12).reshape(1, 12))


def looked_over(found: NeuronDictionary, acts: torch.Tensor) -> torch.Tensor:
    """Do what `BaseSAE.test_sae` does; give the values of neurons."""
    cfg = found.cfg
    assert found.W_dec.shape == (cfg.d_sae, cfg.d_in)
    assert found.W_enc.shape == (cfg.d_in, cfg.d_sae)
    assert (found.b_enc.shape, found.b_dec.shape) == ((cfg.d_sae,), (cfg.d_in,))
    norms = found.W_dec.norm(dim=1)
    torch.testing.assert_close(norms, torch.ones_like(norms))
    encoded = found.encode(acts)
    flat = found(acts.flatten(0, -2)).reshape(acts.shape)
    torch.testing.assert_close(flat, found.decode(encoded))
    return encoded


@pytest.mark.parametrize("by", ["magnitude", "value"])
def test_a_topk_model_is_said_exactly(tmp_path: Path, by: str) -> None:
    folder = saved(tmp_path / "m", topk={"block_out": 6}, topk_by=by, topk_positive=False)
    acts, found = states(folder, 1), saebench_neurons(folder, 1)
    encoded = looked_over(found, acts)
    torch.testing.assert_close(found.decode(encoded), acts)
    assert found.cfg.d_sae == (64 if by == "magnitude" else 32)
    assert ((encoded != 0).sum(-1) == 6).all()
    if by == "magnitude":
        assert (encoded >= 0).all()
        torch.testing.assert_close(encoded[..., 32:], (-acts).relu())  # L01/0- is neuron 32
    assert set(found.cfg.to_dict()) == FIELDS
    assert found.cfg.hook_name == "blocks.1.hook_resid_post"
    halved = found.to(dtype=torch.bfloat16)
    assert (halved.dtype, halved.device.type) == (torch.bfloat16, "cpu")
    assert halved.encode(acts.bfloat16()).dtype == torch.bfloat16


def test_of_a_dense_model_the_largest_entries_count(tmp_path: Path) -> None:
    folder = saved(tmp_path / "m")
    acts, found = states(folder, 2), saebench_neurons(folder, 2, dense_k=5)
    encoded = looked_over(found, acts)
    values, indices = acts.topk(5)
    truth = torch.zeros_like(acts).scatter(-1, indices, values).relu()
    torch.testing.assert_close(encoded, truth)
    hidden = saebench_neurons(folder, 0, site="mlp_hidden", dense_k=5)
    assert (hidden.cfg.d_in, hidden.cfg.hook_name) == (40, "blocks.0.mlp.hook_post")


def test_what_there_is_not_is_said(tmp_path: Path) -> None:
    folder = saved(tmp_path / "m", topk={"block_out": 6}, topk_by="value", topk_positive=True)
    with pytest.raises(ModelError, match="dense at block_out of layer 2"):
        saebench_neurons(folder, 2)
    with pytest.raises(ConfigError, match="leave dense_k out"):
        saebench_neurons(folder, 1, dense_k=4)
    with pytest.raises(ConfigError, match="no name for attn_in"):
        saebench_neurons(folder, 1, site="attn_in")
    with pytest.raises(ConfigError, match="3 layers"):
        saebench_neurons(folder, 3, dense_k=4)
