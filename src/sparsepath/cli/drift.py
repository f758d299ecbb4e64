"""`sparsepath drift`: are answers still spread as in the PoC?"""

import json

import click

from sparsepath.cli.database import database_option
from sparsepath.cli.options import json_option


@click.command("drift")
@database_option
@json_option
def drift_command(database: str, as_json: bool) -> None:
    """Show how far the answers of served models are from the PoC.

    \b
    Example:
      $ sparsepath drift
    """
    from sparsepath.audit.database import open_database
    from sparsepath.audit.drift.monitor import drift_states

    with open_database(database, must_exist=True) as opened:
        states = drift_states(opened)
    if as_json:
        told = {key: state.model_dump() for key, state in states.items()}
        click.echo(json.dumps(told, indent=2))
        return
    for key, state in states.items():
        verdict = f"ALARM since {state.since}" if state.is_alarm else "no alarm"
        click.echo(f"{state.name} {key[:12]}: {verdict}")
        click.echo(
            f"  {state.windows} windows of {state.window} answers against {state.reference}; "
            f"at most {state.false_alarms:.1%} of them ring without a change"
        )
        for one in state.measures:
            click.echo(
                f"  {one.name:<12} PSI {one.psi:.3f}, threshold {one.threshold:.3f}, "
                f"{one.total_variation:.1%} moved{'  above' * one.is_above}"
            )
        click.echo(f"  {'neurons':<12} {state.neurons}")
    if not states:
        click.echo("nothing compared yet: no model of a run folder was served on this database")
