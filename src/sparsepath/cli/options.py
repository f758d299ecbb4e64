"""Options that several commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import get_args

import click

from sparsepath.config import Form, GenerateOptions

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


def writing_options(
    defaults: GenerateOptions,
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make the options that say how a language model writes."""
    options = (
        click.option(
            "--tokens", default=defaults.tokens, show_default=True, help="New tokens, at most."
        ),
        click.option(
            "--temperature",
            default=defaults.temperature,
            show_default=True,
            help="0 takes the likeliest token each time; 1 draws as the model says.",
        ),
        click.option(
            "--top-p",
            default=defaults.top_p,
            show_default=True,
            help="Draw among the likeliest tokens of this probability together.",
        ),
        click.option("--seed", default=defaults.seed, show_default=True, help="Draws tokens."),
    )

    def add(command: Callable[..., None]) -> Callable[..., None]:
        for option in reversed(options):
            command = option(command)
        return command

    return add


def steer_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that steer a language model."""
    for option in reversed(_STEER):
        command = option(command)
    return command


sae_option = click.option(
    "--sae",
    "autoencoder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Edits are of latents of this sparse autoencoder over MODEL, as in `L02/233+4`; `try` "
    "also sets, scales and suppresses.",
)

_STEER = (
    click.option(
        "--steer",
        multiple=True,
        metavar="EDIT",
        help='Edit a neuron (several times): "L02/117=8", "L02/117*0.5", "L02/117+3", '
        '"L02/117=off", each also with "@answer" or "if L01/5 fires" behind it. A label of the '
        'catalogue beside the model may stand for its neuron: "refund*2".',
    ),
    click.option(
        "--unsafe-strength", is_flag=True, help="Allow strengths that mostly break the text."
    ),
    click.option("--dense-sites", is_flag=True, help="Also edit what a sparse model leaves dense."),
)
