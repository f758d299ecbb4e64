"""Hidden states of a site are read, and replaced, without changing the model."""

import pytest
import torch

from sparsepath.models.language import fresh_llama
from sparsepath.trace.hidden import SitePlace, dense_places, hidden_at, replaced, watch

IDS = torch.tensor([[1, 2, 3, 4], [5, 6, 7, 8]])


@pytest.fixture
def model() -> torch.nn.Module:
    """A model of three layers."""
    return fresh_llama(
        vocabulary=20, length=16, d_model=8, n_layers=3, n_heads=2, n_kv_heads=2, d_mlp=12, seed=0
    ).eval()


@pytest.mark.parametrize("site", ["block_out", "attn_in", "attn_out", "mlp_in", "mlp_hidden"])
def test_what_is_read_is_what_passes_in_a_whole_run(model: torch.nn.Module, site: str) -> None:
    place = dense_places(model, (site,))[1]  # type: ignore[arg-type]
    seen: list[torch.Tensor] = []
    with watch(model, [place], lambda _place, hidden: seen.append(hidden)):
        model(input_ids=IDS)
    assert torch.equal(hidden_at(model, place, IDS), seen[0])
    assert seen[0].shape == (2, 4, place.width)


def test_layers_after_a_place_do_not_run_and_come_back(model: torch.nn.Module) -> None:
    ran: list[int] = []
    for number, block in enumerate(model.model.layers):
        block.register_forward_hook(lambda *_, number=number: ran.append(number))
    hidden_at(model, SitePlace(1, "block_out", 8, 8), IDS)
    assert ran == [0, 1]
    model(input_ids=IDS)
    assert ran == [0, 1, 0, 1, 2]


def test_what_is_handed_on_can_be_replaced(model: torch.nn.Module) -> None:
    place = SitePlace(2, "block_out", 8, 8)
    before = model(input_ids=IDS).logits
    with replaced(model, place, lambda hidden: hidden + 0):
        assert torch.equal(model(input_ids=IDS).logits, before)
    with replaced(model, place, torch.zeros_like):
        assert not model(input_ids=IDS).logits.any()
    assert torch.equal(model(input_ids=IDS).logits, before)
