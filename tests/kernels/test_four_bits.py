"""Weights of 4 bits: what is stored is what is read, and as near as sixteen levels can be."""

import numpy as np
import pytest

from sparsepath.kernels.four_bits import LEVELS, PACK, Floats, packed, row_bytes, unpacked


def _normal(n_inputs: int, n_outputs: int) -> Floats:
    return np.random.default_rng(0).standard_normal((n_inputs, n_outputs)).astype(np.float32)


def _error(weight: Floats, found: Floats) -> float:
    return float(np.square(found - weight).sum() / np.square(weight).sum())


@pytest.mark.parametrize("n_outputs", [1, 31, 32, 45, 96])
def test_levels_times_a_scale_are_stored_exactly(n_outputs: int) -> None:
    chance = np.random.default_rng(1)
    scales = np.array([0.5, -2.0, 0.0078125], np.float32)[:, None]
    weight = chance.choice(np.array(LEVELS, np.float32), (3, n_outputs)) * scales
    # Each block holds an end of the levels, so that its scale is known.
    weight[:, ::PACK] = 127 * scales
    rows = packed(weight)
    assert rows.shape == (3, row_bytes(n_outputs))
    np.testing.assert_array_equal(unpacked(rows, n_outputs), weight)
    np.testing.assert_array_equal(unpacked(rows[1:2], n_outputs), weight[1:2])


def test_every_weight_has_the_nearest_level_of_its_block() -> None:
    weight = _normal(40, 64)
    rows = packed(weight).reshape(-1, 18)
    bits = rows[:, 16].astype(np.uint32) << 16 | rows[:, 17].astype(np.uint32) << 24
    scales = bits.view(np.float32)[:, None]
    blocks = weight.reshape(-1, PACK)
    distances = np.abs(blocks[..., None] - scales[..., None] * np.array(LEVELS, np.float32))
    found = np.abs(unpacked(rows.reshape(40, -1), 64).reshape(-1, PACK) - blocks)
    # The scale was fitted after levels were chosen: a weight halfway between two may have either.
    slack = 0.03 * np.abs(blocks).max(axis=1, keepdims=True)
    assert (found <= distances.min(axis=-1) + slack).all()
    assert np.mean(found <= distances.min(axis=-1) + 1e-6) > 0.9


def test_normal_weights_lose_less_than_in_even_steps() -> None:
    weight = _normal(200, 256)
    blocks = weight.reshape(-1, PACK)
    step = np.abs(blocks).max(axis=1, keepdims=True) / 7
    even = (np.rint(blocks / step) * step).reshape(weight.shape)
    found = _error(weight, unpacked(packed(weight), 256))
    assert found < 0.0062
    assert found < 0.7 * _error(weight, even)


def test_an_outlier_costs_its_own_block_alone() -> None:
    weight = _normal(4, 96)
    before = unpacked(packed(weight), 96)
    weight[2, 40] = 1000.0
    after = unpacked(packed(weight), 96)
    same = np.ones(weight.shape, bool)
    same[2, 32:64] = False
    np.testing.assert_array_equal(after[same], before[same])
    assert after[2, 40] == pytest.approx(1000.0, rel=0.01)


def test_zeros_stay_zero_and_what_is_not_a_number_does_not_hide() -> None:
    weight = _normal(3, 70)
    weight[0] = 0.0
    weight[1, 3], weight[2, 69] = np.nan, np.inf
    found = unpacked(packed(weight), 70)
    assert (found[0] == 0.0).all()
    assert np.isnan(found[1, :32]).all()
    assert np.isfinite(found[1, 32:]).all()
    assert np.isnan(found[2, 64:]).all()
