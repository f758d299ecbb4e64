"""The option that names the database, and who uses the commands that write to it."""

import getpass

import click

from sparsepath.errors import ConfigError

database_option = click.option(
    "--database",
    default="sparsepath.db",
    show_default=True,
    envvar="SPARSEPATH_DATABASE",
    show_envvar=True,
    help="File of an SQLite database, or postgresql://USER:PASSWORD@HOST/NAME.",
)


as_option = click.option(
    "--as",
    "as_name",
    metavar="NAME",
    help="Who does it, as the record names them.  [default: the user's name]",
)


def user() -> str:
    """Give the name of this machine's user, as the log has it."""
    try:
        return f"user:{getpass.getuser()}"
    except (OSError, KeyError):
        return "user:?"


def person(as_name: str | None) -> str:
    """Give who does something: what they say, else the name of this machine's user.

    Raises:
        ConfigError: if that is no name.
    """
    name = user().partition(":")[2] if as_name is None else as_name
    if not 1 <= len(name.strip()) <= 64 or not name.isprintable():
        raise ConfigError(
            f"a name of {len(name)} characters", hint="give 1 to 64 that can be printed: --as alice"
        )
    return name
