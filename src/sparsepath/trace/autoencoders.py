"""Whether a sparse autoencoder reads the hidden states of a model."""

from pathlib import Path

from sparsepath.artifacts.model_files import weights_sha256
from sparsepath.errors import ModelError
from sparsepath.models.autoencoder import AutoencoderConfig


def check_parent(config: AutoencoderConfig, folder: Path, *, n_layers: int, width: int) -> None:
    """See that an autoencoder is of a model.

    Its own record of the weights decides where it has one; SAELens keeps none, there sizes must
    fit.

    Args:
        config: of the autoencoder.
        folder: of the model.
        n_layers: of the model.
        width: of the model's hidden state at the autoencoder's site.

    Raises:
        ModelError: if it is of another model.
    """
    digest = weights_sha256(folder) if config.parent_sha256 else ""
    hint = "give the model it was trained over"
    if digest != config.parent_sha256:
        raise ModelError(
            f"the autoencoder is of {config.parent}, weights {config.parent_sha256[:12]}...; "
            f"{folder} has {digest[:12]}...",
            hint=f"{hint}, or train one over this model: "
            f"sparsepath train recipes/stdlib-sae.toml --set model.base={folder}",
        )
    if config.layer >= n_layers:
        raise ModelError(
            f"the autoencoder reads layer {config.layer}, {folder} has {n_layers}", hint=hint
        )
    if width != config.width:
        raise ModelError(
            f"the autoencoder reads {config.width} entries at {config.site}, {folder} has {width}",
            hint=hint,
        )
