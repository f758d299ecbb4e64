"""The commands about neurons, run one after another on a small model."""

import re
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parents[1] / "concepts"))

import planted_classifier
from answerer import answering

from sparsepath.cli.main import main

ROOT = Path(__file__).parents[2]
ENDPOINT = "http://127.0.0.1:8080/v1"
LINE = re.compile(r"^\$ sparsepath (concepts .*)$", re.MULTILINE)
SMALL = [
    "train.steps=3", "train.checkpoint_every=1", "data.length=32", "model.d_model=24",
    "model.n_layers=2", "model.d_mlp=32", "tokenizer.size=400", "topk.sites.block_out=8",
]  # fmt: skip


def commands(page: str) -> list[list[str]]:
    """Give the commands of a page in their order."""
    return [shlex.split(line) for line in LINE.findall((ROOT / page).read_text(encoding="utf-8"))]


@pytest.fixture
def endpoint() -> Iterator[str]:
    """The address of a server that answers in place of the one on the page."""
    with answering() as server:
        yield server.url


@pytest.mark.slow
def test_every_command_of_both_pages_works(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    endpoint: str,
    train_autoencoder: Callable[[Path], None],
) -> None:
    monkeypatch.chdir(tmp_path)
    corpus = tmp_path / "corpus.txt"
    files = sorted((ROOT / "src" / "sparsepath" / "train").glob("*.py"))
    corpus.write_text("\n\n".join(path.read_text(encoding="utf-8") for path in files))
    train = ["train", str(ROOT / "recipes" / "stdlib-lm-topk.toml"), "--out", "runs/stdlib-lm-topk"]
    for change in [*SMALL, f"data.source={corpus}"]:
        train += ["--set", change]
    assert CliRunner().invoke(main, train).exit_code == 0
    train_autoencoder(corpus)
    rows = [f"open the file {i},refund\nif x: return {i},card" for i in range(200)]
    (tmp_path / "tickets.csv").write_text("\n".join(["text,label", *rows]))
    planted_classifier.save_model(tmp_path / "runs" / "tickets" / "models" / "topk-8th")
    found = [*commands("README.md"), *commands("docs/how-to/concepts.md")]
    assert len(found) >= 14
    for command in found:
        if "runs/other" in command and not Path("runs/other").exists():
            shutil.copytree("runs/stdlib-lm-topk", "runs/other")
        small = [str(corpus) if part == "stdlib" else part for part in command]
        small = ["5000" if part.endswith("0000") else part for part in small]
        small = [endpoint if part == ENDPOINT else part for part in small]
        done = CliRunner().invoke(main, small)
        assert done.exit_code == 0, f"{command}: {done.output}"
        assert done.stdout or "nothing found" in done.stderr, command
    page = (ROOT / "docs/how-to/concepts.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    block = block.replace("200_000", "5_000").replace('"stdlib"', repr(str(corpus)))
    exec(compile(block, "concepts.md", "exec"), {})
    assert len(capsys.readouterr().out.splitlines()) == 10
