"""`sparsepath audit find`, `report` and `replay`: looking back at what was decided."""

import json
from pathlib import Path
from typing import Any, get_args

import click

from sparsepath.cli.database import database_option
from sparsepath.cli.options import json_option
from sparsepath.config import LANGUAGES
from sparsepath.errors import ConfigError, RunError
from sparsepath.runtime.manifest import Precision


@click.command("find")
@click.option("--kind", "kinds", multiple=True, help="What happened, such as decision.")
@click.option("--from", "since", metavar="TIME", help="Day or moment; UTC.")
@click.option("--to", "until", metavar="TIME", help="Before this day or moment.")
@click.option("--model", help="Name or SHA-256 of a model.")
@click.option("--label", help="Label of a decision.")
@click.option("--key", help="Id of the API key that asked.")
@click.option("--request", help="Id of a request.")
@click.option("--policy", help="Name of a policy.")
@click.option("--hash", help="SHA-256 of a record, or of a text as its record has it.")
@click.option("--before", type=click.IntRange(min=1), help="Go on before this record.")
@click.option(
    "--limit", type=click.IntRange(1, 500), default=20, show_default=True, help="Records, at most."
)
@database_option
@json_option
def find_command(database: str, as_json: bool, **asked: Any) -> None:
    """Find records by what they have in common, the newest first.

    \b
    Example:
      $ sparsepath audit find --label refund --from 2026-11-01 --key 0123456789abcdef
    """
    from sparsepath.audit.clock import read_time
    from sparsepath.audit.database import open_database
    from sparsepath.audit.search import Query, search

    before, limit = asked.pop("before"), asked.pop("limit")
    for name in ("since", "until"):
        asked[name] = None if asked[name] is None else read_time(asked[name])
    query = Query(kinds=asked.pop("kinds") or None, **asked)
    with open_database(database, must_exist=True) as opened:
        page = search(opened, query, before=before, limit=limit)
    if as_json:
        records = [json.loads(record.exported()) for record in page.records]
        click.echo(json.dumps({"records": records, "next": page.next}, indent=2))
        return
    for record in page.records:
        click.echo(f"{record.seq:>8}  {record.time}  {record.kind}  {record.body}")
    if page.next is not None:
        click.echo(f"more: --before {page.next}", err=True)


@click.command("report")
@click.option("--from", "since", metavar="TIME", required=True, help="Day or moment; UTC.")
@click.option("--to", "until", metavar="TIME", help="Before this day or moment.  [default: now]")
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File to write: .html, else Markdown.  [default: Markdown on standard output]",
)
@click.option(
    "--lang", type=click.Choice(LANGUAGES), default="en", show_default=True, help="Language."
)
@click.option("--no-verify", is_flag=True, help="Do not look through the whole chain.")
@database_option
@json_option
def report_command(
    since: str, until: str | None, out: Path | None, database: str, as_json: bool, **options: Any
) -> None:
    """Report what was decided and changed in a span of time.

    \b
    Example:
      $ sparsepath audit report --from 2026-10-01 --to 2026-11-01 -o october.html
    """
    from sparsepath.artifacts.store import write_text_atomic
    from sparsepath.audit.clock import now, read_time
    from sparsepath.audit.database import open_database
    from sparsepath.audit.period import figures, read_period
    from sparsepath.audit.period_page import period_page
    from sparsepath.audit.search import Query

    asked = Query(since=read_time(since), until=now() if until is None else read_time(until))
    with open_database(database, must_exist=True) as opened:
        period = read_period(
            opened, str(asked.since), str(asked.until), is_verified=not options["no_verify"]
        )
    is_page = out is not None and out.suffix.lower() in {".html", ".htm"}
    page = period_page(period, opened.name, lang=options["lang"], form="html" if is_page else "md")
    told = json.dumps(figures(period), indent=2) if as_json else page.rstrip("\n")
    if out is None:
        click.echo(told)
        return
    write_text_atomic(out, page)
    click.echo(told if as_json else out)


@click.command("replay")
@click.argument("seq", type=click.IntRange(min=1))
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--text", help="Its text, where that is not kept; the hash is compared.")
@click.option("--precision", type=click.Choice(get_args(Precision)), help="Which graph to run.")
@database_option
@json_option
def replay_command(
    seq: int,
    model: Path,
    text: str | None,
    precision: Precision | None,
    database: str,
    as_json: bool,
) -> None:
    """Ask MODEL for decision SEQ once more; exit code 1 if it says something else now.

    \b
    Example:
      $ sparsepath audit replay 17 runs/tickets
    """
    from sparsepath.audit.database import open_database
    from sparsepath.audit.search import find_record
    from sparsepath.server.classifier import Classifier
    from sparsepath.server.replay import compared, text_of

    with open_database(database, must_exist=True) as opened:
        whole = find_record(opened, seq)
    if whole is None:
        raise ConfigError(f"no record {seq}", hint="`sparsepath audit show` lists the newest")
    asked = text_of(whole, text)
    recorded = json.loads(whole.record.body)["model"]["precision"]
    loaded = Classifier(model, precision=precision or recorded, threads=1, batch=1)
    found = compared(whole, loaded, loaded.answer([asked])[0])
    if as_json:
        told = found._asdict() | {"then": found.then._asdict(), "now": found.now._asdict()}
        click.echo(json.dumps(told, indent=2))
    else:
        for name, one in (("then", found.then), ("now", found.now)):
            click.echo(
                f"{name:<5} {one.label}  {one.probability:.6f}  {one.model} ({one.precision})  "
                f"{one.sha256[:16]}"
            )
    if not found.is_same:
        what = "label" if not found.is_same_label else "probability"
        what = what if found.is_same_model else f"model{'' if found.is_same_label else ', label'}"
        raise RunError(
            f"the decision is not the same now: another {what}",
            hint="give the model that decided then; its SHA-256 is in the record",
        )
