"""Rates and shares follow from the step alone."""

from itertools import pairwise

import pytest

from sparsepath.errors import ConfigError
from sparsepath.train.schedule import KeepSchedule, RateSchedule


@pytest.mark.parametrize("shape", ["cosine", "wsd", "constant"])
def test_the_rate_rises_to_its_highest_and_falls_to_its_last(shape: str) -> None:
    schedule = RateSchedule(shape=shape, warmup=0.1, decay=0.2, last=0.1)  # type: ignore[arg-type]
    factors = [schedule.factor(step, 100) for step in range(101)]
    assert factors[0] == pytest.approx(1 / 11)
    assert factors[10] == max(factors) == pytest.approx(1.0)
    assert all(a <= b for a, b in pairwise(factors[:11]))
    assert all(a >= b for a, b in pairwise(factors[10:]))
    assert factors[100] == pytest.approx(1.0 if shape == "constant" else 0.1)
    if shape == "wsd":
        assert factors[79] == 1.0
        assert factors[90] == pytest.approx(0.55)


def test_the_share_is_annealed_and_the_last_steps_are_dense() -> None:
    schedule = KeepSchedule(keep=0.2, keep_last=0.6, dense=0.2)
    shares = [schedule.at(step, 101) for step in range(101)]
    assert shares[0] == pytest.approx(0.2)
    assert shares[80] == pytest.approx(0.6)
    assert shares[40] == pytest.approx(0.4)
    assert set(shares[81:]) == {1.0}
    assert {KeepSchedule(keep=0.25, dense=0.0).at(step, 10) for step in range(10)} == {0.25}


@pytest.mark.parametrize("name", ["warmup", "decay", "last"])
def test_a_share_of_the_steps_out_of_range_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=rf"train\.{name} = 1\.5"):
        RateSchedule(**{name: 1.5})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"keep": 0.0}, "keep = 0"),
        ({"keep_last": 2.0}, "keep_last = 2"),
        ({"dense": -1.0}, "dense"),
    ],
)
def test_a_share_of_the_sources_out_of_range_is_refused(
    settings: dict[str, float], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        KeepSchedule(**settings)
