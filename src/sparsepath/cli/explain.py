"""`sparsepath explain`: why a model gave one text its label, with the explanation's own test."""

import json
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import click

from sparsepath.artifacts.base import Artifact
from sparsepath.cli.options import json_option
from sparsepath.config import LANGUAGES
from sparsepath.errors import needs_extra


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
    as_json: bool,
    **page: Any,
) -> None:
    """Show the tokens and units that decided how MODEL labels TEXT.

    MODEL is a model folder such as RUN/models/NAME, or a run folder, which stands for the
    model that the run recommends. Below the scores stands the explanation's own test: what
    remains of the decision with only the named units, and without them.

    \b
    Example:
      $ sparsepath explain runs/tickets "The app closes when I take a photo."
    """
    from rich.console import Console

    from sparsepath.artifacts.store import write_text_atomic

    with needs_extra("train", "sparsepath explain"):
        from sparsepath.evaluate.explain import explain
        from sparsepath.pathways.explain_render import explanation_html, print_explanation
    explanation, folder = explain(model, text, target=target, against=against)
    click.echo(f"model: {folder}", err=True)
    if page["html"] is not None:
        write_text_atomic(page["html"], explanation_html(explanation, page["lang"]))
        click.echo(f"page: {page['html']}", err=True)
    if as_json:
        click.echo(json.dumps(_plain(explanation), ensure_ascii=False, indent=2))
        return
    print_explanation(explanation, Console(), page["lang"])


def _plain(value: object) -> object:
    """Turn records, also nested ones, into what JSON can hold."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Artifact):
        return value.model_dump(mode="json")
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {name: _plain(item) for name, item in value._asdict().items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value
