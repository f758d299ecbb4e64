"""The session of the README, run for real with a demo of half a minute instead of four."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SESSION = re.compile(r"<!-- session: begin.*?-->(.*?)<!-- session: end -->", re.DOTALL)
CONSOLE = re.compile(r"```console\n(.*?)```", re.DOTALL)


def session_commands() -> list[str]:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = CONSOLE.findall(SESSION.findall(text)[0])
    return [line[2:] for block in blocks for line in block.splitlines() if line.startswith("$ ")]


def test_the_session_has_the_main_job_a_prediction_and_an_explanation() -> None:
    commands = " | ".join(session_commands())
    for name in ("poc demo", "predict", "explain"):
        assert f"sparsepath {name}" in commands


@pytest.mark.slow
def test_every_command_of_the_session_works(tmp_path: Path) -> None:
    program = f"'{Path(sys.executable).parent}/sparsepath'"
    for command in session_commands():
        line = re.sub(r"^sparsepath", program, command)
        line = re.sub(r"poc demo --minutes \d+$", "poc demo --minutes 0.5", line)
        done = subprocess.run(
            line, shell=True, cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"$ {command}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr
    answers = (tmp_path / "answers.csv").read_text(encoding="utf-8").splitlines()
    assert len(answers) == 2
    report = (tmp_path / "runs" / "demo" / "report.html").read_text(encoding="utf-8")
    assert "</html>" in report
