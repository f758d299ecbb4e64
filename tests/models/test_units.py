"""Masks name, count and combine units, also in models whose layers differ in size."""

import pytest
import torch

from sparsepath.errors import ShapeError
from sparsepath.models.surgery import extract
from sparsepath.models.units import UnitMask, check_mask


def _mask() -> UnitMask:
    """Choose a head of layer 0 and two neurons of layer 2."""
    heads, neurons = torch.zeros(3, 4, dtype=torch.bool), torch.zeros(3, 24, dtype=torch.bool)
    heads[0, 3] = neurons[2, 0] = neurons[2, 17] = True
    return UnitMask(heads, neurons)


def test_names_list_each_kept_layer_before_its_units() -> None:
    assert _mask().names() == ["L00", "L00.H03", "L02", "L02.M0000", "L02.M0017"]


def test_counts_and_layers_follow_the_mask() -> None:
    mask = _mask()
    assert (mask.n_units, mask.n_layers) == (3, 3)
    assert mask.kept_layers == [0, 2]
    assert mask.removed_layers == [1]
    assert mask.shape == [(1, 0), (0, 2)]
    assert mask.share == pytest.approx(3 / 84)


def test_masks_combine_like_sets() -> None:
    mask = _mask()
    rest = UnitMask(~mask.heads, ~mask.neurons)
    assert (mask & rest).n_units == 0
    assert (mask | rest).share == 1.0
    assert (mask | rest).without(rest).names() == mask.names()


def test_layers_of_unequal_size_are_padded(make_model) -> None:
    model = make_model("bert")
    full = UnitMask.full(model)
    full.heads[1, 1:] = False
    full.neurons[2] = False
    small = extract(model, full)
    got = UnitMask.full(small)
    assert got.heads.sum(dim=1).tolist() == [4, 1, 4]
    assert got.neurons.sum(dim=1).tolist() == [24, 24, 0]
    assert got.share_of(got) == 1.0


def test_a_mask_of_another_model_is_refused(make_model) -> None:
    model = make_model("bert")
    with pytest.raises(ShapeError, match="does not fit"):
        check_mask(UnitMask(_mask().heads[:2], _mask().neurons[:2]), model)


def test_a_mask_that_chooses_a_missing_unit_is_refused(make_model) -> None:
    keep = UnitMask.full(make_model("bert"))
    keep.heads[1, 1:] = False
    small = extract(make_model("bert"), keep)
    with pytest.raises(ShapeError, match=r"L01\.H01"):
        check_mask(UnitMask(torch.ones_like(keep.heads), keep.neurons), small)
