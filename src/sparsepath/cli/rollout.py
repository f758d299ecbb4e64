"""`sparsepath rollout`: a new model takes over in stages that can be undone."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from sparsepath.cli.database import database_option, user
from sparsepath.cli.options import json_option
from sparsepath.config import Form

if TYPE_CHECKING:
    from sparsepath.audit.rollout.state import Rollout

share_option = click.option(
    "--share",
    type=click.FloatRange(min=0, max=1, min_open=True),
    help="Share of the requests that the new model answers in the canary stage.",
)
why_option = click.option("--why", default="", help="A sentence for the record.")


@click.group("rollout")
def rollout_command() -> None:
    """Let a new model take over in stages: shadow, canary, full.

    Servers on the same database follow within two seconds. Every change is a record of the
    audit log.
    """


@rollout_command.command("start")
@click.argument("old", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.argument("new", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option(
    "--rules",
    "rules_file",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="TOML file of gates, share and price.",
)
@share_option
@click.option(
    "--price",
    type=click.FloatRange(min=0),
    metavar="MONEY",
    help="Price of an hour of one CPU, so that stages are also told in money.",
)
@click.option(
    "--old-precision",
    type=click.Choice(get_args(Form)),
    help="Graph of OLD, or form of a language model's weights.  [default: what a run recommends, "
    "else fp32; of a language model int8]",
)
@click.option(
    "--precision",
    type=click.Choice(get_args(Form)),
    help="The same of NEW.",
)
@database_option
@json_option
def start_command(
    old: Path, new: Path, rules_file: Path | None, database: str, as_json: bool, **options: Any
) -> None:
    """Let NEW answer beside OLD, which is served: the shadow stage.

    Both are classifiers with the same labels, or language models with the same tokens.

    \b
    Example:
      $ sparsepath rollout start runs/tickets/models/full runs/tickets/models/sub-08
    """
    from sparsepath.audit.database import open_database
    from sparsepath.audit.rollout.rules import Rules, read_rules
    from sparsepath.audit.rollout.state import start
    from sparsepath.server.model_ref import refer

    rules = Rules() if rules_file is None else read_rules(rules_file)
    changes = {"share": options["share"], "price_per_cpu_hour": options["price"]}
    rules = rules.model_copy(update={k: v for k, v in changes.items() if v is not None})
    first, second = refer(old, options["old_precision"]), refer(new, options["precision"])
    with open_database(database) as opened:
        _print(start(opened, first, second, rules, by=user()), as_json)


@rollout_command.command("promote")
@share_option
@why_option
@database_option
@json_option
def promote_command(share: float | None, why: str, database: str, as_json: bool) -> None:
    """Begin the next stage, or give the canary stage another share.

    \b
    Examples:
      $ sparsepath rollout promote --share 0.05
      $ sparsepath rollout promote
    """
    from sparsepath.audit.database import open_database
    from sparsepath.audit.rollout.state import promote

    with open_database(database, must_exist=True) as opened:
        _print(promote(opened, by=user(), share=share, why=why), as_json)


@rollout_command.command("roll-back")
@why_option
@database_option
@json_option
def roll_back_command(why: str, database: str, as_json: bool) -> None:
    """Let the old model answer everything again, from any stage.

    \b
    Example:
      $ sparsepath rollout roll-back --why "answers about invoices were wrong"
    """
    from sparsepath.audit.database import open_database
    from sparsepath.audit.rollout.state import roll_back

    with open_database(database, must_exist=True) as opened:
        _print(roll_back(opened, by=user(), why=why), as_json)


@rollout_command.command("status")
@database_option
@json_option
def status_command(database: str, as_json: bool) -> None:
    """Show stage, gates, quality and cost of the newest rollout.

    \b
    Example:
      $ sparsepath rollout status
    """
    from sparsepath.audit.database import open_database
    from sparsepath.audit.rollout.status import status
    from sparsepath.cli.rollout_print import as_plain, lines

    with open_database(database, must_exist=True) as opened:
        found = status(opened)
    if as_json:
        click.echo(json.dumps(None if found is None else as_plain(found), indent=2))
        return
    for line in ["no rollout yet"] if found is None else lines(found):
        click.echo(line)


def _print(rollout: "Rollout", as_json: bool) -> None:
    """Print a rollout after a change."""
    if as_json:
        click.echo(json.dumps(rollout.told(), indent=2))
        return
    share = f", {rollout.share:.3g} of the requests" if rollout.stage == "canary" else ""
    click.echo(
        f"rollout {rollout.id}: {rollout.old.name} ({rollout.old.precision}) to "
        f"{rollout.new.name} ({rollout.new.precision}): {rollout.stage}{share}"
    )
