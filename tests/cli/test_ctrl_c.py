"""Ctrl-C in the middle of a real `sparsepath poc`: exit code, promise, what is kept."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_ctrl_c_keeps_the_finished_stages_and_exits_with_130(tmp_path: Path) -> None:
    program = Path(sys.executable).parent / "sparsepath"
    command = [str(program), "poc", "demo", "--minutes", "1", "--out", str(tmp_path / "run")]
    with subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        # A shell that started the tests in the background made them ignore this signal.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        assert process.stderr is not None
        said = []
        for line in process.stderr:
            said.append(line)
            if line.startswith("[2/"):
                process.send_signal(signal.SIGINT)
                break
        rest = process.stderr.read()
        code = process.wait(timeout=60)
    assert code == 130, "".join(said) + rest
    assert "the same command goes on" in rest
    assert "Traceback" not in rest
    state = json.loads((tmp_path / "run" / "work" / "state.json").read_text())
    assert [stage["name"] for stage in state["stages"]] == ["read"]
