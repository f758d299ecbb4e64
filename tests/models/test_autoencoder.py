"""A sparse autoencoder: its formula, its revival of dead latents, and what is in its folder."""

from pathlib import Path

import pytest
import torch

from sparsepath.errors import ConfigError, ModelError
from sparsepath.models.autoencoder import AutoencoderConfig, SparseAutoencoder
from sparsepath.models.autoencoder_folder import read_autoencoder
from sparsepath.models.quiet import quiet


def rows(n: int = 50, width: int = 6) -> torch.Tensor:
    """Hidden states with a mean and a size of their own."""
    return 3 * torch.randn(n, width, generator=torch.Generator().manual_seed(1)) + 5


def begun(**settings: object) -> SparseAutoencoder:
    """Make a small one."""
    config = AutoencoderConfig(**{"width": 6, "n_latents": 10, "k": 2, **settings})
    found = SparseAutoencoder(config)
    found.begin(rows(), torch.Generator().manual_seed(0))
    return found


def test_it_is_the_formula() -> None:
    model, x = begun().eval(), rows()
    with torch.no_grad():
        model.encoder_bias.uniform_(-0.1, 0.1, generator=torch.Generator().manual_seed(2))
        found = model(x)
    before = (x / model.scale - model.bias) @ model.encoder.T + model.encoder_bias
    least = before.sort(dim=-1, descending=True).values[:, 1:2]
    latents = torch.where(before >= least, before, 0.0).clamp(min=0) * model.scale
    torch.testing.assert_close(found.latents, latents)
    torch.testing.assert_close(model.encode(x), latents)
    made = latents @ model.decoder + model.scale * model.bias
    torch.testing.assert_close(found.hidden, made)
    error = (x - made).square().mean() / (x - x.mean(dim=0)).square().mean()
    torch.testing.assert_close(found.loss, error)


def test_a_latent_of_one_moves_a_hidden_state_by_a_vector_of_length_one() -> None:
    model = begun().eval()
    with torch.no_grad():
        model.decoder.mul_(7.0)
    torch.testing.assert_close(model.directions().norm(dim=-1), torch.ones(10))
    x, found = rows(), model(rows())
    with torch.no_grad():
        shown = found.latents @ model.directions() + model.scale * model.bias
    torch.testing.assert_close(found.hidden, shown)
    assert x.shape == found.hidden.shape


@pytest.mark.parametrize("revive", [0.0, 0.03])
def test_dead_latents_get_a_gradient_only_where_they_are_revived(revive: float) -> None:
    model = begun(k=1, revive=revive, revive_k=3, dead_after=60).train()
    with torch.no_grad():
        model.encoder_bias[0], model.encoder_bias[9] = 100.0, 90.0  # one wins, one is next
    for n_seen in (50, 100):
        model.zero_grad()
        model(rows()).loss.backward()
        assert model.idle.tolist() == [0] + [n_seen] * 9
        assert model.encoder.grad is not None
        is_dead = n_seen >= 60
        assert bool(model.encoder.grad[9].any()) == (is_dead and revive > 0)


def test_a_folder_gives_the_same_values(tmp_path: Path) -> None:
    model = begun(parent="lm", parent_sha256="ab", layer=3, site="mlp_hidden").eval()
    with quiet():
        model.save_pretrained(tmp_path)
    read = read_autoencoder(tmp_path)
    assert torch.equal(read(rows()).hidden, model(rows()).hidden)
    assert (read.config.layer, read.config.site, read.config.parent_sha256) == (
        3, "mlp_hidden", "ab",
    )  # fmt: skip
    assert not read.training


def test_a_damaged_folder_is_named(tmp_path: Path) -> None:
    with quiet():
        begun().save_pretrained(tmp_path)
    config = tmp_path / "config.json"
    config.write_text(config.read_text().replace('"n_latents": 10', '"n_latents": 11'))
    with pytest.raises(ModelError, match=r"decoder has shape \(10, 6\) instead of \(11, 6\)"):
        read_autoencoder(tmp_path)
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-8])
    with pytest.raises(ModelError, match="its header describes"):
        read_autoencoder(tmp_path)
    with pytest.raises(ModelError, match="no sparse autoencoder at"):
        read_autoencoder(tmp_path / "none")


def test_k_beyond_the_latents_is_refused() -> None:
    with pytest.raises(ConfigError, match="k = 11 of 10 latents"):
        begun(k=11)
