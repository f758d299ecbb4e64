"""`sparsepath convert`: a dense language model becomes a sparse one."""

import json
from pathlib import Path
from typing import Any

import click

from sparsepath.cli.options import changes_option, json_option
from sparsepath.errors import ConfigError, needs_extra


@click.command("convert")
@click.argument("model")
@click.argument("corpus")
@click.option("--k", type=int, help="Entries of the residual stream that stay after a block.")
@click.option(
    "--site", "sites", multiple=True, metavar="NAME=K", help="Entries that stay at another site."
)
@changes_option
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Run folder.  [default: runs/<name of the model>-topk]",
)
@json_option
def convert_command(
    model: str,
    corpus: str,
    changes: tuple[str, ...],
    out: Path | None,
    as_json: bool,
    **sparse: Any,
) -> None:
    """Make a dense language model sparse.

    It is healed on CORPUS; after Ctrl-C or a crash the same command goes on. MODEL is a folder or
    id of a model of the Llama kind, CORPUS what data.source of a recipe may be. While k falls
    from all entries to those named, the model learns from the text and from what it said before.

    \b
    Example:
      $ sparsepath convert models/smollm2 articles.txt --k 144 --set train.steps=200
    """
    sites = _sites(**sparse)
    with needs_extra("train", "sparsepath convert"):
        from sparsepath.train.convert import convert
    place = out or Path("runs") / f"{Path(model).name}-topk"
    found = convert(model, corpus, place, sites=sites, changes=changes)
    if as_json:
        facts = {**found.evaluation._asdict(), "wall_s": found.wall_s}
        click.echo(json.dumps({"model": str(found.folder / "model"), **facts}, indent=2))
        return
    click.echo(found.folder / "model")


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
