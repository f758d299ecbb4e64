"""A trained language model that another one is made of.

Only models whose weights fit a Llama are read: dense Llamas, and Mistrals without a window.
"""

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from sparsepath.errors import ModelError
from sparsepath.models.folder import ModelFolder, open_folder
from sparsepath.models.quiet import quiet
from sparsepath.models.sources import find_model
from sparsepath.models.tokenizer import parse_tokenizer

KNOWN = ("llama", "mistral")
"""Values of `model_type`."""

SHARED = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
    "hidden_act",
    "max_position_embeddings",
    "rms_norm_eps",
    "rope_parameters",
    "tie_word_embeddings",
    "bos_token_id",
    "eos_token_id",
    "pad_token_id",
)
"""Settings that mean the same in both kinds."""


def read_parent(name: str) -> LlamaForCausalLM:
    """Read a language model in fp32.

    Args:
        name: folder, or id of a model in the Hugging Face cache or on the hub.

    Raises:
        ModelError: if it is nowhere, damaged, of another kind, sparse already, or brings code.
    """
    path = _checked(name).path
    try:
        with quiet():
            model = AutoModelForCausalLM.from_pretrained(
                path, dtype=torch.float32, use_safetensors=True, local_files_only=True
            )
    except (OSError, ValueError, RuntimeError, KeyError) as err:
        raise ModelError(
            f"{name} cannot be loaded ({str(err).splitlines()[0]})",
            hint="copy the model folder again, whole",
        ) from err
    if isinstance(model, LlamaForCausalLM):
        return model
    settings = {key: getattr(model.config, key) for key in SHARED if hasattr(model.config, key)}
    llama = LlamaForCausalLM(LlamaConfig(**settings))
    llama.load_state_dict(model.state_dict())
    return llama


def read_parent_config(name: str) -> dict[str, Any]:
    """Read the configuration of the same model; raises as `read_parent`."""
    return _checked(name).config


def read_parent_tokenizer(name: str) -> Tokenizer:
    """Read the tokenizer of the same model.

    Raises:
        ModelError: if it is missing or damaged.
    """
    return read_tokenizer_file(find_model(name, known=KNOWN).path / "tokenizer.json")


def read_tokenizer_file(path: Path) -> Tokenizer:
    """Read a `tokenizer.json`.

    Raises:
        ModelError: if it is missing or damaged.
    """
    try:
        content = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as err:
        raise ModelError(
            f"{path} cannot be read ({type(err).__name__})",
            hint="copy the model folder again, with its tokenizer.json",
        ) from err
    return parse_tokenizer(content, where=path)


def _checked(name: str) -> ModelFolder:
    """Find a model, and see that it is one that can be read.

    Raises:
        ModelError: if it is not.
    """
    path = find_model(name, known=KNOWN).path
    config = path / "config.json"
    if config.is_file() and '"sparsepath_topk"' in config.read_text("utf-8", errors="replace"):
        raise ModelError(
            f"{path} keeps its largest entries already; its k cannot be changed",
            hint="convert the dense model that it was made of",
        )
    found = open_folder(path, KNOWN, allow_custom_code=False)
    if found.config.get("sliding_window"):
        raise ModelError(
            f"{name} looks back {found.config['sliding_window']} positions only",
            hint="use a model without sliding_window",
        )
    return found
