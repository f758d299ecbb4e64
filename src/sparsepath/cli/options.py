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
