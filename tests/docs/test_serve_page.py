"""The page about serving: its Python asks real servers, its commands read their log."""

import re
import shlex
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.server.served import make_service, running

from sparsepath.audit.database import open_database
from sparsepath.cli.main import main
from sparsepath.models.language import fresh_llama, train_byte_tokenizer

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "serve.md"


@pytest.fixture
def urls(
    model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[list[str]]:
    """Addresses of a classifier and of a language model, with one log in the working folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "tickets").symlink_to(model_folder)
    fresh_llama(
        vocabulary=300, length=64, d_model=32, n_layers=1, n_heads=2, n_kv_heads=2, d_mlp=48, seed=0
    ).save_pretrained(tmp_path / "lm")
    tokenizer = train_byte_tokenizer(iter(["def main():"]), size=300)
    tokenizer.save(str(tmp_path / "lm" / "tokenizer.json"))
    with ExitStack() as stack:
        database = stack.enter_context(open_database("sparsepath.db"))
        services = [
            make_service(folder, database, keep_texts=True)
            for folder in (model_folder, tmp_path / "lm")
        ]
        clients = [stack.enter_context(running(service)) for service in services]
        yield [f"http://127.0.0.1:{client.port}" for client in clients]


def test_the_python_asks_and_the_commands_read_the_log(
    urls: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    page = PAGE.read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    classifier, language = urls
    for block, url in zip(blocks, [classifier, classifier, language], strict=True):
        code = block.replace("http://127.0.0.1:8000", url)
        exec(compile(code, str(PAGE), "exec"), {})
    told = capsys.readouterr().out.splitlines()
    assert {line.split()[0] for line in told[:2]} <= {"left", "right"}
    assert [line.split()[0] for line in told[2:6]] == ["a", "very", "bad", "day"]
    assert told[6].startswith("L0")
    assert any(line.split()[0] in ("good", "weak", "none") for line in told[7:])
    commands = re.findall(r"^\$ sparsepath ((?:audit|keys) .*)$", page, re.MULTILINE)
    assert len(commands) == 14
    for command in commands:
        done = CliRunner().invoke(main, shlex.split(command))
        assert done.exit_code == 0, (command, done.output)


def test_the_options_of_the_page_exist() -> None:
    known = {option for parameter in main.commands["serve"].params for option in parameter.opts}
    page = PAGE.read_text(encoding="utf-8")
    (line,) = re.findall(r"^\$ sparsepath serve .* --host .*$", page, re.MULTILINE)
    assert {word for word in line.split() if word.startswith("--")} <= known
    assert {"--keep-texts", "--log-texts", "--anchor", "--needs-keys"} <= known
