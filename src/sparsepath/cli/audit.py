"""`sparsepath audit`: what a server decided, on record."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from sparsepath.cli.audit_find import find_command, replay_command, report_command
from sparsepath.cli.database import database_option, user
from sparsepath.cli.options import json_option
from sparsepath.errors import ConfigError, RunError


@click.group("audit")
def audit_command() -> None:
    """Read and check the log of what a server decided.

    Every answer of `sparsepath serve` is one record. Each record holds the hash of the one
    before it, so that none can be altered, removed or moved unnoticed.
    """


for _command in (find_command, report_command, replay_command):
    audit_command.add_command(_command)


@audit_command.command("show")
@click.option("--seq", type=click.IntRange(min=1), help="One record, with its texts.")
@click.option(
    "--limit", type=click.IntRange(min=1), default=20, show_default=True, help="Newest records."
)
@database_option
@json_option
def show_command(seq: int | None, limit: int, database: str, as_json: bool) -> None:
    """Print the newest records, or one of them with its texts.

    \b
    Examples:
      $ sparsepath audit show --limit 5
      $ sparsepath audit show --seq 17
    """
    from sparsepath.audit.database import open_database
    from sparsepath.audit.export import exported_lines
    from sparsepath.audit.log import head

    with open_database(database, must_exist=True) as opened:
        last = head(opened).seq
        if seq is not None and seq > last:
            raise ConfigError(f"no record {seq}", hint=f"the newest one is {last}")
        first = seq or max(1, last - limit + 1)
        lines = exported_lines(opened, first=first, last=seq or last, with_texts=seq is not None)
        records = [json.loads(line) for line in lines]
    if as_json:
        click.echo(json.dumps(records, ensure_ascii=False, indent=2))
        return
    for record in records:
        told = record["body"] | record.get("kept", {})
        facts = json.dumps(told, ensure_ascii=False, indent=2 if seq else None)
        click.echo(f"{record['seq']:>8}  {record['time']}  {record['kind']}  {facts}")


@audit_command.command("verify")
@click.option(
    "--anchor",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="File of hashes that was kept elsewhere; finds a log that was cut off.",
)
@database_option
@json_option
def verify_command(anchor: Path | None, database: str, as_json: bool) -> None:
    """Check that no record was altered, removed, moved or cut off; exit code 1 if one was.

    \b
    Example:
      $ sparsepath audit verify --anchor /mnt/elsewhere/anchors.jsonl
    """
    from sparsepath.audit.anchor import read_anchors
    from sparsepath.audit.database import open_database
    from sparsepath.audit.verify import verify

    with open_database(database, must_exist=True) as opened:
        found = verify(opened, [] if anchor is None else read_anchors(anchor))
    if as_json:
        told = found._asdict() | {"faults": [fault._asdict() for fault in found.faults]}
        click.echo(json.dumps(told, indent=2))
    else:
        for fault in found.faults:
            click.echo(f"record {fault.seq}: {fault.what}")
        click.echo(
            f"{found.records} records, {found.texts} texts, {found.anchors} anchors; "
            f"newest hash {found.newest}"
        )
        if anchor is None:
            click.echo(
                "without --anchor, a log that was cut off and closed again goes unnoticed", err=True
            )
    if found.faults:
        raise RunError(
            f"the log in {opened.name} is not as it was written: {len(found.faults)} faults",
            hint="keep this database as evidence, and compare with an export or a backup",
        )


@audit_command.command("anchor")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@database_option
def anchor_command(file: Path, database: str) -> None:
    """Add the newest hash to FILE, which is to be kept where the log's owner cannot write.

    \b
    Example:
      $ sparsepath audit anchor /mnt/elsewhere/anchors.jsonl
    """
    from sparsepath.audit.anchor import write_anchor
    from sparsepath.audit.database import open_database

    with open_database(database, must_exist=True) as opened:
        anchor = write_anchor(opened, file)
    click.echo(f"{anchor.seq} {anchor.hash}")


@audit_command.command("export")
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="JSONL file to write.",
)
@click.option("--with-texts", is_flag=True, help="Also the texts that are kept.")
@database_option
def export_command(out: Path, with_texts: bool, database: str) -> None:
    """Write every record as a line of JSON.

    \b
    Example:
      $ sparsepath audit export -o audit.jsonl
    """
    from sparsepath.artifacts.store import write_lines_atomic
    from sparsepath.audit.database import open_database
    from sparsepath.audit.export import exported_lines

    with open_database(database, must_exist=True) as opened:
        n = write_lines_atomic(out, exported_lines(opened, with_texts=with_texts))
    click.echo(f"{out}: {n} records")


@audit_command.command("forget")
@click.option("--seq", type=click.IntRange(min=1), help="Texts of one record.")
@click.option(
    "--older-than",
    type=click.FloatRange(min=0),
    metavar="DAYS",
    help="Texts of records older than so many days.",
)
@database_option
def forget_command(seq: int | None, older_than: float | None, database: str) -> None:
    """Delete texts for good; the records stay, and the log stays valid.

    Copies of the database, such as backups, still have them.

    \b
    Example:
      $ sparsepath audit forget --older-than 30
    """
    from sparsepath.audit.clock import written
    from sparsepath.audit.database import open_database
    from sparsepath.audit.log import forget

    if (seq is None) == (older_than is None):
        raise ConfigError("nothing to forget", hint="give either --seq or --older-than")
    before = None
    if older_than is not None:
        before = written(datetime.now(UTC) - timedelta(days=older_than))
    with open_database(database, must_exist=True) as opened:
        n = forget(opened, seq=seq, before=before, by=user())
    click.echo(f"texts of {n} records deleted")
