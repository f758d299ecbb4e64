"""`sparsepath policy`: who may steer a model by what, how strongly, for what, until when."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click

from sparsepath.audit.roles import Role
from sparsepath.cli.database import as_option, database_option, person, user
from sparsepath.cli.options import json_option

if TYPE_CHECKING:
    from sparsepath.audit.policy import Standing


@click.group("policy")
def policy_command() -> None:
    """Say what a language model may be steered by.

    A policy names presets or neurons with their limits, what they may be used for, and when that
    ends. Nobody approves their own. Every step is a record of the audit log.
    """


@policy_command.command("new")
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--name", required=True, help="Letters, digits, `.`, `-` and `_`.")
@click.option("--preset", "presets", multiple=True, required=True, help="Of MODEL (several times).")
@click.option("--use", "uses", multiple=True, required=True, help="What for (several times).")
@click.option("--owner", required=True, help="Who answers for it.")
@click.option("--note", default="", help="A line about it.")
@click.option(
    "--role",
    type=click.Choice(get_args(Role)),
    default="viewer",
    show_default=True,
    help="What the key of who asks must have at least.",
)
@click.option(
    "--days",
    type=click.FloatRange(min=0, min_open=True),
    default=180.0,
    show_default=True,
    help="Days until it ends.",
)
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="TOML file to write.",
)
def new_command(  # noqa: PLR0913 - options
    model: Path,
    name: str,
    presets: tuple[str, ...],
    uses: tuple[str, ...],
    owner: str,
    note: str,
    role: Role,
    days: float,
    out: Path,
) -> None:
    """Write the file of a policy over MODEL, with the hashes of model, catalogue and presets.

    Limits of single neurons are added to the file by hand; `propose` checks them.

    \b
    Example:
      $ sparsepath policy new runs/lm --name a --preset b --use c --owner Support -o a.toml
    """
    from sparsepath.artifacts.model_files import locate_language_model, weights_sha256
    from sparsepath.artifacts.steering import read_preset
    from sparsepath.artifacts.store import write_text_atomic
    from sparsepath.audit.clock import in_days
    from sparsepath.audit.policy_file import make_policy, policy_text
    from sparsepath.audit.policy_model import catalogue_sha256

    folder = locate_language_model(model)
    sha256 = weights_sha256(folder)
    place = folder.resolve()
    found = [read_preset(folder, preset, sha256) for preset in presets]
    content = {
        "schema": 1,
        "name": name,
        "version": 1,
        "owner": owner,
        "note": note,
        "model": place.parent.name if place.name == "model" else place.name,
        "model_sha256": sha256,
        "catalogue_sha256": catalogue_sha256(folder),
        "uses": uses,
        "role": role,
        "expires": in_days(days),
        "presets": [{"name": preset.name, "sha256": preset.content_sha256} for preset in found],
    }
    write_text_atomic(out, policy_text(make_policy(content, "the new policy")))
    click.echo(out)


@policy_command.command("propose")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--model",
    type=click.Path(path_type=Path),
    required=True,
    help="The language model that it is about; hashes and presets are compared.",
)
@as_option
@database_option
@json_option
def propose_command(
    file: Path, model: Path, as_name: str | None, database: str, as_json: bool
) -> None:
    """Put the policy in FILE forward, for someone else to approve.

    \b
    Example:
      $ sparsepath policy propose drafts.toml --model runs/lm --as alice
    """
    from sparsepath.artifacts.model_files import locate_language_model
    from sparsepath.audit.actor import Actor
    from sparsepath.audit.database import open_database
    from sparsepath.audit.policies import propose
    from sparsepath.audit.policy_file import read_policy
    from sparsepath.audit.policy_model import asked_of, presets_of

    policy = read_policy(file)
    folder = locate_language_model(model)
    who = Actor(user(), person(as_name))
    with open_database(database) as opened:
        _tell(propose(opened, policy, presets_of(folder), asked_of(folder), who), as_json)


@policy_command.command("approve")
@click.argument("name")
@click.argument("version", type=click.IntRange(min=1))
@as_option
@database_option
@json_option
def approve_command(
    name: str, version: int, as_name: str | None, database: str, as_json: bool
) -> None:
    """Let VERSION of the policy NAME come into force, in place of its earlier versions.

    \b
    Example:
      $ sparsepath policy approve drafts 1 --as bob
    """
    from sparsepath.audit.actor import Actor
    from sparsepath.audit.database import open_database
    from sparsepath.audit.policies import approve

    who = Actor(user(), person(as_name))
    with open_database(database, must_exist=True) as opened:
        _tell(approve(opened, name, version, who), as_json)


@policy_command.command("revoke")
@click.argument("name")
@click.argument("version", type=click.IntRange(min=1))
@click.option("--reason", required=True, help="Why, in a line.")
@as_option
@database_option
@json_option
def revoke_command(
    name: str, version: int, reason: str, as_name: str | None, database: str, as_json: bool
) -> None:
    """End VERSION of the policy NAME, or reject it; a running server notices within seconds.

    \b
    Example:
      $ sparsepath policy revoke drafts 1 --reason "complaints about tone" --as bob
    """
    from sparsepath.audit.actor import Actor
    from sparsepath.audit.database import open_database
    from sparsepath.audit.policies import revoke

    who = Actor(user(), person(as_name))
    with open_database(database, must_exist=True) as opened:
        _tell(revoke(opened, name, version, who, reason=reason), as_json)


@policy_command.command("list")
@database_option
@json_option
def list_command(database: str, as_json: bool) -> None:
    """Show every version of every policy, and where it stands.

    \b
    Example:
      $ sparsepath policy list
    """
    from sparsepath.audit.clock import now
    from sparsepath.audit.database import open_database
    from sparsepath.audit.policies import list_policies

    with open_database(database, must_exist=True) as opened:
        found = list_policies(opened)
    if as_json:
        click.echo(json.dumps([standing.told(now()) for standing in found], indent=2))
        return
    for standing in found:
        _print(standing)


@policy_command.command("show")
@click.argument("name")
@click.argument("version", type=click.IntRange(min=1), required=False)
@database_option
@json_option
def show_command(name: str, version: int | None, database: str, as_json: bool) -> None:
    """Print the policy NAME as a TOML file, with its approval; without VERSION the newest one.

    What is printed is what `sparsepath generate --policy` reads.

    \b
    Example:
      $ sparsepath policy show drafts 1 > drafts.toml
    """
    from sparsepath.audit.clock import now
    from sparsepath.audit.database import open_database
    from sparsepath.audit.policies import find_policy, list_policies
    from sparsepath.audit.policy_file import policy_text

    with open_database(database, must_exist=True) as opened:
        standing = find_policy(list_policies(opened), name, version)
    if as_json:
        click.echo(json.dumps(standing.told(now()), indent=2))
        return
    click.echo(policy_text(standing.signed), nl=False)
    _print(standing, err=True)


def _tell(standing: "Standing", as_json: bool) -> None:
    """Say where a policy stands."""
    from sparsepath.audit.clock import now

    if as_json:
        click.echo(json.dumps(standing.told(now()), indent=2))
    else:
        _print(standing)


def _print(standing: "Standing", *, err: bool = False) -> None:
    """Write a line about a policy."""
    from sparsepath.audit.clock import now

    policy = standing.policy
    by = f"by {standing.author}"
    if standing.approver is not None:
        by += f", approved by {standing.approver}"
    click.echo(
        f"{policy.name} {policy.version}  {standing.state(now()):<10}  until {policy.expires[:16]}Z"
        f"  for {', '.join(policy.uses)}  {by}; {standing.sha256[:12]}",
        err=err,
    )
