"""`sparsepath train`: one training, described by a recipe."""

import json
from pathlib import Path

import click

from sparsepath.cli.options import changes_option, json_option
from sparsepath.errors import needs_extra
from sparsepath.kernels.allocator import keep_freed_memory


@click.command("train")
@click.argument("recipe", type=click.Path(path_type=Path))
@changes_option
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Run folder.  [default: runs/<name of the recipe>]",
)
@click.option("--check", is_flag=True, help="Only read the recipe and say what is wrong with it.")
@json_option
def train_command(
    recipe: Path, changes: tuple[str, ...], out: Path | None, check: bool, as_json: bool
) -> None:
    """Train by RECIPE, a TOML file; the same command goes on.

    After Ctrl-C or a crash it goes on where it stopped, and ends with the same model.
    Attention may be subsampled in most of the steps and dense in the last ones. The run
    folder gets train.jsonl, checkpoints/ and model/, an ordinary Hugging Face folder.

    \b
    Example:
      $ sparsepath train recipes/stdlib-lm-ssa.toml --set train.steps=200
    """
    if check:
        _check(recipe, changes)
        return
    with needs_extra("train", "sparsepath train"):
        from sparsepath.train.recipe_file import read_recipe
        from sparsepath.train.trainer import train
    keep_freed_memory()
    found = train(read_recipe(recipe, changes), out or Path("runs") / recipe.stem)
    if as_json:
        facts = {**found.evaluation._asdict(), "wall_s": found.wall_s}
        click.echo(json.dumps({"model": str(found.folder / "model"), **facts}, indent=2))
        return
    click.echo(found.folder / "model")


def _check(recipe: Path, changes: tuple[str, ...]) -> None:
    """Read a recipe and say that it is one."""
    with needs_extra("train", "sparsepath train"):
        from sparsepath.train.recipe_file import read_recipe
    found = read_recipe(recipe, changes)
    click.echo(f"{recipe}: a recipe of {found.task}, {found.train.steps} steps")
