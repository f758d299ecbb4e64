"""`sparsepath convert`: a dense language model or text classifier becomes a sparse one."""

import json
from pathlib import Path
from typing import Any

import click

from sparsepath.cli.options import changes_option, json_option
from sparsepath.errors import ConfigError, needs_extra
from sparsepath.kernels.allocator import keep_freed_memory


@click.command("convert")
@click.argument("model")
@click.argument("data")
@click.option("--k", type=int, help="Entries of the residual stream that stay after a layer.")
@click.option(
    "--site", "sites", multiple=True, metavar="NAME=K", help="Entries that stay at another site."
)
@click.option("--text-column", help="Classifier: column with the text.  [default: found]")
@click.option("--label-column", help="Classifier: column with the label.  [default: found]")
@changes_option
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Run folder.  [default: runs/<name of the model>-topk]",
)
@json_option
def convert_command(
    model: str,
    data: str,
    changes: tuple[str, ...],
    out: Path | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Make a dense language model, or a text classifier, sparse.

    It is healed on DATA; after Ctrl-C or a crash the same command goes on. MODEL is the folder or
    id of a language model of the Llama kind, and DATA what data.source of a recipe may be; or MODEL
    is a fine-tuned text classifier, and DATA a table with labels that it knows. While k falls from
    all entries to those named, the model learns from DATA and from what it said before.

    \b
    Examples:
      $ sparsepath convert models/smollm2 articles.txt --k 144 --set train.steps=200
      $ sparsepath convert models/tickets-bert tickets.csv --k 96
    """
    sites = _sites(given["k"], given["sites"])
    changes = (*_columns(given), *changes)
    with needs_extra("train", "sparsepath convert"):
        from sparsepath.evaluate.convert import convert
        from sparsepath.evaluate.healing_card import healing_lines
    keep_freed_memory()
    place = out or Path("runs") / f"{Path(model).name}-topk"
    found = convert(model, data, place, sites=sites, changes=changes)
    if found.healing is not None:
        for line in healing_lines(found.healing):
            click.echo(line, err=True)
    if as_json:
        facts: dict[str, Any] = {**found.evaluation._asdict(), "wall_s": found.wall_s}
        if found.healing is not None:
            facts["healing"] = found.healing.model_dump(mode="json", by_alias=True)
        click.echo(json.dumps({"model": str(found.folder / "model"), **facts}, indent=2))
        return
    click.echo(found.folder / "model")


def _columns(given: dict[str, Any]) -> list[str]:
    """Write named columns as keys of a recipe."""
    names = ("text_column", "label_column")
    return [
        f"data.{name}={json.dumps(given[name], ensure_ascii=False)}"
        for name in names
        if given[name] is not None
    ]


def _sites(k: int | None, sites: tuple[str, ...]) -> dict[str, int]:
    """Read which site keeps how many entries.

    Raises:
        ConfigError: if one is not written as it should be.
    """
    named = {} if k is None else {"block_out": k}
    for site in sites:
        name, sign, number = site.partition("=")
        if not sign or not number.strip().lstrip("-").isdigit():
            raise ConfigError(f"--site {site}", hint="write it as NAME=K, such as mlp_hidden=192")
        named[name.strip()] = int(number)
    return named
