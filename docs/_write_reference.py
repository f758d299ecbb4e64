"""Write docs/reference/ from the code: commands, Python names, the run folder, recipes.

`make reference` calls this; a test fails while a page differs from what it would write.
"""

import inspect
import json
from pathlib import Path

import click
from pydantic import BaseModel

import sparsepath
from sparsepath.cli.main import main as command_line
from sparsepath.train.recipe import Recipe

FOLDER = Path(__file__).parent / "reference"
GENERATED = "<!-- Written by `make reference`. Do not edit. -->\n\n"


def pages() -> dict[str, str]:
    """Give the name and the Markdown text of every generated page."""
    return {
        "cli.md": cli_page(),
        "python.md": python_page(),
        "run-folder.md": run_folder_page(),
        "recipe.md": recipe_page(),
    }


def cli_page() -> str:
    """Describe every command and option, from the command line's own definitions."""
    context = click.Context(command_line, info_name="sparsepath")
    parts = [
        GENERATED + "# Command line\n",
        "Data goes to standard output, talk to standard error. Exit codes: 0 done, 1 an error "
        "with its fix, 2 wrong usage, 130 stopped by Ctrl-C.\n",
    ]
    for name in command_line.list_commands(context):
        command = command_line.get_command(context, name)
        assert command is not None
        parts += _command_sections(command, context)
    return "\n".join(parts)


def _command_sections(command: click.Command, parent: click.Context) -> list[str]:
    """Describe a command; of a group, its commands."""
    if not isinstance(command, click.Group):
        return [_command_section(command, parent)]
    context = click.Context(command, info_name=command.name, parent=parent)
    members = [command.get_command(context, name) for name in command.list_commands(context)]
    return [section for c in members if c for section in _command_sections(c, context)]


def _command_section(command: click.Command, parent: click.Context) -> str:
    context = click.Context(command, info_name=command.name, parent=parent)
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    rows = ["| option | meaning |", "|---|---|"]
    for parameter in command.params:
        record = parameter.get_help_record(context)
        if isinstance(parameter, click.Option) and record is not None:
            option, meaning = (_cell(part) for part in record)
            plain = meaning.replace("[", "\\[")  # [default: x] is no link
            rows.append(f"| `{option}` | {plain} |")
    help_text = _help(inspect.cleandoc(command.help or ""))
    name = context.command_path.partition(" ")[2]
    return f"## {name}\n\n```\n{usage}\n```\n\n{help_text}\n\n" + "\n".join(rows) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _help(text: str) -> str:
    """Turn click's unwrapped blocks, marked by a backspace character, into code blocks."""
    blocks = []
    for block in text.split("\n\n"):
        if not block.startswith("\b"):
            blocks.append(block)
            continue
        lines = block.splitlines()[1:]
        body = "\n".join(line[2:] if line.startswith("  ") else line for line in lines[1:])
        blocks.append(f"{lines[0]}\n\n```console\n{body}\n```")
    return "\n\n".join(blocks)


def python_page() -> str:
    """List every public name; mkdocstrings fills in signature and docstring."""
    parts = [
        GENERATED + "# Python\n",
        "Every name here is an attribute of the package: `sparsepath.load`, and so on. Nothing "
        "is imported before it is used.\n",
    ]
    for name, home in sorted(sparsepath.public_names().items()):
        parts.append(
            f"## sparsepath.{name}\n\n::: {home}\n    options:\n      show_root_heading: false\n"
            "      show_root_toc_entry: false\n"
        )
    return "\n".join(parts)


def run_folder_page() -> str:
    """Describe the files of a run folder; mkdocstrings fills in the keys."""
    modules = (
        ("run.json and results.json", "sparsepath.artifacts.schema"),
        ("analysis.json", "sparsepath.artifacts.analysis"),
        ("explanations.jsonl, one line", "sparsepath.artifacts.explanation"),
        ("neurons.json of a sparse model", "sparsepath.artifacts.neurons"),
        ("healing.json of a converted classifier", "sparsepath.artifacts.healing"),
        ("Rows of a benchmark", "sparsepath.artifacts.benchmark"),
    )
    head = (FOLDER.parent / "_run_folder.md").read_text(encoding="utf-8")
    parts = [GENERATED + head]
    for title, module in modules:
        parts.append(
            f"## {title}\n\n::: {module}\n    options:\n      show_root_heading: false\n"
            "      show_root_toc_entry: false\n      heading_level: 3\n"
        )
    return "\n".join(parts)


def recipe_page() -> str:
    """Describe every key of a recipe, from the models that check them."""
    parts = [
        GENERATED + "# A recipe\n",
        "A TOML file that describes one training completely; `sparsepath train` runs it. Keys "
        "that are left out have the value shown.\n",
    ]
    tables = {"": Recipe} | {
        name: field.annotation
        for name, field in Recipe.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
    }
    for table, model in tables.items():
        heading = f"[{table}]" if table else "At the top"
        parts.append(f"## {heading}\n\n{inspect.getdoc(model)}\n")
        rows = ["| key | value | meaning |", "|---|---|---|"]
        for name, field in model.model_fields.items():
            if name in tables:
                continue
            default = "needed" if field.is_required() else f"`{json.dumps(field.default)}`"
            default = "left out" if default == "`null`" else default
            rows.append(f"| `{name}` | {default} | {_cell(field.description or '')} |")
        parts.append("\n".join(rows) + "\n")
    return "\n".join(parts)


def main() -> None:
    """Write every page."""
    FOLDER.mkdir(exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
        print(FOLDER / name)


if __name__ == "__main__":
    main()
