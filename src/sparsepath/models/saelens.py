"""Read a folder of SAELens: `cfg.json` and `sae_weights.safetensors`.

Those of version 6 and the older ones, whose keys had other names. What is read gives the values
that SAELens gives; what would not is refused. Latents whose selection weighs them by the length of
their directions (`rescale_acts_by_decoder_norm`) have that length folded into the weights.

Shape letters: N latents, D entries of the hidden state.

Source: SAELens 6.54 (MIT), `sae_lens/saes/*.py`, `sae_lens/loading/pretrained_sae_loaders.py`.
"""

import re
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from sparsepath.errors import ModelError
from sparsepath.models.autoencoder import Activation, AutoencoderConfig, SparseAutoencoder
from sparsepath.models.folder import ModelFolder, read_json_object, read_tensors

CONFIG, WEIGHTS = "cfg.json", "sae_weights.safetensors"

ARCHITECTURES: dict[str, Activation] = {
    "standard": "relu",
    "jumprelu": "jumprelu",
    "topk": "topk",
    "batchtopk": "jumprelu",
}
"""What is read, and what latents become there."""

NORMALISING = ("none", "layer_norm", "constant_norm_rescale")
"""Ways to treat hidden states that need nothing beside the weights."""

HOOKS: tuple[tuple[str, str, int], ...] = (
    (r"blocks\.(\d+)\.hook_(?:resid_post|out)", "block_out", 0),
    (r"blocks\.(\d+)\.hook_(?:resid_pre|in)", "block_out", -1),
    (r"blocks\.(\d+)\.mlp\.hook_post", "mlp_hidden", 0),
    (r"blocks\.(\d+)\.attn\.hook_z", "attn_out", 0),
    (r"(?:model\.)?layers\.(\d+)", "block_out", 0),
    (r"(?:model\.)?layers\.(\d+)\.input_layernorm", "attn_in", 0),
    (r"(?:model\.)?layers\.(\d+)\.post_attention_layernorm", "mlp_in", 0),
)
"""Names of TransformerLens and of modules of transformers, the site that each is, and how many
layers later it is ours."""


class Hook(NamedTuple):
    """Where hidden states come from."""

    layer: int
    site: str


def read_saelens(folder: Path) -> SparseAutoencoder:
    """Read a sparse autoencoder of SAELens in fp32.

    Args:
        folder: with both files.

    Raises:
        ModelError: if files are missing or damaged, the architecture or a setting has no formula
            here, or the hook is no site.
    """
    told = _modern(read_json_object(folder / CONFIG))
    activation = _activation(told, folder)
    hook = find_hook(str(told.get("hook_name")), folder)
    _refuse(told, hook, folder)
    tensors = read_tensors(ModelFolder(folder, told, [folder / WEIGHTS]))
    weights = _ours(tensors, told, activation, folder)
    n, d = weights["decoder"].shape
    config = AutoencoderConfig(
        width=d,
        n_latents=n,
        k=int(told["k"]) if activation == "topk" else None,
        activation=activation,
        normalise=told.get("normalize_activations") or "none",
        is_bias_subtracted=bool(told.get("apply_b_dec_to_input", True)),
        is_unit_norm=False,
        layer=hook.layer,
        site=hook.site,
        parent=str(told.get("model_name") or ""),
    )
    model = SparseAutoencoder(config)
    model.load_state_dict(weights)
    return model


def find_hook(name: str, folder: Path) -> Hook:
    """Give the site that a hook is.

    Raises:
        ModelError: if it is none of ours.
    """
    for pattern, site, shift in HOOKS:
        found = re.fullmatch(pattern, name)
        if found and int(found[1]) + shift >= 0:
            return Hook(int(found[1]) + shift, site)
    raise ModelError(
        f"{folder} reads hidden states at {name!r}, which is no site here",
        hint="sites are blocks.L.hook_resid_post, blocks.L.mlp.hook_post, blocks.L.attn.hook_z, "
        "or model.layers.L and its two norms",
    )


def _modern(config: dict[str, Any]) -> dict[str, Any]:
    """Give old keys their new names, and bring up what lies in `metadata`."""
    metadata = config.get("metadata")
    told = {**(metadata if isinstance(metadata, dict) else {}), **config}
    for old, new in (("hook_point", "hook_name"), ("activation_fn_str", "activation_fn")):
        if old in told:
            told.setdefault(new, told[old])
    told.setdefault("architecture", "standard")
    if isinstance(told.get("normalize_activations"), bool):
        old_way = told["normalize_activations"]
        told["normalize_activations"] = "expected_average_only_in" if old_way else "none"
    if told["architecture"] == "standard" and told.get("activation_fn") == "topk":
        told["architecture"] = "topk"
    k = (told.get("activation_fn_kwargs") or {}).get("k")
    if k is not None:
        told.setdefault("k", k)
    return told


def _activation(told: dict[str, Any], folder: Path) -> Activation:
    """Give what latents become.

    Raises:
        ModelError: if it is not known.
    """
    architecture = str(told["architecture"])
    function = told.get("activation_fn", "relu")
    if architecture not in ARCHITECTURES or function not in ("relu", "topk"):
        what = architecture if architecture not in ARCHITECTURES else f"{architecture}, {function}"
        raise ModelError(
            f"{folder} holds an autoencoder of architecture {what!r}",
            hint=f"use one of these: {', '.join(ARCHITECTURES)}, with relu",
        )
    if architecture == "topk" and not isinstance(told.get("k"), int):
        raise ModelError(f"{folder}: k = {told.get('k')!r}", hint="copy the folder again, whole")
    return ARCHITECTURES[architecture]


def _refuse(told: dict[str, Any], hook: Hook, folder: Path) -> None:
    """Refuse settings that need more than the weights, or another formula.

    Raises:
        ModelError: if there is one.
    """
    reshaping = "hook_z" if hook.site == "attn_out" else "none"
    wrong = {
        key: told[key]
        for key, fine in (
            ("normalize_activations", (None, *NORMALISING)),
            ("reshape_activations", (None, "none", reshaping)),
            ("hook_head_index", (None,)),
            ("hook_name_out", (None,)),
        )
        if told.get(key) not in fine
    }
    if wrong:
        raise ModelError(
            f"{folder}: {', '.join(f'{key} = {value!r}' for key, value in wrong.items())} is not "
            "read here",
            hint="save it for inference with SAELens (save_inference_model), which folds what can "
            "be folded into the weights",
        )


def _ours(
    tensors: dict[str, Tensor], told: dict[str, Any], activation: Activation, folder: Path
) -> dict[str, Tensor]:
    """Give the weights their names here.

    Raises:
        ModelError: if one is missing, left over, or of another shape.
    """
    found = dict(tensors)
    for name in ("scaling_factor", "finetuning_scaling_factor"):
        if name in found and bool((found[name] == 1).all()):
            del found[name]
    if told["architecture"] == "batchtopk" and "topk_threshold" in found:
        found["threshold"] = found.pop("topk_threshold").expand(len(found["b_enc"])).clone()
    n, d = (int(told.get("d_sae") or 0), int(told.get("d_in") or 0))
    shapes = {"W_enc": (d, n), "b_enc": (n,), "W_dec": (n, d), "b_dec": (d,)}
    shapes |= {"threshold": (n,)} if activation == "jumprelu" else {}
    met = {name: tuple(value.shape) for name, value in found.items()}
    if met != shapes:
        raise ModelError(
            f"{folder / WEIGHTS} holds {met}, {CONFIG} promises {shapes}",
            hint="copy the folder again, whole",
        )
    if told.get("rescale_acts_by_decoder_norm"):
        norm_N = found["W_dec"].norm(dim=-1).clamp(min=1e-8)
        found["W_enc"], found["b_enc"] = found["W_enc"] * norm_N, found["b_enc"] * norm_N
        found["W_dec"] = found["W_dec"] / norm_N[:, None]
    names = {"b_enc": "encoder_bias", "W_dec": "decoder", "b_dec": "bias", "threshold": "threshold"}
    renamed = {names[name]: value for name, value in found.items() if name in names}
    return renamed | {"encoder": found["W_enc"].T.contiguous(), "scale": torch.ones(())}
