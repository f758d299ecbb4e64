"""The page about rollouts: its commands take a model through all stages, its rules can be read."""

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.server.models_of_a_run import make_run

from sparsepath.audit.rollout.rules import Gates, read_rules
from sparsepath.cli.main import main

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "roll-out.md"


def test_the_commands_of_the_page_work_in_their_order(
    model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make_run(model_folder, tmp_path / "runs" / "tickets", ["full", "sub-08"])
    page = PAGE.read_text(encoding="utf-8")
    (rules,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    Path("rules.toml").write_text(rules)
    found = read_rules(Path("rules.toml"))
    assert all(getattr(found.gates, name) is not None for name in Gates.model_fields)
    commands = re.findall(r"^\$ sparsepath (.*)$", page, re.MULTILINE)
    assert len(commands) == 6
    for command in commands:
        done = CliRunner().invoke(main, shlex.split(command))
        assert done.exit_code == 0, (command, done.output)
    assert "rolled-back" in CliRunner().invoke(main, ["rollout", "status"]).output


def test_the_options_of_the_page_exist() -> None:
    known = {option for parameter in main.commands["serve"].params for option in parameter.opts}
    assert {"--drift-window", "--strict-model"} <= known
