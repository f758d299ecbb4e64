"""Folders of SAELens give the values that SAELens gives; what would not is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from sparsepath.errors import ModelError
from sparsepath.models.autoencoder_folder import read_autoencoder
from sparsepath.models.saelens import find_hook

D, N = 3, 4
# fmt: off
WEIGHTS = {
    "W_enc": torch.tensor([[1., 0, -1, 2], [0, 2, 1, 0], [1, -1, 0, 1]]),
    "b_enc": torch.tensor([0.5, 0, 1, -1]),
    "W_dec": torch.tensor([[3., 0, 4], [0, 1, 0], [1, 0, 0], [0, 0, 2]]),
    "b_dec": torch.tensor([1., 0, -1]),
}
# fmt: on
X = torch.tensor([[2.0, 1.0, 0.0]])
# x - b_dec = [1, 1, 1]; times W_enc + b_enc = [2.5, 1, 1, 2]


def written(folder: Path, *, weights: dict[str, torch.Tensor] | None = None, **config: Any) -> Path:
    """Write a folder as `SAE.save_model` of SAELens 6 does."""
    metadata = {"sae_lens_version": "6.54.12", "hook_name": "blocks.1.hook_resid_post",
                "model_name": "some/model", "context_size": 128}  # fmt: skip
    told = {
        "d_in": D, "d_sae": N, "dtype": "float32", "device": "cpu", "apply_b_dec_to_input": True,
        "normalize_activations": "none", "reshape_activations": "none", "metadata": metadata,
        "architecture": "standard", **config,
    }  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cfg.json").write_text(json.dumps(told))
    save_file({**WEIGHTS, **(weights or {})}, folder / "sae_weights.safetensors")
    return folder


@pytest.mark.parametrize(
    ("config", "weights", "latents"),
    [
        ({}, {}, [2.5, 1, 1, 2]),
        ({"apply_b_dec_to_input": False}, {}, [2.5, 2, 0, 3]),
        ({"architecture": "topk", "k": 2}, {}, [2.5, 0, 0, 2]),
        # by the length of directions, 5, 1, 1 and 2: 12.5, 1, 1, 4
        (
            {"architecture": "topk", "k": 2, "rescale_acts_by_decoder_norm": True},
            {},
            [12.5, 0, 0, 4],
        ),
        (
            {"architecture": "jumprelu"},
            {"threshold": torch.tensor([2.5, 0.5, 2, 1])},
            [0, 1, 0, 2],
        ),
        (
            {"architecture": "batchtopk", "k": 2.0, "rescale_acts_by_decoder_norm": False},
            {"topk_threshold": torch.tensor(1.5, dtype=torch.float64)},
            [2.5, 0, 0, 2],
        ),
    ],
    ids=["standard", "no bias", "topk", "topk by norm", "jumprelu", "batchtopk"],
)
def test_values_are_those_of_the_formula_by_hand(
    config: dict[str, Any], weights: dict[str, Any], latents: list[float], tmp_path: Path
) -> None:
    model = read_autoencoder(written(tmp_path, weights=weights, **config))
    found = model(X)
    torch.testing.assert_close(found.latents, torch.tensor([latents]).float())
    directions = WEIGHTS["W_dec"]
    if config.get("rescale_acts_by_decoder_norm"):
        directions = directions / torch.tensor([5.0, 1, 1, 2])[:, None]
    hidden = torch.tensor([latents]).float() @ directions + WEIGHTS["b_dec"]
    torch.testing.assert_close(found.hidden, hidden)
    torch.testing.assert_close(model.directions(), directions)
    assert (model.config.layer, model.config.site) == (1, "block_out")
    assert model.config.parent == "some/model"
    assert model.config.parent_sha256 == ""


def test_hidden_states_are_normalised_and_brought_back(tmp_path: Path) -> None:
    # mean 1, standard deviation 1: [1, 0, -1], less b_dec [0, 0, 0]; latents are b_enc above zero
    model = read_autoencoder(written(tmp_path / "a", normalize_activations="layer_norm"))
    found = model(X)
    torch.testing.assert_close(found.latents, torch.tensor([[0.5, 0, 1, 0]]), atol=1e-4, rtol=0)
    inner = torch.tensor([0.5, 0, 1, 0]) @ WEIGHTS["W_dec"] + WEIGHTS["b_dec"]
    torch.testing.assert_close(found.hidden, inner[None] + 1, atol=1e-4, rtol=0)
    model = read_autoencoder(written(tmp_path / "b", normalize_activations="constant_norm_rescale"))
    size = (5 / 3) ** 0.5  # norm root 5, becomes root 3
    before = (X / size - WEIGHTS["b_dec"]) @ WEIGHTS["W_enc"] + WEIGHTS["b_enc"]
    torch.testing.assert_close(model(X).latents, before.relu())
    inner = before.relu() @ WEIGHTS["W_dec"] + WEIGHTS["b_dec"]
    torch.testing.assert_close(model(X).hidden, inner * size)


def test_an_old_folder_with_other_keys_is_read(tmp_path: Path) -> None:
    written(tmp_path, weights={"scaling_factor": torch.ones(N)})
    old = {
        "d_in": D, "d_sae": N, "hook_point": "blocks.2.hook_resid_pre", "hook_point_layer": 2,
        "activation_fn_str": "topk", "activation_fn_kwargs": {"k": 1},
        "normalize_activations": False, "model_name": "m", "dtype": "torch.float32",
    }  # fmt: skip
    (tmp_path / "cfg.json").write_text(json.dumps(old))
    model = read_autoencoder(tmp_path)
    torch.testing.assert_close(model(X).latents, torch.tensor([[2.5, 0, 0, 0]]))
    assert (model.config.layer, model.config.k) == (1, 1)


@pytest.mark.parametrize(
    ("config", "weights", "told"),
    [
        ({"architecture": "gated"}, {}, "architecture 'gated'"),
        ({"activation_fn": "tanh-relu"}, {}, "'standard, tanh-relu'"),
        ({"architecture": "topk"}, {}, "k = None"),
        (
            {"normalize_activations": "expected_average_only_in"},
            {},
            "normalize_activations = 'expected_average_only_in'",
        ),
        ({"reshape_activations": "hook_z"}, {}, "reshape_activations = 'hook_z'"),
        ({"metadata": {"hook_name": "blocks.1.hook_mlp_out"}}, {}, "'blocks.1.hook_mlp_out'"),
        ({"metadata": {"hook_name": "blocks.0.hook_resid_pre"}}, {}, "is no site here"),
        ({"metadata": {}}, {}, "hidden states at 'None'"),
        ({"d_sae": 5}, {}, "cfg.json promises"),
        ({}, {"r_mag": torch.zeros(N)}, "cfg.json promises"),
        ({}, {"scaling_factor": torch.full((N,), 2.0)}, "cfg.json promises"),
        ({}, {"b_enc": torch.tensor([0, torch.nan, 0, 0])}, "NaN"),
    ],
)
def test_what_has_no_formula_here_is_refused(
    config: dict[str, Any], weights: dict[str, Any], told: str, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match=told):
        read_autoencoder(written(tmp_path, weights=weights, **config))


def test_a_folder_without_weights_is_named(tmp_path: Path) -> None:
    (written(tmp_path) / "sae_weights.safetensors").unlink()
    with pytest.raises(ModelError, match="cannot be read"):
        read_autoencoder(tmp_path)


@pytest.mark.parametrize(
    ("name", "where"),
    [
        ("blocks.7.hook_resid_post", (7, "block_out")),
        ("blocks.7.hook_resid_pre", (6, "block_out")),
        ("blocks.7.hook_out", (7, "block_out")),
        ("blocks.0.mlp.hook_post", (0, "mlp_hidden")),
        ("blocks.3.attn.hook_z", (3, "attn_out")),
        ("model.layers.12", (12, "block_out")),
        ("layers.12", (12, "block_out")),
        ("model.layers.1.input_layernorm", (1, "attn_in")),
        ("model.layers.1.post_attention_layernorm", (1, "mlp_in")),
    ],
)
def test_hooks_are_sites(name: str, where: tuple[int, str]) -> None:
    assert tuple(find_hook(name, Path("x"))) == where
