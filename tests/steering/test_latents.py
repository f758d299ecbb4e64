"""A latent steers by its direction, in transformers and in the runtime alike."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from torch import Tensor
from transformers import AutoModelForCausalLM, PreTrainedModel

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
        ("L02/2=4", "can only be an addition"),
        ("L02/2=off", "can only be an addition"),
        ("L02/4+1", "has latents L02/0 to L02/3"),
        ("L01/2+1", "has latents L02/0 to L02/3"),
        ("L02.M0002+1", "has latents L02/0 to L02/3"),
        ("L02/2+1 if L00/1 fires", "has latents L02/0 to L02/3"),
        ("L02/2+1 if L02/1 fires", "can only be an addition"),
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


@pytest.fixture
def model(planted: Path) -> PreTrainedModel:
    with quiet():
        found: PreTrainedModel = AutoModelForCausalLM.from_pretrained(planted)
    return found


def states(model: PreTrainedModel, ids: Tensor) -> Tensor:
    """What the autoencoder reads."""
    return hidden_at(model, dense_places(model, ("block_out",))[2], ids)[0]


def two_sided(planted: Path) -> SparseAutoencoder:
    """Latent 1 is what a token " one" holds, half as large."""
    found = autoencoder(planted)
    with torch.no_grad():
        found.decoder[1] = 0.0
        found.decoder[1, 1] = 1.0
        found.encoder[1] = 0.0
        found.encoder[1, 1] = 0.5
    return found


@pytest.mark.parametrize(
    ("edit", "amount"),
    [
        ("L02/1=4", 4.0),
        ("L02/1-=4", -4.0),
        ("L02/1*3", 1.5),
        ("L02/1=off", 0.0),
        ("L02/1+1", 1.5),
        ("L02/1-+1", -0.5),
    ],
)
def test_a_latent_is_set_scaled_suppressed_and_added_to(
    planted: Path, model: PreTrainedModel, edit: str, amount: float
) -> None:
    found, ids = two_sided(planted), torch.tensor([[2, 3]])  # " one", " two"
    before = states(model, ids)
    with torch.no_grad():
        held = found.amounts(before)[:, 1]
    assert held.tolist() == pytest.approx([0.5, 0.0])
    with sparsepath.steer(model, f"{edit}@0:1", autoencoder=found):
        after = states(model, ids)
    moved = (amount - 0.5) * found.directions()[1].detach()
    torch.testing.assert_close(after[0], before[0] + moved)  # what it cannot say stays as it is
    torch.testing.assert_close(after[1], before[1])
    torch.testing.assert_close(states(model, ids), before)


def test_a_latent_changes_where_another_one_fires(planted: Path, model: PreTrainedModel) -> None:
    found, ids = two_sided(planted), torch.tensor([[2, 3]])
    before = states(model, ids)
    with sparsepath.steer(model, "L02/2=3 if L02/1>0.4", autoencoder=found):
        after = states(model, ids)
    torch.testing.assert_close(after[0], before[0] + 3 * found.directions()[2].detach())
    torch.testing.assert_close(after[1], before[1])


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        (("L02/1=4",), ("L02/1+2",), "two edits of one neuron"),
        (("L02/1-=4",), ("L02/1*2",), "two edits of one neuron"),
        (("L02/1=4", "L02/1=off"), (), "two edits of one neuron"),
    ],
)
def test_contradictory_edits_of_latents_are_refused(
    planted: Path,
    model: PreTrainedModel,
    first: tuple[str, ...],
    second: tuple[str, ...],
    told: str,
) -> None:
    found = two_sided(planted)
    with (
        pytest.raises(ConfigError, match=told),
        sparsepath.steer(model, *first, autoencoder=found),
        sparsepath.steer(model, *second, autoencoder=found),
    ):
        pass
    with pytest.raises(ConfigError, match=told):
        sparsepath.latent_edits(found, "L02/1+4", "L02/1+2@answer")
    before = states(model, torch.tensor([[2]]))
    with sparsepath.steer(model, "L02/1=4@prompt", autoencoder=found):
        with pytest.raises(ConfigError, match=r"a latent and a neuron of the same site"):
            sparsepath.steer(model, "L02/5=1").__enter__()
        with pytest.raises(ConfigError, match="latents of two autoencoders"):
            sparsepath.steer(model, "L02/2=1", autoencoder=autoencoder(planted)).__enter__()
        with sparsepath.steer(model, "L02/5=1@answer"), sparsepath.steer(model, "L01/5=1"):
            pass
    torch.testing.assert_close(states(model, torch.tensor([[2]])), before)


def test_a_latent_that_breaks_the_model_is_refused(planted: Path, model: PreTrainedModel) -> None:
    found, ranges = two_sided(planted), Engine(planted).ranges
    for edit in ("L02/1=90", "L02/1-=90", "L02/1*5"):
        with pytest.raises(ConfigError, match="beyond the limit"):
            sparsepath.steer(model, edit, autoencoder=found, ranges=ranges).__enter__()
    with sparsepath.steer(model, "L02/1=1", autoencoder=found, ranges=ranges):
        pass


def test_the_command_tries_what_needs_the_autoencoder(planted: Path, tmp_path: Path) -> None:
    folder = save(two_sided(planted), tmp_path / "sae")
    edit = ["--sae", str(folder), "--steer", "L02/2=9", "--tokens", "3"]
    greedy = ["--temperature", "0", "--unsafe-strength", "--json"]
    tried = CliRunner().invoke(main, ["steering", "try", str(planted), "one two", *edit, *greedy])
    assert tried.exit_code == 0, tried.output
    outputs = json.loads(tried.stdout)["outputs"]
    assert {output["unsteered"] for output in outputs} == {" three one two"}
    assert {output["steered"] for output in outputs} == {" fire" * 3}
    assert outputs[0]["edits"] == ["L02/2=9"]
    refused = CliRunner().invoke(main, ["steering", "try", str(planted), "one two", *edit])
    assert refused.exit_code == 1
    assert "beyond the limit" in refused.stderr
    saved = CliRunner().invoke(
        main, ["steering", "save", str(planted), "--name", "x", *edit[:4], "--unsafe-strength"]
    )
    assert saved.exit_code == 1
    assert "can only be an addition" in saved.stderr
