"""Finding and running the benchmark scripts of a checkout.

A benchmark is `benchmarks/NAME.py`: it says how long it takes in a line `MINUTES = 12` at the
top, prints a JSON list of rows (`artifacts.benchmark`) on standard output and talk on standard
error, and keeps the same rows under `benchmarks/results/NAME.json`.
"""

import ast
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pydantic import TypeAdapter, ValidationError

from sparsepath.artifacts.benchmark import BenchmarkRow
from sparsepath.errors import ConfigError, RunError

DURATION_NAME = "MINUTES"
"""Name of the line at the top of a script that says how long it takes on two cores."""

FOLDER = Path("benchmarks")
"""Where a checkout keeps its benchmarks, from its root."""


class Benchmark(NamedTuple):
    """One script and how long it takes."""

    name: str
    """What `sparsepath bench` calls it: the file's name without `.py`."""

    path: Path
    """The script."""

    minutes: float
    """About how long it takes on two cores, in minutes, as the script itself says."""


def find_benchmarks(folder: Path = FOLDER) -> list[Benchmark]:
    """List the benchmarks of a checkout, the shortest first (then by name).

    Raises:
        ConfigError: if the folder is missing, or a script does not say how long it takes.
    """
    if not folder.is_dir():
        raise ConfigError(
            f"no folder of benchmarks at {folder}",
            hint="run this in the root of a checkout of sparsepath, where benchmarks/ is",
        )
    scripts = [path for path in folder.glob("*.py") if not path.name.startswith("_")]
    found = [Benchmark(path.stem, path, _minutes(path)) for path in scripts]
    return sorted(found, key=lambda benchmark: (benchmark.minutes, benchmark.name))


def run_benchmark(
    name: str, arguments: Sequence[str] = (), folder: Path = FOLDER
) -> list[BenchmarkRow]:
    """Run one benchmark in a process of its own and return its rows.

    Args:
        name: Name of the script without `.py`.
        arguments: Passed on to the script.
        folder: Where the scripts are.

    Raises:
        ConfigError: if there is no such benchmark.
        RunError: if the script fails or prints something else than rows.
    """
    known = {benchmark.name: benchmark for benchmark in find_benchmarks(folder)}
    if name not in known:
        raise ConfigError(
            f"no benchmark named {name}", hint=f"choose one of: {', '.join(known) or 'none yet'}"
        )
    command = [sys.executable, str(known[name].path), *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise RunError(
            f"benchmark {name} failed with exit code {done.returncode}",
            hint="read its message above; without one, its process was killed",
        )
    return _rows(name, done.stdout)


def _rows(name: str, printed: str) -> list[BenchmarkRow]:
    try:
        return TypeAdapter(list[BenchmarkRow]).validate_json(printed)
    except ValidationError as err:
        raise RunError(
            f"benchmark {name} printed something else than a JSON list of rows: {err}",
            hint="a script prints rows on standard output and everything else on standard error",
        ) from err


def _minutes(path: Path) -> float:
    """Read the duration from a script without running it."""
    for node in ast.parse(path.read_text(encoding="utf-8"), filename=str(path)).body:
        if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Constant):
            continue
        names = [target.id for target in node.targets if isinstance(target, ast.Name)]
        if DURATION_NAME in names and isinstance(node.value.value, int | float):
            return float(node.value.value)
    raise ConfigError(
        f"{path} does not say how long it takes",
        hint=f"add a line like `{DURATION_NAME} = 12` at the top of the script",
    )
