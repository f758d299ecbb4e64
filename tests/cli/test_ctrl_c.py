"""Ctrl-C in the middle of a real `sparsepath poc`: exit code, promise, what is kept."""

import json
import signal
from pathlib import Path

import pytest
from tests import warm


@pytest.mark.slow
def test_ctrl_c_keeps_the_finished_stages_and_exits_with_130(tmp_path: Path) -> None:
    command = ["-m", "sparsepath", "poc", "demo", "--minutes", "1", "--out", str(tmp_path / "run")]
    with warm.Warm(command, cwd=tmp_path) as process:
        said = []
        for line in process.stderr:
            said.append(line)
            if line.startswith("[2/"):
                process.send_signal(signal.SIGINT)
                break
        rest = process.stderr.read()
        code = process.wait()
    assert code == 130, "".join(said) + rest
    assert "the same command goes on" in rest
    assert "Traceback" not in rest
    state = json.loads((tmp_path / "run" / "work" / "state.json").read_text())
    assert [stage["name"] for stage in state["stages"]] == ["read"]
