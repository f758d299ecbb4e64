"""Latents of an autoencoder are catalogued as neurons are: here they are neurons, renumbered."""

import json
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import save_file

import planted
from sparsepath.artifacts.catalogue import Catalogue
from sparsepath.artifacts.model_files import weights_sha256
from sparsepath.artifacts.neuron import Neuron
from sparsepath.cli.main import main
from sparsepath.concepts.build import build_catalogue
from sparsepath.concepts.options import CatalogueOptions
from sparsepath.concepts.search import search_prompt
from sparsepath.errors import ConfigError, ModelError, RunError
from sparsepath.models.autoencoder import AutoencoderConfig, SparseAutoencoder
from sparsepath.models.quiet import quiet

WIDTH = planted.N_LISTS + planted.N_OTHERS
SHIFT = 5
"""Latent i is neuron i + SHIFT, from the beginning again at the end."""


def renumbered() -> torch.Tensor:
    """What latents read and add, [latents, width]."""
    return torch.eye(WIDTH).roll(SHIFT, dims=1)


def options(autoencoder: Path | None, dense_k: int | None = None) -> CatalogueOptions:
    """Ask for a small catalogue."""
    return CatalogueOptions(
        length=16, held_out=0.25, vectors=False, autoencoder=autoencoder, dense_k=dense_k
    )


def save_autoencoder(folder: Path, parent: Path | None, **settings: object) -> Path:
    """Write an autoencoder over layer 1."""
    sha256 = "" if parent is None else weights_sha256(parent)
    sizes = {"width": WIDTH, "n_latents": WIDTH, "k": planted.K, "layer": 1}
    model = SparseAutoencoder(
        AutoencoderConfig(**{**sizes, **settings}, parent="planted", parent_sha256=sha256)
    )
    if model.config.width == WIDTH:
        with torch.no_grad():
            model.encoder.copy_(renumbered())
            model.decoder.copy_(renumbered())
    with quiet():
        model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def autoencoder(planted_model: Path, corpus: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One with its catalogue beside it."""
    folder = save_autoencoder(tmp_path_factory.mktemp("autoencoder") / "model", planted_model)
    built = build_catalogue(planted_model, corpus, options(folder))
    assert built.path == folder / "concepts.sqlite"
    assert (built.facts.widths, built.facts.layers) == ({"block_out": WIDTH}, {"block_out": [1]})
    return folder


def test_a_latent_has_the_card_of_the_neuron_it_is(planted_model: Path, autoencoder: Path) -> None:
    with Catalogue(autoencoder.parent) as latents, Catalogue(planted_model) as neurons:
        for number in (0, 7, WIDTH - SHIFT):
            one = latents.card(Neuron(1, "block_out", number))
            other = neurons.card(Neuron(1, "block_out", (number + SHIFT) % WIDTH))
            assert (one.fired, one.line.score, one.contexts) == (
                other.fired, other.line.score, other.contexts,
            )  # fmt: skip
            assert (one.line.label, one.fires_on) == (other.line.label, other.fires_on)
            assert one.line.label not in ("never fires", "no clear meaning")
            assert one.details.promotes == other.details.promotes
            assert one.details.promotes


def test_a_prompt_finds_the_latents_that_fire(autoencoder: Path) -> None:
    with Catalogue(autoencoder) as catalogue:
        hit = search_prompt(catalogue, planted.LISTS[9][0])[0]
    assert hit.line.neuron == Neuron(1, "block_out", 9 - SHIFT)


def test_thresholds_need_a_number_and_leave_no_more(
    planted_model: Path, corpus: str, tmp_path: Path
) -> None:
    told = {
        "d_in": WIDTH, "d_sae": WIDTH, "architecture": "jumprelu", "dtype": "float32",
        "metadata": {"hook_name": "model.layers.1", "sae_lens_version": "6.54.12"},
    }  # fmt: skip
    folder = tmp_path / "saelens"
    folder.mkdir()
    (folder / "cfg.json").write_text(json.dumps(told))
    weights = {"W_enc": renumbered().T.contiguous(), "W_dec": renumbered(),
               "b_enc": torch.zeros(WIDTH), "b_dec": torch.zeros(WIDTH),
               "threshold": torch.full((WIDTH,), 1.0)}  # fmt: skip
    save_file(weights, folder / "sae_weights.safetensors")
    with pytest.raises(ConfigError, match="as many latents as are above their threshold"):
        build_catalogue(planted_model, corpus, options(folder))
    facts = build_catalogue(planted_model, corpus, options(folder, dense_k=3)).facts
    assert (facts.k, facts.is_sparse) == ({"block_out": 3}, False)
    with Catalogue(folder) as catalogue, Catalogue(planted_model) as neurons:
        lines = catalogue.lines(order="name")
        assert lines[-SHIFT - planted.N_OTHERS].rate == 0  # small values are below the threshold
        one = neurons.card(Neuron(1, "block_out", 12))
        assert catalogue.card(Neuron(1, "block_out", 12 - SHIFT)).fired == one.fired > 0


def test_another_autoencoder_beside_the_catalogue_is_noticed(
    planted_model: Path, corpus: str, tmp_path: Path
) -> None:
    folder = save_autoencoder(tmp_path / "a", planted_model)
    build_catalogue(planted_model, corpus, options(folder))
    save_autoencoder(folder, None)
    with pytest.raises(RunError, match=r"another model: config\.json"):
        Catalogue(folder)


def test_an_autoencoder_that_does_not_fit_is_refused(
    planted_model: Path, corpus: str, tmp_path: Path
) -> None:
    other = planted.save_model(tmp_path / "other", left_out=(1,), n_layers=2)
    for name, settings, told in (
        ("parent", {}, "the autoencoder is of planted, weights"),
        ("layer", {"layer": 2}, "reads layer 2, .* has 2"),
        ("width", {"width": 8, "k": 4}, "reads 8 entries at block_out, .* has 64"),
    ):
        folder = save_autoencoder(tmp_path / name, other if name == "parent" else None, **settings)
        with pytest.raises(ModelError, match=told):
            build_catalogue(planted_model, corpus, options(folder))
    good = save_autoencoder(tmp_path / "good", planted_model)
    with pytest.raises(ConfigError, match="leave --dense-k out"):
        build_catalogue(planted_model, corpus, options(good, dense_k=planted.K + 1))
    with pytest.raises(ConfigError, match="beside the model"):
        build_catalogue(planted_model, corpus, options(good), out=planted_model / "sae.sqlite")
    with pytest.raises(ConfigError, match="beside an autoencoder"):
        CatalogueOptions(sites=("mlp_in",), autoencoder=good)


def test_the_command_takes_an_autoencoder(planted_model: Path, corpus: str, tmp_path: Path) -> None:
    folder = save_autoencoder(tmp_path / "run" / "model", planted_model)
    command = ["concepts", "build", str(planted_model), corpus, "--sae", str(tmp_path / "run")]
    done = CliRunner().invoke(main, [*command, "--length", "16", "--no-vectors", "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["autoencoder"]["folder"] == str(folder)
    shown = CliRunner().invoke(main, ["concepts", "list", str(tmp_path / "run"), "--limit", "3"])
    assert len(shown.stdout.splitlines()) == 3
