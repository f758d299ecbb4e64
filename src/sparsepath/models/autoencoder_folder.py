"""Read a sparse autoencoder from a folder: one of ours, or one that SAELens wrote.

Ours holds `config.json` and `model.safetensors` (`encoder` and `decoder` [latents, width],
`encoder_bias` [latents], `bias` [width], `scale`), as every model folder; nothing of it runs.
Read with: `autoencoder.py`, `saelens.py`.
"""

from pathlib import Path

from sparsepath.errors import ModelError
from sparsepath.models.autoencoder import AutoencoderConfig, SparseAutoencoder
from sparsepath.models.folder import open_folder, read_tensors
from sparsepath.models.saelens import CONFIG as SAELENS_CONFIG
from sparsepath.models.saelens import read_saelens


def locate_autoencoder(path: Path) -> Path:
    """Give the folder that a path means: itself, or the model of a training's folder.

    Raises:
        ModelError: if there is none.
    """
    for folder in (path, path / "model"):
        if any((folder / name).is_file() for name in ("config.json", SAELENS_CONFIG)):
            return folder
    raise ModelError(
        f"no sparse autoencoder at {path}",
        hint="give a folder of SAELens (cfg.json), or that of a finished `sparsepath train` of one",
    )


def read_autoencoder(path: Path) -> SparseAutoencoder:
    """Read a sparse autoencoder in fp32, in evaluation mode.

    Args:
        path: its folder, or that of its training.

    Raises:
        ModelError: if files are missing or damaged, or it is something else.
    """
    folder = locate_autoencoder(path)
    if (folder / SAELENS_CONFIG).is_file():
        found = read_saelens(folder)
        found.eval()
        return found
    opened = open_folder(folder, {AutoencoderConfig.model_type}, allow_custom_code=False)
    model = SparseAutoencoder(AutoencoderConfig.from_dict(opened.config))
    tensors = read_tensors(opened)
    wanted = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    met = {name: tuple(value.shape) for name, value in tensors.items()}
    if met != wanted:
        name = min(n for n in wanted.keys() | met.keys() if met.get(n) != wanted.get(n))
        raise ModelError(
            f"{folder}: {name} has shape {met.get(name)} instead of {wanted.get(name)}",
            hint="copy the folder again, whole",
        )
    model.load_state_dict(tensors)
    model.eval()
    return model
