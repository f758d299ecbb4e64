"""`sparsepath explain`: why a model answered as it did, with the explanation's own test.

A classifier is asked for its label, a language model for the token that it goes on with.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import click

from sparsepath.artifacts.neuron import read_place
from sparsepath.artifacts.store import write_text_atomic
from sparsepath.cli.options import json_option
from sparsepath.config import LANGUAGES, Language
from sparsepath.errors import ConfigError, RunError, needs_extra


@click.command("explain")
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("text", required=False)
@click.option("--target", help="Label, or token, to explain.  [default: the model's answer]")
@click.option("--against", help="Label, or token, to compare with.  [default: the runner-up]")
@click.option(
    "--site",
    help="Language model: where neurons are named, such as L02 or L02.mlp_hidden.  "
    "[default: the last sparse one of the residual stream]",
)
@click.option(
    "--contrast", help="Language model: a text whose values replace the neurons' in the test."
)
@click.option(
    "--card",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Language model: write an audit card to this file.",
)
@click.option(
    "--replay",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Language model: see a card again; TEXT is needed where the card holds only its hash.",
)
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
    text: str | None,
    lang: Language,
    html: Path | None,
    as_json: bool,
    **asked: Any,
) -> None:
    """Show what decided how MODEL labels TEXT, or goes on with it.

    MODEL is a model folder such as RUN/models/NAME, a run folder, which stands for the model that
    the run recommends, or the folder of a language model. Below the scores stands the explanation's
    own test: what remains of the decision with only the named units, and without them.

    \b
    Examples:
      $ sparsepath explain runs/tickets "The app closes when I take a photo."
      $ sparsepath explain runs/lm "import numpy as" --target np --card card.json
    """
    with needs_extra("train", "sparsepath explain"):
        from sparsepath.models.language_folder import is_language_model
    if asked["replay"] is not None:
        _replay(model, asked["replay"], text)
        return
    if text is None:
        raise ConfigError("nothing to explain", hint="give a text after the model")
    is_language = any(is_language_model(folder) for folder in (model, model / "model"))
    if not is_language:
        given = [name for name in ("site", "contrast", "card") if asked[name] is not None]
        if given:
            raise ConfigError(
                f"--{given[0]} is for language models, {model} holds none",
                hint="leave it out, or give the folder of a language model",
            )
    shown = (_explain_token if is_language else _explain_label)(model, text, lang, asked)
    if html is not None:
        write_text_atomic(html, shown.html())
        click.echo(f"page: {html}", err=True)
    if as_json:
        click.echo(json.dumps(shown.plain(), ensure_ascii=False, indent=2))
        return
    shown.show()


class _Shown(NamedTuple):
    """An explanation, ready for every way to give it out."""

    html: Callable[[], str]
    plain: Callable[[], object]
    show: Callable[[], None]


def _explain_label(model: Path, text: str, lang: Language, asked: dict[str, Any]) -> _Shown:
    """Explain a classifier's label."""
    from rich.console import Console

    with needs_extra("train", "sparsepath explain"):
        from sparsepath.evaluate.explain import explain, explanation_plain
        from sparsepath.pathways.explain_render import explanation_html, print_explanation
    explanation, folder = explain(model, text, target=asked["target"], against=asked["against"])
    click.echo(f"model: {folder}", err=True)
    return _Shown(
        lambda: explanation_html(explanation, lang),
        lambda: explanation_plain(explanation),
        lambda: print_explanation(explanation, Console(), lang),
    )


def _explain_token(model: Path, text: str, lang: Language, asked: dict[str, Any]) -> _Shown:
    """Explain a language model's next token, and write a card."""
    from rich.console import Console

    with needs_extra("train", "sparsepath explain"):
        from sparsepath.artifacts.decision import write_card
        from sparsepath.evaluate.decision import asdict_plain, card_of, explain_token, relabelled
        from sparsepath.pathways.next_token import Asked
        from sparsepath.pathways.next_token_render import next_token_html, print_next_token
    question = Asked(
        target=asked["target"],
        against=asked["against"],
        place=None if asked["site"] is None else read_place(asked["site"]),
        contrast=asked["contrast"],
    )
    told = explain_token(model, text, question)
    if asked["card"] is not None:
        write_card(asked["card"], card_of(model, told, question))
        click.echo(f"card: {asked['card']}", err=True)
    told = relabelled(model, told, lang)
    return _Shown(
        lambda: next_token_html(told, lang),
        lambda: asdict_plain(told),
        lambda: print_next_token(told, Console(), lang),
    )


def _replay(model: Path, path: Path, text: str | None) -> None:
    """See a card again, and say what came out otherwise."""
    with needs_extra("train", "sparsepath explain"):
        from sparsepath.artifacts.decision import TOLERANCE, read_card
        from sparsepath.evaluate.decision import replay
    found = replay(model, read_card(path), text)
    for difference in found:
        click.echo(f"{difference.figure}: {difference.card} on the card, {difference.now} now")
    if found:
        raise RunError(
            f"{len(found)} figures of {path} came out otherwise",
            hint="compare the versions on the card with those installed here",
        )
    click.echo(f"every figure of {path} came out the same, within {TOLERANCE:g}")
