"""`make setup` names what the system lacks; every promised target exists."""

import shutil
import subprocess
import sys
import tomllib
from itertools import chain
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TARGETS = ("setup", "demo", "test", "test-fast", "check", "bench", "docs", "release")


def make(*arguments: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", *arguments], cwd=folder, capture_output=True, text=True, check=False
    )


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A checkout without an environment."""
    for name in ("Makefile", "pyproject.toml", "setup.py", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def fake_python(folder: Path, code: str) -> str:
    """A program that answers like a Python with something missing."""
    path = folder / "python"
    path.write_text(f"#!/bin/sh\n{code}\n")
    path.chmod(0o755)
    return f"SYSTEM_PYTHON={path}"


@pytest.mark.parametrize("target", TARGETS)
def test_a_promised_target_exists(target: str) -> None:
    done = make("--dry-run", target)
    assert done.returncode == 0, done.stderr


def test_without_python_the_line_that_installs_it_is_named(bare: Path) -> None:
    done = make("setup", "SYSTEM_PYTHON=no-such-python", folder=bare)
    assert done.returncode != 0
    assert "no-such-python is not installed" in done.stderr
    assert "fix: apt-get install -y python3 python3-venv make" in done.stderr


def test_an_old_python_is_refused_with_its_version(bare: Path) -> None:
    code = f'exec {sys.executable} -c "import sys; sys.version_info = (3, 9, 2); $2"'
    old = fake_python(bare, f'case "$1" in --version) echo "Python 3.9.2";; *) {code};; esac')
    done = make("setup", old, folder=bare)
    assert done.returncode != 0
    assert "Python 3.11 or newer is needed, Python 3.9.2 was found" in done.stderr


def test_without_venv_the_line_that_installs_it_is_named(bare: Path) -> None:
    no_venv = fake_python(bare, 'case "$2" in *ensurepip*) exit 1;; *) exit 0;; esac')
    done = make("demo", no_venv, folder=bare)
    assert done.returncode != 0
    assert "Python has no venv module" in done.stderr
    assert "python3-venv" in done.stderr


def test_setup_is_skipped_when_nothing_changed(bare: Path) -> None:
    (bare / ".venv").mkdir()
    (bare / ".venv" / ".sparsepath-ready").touch()
    assert "Nothing to be done" in make("setup", folder=bare).stdout


def test_a_changed_pin_sets_up_again(bare: Path) -> None:
    (bare / ".venv").mkdir()
    (bare / ".venv" / ".sparsepath-ready").touch()
    subprocess.run(["touch", "-d", "+1 minute", str(bare / "constraints.txt")], check=True)
    assert "pip install" in make("--dry-run", "setup", folder=bare).stdout


def test_every_dependency_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = {line.partition("==")[0].lower().replace("_", "-") for line in lines if "==" in line}
    for requirement in chain(project["dependencies"], *project["optional-dependencies"].values()):
        name = requirement.split("[")[0].split(">")[0].split("=")[0].lower()
        assert name in pinned, name
    assert "torch==2.13.0" in lines
