"""`sparsepath bench` and the script behind `make bench`, on benchmarks made for the test."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from sparsepath.cli.main import main

RUN_ALL = Path(__file__).parents[2] / "benchmarks" / "_run_all.py"
ROW = {
    "figure": "exact sums",
    "value": 2.5,
    "unit": "x",
    "better": "higher",
    "target": 2.0,
    "command": "sparsepath bench quick",
    "date": "2026-01-31",
}


def script(rows: object, minutes: str = "MINUTES = 2", ending: str = "") -> str:
    talk = "print('talk', file=sys.stderr)"
    return f"import json, sys\n{minutes}\n{talk}\nprint(json.dumps({rows!r}))\n{ending}\n"


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two benchmarks; it is the current folder."""
    folder = tmp_path / "benchmarks"
    folder.mkdir()
    (folder / "a_slow_one.py").write_text(script([ROW | {"figure": "slow", "target": 9.0}]))
    (folder / "quick.py").write_text(script([ROW], "MINUTES = 0.5"))
    (folder / "_helper.py").write_text("raise SystemExit('not a benchmark')")
    monkeypatch.chdir(tmp_path)
    return folder


def run_all() -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(RUN_ALL)], capture_output=True, text=True, check=False, env=os.environ
    )


@pytest.mark.usefixtures("checkout")
def test_without_a_name_they_are_listed_the_shortest_first() -> None:
    listed = json.loads(CliRunner().invoke(main, ["bench", "--json"]).stdout)
    assert listed == [{"name": "quick", "minutes": 0.5}, {"name": "a_slow_one", "minutes": 2.0}]


@pytest.mark.usefixtures("checkout")
def test_json_is_the_rows_of_the_script() -> None:
    result = CliRunner().invoke(main, ["bench", "quick", "--json"])
    rows = json.loads(result.stdout)
    assert rows[0].items() >= ROW.items()


@pytest.mark.usefixtures("checkout")
def test_text_is_the_table() -> None:
    output = CliRunner().invoke(main, ["bench", "quick"]).stdout
    assert "exact sums" in output
    assert "yes" in output


def test_arguments_reach_the_script(checkout: Path) -> None:
    row = json.dumps(ROW)
    (checkout / "echo.py").write_text(
        f"import json, sys\nMINUTES = 1\nprint(json.dumps([json.loads({row!r}) | "
        "{'note': ' '.join(sys.argv[1:])}]))\n"
    )
    result = CliRunner().invoke(main, ["bench", "echo", "--json", "--data", "here"])
    assert json.loads(result.stdout)[0]["note"] == "--data here"


def test_an_unknown_name_is_answered_with_the_known_ones(checkout: Path) -> None:
    result = CliRunner().invoke(main, ["bench", "nonsense"])
    assert result.exit_code == 1
    assert "quick, a_slow_one" in result.stderr
    assert checkout.is_dir()


def test_a_script_that_fails_is_an_error(checkout: Path) -> None:
    (checkout / "quick.py").write_text(script([ROW], ending="sys.exit(3)"))
    result = CliRunner().invoke(main, ["bench", "quick"])
    assert result.exit_code == 1
    assert "exit code 3" in result.stderr


def test_a_script_that_prints_something_else_is_an_error(checkout: Path) -> None:
    (checkout / "quick.py").write_text(script([{"figure": "no value"}]))
    result = CliRunner().invoke(main, ["bench", "quick"])
    assert result.exit_code == 1
    assert "something else than a JSON list of rows" in result.stderr


def test_a_script_without_its_duration_is_an_error(checkout: Path) -> None:
    (checkout / "quick.py").write_text(script([ROW], minutes="HOURS = 2"))
    assert "does not say how long" in CliRunner().invoke(main, ["bench"]).stderr


def test_outside_a_checkout_the_fix_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["bench"])
    assert result.exit_code == 1
    assert "root of a checkout" in result.stderr


@pytest.mark.usefixtures("checkout")
def test_make_bench_prints_one_table_in_order_of_length() -> None:
    done = run_all()
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split()[-1] for line in lines[2:]] == ["yes", "NO"]


def test_make_bench_goes_on_after_a_failure_and_says_so(checkout: Path) -> None:
    (checkout / "quick.py").write_text(script([ROW], ending="sys.exit(3)"))
    done = run_all()
    assert done.returncode == 1
    assert "failed: quick" in done.stdout
    assert "slow" in done.stdout
