"""`sparsepath keys`: who may ask a server what."""

import json
from typing import get_args

import click

from sparsepath.audit.roles import Role
from sparsepath.cli.database import database_option, user
from sparsepath.cli.options import json_option


@click.group("keys")
def keys_command() -> None:
    """Make, list and revoke API keys of a server."""


@keys_command.command("add")
@click.argument("name")
@click.option(
    "--role",
    type=click.Choice(get_args(Role)),
    default="viewer",
    show_default=True,
    help="What the key may do; each role may do what those before it may.",
)
@click.option("--days", type=float, default=90.0, show_default=True, help="Days until it expires.")
@click.option("--never-expires", is_flag=True, help="Make a key without an end.")
@database_option
@json_option
def add_command(
    name: str, role: Role, days: float, never_expires: bool, database: str, as_json: bool
) -> None:
    """Make a key for NAME and print it, this once.

    \b
    Example:
      $ sparsepath keys add ticket-router --role viewer --days 365
    """
    from sparsepath.audit.database import open_database
    from sparsepath.audit.keys import add_key

    with open_database(database) as opened:
        new = add_key(opened, name, role, days=None if never_expires else days, by=user())
    if as_json:
        click.echo(json.dumps(new.key._asdict() | {"secret": new.secret}, indent=2))
        return
    click.echo(new.secret)
    ends = f"expires {new.key.expires}" if new.key.expires else "never expires"
    click.echo(f"key {new.key.id} for {name}, {role}, {ends}; it cannot be shown again", err=True)


@keys_command.command("list")
@database_option
@json_option
def list_command(database: str, as_json: bool) -> None:
    """Show every key, without its secret.

    \b
    Example:
      $ sparsepath keys list
    """
    from sparsepath.audit.clock import now
    from sparsepath.audit.database import open_database
    from sparsepath.audit.keys import list_keys

    with open_database(database, must_exist=True) as opened:
        keys = list_keys(opened)
    if as_json:
        click.echo(json.dumps([key._asdict() for key in keys], indent=2))
        return
    for key in keys:
        state = "revoked" if key.revoked else "valid" if key.is_valid(now()) else "expired"
        click.echo(
            f"{key.id}  {state:<8}  {key.role:<8}  {key.expires or 'no end':<27}  {key.name}"
        )


@keys_command.command("revoke")
@click.argument("key_id", metavar="ID")
@database_option
def revoke_command(key_id: str, database: str) -> None:
    """Make the key with this ID useless; a running server notices within seconds.

    \b
    Example:
      $ sparsepath keys revoke 0123456789abcdef
    """
    from sparsepath.audit.database import open_database
    from sparsepath.audit.keys import revoke_key

    with open_database(database, must_exist=True) as opened:
        key = revoke_key(opened, key_id, by=user())
    click.echo(f"key {key.id} of {key.name} is revoked")
