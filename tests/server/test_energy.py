"""Energy is shared out by CPU seconds where the machine tells it, and else not measured."""

from pathlib import Path

import pytest

from sparsepath.server import energy
from sparsepath.server.energy import EnergyMeter


def counter(root: Path, name: str, microjoules: int) -> None:
    place = root / name
    place.mkdir(exist_ok=True)
    (place / "energy_uj").write_text(f"{microjoules}\n")
    (place / "max_energy_range_uj").write_text("10000000\n")


def test_packages_are_added_up_and_shared_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy = iter([100.0, 104.0, 108.0, 112.0])
    monkeypatch.setattr(energy, "_busy_s", lambda: next(busy))
    counter(tmp_path, "intel-rapl:0", 1_000_000)
    counter(tmp_path, "intel-rapl:1", 9_000_000)
    counter(tmp_path, "intel-rapl:0:0", 0)  # cores, a part of package 0
    meter = EnergyMeter(tmp_path)
    counter(tmp_path, "intel-rapl:0", 3_000_000)
    counter(tmp_path, "intel-rapl:1", 1_000_000)  # went round
    counter(tmp_path, "intel-rapl:0:0", 5_000_000)
    assert meter.shares([1.0, 2.0]) == pytest.approx([1.0, 2.0])
    counter(tmp_path, "intel-rapl:0", 4_000_000)
    assert meter.shares([0.0, 8.0]) == pytest.approx([0.0, 1.0])
    (tmp_path / "intel-rapl:1" / "energy_uj").unlink()
    assert meter.shares([1.0, 1.0]) == [None, None]


def test_a_machine_that_does_not_tell_its_energy(tmp_path: Path) -> None:
    meter = EnergyMeter(tmp_path / "none")
    assert not meter.is_measured
    assert meter.shares([1.0]) == [None]
