"""What a Llama-like language model is, read from its `config.json`."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsepath.artifacts.neuron import IN_ORDER, Site
from sparsepath.errors import ModelError
from sparsepath.trace.edits import Sites

FAMILIES = ("llama", "mistral", "qwen2", "sparsepath_topk")
"""Values of `model_type` that are known."""

SITES = IN_ORDER
"""Where hidden states may be sparse, in the order of the native code."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """Sizes and settings of a language model."""

    n_layers: int
    d_model: int
    n_heads: int
    n_kv_heads: int
    head_dim: int
    d_mlp: int
    vocabulary: int
    context: int
    """Positions that it was trained on."""
    eps: float
    window: int = 0
    """Positions that attention looks back; 0: all."""
    is_tied: bool = False
    """Whether the head is the embedding."""
    rope: Mapping[str, Any] = field(default_factory=dict)
    """How positions turn queries and keys."""
    topk: Mapping[str, int] = field(default_factory=dict)
    """Entries that each sparse site keeps."""
    magnitude_sites: frozenset[str] = frozenset()
    """Sites that keep what is largest without its sign; others go by value."""
    is_positive: bool = False
    n_always_on: int = 0
    n_dense_layers: int = 0
    """Last layers without sparse sites."""
    begin_id: int | None = None
    """Token that begins a text, if any."""
    end_ids: tuple[int, ...] = ()
    """Tokens that end a text."""

    @property
    def sites(self) -> Sites:
        """What can be edited."""
        widths: dict[Site, int] = dict.fromkeys(SITES, self.d_model)
        widths |= {"attn_out": self.n_heads * self.head_dim, "mlp_hidden": self.d_mlp}
        return Sites(
            n_layers=self.n_layers,
            widths=widths,
            sparse={site: self.topk[site] for site in SITES if site in self.topk},
            n_sparse_layers=self.n_layers - self.n_dense_layers,
        )

    @property
    def by_magnitude(self) -> int:
        """`magnitude_sites` as bits, in the order of `SITES`."""
        return sum(1 << place for place, site in enumerate(SITES) if site in self.magnitude_sites)

    def kept(self, site: str, layer: int) -> int:
        """Give the entries that a site of a layer keeps; 0 where it is dense."""
        return 0 if layer >= self.n_layers - self.n_dense_layers else self.topk.get(site, 0)


def read_shape(folder: Path) -> Shape:
    """Read the configuration of a model folder.

    Raises:
        ModelError: if it is missing or damaged, or says what is not known here.
    """
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        kind = config["model_type"]
    except (OSError, ValueError, KeyError, TypeError) as err:
        raise ModelError(
            f"{path} is missing or damaged ({type(err).__name__})",
            hint="give the folder of a language model, with config.json and model.safetensors",
        ) from err
    if kind not in FAMILIES:
        raise ModelError(
            f"{folder} holds a model of type {kind!r}",
            hint=f"use a language model of one of these types: {', '.join(FAMILIES)}",
        )
    try:
        return _shape(config)
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as err:
        raise ModelError(
            f"{path} lacks or contradicts a setting ({err})", hint="copy the model again, whole"
        ) from err


def _shape(config: dict[str, Any]) -> Shape:
    """Take the settings out of a configuration.

    Raises:
        ModelError: if one is not known here.
    """
    if (activation := config.get("hidden_act", "silu")) not in ("silu", "swish"):
        raise ModelError(
            f"the model's MLPs use {activation!r}", hint="use a model with hidden_act = silu"
        )
    n_heads = int(config["num_attention_heads"])
    shape = Shape(
        n_layers=int(config["num_hidden_layers"]),
        d_model=int(config["hidden_size"]),
        n_heads=n_heads,
        n_kv_heads=int(config.get("num_key_value_heads") or n_heads),
        head_dim=int(config.get("head_dim") or config["hidden_size"] // n_heads),
        d_mlp=int(config["intermediate_size"]),
        vocabulary=int(config["vocab_size"]),
        context=int(config["max_position_embeddings"]),
        eps=float(config.get("rms_norm_eps", 1e-6)),
        window=_window(config),
        is_tied=bool(config.get("tie_word_embeddings", False)),
        rope=_rope(config),
        topk={str(site): int(k) for site, k in (config.get("topk") or {}).items()},
        magnitude_sites=_magnitude_sites(config.get("topk_by", "value")),
        is_positive=bool(config.get("topk_positive", False)),
        n_always_on=int(config.get("n_always_on", 0)),
        n_dense_layers=int(config.get("n_dense_layers", 0)),
        begin_id=config.get("bos_token_id"),
        end_ids=_ends(config.get("eos_token_id")),
    )
    unknown = set(shape.topk) - set(SITES)
    if unknown or shape.n_heads % shape.n_kv_heads or shape.head_dim % 2:
        raise ValueError(f"sites {sorted(unknown)}, {shape.n_heads} and {shape.n_kv_heads} heads")
    narrowest = min(shape.d_model, shape.n_heads * shape.head_dim, shape.d_mlp)
    if not 0 <= shape.n_always_on < narrowest or any(k < 1 for k in shape.topk.values()):
        raise ValueError(f"topk {dict(shape.topk)} with {shape.n_always_on} always on")
    return shape


def _magnitude_sites(by: str | Mapping[str, str]) -> frozenset[str]:
    """Give the sites that keep what is largest without its sign.

    Raises:
        ValueError: if there is another rule, or no such site.
    """
    rules: Mapping[str, str] = dict.fromkeys(SITES, by) if isinstance(by, str) else by
    if not set(rules) <= set(SITES) or not set(rules.values()) <= {"value", "magnitude"}:
        raise ValueError(f"topk_by {by}")
    return frozenset(site for site, rule in rules.items() if rule == "magnitude")


def _window(config: dict[str, Any]) -> int:
    """Give how far attention looks back."""
    is_used = config.get("use_sliding_window", config["model_type"] == "mistral")
    return int(config.get("sliding_window") or 0) if is_used else 0


def _rope(config: dict[str, Any]) -> dict[str, Any]:
    """Give how positions turn, from newer and older keys."""
    rope = dict(config.get("rope_parameters") or config.get("rope_scaling") or {})
    rope.setdefault("rope_theta", config.get("rope_theta", 10_000.0))
    rope["rope_type"] = rope.get("rope_type") or rope.get("type") or "default"
    if rope["rope_type"] not in ("default", "linear", "llama3"):
        raise ModelError(
            f"positions turn by {rope['rope_type']!r}",
            hint="use a model whose rope_type is default, linear or llama3",
        )
    return rope


def _ends(value: int | list[int] | None) -> tuple[int, ...]:
    """Give the tokens that end a text."""
    return () if value is None else tuple(value) if isinstance(value, list) else (int(value),)


def rotations(shape: Shape, n: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Give cosines and sines of the angles by which positions turn, each [n, head_dim / 2].

    Source: Su et al. 2021, arXiv 2104.09864; `llama3` as in transformers' `modeling_rope_utils`.
    """
    rope = shape.rope
    powers = np.arange(0, shape.head_dim, 2, dtype=np.float32) / np.float32(shape.head_dim)
    frequencies = np.float32(1.0) / np.float32(rope["rope_theta"]) ** powers
    if rope["rope_type"] == "linear":
        frequencies /= np.float32(rope["factor"])
    elif rope["rope_type"] == "llama3":
        frequencies = _llama3(frequencies, rope)
    angles = np.arange(n, dtype=np.float32)[:, None] * frequencies.astype(np.float32)
    return np.cos(angles), np.sin(angles)


def _llama3(frequencies: NDArray[np.float32], rope: Mapping[str, Any]) -> NDArray[np.float32]:
    """Slow low frequencies down, keep high ones, blend those between."""
    factor, old = rope["factor"], rope["original_max_position_embeddings"]
    low, high = rope["low_freq_factor"], rope["high_freq_factor"]
    lengths = 2 * math.pi / frequencies
    share = np.clip((old / lengths - low) / (high - low), 0.0, 1.0)
    blended: NDArray[np.float32] = ((1 - share) / factor + share) * frequencies
    return blended
