"""A language model of the Llama kind from a folder, dense or sparse, with its tokenizer.

Nothing of the folder runs: code that lies beside a sparse model's weights is our own, and the
installed one is used instead.
"""

from pathlib import Path
from typing import NamedTuple

import torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, PreTrainedModel

from sparsepath.errors import ModelError
from sparsepath.models import topk_lm as topk_lm  # registers the sparse kind
from sparsepath.models.folder import open_folder, read_json_object
from sparsepath.models.parent import read_tokenizer_file
from sparsepath.models.quiet import quiet

KINDS = ("llama", "mistral", "qwen2", "sparsepath_topk")
"""Values of `model_type` that are known."""


class LoadedCausal(NamedTuple):
    """A language model in evaluation mode, in fp32."""

    model: PreTrainedModel
    tokenizer: Tokenizer


def is_causal(folder: Path) -> bool:
    """Say whether a folder holds a language model, by its configuration alone."""
    path = folder / "config.json"
    return path.is_file() and read_json_object(path).get("model_type") in KINDS


def load_causal(folder: Path) -> LoadedCausal:
    """Read a language model.

    Args:
        folder: with `config.json`, safetensors and `tokenizer.json`.

    Raises:
        ModelError: if something is missing, damaged, or of another kind.
    """
    found = open_folder(folder, KINDS, allow_custom_code=True)
    try:
        with quiet():
            model = AutoModelForCausalLM.from_pretrained(
                found.path,
                dtype=torch.float32,
                use_safetensors=True,
                local_files_only=True,
                trust_remote_code=False,
            )
    except (OSError, ValueError, RuntimeError, KeyError) as err:
        raise ModelError(
            f"{folder} cannot be loaded ({str(err).splitlines()[0]})",
            hint="copy the model folder again, whole",
        ) from err
    return LoadedCausal(model.eval(), read_tokenizer_file(found.path / "tokenizer.json"))
