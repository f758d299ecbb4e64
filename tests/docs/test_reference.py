"""The reference is complete and current: every command, every public name."""

import importlib
import importlib.util
import inspect
from pathlib import Path
from types import ModuleType

import click
import pytest

import sparsepath
from sparsepath.cli.main import main

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def load_generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("write_reference", DOCS / "_write_reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GENERATOR = load_generator()


@pytest.mark.parametrize("page", ["cli.md", "python.md", "run-folder.md"])
def test_a_generated_page_is_what_make_reference_writes(page: str) -> None:
    written = (DOCS / "reference" / page).read_text(encoding="utf-8")
    assert written == GENERATOR.pages()[page], "run: make reference"


@pytest.mark.parametrize("name", sorted(main.commands))
def test_every_command_has_help_and_every_option_a_meaning(name: str) -> None:
    command = main.commands[name]
    assert command.help
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, parameter.name


def commands(group: click.Group, prefix: str = "") -> dict[str, click.Command]:
    """List commands, those of groups by both words."""
    found: dict[str, click.Command] = {}
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            found |= commands(command, f"{prefix}{name} ")
        else:
            found[prefix + name] = command
    return found


@pytest.mark.parametrize("name", sorted(commands(main)))
def test_every_command_is_in_the_reference_with_all_its_options(name: str) -> None:
    page = (DOCS / "reference" / "cli.md").read_text(encoding="utf-8")
    section = page.split(f"\n## {name}\n")[1].split("\n## ")[0]
    for parameter in commands(main)[name].params:
        if isinstance(parameter, click.Option):
            assert parameter.opts[-1] in section


@pytest.mark.parametrize("name", sorted(sparsepath.public_names()))
def test_every_public_name_exists_has_a_docstring_and_is_in_the_reference(name: str) -> None:
    documented = inspect.getdoc(getattr(sparsepath, name))
    assert documented
    home = sparsepath.public_names()[name]
    page = (DOCS / "reference" / "python.md").read_text(encoding="utf-8")
    assert f"## sparsepath.{name}\n\n::: {home}\n" in page


def test_the_list_of_public_names_is_the_modules_all() -> None:
    assert set(sparsepath.__all__) == {*sparsepath.public_names(), "__version__"}
    assert set(dir(sparsepath)) == set(sparsepath.__all__)


def test_an_unknown_public_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = sparsepath.nonsense
