"""The option that names the database, and who uses the commands that write to it."""

import getpass

import click

database_option = click.option(
    "--database",
    default="sparsepath.db",
    show_default=True,
    envvar="SPARSEPATH_DATABASE",
    show_envvar=True,
    help="File of an SQLite database, or postgresql://USER:PASSWORD@HOST/NAME.",
)


def user() -> str:
    """Give the name of this machine's user, as the log has it."""
    try:
        return f"user:{getpass.getuser()}"
    except (OSError, KeyError):
        return "user:?"
