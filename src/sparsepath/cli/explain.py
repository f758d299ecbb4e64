"""`sparsepath explain`: why a model gave one text its label, with the explanation's own test."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sparsepath.cli.options import json_option
from sparsepath.config import LANGUAGES, Language
from sparsepath.errors import needs_extra

if TYPE_CHECKING:
    from sparsepath.pathways.explain import Explanation


@click.command("explain")
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("text")
@click.option("--target", help="Label to explain.  [default: the model's answer]")
@click.option("--against", help="Label to compare with.  [default: the runner-up]")
@click.option(
    "--html", type=click.Path(path_type=Path, dir_okay=False), help="Write a page to this file."
)
@click.option(
    "--lang",
    type=click.Choice(LANGUAGES),
    default=LANGUAGES[0],
    show_default=True,
    help="Language of the text and the page.",
)
@json_option
def explain_command(
    model: Path,
    text: str,
    target: str | None,
    against: str | None,
    html: Path | None,
    lang: Language,
    as_json: bool,
) -> None:
    """Show the tokens and units that decided how MODEL labels TEXT.

    MODEL is a model folder such as RUN/models/NAME, or a run folder, which stands for the
    model that the run recommends. Below the scores stands the explanation's own test: what
    remains of the decision with only the named units, and without them.

    \b
    Example:
      $ sparsepath explain runs/tickets "The app closes when I take a photo."
    """
    with needs_extra("train", "sparsepath explain"):
        from sparsepath.pathways.explain_model import explain
        from sparsepath.pathways.explain_render import print_explanation, write_html
    explanation, folder = explain(model, text, target=target, against=against)
    click.echo(f"model: {folder}", err=True)
    if html is not None:
        write_html(explanation, html, lang)
        click.echo(f"page: {html}", err=True)
    if as_json:
        click.echo(json.dumps(_plain(explanation), ensure_ascii=False, indent=2))
        return
    print_explanation(explanation, lang)
