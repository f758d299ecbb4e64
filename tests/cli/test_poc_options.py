"""Options of `sparsepath poc`: limits, defaults, and what reaches the library."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from sparsepath.cli.main import main
from sparsepath.config import PocOptions, default_run_folder
from sparsepath.errors import ConfigError

HERE = Path("here")


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--minutes", "0.1", "--minutes 0.1 is too short"),
        ("--minutes", "nan", "--minutes nan is too short"),
        ("--threads", "0", "--threads 0"),
        ("--seed", "-1", "--seed -1"),
        ("--target-latency-ms", "0", "--target-latency-ms 0"),
        ("--target-size-mb", "-3", "--target-size-mb -3"),
        ("--min-accuracy", "93", "--min-accuracy 93"),
    ],
)
def test_an_impossible_value_is_named_with_its_fix(option: str, value: str, said: str) -> None:
    result = CliRunner().invoke(main, ["poc", "demo", option, value])
    assert result.exit_code == 1
    assert said in result.stderr
    assert "  fix: " in result.stderr


def test_an_unknown_language_is_wrong_usage() -> None:
    assert CliRunner().invoke(main, ["poc", "demo", "--lang", "fr"]).exit_code == 2


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_minutes_are_accepted_exactly_when_finite_and_long_enough(minutes: float) -> None:
    if 0.5 <= minutes < float("inf"):
        assert PocOptions(data=None, out=HERE, minutes=minutes).minutes == minutes
    else:
        with pytest.raises(ConfigError, match="--minutes"):
            PocOptions(data=None, out=HERE, minutes=minutes)


@pytest.mark.parametrize(
    ("data", "folder"),
    [
        (None, "runs/demo"),
        (Path("some/tickets.csv"), "runs/tickets"),
        (Path("tickets.2024.csv.gz"), "runs/tickets"),
        (Path("folder/"), "runs/folder"),
    ],
)
def test_the_run_folder_is_named_after_the_data(data: Path | None, folder: str) -> None:
    assert default_run_folder(data) == Path(folder)
