"""The unit means of a model, kept in its folder, so that its decisions can be explained later."""

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from sparsepath.errors import ModelError
from sparsepath.models.units import UnitMeans

MEANS_FILE = "unit_means.safetensors"
"""Name of the file in a model folder."""


def save_means(folder: Path, means: UnitMeans) -> None:
    """Write the means into a model folder that is being built."""
    tensors = {"heads": means.heads.contiguous(), "neurons": means.neurons.contiguous()}
    save_file(tensors, folder / MEANS_FILE)


def load_means(folder: Path) -> UnitMeans:
    """Read the means of a model folder.

    Raises:
        ModelError: if the folder has none, or the file is damaged.
    """
    path = folder / MEANS_FILE
    if not path.is_file():
        raise ModelError(
            f"{folder} has no {MEANS_FILE}, so its decisions cannot be explained",
            hint="give a model folder that `sparsepath poc` made: the full model or a sub-model",
        )
    try:
        tensors = load_file(path)
        return UnitMeans(tensors["heads"], tensors["neurons"])
    except (SafetensorError, KeyError, OSError) as err:
        raise ModelError(
            f"{path} cannot be read: {err}", hint="copy the model folder again, whole"
        ) from err
