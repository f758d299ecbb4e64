"""Options that several commands share."""

from collections.abc import Callable
from typing import get_args

import click

from sparsepath.config import Form

json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON on standard output instead of text."
)

changes_option = click.option(
    "--set", "changes", multiple=True, metavar="PART.KEY=VALUE", help="Change one key."
)


def form_option(default: Form) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make the option that says how a language model's weights are stored."""
    return click.option(
        "--form",
        type=click.Choice(get_args(Form)),
        default=default,
        show_default=True,
        help="How weights are stored.",
    )


def steer_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that steer a language model."""
    for option in reversed(_STEER):
        command = option(command)
    return command


_STEER = (
    click.option(
        "--steer",
        multiple=True,
        metavar="EDIT",
        help='Edit a neuron (several times): "L02/117=8", "L02/117*0.5", "L02/117+3", '
        '"L02/117=off", each also with "@answer" or "if L01/5 fires" behind it.',
    ),
    click.option(
        "--unsafe-strength", is_flag=True, help="Allow strengths that mostly break the text."
    ),
    click.option("--dense-sites", is_flag=True, help="Also edit what a sparse model leaves dense."),
)
