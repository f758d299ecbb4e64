"""A latent steers by its direction, in transformers and in the runtime alike."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from transformers import AutoModelForCausalLM

import sparsepath
from sparsepath.artifacts.model_files import weights_sha256
from sparsepath.cli.main import main
from sparsepath.errors import ConfigError
from sparsepath.models.autoencoder import AutoencoderConfig, SparseAutoencoder
from sparsepath.models.quiet import quiet
from sparsepath.runtime.language.engine import Engine
from sparsepath.trace.hidden import dense_places, hidden_at

FIRE, ICE = 7, 9
"""Entries of the planted model's residual stream that speak of fire and of ice."""


def autoencoder(parent: Path) -> SparseAutoencoder:
    """Latent 2 is mostly fire and a little ice, latent 3 the other way round."""
    config = AutoencoderConfig(
        width=16, n_latents=4, k=1, layer=2, parent="p", parent_sha256=weights_sha256(parent)
    )
    model = SparseAutoencoder(config)
    with torch.no_grad():
        model.decoder[:, 0] = 1.0
        model.decoder[2:, 0] = 0.0
        model.decoder[2, [FIRE, ICE]] = torch.tensor([0.8, 0.6])
        model.decoder[3, [FIRE, ICE]] = torch.tensor([0.6, 0.8])
    return model


def save(model: SparseAutoencoder, folder: Path) -> Path:
    """Write it."""
    with quiet():
        model.save_pretrained(folder)
    return folder


def test_what_is_added_is_the_direction(planted: Path, tmp_path: Path) -> None:
    found, folder = autoencoder(planted), save(autoencoder(planted), tmp_path / "sae")
    with quiet():
        model = AutoModelForCausalLM.from_pretrained(planted)
    ids, place = torch.tensor([[1, 3, 4]]), dense_places(model, ("block_out",))[2]
    before = hidden_at(model, place, ids)
    edits = sparsepath.latent_edits(folder, "L02/2+4@1:2", "L02/3-1@1:2", "L02/1+2@2:3")
    with sparsepath.steer(model, *edits):
        after = hidden_at(model, place, ids)
    directions = found.directions()
    torch.testing.assert_close(after[0, 0], before[0, 0])
    torch.testing.assert_close(after[0, 1], before[0, 1] + 4 * directions[2] - directions[3])
    torch.testing.assert_close(after[0, 2], before[0, 2] + 2 * directions[1])


def test_the_runtime_does_the_same(planted: Path) -> None:
    edits = sparsepath.latent_edits(autoencoder(planted), "L02/2+3@answer")
    engine = Engine(planted, form="fp32")
    with quiet():
        model = AutoModelForCausalLM.from_pretrained(planted)
    ids = [1, 3, 4]
    edits = [edit.model_copy(update={"positions": "all"}) for edit in edits]
    with engine.steered(*edits), sparsepath.steer(model, *edits), torch.inference_mode():
        ours, theirs = engine.logits(ids), model(torch.tensor([ids])).logits[0]
    torch.testing.assert_close(torch.from_numpy(ours), theirs, atol=1e-4, rtol=1e-4)
    assert int(theirs[-1].argmax()) == 5  # fire


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        ("L02/2=4", "can only be added to"),
        ("L02/2=off", "can only be added to"),
        ("L02/4+1", "has latents L02/0 to L02/3"),
        ("L01/2+1", "has latents L02/0 to L02/3"),
        ("L02.M0002+1", "has latents L02/0 to L02/3"),
        ("L02/2+1 if L00/1 fires", "names a neuron"),
    ],
)
def test_what_latents_cannot_do_is_refused(planted: Path, edit: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        sparsepath.latent_edits(autoencoder(planted), edit)


def test_the_commands_try_and_save_latents(planted: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(planted, model)
    folder = save(autoencoder(planted), tmp_path / "sae")
    edit = ["--sae", str(folder), "--steer", "L02/2+3", "--unsafe-strength"]
    tried = CliRunner().invoke(
        main, ["steering", "try", str(model), "one two", *edit, "--tokens", "3", "--json"]
    )
    assert tried.exit_code == 0, tried.output
    outputs = json.loads(tried.stdout)["outputs"]
    assert {output["steered"] for output in outputs} == {" fire" * 3}
    saved = CliRunner().invoke(main, ["steering", "save", str(model), "--name", "hot", *edit])
    assert saved.exit_code == 0, saved.output
    wrote = CliRunner().invoke(
        main, ["generate", str(model), "one two", "--preset", "hot", "--tokens", "3"]
    )
    assert " fire" * 3 in wrote.stdout


def test_an_autoencoder_of_another_model_is_refused(planted: Path, tmp_path: Path) -> None:
    found = autoencoder(planted)
    found.config.parent_sha256 = "0" * 64
    folder = save(found, tmp_path / "sae")
    done = CliRunner().invoke(
        main, ["steering", "try", str(planted), "one", "--sae", str(folder), "--steer", "L02/2+1"]
    )
    assert done.exit_code == 1
    assert "the autoencoder is of p, weights 000000000000" in done.stderr
