"""A language model of the Llama kind from a folder, sparse or dense, ready to be looked into.

Nothing of the folder runs: code that lies beside a sparse model's weights is our own, and the
installed one is used instead. Read with: `topk_lm.py` (sparse ones), `parent.py` (models that
others are made of).
"""

from pathlib import Path
from typing import NamedTuple

import torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, PreTrainedModel

from sparsepath.errors import ModelError
from sparsepath.models import topk_lm as topk_lm  # transformers then knows the sparse kind
from sparsepath.models.digest import check_saved
from sparsepath.models.folder import WEIGHTS, check_safetensors, open_folder, read_json_object
from sparsepath.models.parent import read_tokenizer_file
from sparsepath.models.quiet import quiet

LANGUAGE_KINDS = ("llama", "mistral", "qwen2", "sparsepath_topk")
"""Values of `model_type` whose blocks have their parts at the same places."""


class LoadedLanguageModel(NamedTuple):
    """A language model in evaluation mode, in fp32, with its tokenizer."""

    model: PreTrainedModel
    tokenizer: Tokenizer


def is_language_model(folder: Path) -> bool:
    """Say whether a folder holds a language model, by its configuration alone."""
    path = folder / "config.json"
    return path.is_file() and read_json_object(path).get("model_type") in LANGUAGE_KINDS


def load_language_model(folder: Path) -> LoadedLanguageModel:
    """Load a model and its tokenizer; as `read_language_model`."""
    return LoadedLanguageModel(
        read_language_model(folder), read_tokenizer_file(folder / "tokenizer.json")
    )


def read_language_model(folder: Path) -> PreTrainedModel:
    """Load a model in fp32, in evaluation mode, without running code of the folder.

    Args:
        folder: with config.json and safetensors, a TopK language model or a dense one.

    Raises:
        ModelError: if files are missing, damaged or altered, or the model is of another kind.
    """
    open_folder(folder, LANGUAGE_KINDS, allow_custom_code=True)
    if (folder / WEIGHTS).exists():
        check_safetensors(folder / WEIGHTS)
    check_saved(folder)
    try:
        with quiet():
            model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
                folder,
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
    model.eval()
    return model
