"""`sparsepath keys`: who may ask a server what."""

import json
from typing import Any, get_args

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
@click.option(
    "--per-minute", type=click.IntRange(min=1), help="Requests and texts in a minute, at most."
)
@click.option("--per-day", type=click.IntRange(min=1), help="Requests and texts in a day (UTC).")
@database_option
@json_option
def add_command(
    name: str, role: Role, days: float, database: str, as_json: bool, **options: Any
) -> None:
    """Make a key for NAME and print it, this once.

    \b
    Example:
      $ sparsepath keys add ticket-router --role viewer --days 365
    """
    from sparsepath.audit.database import open_database
    from sparsepath.audit.keys import KeyLimits, add_key

    limits = KeyLimits(options["per_minute"], options["per_day"])
    ends = None if options["never_expires"] else days
    with open_database(database) as opened:
        new = add_key(opened, name, role, days=ends, limits=limits, by=user())
    if as_json:
        click.echo(json.dumps(new.key._asdict() | {"secret": new.secret}, indent=2))
        return
    click.echo(new.secret)
    told = f"expires {new.key.expires}" if new.key.expires else "never expires"
    click.echo(f"key {new.key.id} for {name}, {role}, {told}; it cannot be shown again", err=True)


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
    from sparsepath.audit.usage import used_on

    with open_database(database, must_exist=True) as opened:
        keys, used = list_keys(opened), used_on(opened, now()[:10])
    if as_json:
        told = [key._asdict() | {"used_today": used.get(key.id, 0)} for key in keys]
        click.echo(json.dumps(told, indent=2))
        return
    for key in keys:
        state = "revoked" if key.revoked else "valid" if key.is_valid(now()) else "expired"
        minute = f"  {key.per_minute}/min" if key.per_minute else ""
        day = f"  {used.get(key.id, 0)} of {key.per_day}/day" if key.per_day else ""
        click.echo(
            f"{key.id}  {state:<8}  {key.role:<8}  {key.expires or 'no end':<27}  {key.name}"
            f"{minute}{day}"
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
