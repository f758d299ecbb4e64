"""`sparsepath review`: decisions that wait for a person, and a labelled set of the verdicts."""

import json
from pathlib import Path

import click

from sparsepath.cli.database import as_option, database_option, person, user
from sparsepath.cli.options import json_option
from sparsepath.errors import ConfigError

SHOWN = 100
"""Characters of a text in a list."""


@click.group("review")
def review_command() -> None:
    """Look at decisions that wait for a person.

    `sparsepath serve --review-below 0.8` lets decisions wait whose probability is lower,
    `--review-margin-below` those whose label leads by less.
    """


@review_command.command("list")
@click.option(
    "--limit", type=click.IntRange(min=1), default=20, show_default=True, help="Decisions."
)
@database_option
@json_option
def list_command(limit: int, database: str, as_json: bool) -> None:
    """Show decisions that wait, the oldest first, with their texts.

    \b
    Example:
      $ sparsepath review list --limit 5
    """
    from sparsepath.audit.database import open_database
    from sparsepath.audit.review import look, n_waiting, waiting

    with open_database(database, must_exist=True) as opened:
        found = [look(opened, case.seq) for case in waiting(opened, limit=limit)]
        n = n_waiting(opened)
    if as_json:
        rows = [looked.case._asdict() | {"text": looked.text} for looked in found]
        click.echo(json.dumps({"waiting": n, "cases": rows}, indent=2))
        return
    for case, text, _verdicts in found:
        said = "(its text was deleted)" if text is None else json.dumps(text[:SHOWN])
        click.echo(f"{case.seq:>8}  {case.time}  {case.label} {case.probability:.2f}  {said}")
    click.echo(f"{n} decisions wait", err=True)


@review_command.command("decide")
@click.argument("seq", type=click.IntRange(min=1))
@click.option("--label", help="The right label.")
@click.option("--none-fits", is_flag=True, help="No label of the model is right.")
@as_option
@database_option
def decide_command(
    seq: int, label: str | None, none_fits: bool, as_name: str | None, database: str
) -> None:
    """Give the verdict on the decision with record SEQ; a later one counts instead.

    \b
    Example:
      $ sparsepath review decide 17 --label refund --as bob
    """
    from sparsepath.audit.actor import Actor
    from sparsepath.audit.database import open_database
    from sparsepath.audit.review import decide

    if (label is None) != none_fits:
        raise ConfigError("no verdict, or two", hint="give either --label LABEL or --none-fits")
    with open_database(database, must_exist=True) as opened:
        receipt = decide(opened, seq, label, Actor(user(), person(as_name)))
    click.echo(f"record {receipt.seq}: {'no label fits' if label is None else label}")


@review_command.command("export")
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="CSV file to write, with the columns text and label.",
)
@database_option
@json_option
def export_command(out: Path, database: str, as_json: bool) -> None:
    """Write the texts with their verdicts as a labelled table, for the next PoC.

    Decisions whose texts were deleted, or that no label fits, are left out and counted.

    \b
    Example:
      $ sparsepath review export -o reviewed.csv
    """
    from sparsepath.artifacts.store import write_lines_atomic
    from sparsepath.audit.database import open_database
    from sparsepath.audit.review import Labels, csv_lines

    with open_database(database, must_exist=True) as opened:
        labels = Labels(opened)
        write_lines_atomic(out, csv_lines(labels))
        counted = labels.export
    if as_json:
        click.echo(json.dumps({"out": str(out), **counted._asdict()}, indent=2))
        return
    click.echo(
        f"{out}: {counted.rows} rows; left out: {counted.forgotten} whose texts were deleted, "
        f"{counted.fits_none} that no label fits"
    )
