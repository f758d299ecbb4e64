"""The commands and the Python about language models, run one after another in a folder."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from sparsepath.cli.main import main

ROOT = Path(__file__).parents[2]
SMALL = [
    "train.steps=3",
    "data.length=32",
    "model.d_model=24",
    "model.n_layers=2",
    "model.d_mlp=32",
]


def commands(page: str, begins: str) -> list[list[str]]:
    """Give the commands of a page that begin so."""
    text = (ROOT / page).read_text(encoding="utf-8")
    lines = re.findall(r"^\$ sparsepath (.*)$", text, re.MULTILINE)
    return [shlex.split(line) for line in lines if line.startswith(begins)]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder where the recipe of the README was run with a small model on few files."""
    place = tmp_path_factory.mktemp("writing")
    (recipe,) = commands("README.md", "train recipes/stdlib-lm-topk.toml")
    corpus = place / "corpus.txt"
    files = sorted((ROOT / "src" / "sparsepath" / "train").glob("*.py"))
    corpus.write_text("\n\n".join(path.read_text(encoding="utf-8") for path in files))
    arguments = ["train", str(ROOT / recipe[1]), "--out", str(place / "runs" / "stdlib-lm-topk")]
    for change in [*SMALL, f"data.source={corpus}", "tokenizer.size=400", "topk.sites.block_out=8"]:
        arguments += ["--set", change]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    return place


@pytest.mark.parametrize("page", ["README.md", "docs/how-to/generate.md"])
def test_the_model_of_the_readme_writes(
    page: str, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    (command,) = commands(page, "generate ")
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 0, done.output
    assert "tokens/s" in done.stderr


def test_the_python_of_the_page_runs(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(place)
    page = "docs/how-to/generate.md"
    blocks = re.findall(
        r"```python\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL
    )
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, page, "exec"), names)
    forms = [line.split()[0] for line in capsys.readouterr().out.splitlines()[:3]]
    assert forms == ["fp32", "int8", "int4"]


def test_the_conversions_of_the_page_are_understood(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Without the model they fail at the first thing that is missing: the model.
    monkeypatch.chdir(place)
    found = commands("docs/how-to/topk.md", "convert ")
    assert len(found) == 5
    for command in found:
        done = CliRunner().invoke(main, command)
        assert done.exit_code == 1
        assert command[1] in done.stderr.splitlines()[0]


def test_the_page_about_steering_works(
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    train_autoencoder: Callable[[Path], None],
) -> None:
    monkeypatch.chdir(place)
    train_autoencoder(place / "corpus.txt")
    page = "docs/how-to/steering.md"
    found = commands(page, "steering ") + commands(page, "generate ")
    assert [command[1] for command in found[:5]] == ["try", "sweep", "save", "list", "apply"]
    for command in found:
        if "runs/tickets/models/topk-8th" in command:
            continue  # a classifier of a PoC; tests/steering runs such commands
        # Hidden states of a model of three steps are small.
        small = [re.sub(r"(L02/233\+)4", r"\g<1>0.004", part) for part in command]
        done = CliRunner().invoke(main, small)
        assert done.exit_code == 0, (command, done.output)
    names: dict[str, object] = {}
    text = (ROOT / page).read_text(encoding="utf-8")
    for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(compile(block, page, "exec"), names)
    assert "def main(" in capsys.readouterr().out
