"""A language model of the Llama kind from a folder, sparse or dense, ready to be looked into.

Read with: `topk_lm.py` (sparse ones), `parent.py` (dense ones).
"""

from pathlib import Path

import torch
from transformers import PreTrainedModel

from sparsepath.errors import ModelError
from sparsepath.models.folder import WEIGHTS, check_safetensors, read_json_object
from sparsepath.models.parent import read_parent
from sparsepath.models.quiet import quiet
from sparsepath.models.topk_lm import TopKForCausalLM

SPARSE = "sparsepath_topk"
"""`model_type` of a model whose hidden states keep only their largest entries."""


def find_language_folder(path: Path) -> Path:
    """Give the model folder that a path means: itself, or the model of a training's folder.

    Raises:
        ModelError: if there is none.
    """
    for folder in (path, path / "model"):
        if (folder / "config.json").is_file():
            return folder
    raise ModelError(
        f"no language model at {path}",
        hint="give a folder with config.json, or the folder of a finished `sparsepath train`",
    )


def is_sparse(folder: Path) -> bool:
    """Say whether a folder holds a model with sparse hidden states; raises as the reader."""
    return read_json_object(folder / "config.json").get("model_type") == SPARSE


def read_language_model(folder: Path) -> PreTrainedModel:
    """Load a model in fp32, in evaluation mode, without running code of the folder.

    Args:
        folder: with config.json and safetensors, a TopK language model or a dense one.

    Raises:
        ModelError: if files are missing or damaged, or the model is of another kind.
    """
    if not is_sparse(folder):
        dense: PreTrainedModel = read_parent(str(folder)).eval()
        return dense
    if (folder / WEIGHTS).exists():
        check_safetensors(folder / WEIGHTS)
    try:
        with quiet():
            model: PreTrainedModel = TopKForCausalLM.from_pretrained(
                folder, dtype=torch.float32, use_safetensors=True, local_files_only=True
            )
    except (OSError, ValueError, RuntimeError, KeyError) as err:
        raise ModelError(
            f"{folder} cannot be loaded ({str(err).splitlines()[0]})",
            hint="copy the model folder again, whole",
        ) from err
    model.eval()
    return model
