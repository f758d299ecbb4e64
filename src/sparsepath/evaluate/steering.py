"""Try an edit beside the unsteered model, and save it as a preset of the model."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from sparsepath.artifacts.edit import Edit
from sparsepath.artifacts.model_files import locate_language_model, weights_sha256
from sparsepath.artifacts.steering import (
    FOLDER,
    Preset,
    check_preset,
    make_preset,
    preset_names,
    read_preset_file,
    write_preset,
)
from sparsepath.config import Form, GenerateOptions
from sparsepath.errors import ConfigError, SparsepathError, needs_extra
from sparsepath.evaluate.steering_strengths import edit_limit
from sparsepath.runtime.language.engine import Engine

if TYPE_CHECKING:
    from sparsepath.models.autoencoder import SparseAutoencoder


class Steering(NamedTuple):
    """What steers a model."""

    edits: Sequence[str] = ()
    """Such as `L02/117=8`."""
    preset: str | None = None
    """Name of one in the model's folder, or its file."""
    is_dense_allowed: bool = False
    """Also edit what a sparse model leaves dense."""
    unsafe_strength: bool = False
    """Allow strengths beyond a neuron's limit."""
    autoencoder: Path | None = None
    """Edits are of latents of this sparse autoencoder over the model."""


class Tried(NamedTuple):
    """What a model writes with one seed."""

    seed: int
    unsteered: str
    steered: str
    edits: tuple[str, ...]
    """What was edited, by the names of neurons."""


def try_steering(
    model: Path | str,
    prompt: str,
    steering: Steering,
    options: Sequence[GenerateOptions],
    *,
    form: Form = "int8",
) -> list[Tried]:
    """Let a model write on after a prompt, without and with steering, on the same seeds.

    Where latents are set, scaled or suppressed, transformers writes in place of the runtime, in
    fp32, and a preset is on in both outputs.

    Args:
        model: folder of a language model of the Llama kind, or of a training.
        prompt: at least one token.
        steering: at least one edit, or a preset.
        options: how to write; one output of each kind for each.
        form: how weights are stored.

    Raises:
        ConfigError: if there is nothing to try, or an edit is out of range or too strong.
        ModelError: if the model cannot be read, has no such site, or the preset is of another one.
    """
    if not steering.edits and steering.preset is None:
        raise ConfigError("nothing to try", hint='give --steer "L02/117=8" or --preset NAME')
    folder = locate_language_model(Path(model))
    steered = Engine(folder, form=form, preset=steering.preset)
    plain = Engine(folder, form=form) if steering.preset is not None else steered
    if (tried := _tried_by_latents(steering, steered, prompt, options)) is not None:
        return tried
    edits = _edits(steering, steered)
    found = []
    for asked in options:
        before = "".join(plain.generate(prompt, asked))
        with steered.steered(
            *edits,
            is_dense_allowed=steering.is_dense_allowed,
            unsafe_strength=steering.unsafe_strength,
        ):
            after = "".join(steered.generate(prompt, asked))
            told = tuple(str(edit) for edit in steered.edits)
        found.append(Tried(asked.seed, before, after, told))
    return found


def save_preset(
    model: Path | str,
    name: str,
    steering: Steering,
    *,
    note: str = "",
    author: str | None = None,
) -> Path:
    """Save edits as a preset in a model's folder, over one of the same name.

    Args:
        model: folder of a language model of the Llama kind, or of a training.
        name: letters, digits, `.`, `-`, `_`.
        steering: at least one edit, beside those of a preset, if one is named.
        note: what it is for.
        author: None: the name of the user of this machine.

    Returns:
        The file.

    Raises:
        ConfigError: if the edits contradict each other, are out of range or too strong.
        ModelError: if the model cannot be read, or has no such sparse site.
        RunError: if the folder cannot be written.
    """
    engine = Engine(locate_language_model(Path(model)), form="fp32", preset=steering.preset)
    with engine.steered(
        *_edits(steering, engine),
        is_dense_allowed=steering.is_dense_allowed,
        unsafe_strength=steering.unsafe_strength,
    ):
        preset = make_preset(
            name,
            engine.edits,
            engine.weights.made_of,
            limits=[edit_limit(edit, engine.ranges) for edit in engine.edits],
            is_dense_allowed=engine.is_dense_allowed,
            author=author,
            note=note,
        )
    return write_preset(engine.folder, preset)


class Listed(NamedTuple):
    """A preset in a model's folder."""

    name: str
    preset: Preset | None
    """None where it cannot be used."""
    trouble: str
    """Why; empty where it can."""


def list_presets(model: Path | str) -> list[Listed]:
    """List the presets of a model, also those that cannot be used, with the reason.

    Args:
        model: folder of a language model, or of a training.

    Raises:
        ModelError: if there is no model.
    """
    folder = locate_language_model(Path(model))
    found, digest = [], weights_sha256(folder)
    for name in preset_names(folder):
        preset, trouble = None, ""
        try:
            preset = read_preset_file(folder / FOLDER / f"{name}.json")
            check_preset(preset, digest)
        except SparsepathError as err:
            preset, trouble = None, err.message
        found.append(Listed(name, preset, trouble))
    return found


def _edits(steering: Steering, engine: Engine) -> Sequence[str | Edit]:
    """Give edits of neurons, also where latents are meant.

    Raises:
        ConfigError: if a latent cannot be edited so.
        MissingExtraError: if torch is not here, which reads autoencoders.
        ModelError: if the autoencoder is of another model.
    """
    if steering.autoencoder is None:
        return steering.edits
    with needs_extra("train", "--sae"):
        from sparsepath.steering.latents import latent_edits
    found = _autoencoder(steering.autoencoder, engine)
    return latent_edits(found, *[engine.edit(edit) for edit in steering.edits])


def _autoencoder(folder: Path, engine: Engine) -> "SparseAutoencoder":
    """Read an autoencoder over the model of an engine; raises as `_edits`."""
    with needs_extra("train", "--sae"):
        from sparsepath.models.autoencoder_folder import read_autoencoder
        from sparsepath.trace.autoencoders import check_parent
    found, sites = read_autoencoder(folder), engine.shape.sites
    width = next(sites.widths[site] for site in sites.widths if site == found.config.site)
    check_parent(found.config, engine.folder, n_layers=sites.n_layers, width=width)
    return found


def _tried_by_latents(
    steering: Steering, engine: Engine, prompt: str, options: Sequence[GenerateOptions]
) -> list[Tried] | None:
    """Try edits of latents that need the autoencoder while the model writes; None: there is none.

    Raises:
        ConfigError: if an edit is of no latent, or too strong, or two contradict each other.
        MissingExtraError: if torch is not here.
        ModelError: if the autoencoder is of another model.
    """
    if steering.autoencoder is None:
        return None
    with needs_extra("train", "--sae"):
        from sparsepath.evaluate.latent_trial import LatentTrial
        from sparsepath.steering.latents import is_addition
    edits = [engine.edit(edit) for edit in steering.edits]
    if all(map(is_addition, edits)):
        return None
    trial = LatentTrial(engine, _autoencoder(steering.autoencoder, engine), edits)
    told = tuple(str(edit) for edit in (*engine.edits, *edits))
    is_checked = not steering.unsafe_strength
    return [
        Tried(asked.seed, *trial.write(prompt, asked, is_checked=is_checked), told)
        for asked in options
    ]
