"""`sparsepath evaluate`: a language model in known tests, and on texts."""

import json
from pathlib import Path
from typing import cast, get_args

import click

from sparsepath.cli.options import form_option, json_option
from sparsepath.config import Form, SuiteName
from sparsepath.errors import needs_extra

TEXT = "text"
"""The test that is a corpus."""


@click.command("evaluate")
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("data")
@click.option(
    "--suite",
    type=click.Choice((TEXT, *get_args(SuiteName))),
    default=TEXT,
    show_default=True,
    help="Which test; `text` gives bits per byte.",
)
@form_option("fp32")
@click.option("--limit", type=click.IntRange(min=1), help="Items at most.  [default: all]")
@json_option
def evaluate_command(
    model: Path, data: str, suite: str, form: Form, limit: int | None, as_json: bool
) -> None:
    """Judge a language model by texts or a known test.

    DATA is a corpus, as data.source of a recipe, or with --suite the folder that holds the
    test's file. Tests run through lm-evaluation-harness.

    \b
    Example:
      $ sparsepath evaluate runs/stdlib-lm-topk articles.txt
      $ sparsepath evaluate models/smollm2 tests/ --suite lambada --limit 500
    """
    if suite == TEXT:
        from sparsepath.evaluate.texts import evaluate_texts

        with needs_extra("train", "reading this corpus"):
            found = evaluate_texts(model, data, form=form, limit=limit)
    else:
        with needs_extra("evaluate", "sparsepath evaluate --suite"):
            from sparsepath.evaluate.harness import evaluate
        found = evaluate(model, cast(SuiteName, suite), data, form=form, limit=limit)
    if as_json:
        click.echo(json.dumps({**found._asdict(), "form": form}, indent=2))
        return
    for name, value in found.figures.items():
        error = found.errors.get(name)
        sign = "" if error is None else f" (standard error {error:.4f})"
        click.echo(f"{suite}: {name.replace('_', ' ')} {value:.4f}{sign}, {found.n} items, {form}")
