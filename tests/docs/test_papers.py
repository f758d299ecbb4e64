"""Readme, changelog, how-to pages: what they say exists, and versions agree."""

import re
import shlex
from pathlib import Path

import pytest

from sparsepath.cli.main import main
from sparsepath.version import __version__

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    if not path.name.startswith("_")
)
CONSOLE = re.compile(r"```console\n(.*?)```", re.DOTALL)


def commands_of(page: Path) -> list[list[str]]:
    """Every `$ sparsepath ...` line of a page, as arguments without the program's name."""
    text = page.read_text(encoding="utf-8")
    found = []
    for block in CONSOLE.findall(text):
        for line in block.splitlines():
            words = shlex.split(line, comments=True)
            if words[:2] == ["$", "sparsepath"]:
                found.append(words[2:])
    return found


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_every_command_on_a_page_is_one_that_the_program_understands(page: Path) -> None:
    for words in commands_of(page):
        if words[0].startswith("-"):
            continue
        command = main.commands.get(words[0])
        assert command is not None, f"sparsepath {words[0]}"
        command.make_context(words[0], words[1:])


def test_pages_with_commands_are_found() -> None:
    assert len([page for page in PAGES if commands_of(page)]) > 5


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_every_make_target_on_a_page_is_in_the_makefile(page: Path) -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for target in re.findall(r"(?:`|\$ )make ([a-z0-9-]+)", page.read_text(encoding="utf-8")):
        assert target in targets, f"make {target}"


def test_the_newest_entry_of_the_changelog_is_the_version() -> None:
    entries = re.findall(r"^## \[([^\]]+)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert entries[0] == __version__


def test_every_page_of_the_documentation_is_in_the_navigation() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    for page in (ROOT / "docs").rglob("*.md"):
        if not page.name.startswith("_"):
            assert page.relative_to(ROOT / "docs").as_posix() in navigation


def test_every_link_of_the_readme_leads_somewhere() -> None:
    for link in re.findall(r"\]\(([^)#]+)\)", (ROOT / "README.md").read_text(encoding="utf-8")):
        assert link.startswith("http") or (ROOT / link).exists(), link
