"""The commands and the Python of the page about metrics, run in their order on planted neurons."""

import json
import re
import shlex
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from sparsepath.cli.main import main
from sparsepath.concepts.build import build_catalogue
from sparsepath.concepts.options import CatalogueOptions

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests" / "concepts"))

import planted  # noqa: E402

PAGE = (ROOT / "docs" / "how-to" / "measure-neurons.md").read_text(encoding="utf-8")


def tickets() -> str:
    """Write a table of 96 texts with a label and a tone."""
    rows = []
    for number in range(96):
        fillers = [planted.FILLERS[(number * 7 + i * (i + number % 5)) % 30] for i in range(8)]
        fillers[number % 4] = planted.LISTS[4 + number % 2][number % 3]
        fillers[4 + number % 4] = planted.LISTS[20 + number // 2 % 2][number % 3]
        rows.append(f"{' '.join(fillers)},{number % 2},{number // 2 % 2}")
    named = [row.replace(",0", ",card").replace(",1", ",refund") for row in rows]
    return "\n".join(["text,label,tone", *named])


def test_every_command_and_the_python_of_the_page_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    model = planted.save_model(tmp_path / "runs" / "stdlib-lm-topk")
    corpus = planted.save_corpus(tmp_path / "corpus.txt", n_documents=120)
    build_catalogue(model, str(corpus), CatalogueOptions(length=16, held_out=0.25, vectors=False))
    Path("tickets.csv").write_text(tickets(), encoding="utf-8")
    commands = re.findall(r"^\$ sparsepath (.*)$", PAGE, re.MULTILINE)
    assert len(commands) == 6
    for command in commands:
        words = [str(corpus) if word == "stdlib" else word for word in shlex.split(command)]
        words = ["800" if word == "100000" else word for word in words]
        words += ["--length", "32"] if words[1] == "measure" else []
        done = CliRunner().invoke(main, words)
        assert done.exit_code == 0, (command, done.output)
        assert done.stdout
        if "--json" in words:
            assert {row["site"] for row in json.loads(done.stdout)["rows"]} == {"L00"}
    assert (tmp_path / "dashboards" / "L00" / "batch-0.json").exists()
    (block,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(compile(block.replace("rows=2000", "rows=2000, length=32"), "page", "exec"), {})
    assert capsys.readouterr().out.startswith("L00 1.0 (1.0, 1.0) {'random'")
