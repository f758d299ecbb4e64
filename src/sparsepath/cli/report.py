"""`sparsepath report`: write the report of a run again, for instance in the other language."""

from pathlib import Path

import click

from sparsepath.config import LANGUAGES


@click.command("report")
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--lang",
    type=click.Choice(LANGUAGES),
    default=LANGUAGES[0],
    show_default=True,
    help="Language of the report.",
)
def report_command(run: Path, lang: str) -> None:
    """Write the report of the run folder RUN again.

    Nothing is measured: it shows what RUN/results.json and its neighbours hold.

    \b
    Example:
      $ sparsepath report runs/tickets --lang ja
    """
    from sparsepath.report import write_report

    click.echo(write_report(run, lang))
