"""The page about governing: its commands run in their order, its Python asks a real server."""

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.server.served import make_service, running

from sparsepath.artifacts.steering import make_preset, write_preset
from sparsepath.audit.database import open_database
from sparsepath.audit.policy_file import read_policy
from sparsepath.audit.policy_rules import RULES
from sparsepath.cli.main import main
from sparsepath.models.language import fresh_llama, train_byte_tokenizer
from sparsepath.runtime.language.engine import Engine
from sparsepath.server.classifier import Classifier

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "govern.md").read_text(encoding="utf-8")
MODEL = Path("runs/stdlib-lm-topk")


def run(command: str) -> str:
    """Run a command of the page, with its redirection."""
    words, _, target = command.partition(" > ")
    done = CliRunner().invoke(main, shlex.split(words))
    assert done.exit_code == 0, (command, done.output)
    if target:
        Path(target).write_text(done.stdout, encoding="utf-8")
    return done.stdout


def commands(verb: str) -> list[str]:
    return re.findall(rf"^\$ sparsepath ({verb} .*)$", PAGE, re.MULTILINE)


def test_a_policy_is_written_approved_asked_and_revoked_as_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    fresh_llama(
        vocabulary=300, length=64, d_model=32, n_layers=1, n_heads=2, n_kv_heads=2, d_mlp=48, seed=0
    ).save_pretrained(MODEL)
    train_byte_tokenizer(iter(["def main():"]), size=300).save(str(MODEL / "tokenizer.json"))
    engine = Engine(MODEL)
    write_preset(MODEL, make_preset("plain", [engine.edit("L00/7=off")], engine.weights.made_of))
    new, propose, approve, listed, show, revoke = commands("policy")
    run(new)
    written, limits = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    text = Path("drafts.toml").read_text(encoding="utf-8")
    keys = re.compile(r"^(\w+|\[\[\w+\]\]) ?=?", re.MULTILINE)
    assert set(keys.findall(text)) == {*keys.findall(written)} - {"catalogue_sha256"}
    Path("limited.toml").write_text(f"{text}\n{limits}", encoding="utf-8")
    assert read_policy(Path("limited.toml")).neurons[0].set == (-4.0, 4.0)
    for command in (propose, approve, listed, show):
        run(command)
    (generate,) = commands("generate")
    assert run(generate)
    with open_database("sparsepath.db") as log, running(make_service(MODEL, log)) as client:
        (block,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
        code = block.replace("http://127.0.0.1:8000", f"http://127.0.0.1:{client.port}")
        exec(compile(code, "govern.md", "exec"), {})
    told = capsys.readouterr().out.splitlines()
    assert "'name': 'drafts', 'version': 1" in told[0]
    assert told[1] == "403 policy.use"
    assert "revoked" in run(revoke)


def test_decisions_wait_and_are_decided_as_the_page_says(
    model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with open_database("sparsepath.db") as log:
        service = make_service(model_folder, log, review_below=1.0)
        assert isinstance(service.model, Classifier)
        with running(service) as client:
            client.classify("a good day", "a bad day")
    for command in commands("review"):
        run(command)
    assert Path("reviewed.csv").read_text() == "text,label\na good day,left\n"


def test_the_options_and_rules_of_the_page_exist() -> None:
    known = {option for parameter in main.commands["serve"].params for option in parameter.opts}
    assert set(re.findall(r"serve [^\n]*?(--[a-z-]+)", PAGE)) <= known
    table = PAGE.split("| rule | refuses |")[1].split("\n\n")[0]
    assert set(re.findall(r"`([a-z-]+)`", table)) - {"--needs-policy"} == set(RULES)
