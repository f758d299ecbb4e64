"""The base package works where the packages of `[train]` are not installed."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
BASE_MODULES = (
    "sparsepath.cli.main",
    "sparsepath.config",
    "sparsepath.artifacts.store",
    "sparsepath.artifacts.schema",
    "sparsepath.artifacts.analysis",
    "sparsepath.artifacts.explanation",
    "sparsepath.artifacts.benchmark",
    "sparsepath.artifacts.catalogue",
    "sparsepath.artifacts.catalogue_query",
    "sparsepath.artifacts.provenance",
    "sparsepath.audit.keys",
    "sparsepath.audit.verify",
    "sparsepath.data.tables",
    "sparsepath.data.split",
    "sparsepath.data.stdlib_docs",
    "sparsepath.evaluate.doctor",
    "sparsepath.evaluate.features.options",
    "sparsepath.evaluate.steering",
    "sparsepath.evaluate.steering_sweep",
    "sparsepath.report",
    "sparsepath.report.neuron",
    "sparsepath.report.neuronpedia",
    "sparsepath.runtime.engine",
    "sparsepath.runtime.export",
    "sparsepath.runtime.locate",
    "sparsepath.runtime.predict",
    "sparsepath.server.serve",
)
IMPORT_NAMES = {"scikit-learn": "sklearn"}


def names_of_train() -> list[str]:
    packages = [line.split(">")[0] for line in PROJECT["optional-dependencies"]["train"]]
    return [IMPORT_NAMES.get(package, package) for package in packages]


@pytest.mark.parametrize("module", BASE_MODULES)
def test_a_base_module_imports_without_the_packages_of_train(module: str) -> None:
    blocked = f"import sys; sys.modules.update(dict.fromkeys({names_of_train()!r}))"
    done = subprocess.run(
        [sys.executable, "-c", f"{blocked}; import {module}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_torch_is_among_the_blocked_names() -> None:
    assert {"torch", "transformers", "sklearn", "jaxtyping"} <= set(names_of_train())
