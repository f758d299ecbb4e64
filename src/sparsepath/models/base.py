"""Find the encoder that a PoC starts from: a folder, a Hugging Face id, or the default small one.

Weights are read from safetensors by sparsepath itself and handed to transformers, so that nothing a
model folder says can make transformers open another file or run code.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from huggingface_hub.errors import StrictDataclassError
from torch import Tensor
from transformers import MODEL_MAPPING, AutoConfig, AutoModel, PreTrainedModel

from sparsepath.errors import ModelError
from sparsepath.models.families import FAMILIES, encoder_sites
from sparsepath.models.folder import (
    ModelFolder,
    open_folder,
    read_json_object,
    read_tensors,
)
from sparsepath.models.quiet import quiet
from sparsepath.models.sources import DEFAULT_MODEL, find_default_model, find_model
from sparsepath.models.surgery import PADDED_POSITIONS
from sparsepath.models.tokenizer import read_tokenizer

IGNORED_SETTINGS = frozenset(
    {
        "_attn_implementation",
        "_name_or_path",
        "architectures",
        "attn_implementation",
        "auto_map",
        "dtype",
        "gradient_checkpointing",
        "id2label",
        "label2id",
        "num_labels",
        "torch_dtype",
        "transformers_version",
        "transformers_weights",
    }
)
"""Entries of `config.json` that say nothing about the body, or that could load something else."""


class BaseModel(NamedTuple):
    """An encoder with its tokenizer, ready for a classifier on top."""

    path_or_id: str
    """What the user would type to get it again."""
    encoder: PreTrainedModel
    """Body without a head, float32, in evaluation mode."""
    tokenizer_json: str
    """Text of `tokenizer.json`, without padding and truncation."""
    origin: str
    """Where it came from, as the end of a sentence."""
    max_length: int
    """Most tokens of a text it can read, special tokens included."""
    licence: str | None
    """Licence as its model card states it."""
    pooling: Literal["mean", "cls"]
    """How its authors make one vector of a text; mean where they do not say."""


def resolve_base_model(name: str | None, *, allow_custom_code: bool = False) -> BaseModel | None:
    """Find, check and load an encoder.

    Args:
        name: folder or Hugging Face id. None means the default: `DEFAULT_MODEL` from the cache or
            the hub, else from the package `DEFAULT_PACKAGE`.
        allow_custom_code: run Python code that comes with the model.

    Returns:
        None if nothing was asked for and the default is nowhere to be found: train from scratch.

    Raises:
        ModelError: if the model is missing, damaged, unknown, or would run code.
    """
    found = find_default_model() if name is None else find_model(name)
    if found is None:
        return None
    base = load_base_model(found.path, allow_custom_code=allow_custom_code)
    return base._replace(path_or_id=name or DEFAULT_MODEL, origin=found.origin)


def load_base_model(path: Path, *, allow_custom_code: bool = False) -> BaseModel:
    """Check and load the encoder in a folder.

    Args:
        path: a Hugging Face model folder.
        allow_custom_code: run Python code that comes with the model.

    Raises:
        ModelError: if the folder is incomplete, damaged, unknown, or would run code.
    """
    folder = open_folder(path, FAMILIES, allow_custom_code=allow_custom_code)
    tokenizer = read_tokenizer(path)
    encoder = _load_encoder(folder)
    n_tokens = tokenizer.tokenizer.get_vocab_size()
    n_rows = encoder_sites(encoder).embedding.num_embeddings
    if n_tokens > n_rows:
        raise ModelError(
            f"the tokenizer in {path} has {n_tokens} tokens but the model only {n_rows}",
            hint="the tokenizer belongs to another model: copy the model again, whole",
        )
    return BaseModel(
        path_or_id=str(path),
        encoder=encoder,
        tokenizer_json=tokenizer.text,
        origin=f"folder {path}",
        max_length=_max_length(path, encoder),
        licence=_licence(path / "README.md"),
        pooling=_pooling(path / "1_Pooling" / "config.json"),
    )


def _load_encoder(folder: ModelFolder) -> PreTrainedModel:
    """Build the body and give it the weights of a checked folder."""
    family = str(folder.config["model_type"])
    tensors = read_tensors(folder)
    if folder.config.get("position_embedding_type", "absolute") != "absolute":
        raise ModelError(
            f"{folder.path} uses {folder.config['position_embedding_type']!r} positions",
            hint="use a model with absolute positions",
        )
    try:
        with quiet():
            if folder.config.get("auto_map"):
                encoder: PreTrainedModel = AutoModel.from_pretrained(
                    folder.path, trust_remote_code=True, use_safetensors=True, dtype=torch.float32
                )
                missing: set[str] = set()
            else:
                encoder, missing = _build(family, folder.config, tensors)
    except (
        AttributeError,
        KeyError,
        RuntimeError,
        StrictDataclassError,
        TypeError,
        ValueError,
    ) as error:
        raise ModelError(
            f"{folder.path} cannot be loaded as {FAMILIES[family]}: {error}",
            hint="config.json and the weights do not belong together: copy the model again, whole",
        ) from error
    if missing:
        raise ModelError(
            f"{folder.path} lacks {len(missing)} tensors: {', '.join(sorted(missing)[:5])}",
            hint="the weights are incomplete or belong to another model: copy it again, whole",
        )
    encoder.train(False)
    return encoder


def _build(
    family: str, settings: Mapping[str, Any], tensors: dict[str, Tensor]
) -> tuple[PreTrainedModel, set[str]]:
    """Build a body from its settings and weights; also return the names of missing tensors."""
    own = {k: v for k, v in settings.items() if k not in IGNORED_SETTINGS | {"model_type"}}
    config = AutoConfig.for_model(family, **own)
    if config.num_hidden_layers > len(tensors):
        raise ValueError(f"{config.num_hidden_layers} layers in config.json")
    extra = {} if family in {"distilbert", "modernbert"} else {"add_pooling_layer": False}
    body: Any = MODEL_MAPPING[type(config)]
    encoder, info = body.from_pretrained(
        None,
        config=config,
        state_dict=tensors,
        attn_implementation="sdpa",
        output_loading_info=True,
        **extra,
    )
    return encoder, set(info["missing_keys"])


def _max_length(path: Path, encoder: PreTrainedModel) -> int:
    """Return how many tokens an encoder reads: by its positions and by its tokenizer's settings."""
    limit = int(encoder.config.max_position_embeddings)
    if encoder.config.model_type in PADDED_POSITIONS:
        limit -= int(encoder.config.pad_token_id) + 1
    settings = path / "tokenizer_config.json"
    stated = read_json_object(settings).get("model_max_length") if settings.exists() else None
    if isinstance(stated, int | float) and 1 <= stated < limit:
        return int(stated)
    return limit


def _pooling(path: Path) -> Literal["mean", "cls"]:
    """Read how a sentence-transformers model pools."""
    if path.exists() and read_json_object(path).get("pooling_mode_cls_token") is True:
        return "cls"
    return "mean"


def _licence(card: Path) -> str | None:
    """Read the licence from the header of a model card."""
    if not card.exists():
        return None
    text = card.read_text(encoding="utf-8", errors="replace")
    header = text.split("\n---", 1)[0] if text.startswith("---") else ""
    match = re.search(r"^license:\s*(\S+)\s*$", header, flags=re.MULTILINE)
    return match.group(1) if match else None
