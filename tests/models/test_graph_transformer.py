"""The graph transformer knows no order of nodes, no padding, and subsamples its sources."""

import pytest
import torch
from torch import Tensor

from sparsepath.errors import ConfigError
from sparsepath.models.graph_transformer import GraphConfig, GraphTransformer
from sparsepath.nn.subsampling import subsample

ATOMS, BONDS = (5, 3), (4, 6)


def model() -> GraphTransformer:
    """Make a small one, in training mode."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = GraphConfig(ATOMS, BONDS, d_model=16, d_edge=8, n_layers=2, n_heads=4, d_mlp=16)
        return GraphTransformer(config).train()


def graphs(n: int = 9, n_graphs: int = 2) -> dict[str, Tensor]:
    """Draw symmetric graphs."""
    generator = torch.Generator().manual_seed(n)
    bonds = torch.stack(
        [torch.randint(k, (n_graphs, n, n), generator=generator) for k in BONDS], dim=-1
    )
    return {
        "atoms": torch.stack(
            [torch.randint(k, (n_graphs, n), generator=generator) for k in ATOMS], dim=-1
        ),
        "bonds": torch.maximum(bonds, bonds.transpose(1, 2)),
        "is_real": torch.ones(n_graphs, n, dtype=torch.bool),
    }


def test_the_order_of_nodes_does_not_matter() -> None:
    ours, given = model(), graphs()
    order = torch.randperm(9, generator=torch.Generator().manual_seed(1))
    moved = {
        "atoms": given["atoms"][:, order],
        "bonds": given["bonds"][:, order][:, :, order],
        "is_real": given["is_real"],
    }
    torch.testing.assert_close(ours(**given).values, ours(**moved).values)


def test_bonds_matter() -> None:
    ours, given = model(), graphs()
    other = given | {"bonds": (given["bonds"] + 1) % torch.tensor(BONDS)}
    assert not torch.allclose(ours(**given).values, ours(**other).values, atol=1e-4)


@pytest.mark.parametrize("keep", [1.0, 0.999])
def test_padding_does_not_matter(keep: float) -> None:
    ours, given = model(), graphs()
    padded = {
        "atoms": torch.cat([given["atoms"], torch.ones(2, 4, 2, dtype=torch.long)], dim=1),
        "bonds": torch.nn.functional.pad(given["bonds"], (0, 0, 0, 4, 0, 4), value=1),
        "is_real": torch.arange(13).expand(2, -1) < 9,
    }
    expected = ours(**given).values
    with subsample(ours, keep=keep, per_example=True):
        torch.testing.assert_close(ours(**padded).values, expected)


def test_a_part_of_the_sources_gives_another_answer_by_the_seed() -> None:
    ours, given = model(), graphs()
    dense = ours(**given).values
    found = []
    for seed in (0, 0, 1):
        with subsample(ours, keep=0.4, generator=torch.Generator().manual_seed(seed)):
            found.append(ours(**given).values)
    torch.testing.assert_close(found[0], found[1])
    assert not torch.allclose(found[0], found[2])
    assert not torch.allclose(found[0], dense)
    torch.testing.assert_close(ours(**given).values, dense)


def test_every_weight_learns_when_sources_are_left_out() -> None:
    ours, given = model(), graphs()
    with subsample(ours, keep=0.4):
        ours(**given).values.square().sum().backward()
    still = [name for name, p in ours.named_parameters() if p.grad is None or not p.grad.any()]
    # The last layer's edges go nowhere, as in the paper's model for graphs.
    assert all(name.startswith("layers.1.") and "edge" in name for name in still), still


def test_ways_of_drawing_that_need_an_order_are_refused() -> None:
    ours, given = model(), graphs()
    with (
        pytest.raises(ConfigError, match="mode = 'local'"),
        subsample(ours, keep=0.4, mode="local"),
    ):
        ours(**given)


def test_it_is_saved_and_loaded(tmp_path_factory: pytest.TempPathFactory) -> None:
    ours, given = model().eval(), graphs()
    folder = tmp_path_factory.mktemp("graph")
    ours.save_pretrained(folder)
    loaded = GraphTransformer.from_pretrained(folder)
    torch.testing.assert_close(loaded(**given).values, ours(**given).values)
