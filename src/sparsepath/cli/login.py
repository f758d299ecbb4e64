"""Options of `serve` about logging in, and `sparsepath logins`."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sparsepath.cli.database import database_option, user
from sparsepath.cli.options import json_option
from sparsepath.errors import ConfigError

if TYPE_CHECKING:
    from sparsepath.server.login.options import LoginOptions

_OPTIONS = (
    click.option(
        "--oidc-issuer",
        metavar="URL",
        help="Let people log in to the page at this provider of identities (OpenID Connect); "
        "needs the extra oidc.",
    ),
    click.option("--oidc-client", metavar="ID", help="What the provider calls this server."),
    click.option(
        "--oidc-roles",
        type=click.Path(path_type=Path, dir_okay=False),
        help="TOML file that says who gets which role.",
    ),
    click.option(
        "--oidc-secret-file",
        type=click.Path(path_type=Path, dir_okay=False),
        help="File with the client's secret; else the variable SPARSEPATH_OIDC_SECRET has it.",
    ),
    click.option(
        "--oidc-hours", type=float, help="Hours until people must log in again.  [default: 8]"
    ),
    click.option(
        "--page-url",
        metavar="URL",
        help="What browsers call the page where TLS is in front, such as https://NAME.",
    ),
)


def login_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options about logging in to a command."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def read_login(options: dict[str, Any]) -> "LoginOptions | None":
    """Take the options about logging in out of a command's; None: nobody logs in.

    Raises:
        ConfigError: if one is missing, wrong, or without effect.
    """
    from sparsepath.server.login.options import LoginOptions, read_secret
    from sparsepath.server.login.rules import read_rules

    names = ("issuer", "client", "roles", "secret_file", "hours")
    told = {name: options.pop(f"oidc_{name}") for name in names}
    page_url = options.pop("page_url")
    if told["issuer"] is None:
        given = [f"--oidc-{name.replace('_', '-')}" for name in names if told[name] is not None]
        given += ["--page-url"] if page_url is not None else []
        if given:
            raise ConfigError(
                f"{given[0]} without --oidc-issuer", hint="give --oidc-issuer URL too"
            )
        return None
    for name, what in (("client", "ID"), ("roles", "FILE")):
        if told[name] is None:
            raise ConfigError(
                f"--oidc-issuer without --oidc-{name}", hint=f"give --oidc-{name} {what} too"
            )
    hours = {} if told["hours"] is None else {"hours": told["hours"]}
    return LoginOptions(
        issuer=told["issuer"],
        client_id=told["client"],
        rules=read_rules(told["roles"]),
        secret=read_secret(told["secret_file"]),
        page_url=page_url,
        **hours,
    )


@click.group("logins")
def logins_command() -> None:
    """List and end logins of people at a server with --oidc-issuer."""


@logins_command.command("list")
@database_option
@json_option
def list_command(database: str, as_json: bool) -> None:
    """Show who is logged in, and who was in the last thirty days.

    \b
    Example:
      $ sparsepath logins list
    """
    from sparsepath.audit.clock import now
    from sparsepath.audit.database import open_database
    from sparsepath.audit.logins import list_logins

    with open_database(database, must_exist=True) as opened:
        logins = list_logins(opened)
    if as_json:
        click.echo(json.dumps([login._asdict() for login in logins], indent=2))
        return
    for login in logins:
        state = "ended" if login.ended else "in" if login.is_valid(now()) else "over"
        click.echo(f"{login.id}  {state:<5}  {login.role:<8}  {login.created}  {login.person}")


@logins_command.command("end")
@click.argument("login_id", metavar="ID")
@database_option
def end_command(login_id: str, database: str) -> None:
    """Log the person with this login ID out; a running server notices within seconds.

    \b
    Example:
      $ sparsepath logins end 0123456789abcdef
    """
    from sparsepath.audit.database import open_database
    from sparsepath.audit.logins import end_login

    with open_database(database, must_exist=True) as opened:
        login = end_login(opened, login_id, by=user())
    click.echo(f"login {login.id} of {login.person} is over")
