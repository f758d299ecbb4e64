"""What every command shares: start-up without torch, errors in two lines, exit codes."""

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from sparsepath.cli.main import _Group, main
from sparsepath.cli.poc import poc_command
from sparsepath.errors import DataError, SparsepathError, needs_extra
from sparsepath.version import __version__


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def group_with(command_name: str, raised: BaseException) -> click.Group:
    group = _Group("sparsepath")

    @group.command(command_name)
    def _fails() -> None:
        raise raised

    return group


def test_help_lists_every_command() -> None:
    result = CliRunner().invoke(main, ["--help"])
    assert result.exit_code == 0
    for name in ("poc", "predict", "explain", "export", "report", "doctor", "bench"):
        assert f"\n  {name} " in result.output


def test_no_command_help_is_cut_off() -> None:
    commands = CliRunner().invoke(main, ["--help"]).output.split("Commands:")[1]
    assert "..." not in commands


def test_version_is_the_package_version() -> None:
    assert __version__ in CliRunner().invoke(main, ["--version"]).output


@pytest.mark.parametrize("module", ["torch", "transformers", "onnxruntime", "pyarrow", "sklearn"])
def test_start_up_does_not_import(module: str) -> None:
    done = run_python(
        f"import sys, sparsepath, sparsepath.cli.main; sys.exit('{module}' in sys.modules)"
    )
    assert done.returncode == 0, done.stderr


def test_an_error_the_user_can_fix_is_two_lines_on_stderr_and_exit_1() -> None:
    group = group_with("predict", DataError("no rows in a.csv", hint="add rows"))
    result = CliRunner().invoke(group, ["predict"])
    assert result.exit_code == 1
    assert result.stderr == "error: no rows in a.csv\n  fix: add rows\n"
    assert result.stdout == ""


def test_a_bug_of_ours_keeps_its_traceback() -> None:
    result = CliRunner().invoke(group_with("predict", ZeroDivisionError("bug")), ["predict"])
    assert isinstance(result.exception, ZeroDivisionError)


def test_ctrl_c_in_poc_says_that_the_same_command_goes_on() -> None:
    assert poc_command.name == "poc"
    result = CliRunner().invoke(group_with("poc", KeyboardInterrupt()), ["poc"])
    assert result.exit_code == 130
    assert "the same command goes on" in result.stderr


def test_ctrl_c_elsewhere_promises_nothing() -> None:
    result = CliRunner().invoke(group_with("predict", KeyboardInterrupt()), ["predict"])
    assert result.exit_code == 130
    assert result.stderr.strip() == "stopped"


def test_an_unknown_option_is_wrong_usage() -> None:
    assert CliRunner().invoke(main, ["predict", "--nonsense"]).exit_code == 2


def test_a_missing_package_is_answered_with_the_line_that_installs_it() -> None:
    with (
        pytest.raises(SparsepathError, match=r"fix: pip install 'sparsepath\[train\]'") as caught,
        needs_extra("train", "this"),
    ):
        import nothing_of_this_name  # noqa: F401
    assert "this needs the Python package nothing_of_this_name" in str(caught.value)


def test_a_missing_module_of_our_own_is_a_bug_not_a_missing_extra() -> None:
    with pytest.raises(ModuleNotFoundError), needs_extra("train", "this"):
        import sparsepath.nothing_of_this_name  # noqa: F401


@pytest.mark.parametrize(
    "arguments", [["poc", "demo"], ["explain", "some/folder", "a text"]], ids=lambda a: a[0]
)
def test_a_command_that_needs_torch_says_so_where_it_is_not_installed(arguments: list[str]) -> None:
    done = run_python(
        "import sys; sys.modules['torch'] = None; from sparsepath.cli.main import main;"
        f" main({arguments!r})"
    )
    assert done.returncode == 1
    assert "pip install 'sparsepath[train]'" in done.stderr
    assert "Traceback" not in done.stderr
