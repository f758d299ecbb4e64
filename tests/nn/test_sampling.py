"""Sources are drawn as defined: shares, ranges, no padding, and again with the same seed."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsepath.errors import ConfigError
from sparsepath.nn.sampling import draw_order, draw_sources, draw_strata, n_to_keep, stratum_of


def seeded(seed: int = 0) -> torch.Generator:
    """Make a generator."""
    return torch.Generator().manual_seed(seed)


@settings(deadline=None, max_examples=60)
@given(n=st.integers(1, 70), keep=st.floats(0.01, 1.0), seed=st.integers(0, 9))
def test_a_share_of_the_sources_is_kept_in_order(n: int, keep: float, seed: int) -> None:
    positions = draw_sources(n, keep, generator=seeded(seed), sets=(2, 3))
    assert positions.shape == (2, 3, n_to_keep(n, keep))
    assert bool((positions.diff(dim=-1) > 0).all())
    assert int(positions.min()) >= 0
    assert int(positions.max()) < n


@settings(deadline=None, max_examples=60)
@given(lengths=st.lists(st.integers(0, 20), min_size=1, max_size=4), keep=st.floats(0.05, 1.0))
def test_padding_is_never_kept(lengths: list[int], keep: float) -> None:
    is_real = torch.arange(20) < torch.tensor(lengths).unsqueeze(1)
    for sets in ((1, 1), (len(lengths), 2)):
        positions = draw_sources(20, keep, generator=seeded(), sets=sets, is_real=is_real)
        for length, per_head in zip(lengths, positions, strict=True):
            for kept in per_head:
                drawn = kept[kept < 20]
                assert len(drawn) == min(length, max(1, round(length * keep)))
                assert all(int(place) < length for place in drawn)
                assert bool((kept.diff() >= 0).all())


def test_every_source_is_kept_equally_often() -> None:
    generator = seeded()
    counts = torch.zeros(16)
    for _ in range(2000):
        counts[draw_sources(16, 0.25, generator=generator)[0, 0]] += 1
    # 500 expected, standard deviation 19.
    assert float((counts - 500).abs().max()) < 5 * 19.4


def test_the_same_seed_draws_the_same_and_another_one_others() -> None:
    draws = [draw_sources(50, 0.2, generator=seeded(seed)).tolist() for seed in (1, 1, 2)]
    assert draws[0] == draws[1] != draws[2]


def test_a_local_order_is_a_permutation_that_moves_sources_a_few_places() -> None:
    order = draw_order(400, 3.0, generator=seeded(), sets=(2, 2))
    assert order.sort(dim=-1).values.tolist() == [[list(range(400))] * 2] * 2
    moved = (order - torch.arange(400)).abs()
    assert 1.0 < float(moved.double().mean()) < 6.0
    assert int(moved.max()) < 40
    assert draw_order(30, 0.0, generator=seeded())[0, 0].tolist() == list(range(30))


def test_padding_in_a_local_order_stands_for_none() -> None:
    is_real = torch.tensor([[True] * 10, [True] * 4 + [False] * 6])
    order = draw_order(10, 2.0, generator=seeded(), is_real=is_real)
    assert sorted(order[0, 0].tolist()) == list(range(10))
    assert sorted(order[1, 0].tolist()) == [0, 1, 2, 3, *[10] * 6]


@settings(deadline=None, max_examples=60)
@given(n=st.integers(1, 70), stratum=st.integers(1, 9))
def test_each_stratum_has_one_source(n: int, stratum: int) -> None:
    positions = draw_strata(n, stratum, generator=seeded(n), sets=(2, 1))
    assert positions.shape == (2, 1, -(-n // stratum))
    for g, places in enumerate(positions.unbind(dim=-1)):
        assert bool(((places <= g * stratum) & (places > (g - 1) * stratum)).all())


@pytest.mark.parametrize("keep", [0.0, -0.5, 1.5, float("nan")])
def test_a_share_out_of_range_is_refused(keep: float) -> None:
    with pytest.raises(ConfigError, match="keep ="):
        draw_sources(8, keep, generator=seeded())
    with pytest.raises(ConfigError, match="keep ="):
        stratum_of(keep)


def test_a_spread_or_stratum_out_of_range_is_refused() -> None:
    with pytest.raises(ConfigError, match="spread = -1"):
        draw_order(8, -1.0, generator=seeded())
    with pytest.raises(ConfigError, match="stratum = 0"):
        draw_strata(8, 0, generator=seeded())
