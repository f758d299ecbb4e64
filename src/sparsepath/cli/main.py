"""The `sparsepath` command: one group, one file per command.

A command parses, calls one library function and prints: data on standard output, talk on
standard error. Exit codes: 0 done, 1 an error that the user can fix, 2 wrong usage,
130 stopped by Ctrl-C. Nothing here imports torch until a command needs it.
"""

from typing import Any

import click

from sparsepath.cli.audit import audit_command
from sparsepath.cli.bench import bench_command
from sparsepath.cli.concepts import concepts_command
from sparsepath.cli.convert import convert_command
from sparsepath.cli.doctor import doctor_command
from sparsepath.cli.drift import drift_command
from sparsepath.cli.evaluate import evaluate_command
from sparsepath.cli.explain import explain_command
from sparsepath.cli.export import export_command
from sparsepath.cli.generate import generate_command
from sparsepath.cli.keys import keys_command
from sparsepath.cli.login import logins_command
from sparsepath.cli.pathways import pathways_command
from sparsepath.cli.poc import poc_command
from sparsepath.cli.policy import policy_command
from sparsepath.cli.predict import predict_command
from sparsepath.cli.report import report_command
from sparsepath.cli.review import review_command
from sparsepath.cli.rollout import rollout_command
from sparsepath.cli.serve import serve_command
from sparsepath.cli.steering import steering_command
from sparsepath.cli.train import train_command
from sparsepath.errors import SparsepathError
from sparsepath.version import __version__

EXIT_ERROR = 1
EXIT_STOPPED = 130


class _Group(click.Group):
    """A group that turns errors the user can fix into two lines without a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the chosen command.

        Raises:
            click.exceptions.Exit: with code 1 for a `SparsepathError`, 130 for Ctrl-C.
        """
        try:
            return super().invoke(ctx)
        except SparsepathError as err:
            click.echo(f"error: {err}", err=True)
            raise click.exceptions.Exit(EXIT_ERROR) from err
        except KeyboardInterrupt as err:
            resumes = ctx.invoked_subcommand in {
                poc_command.name,
                train_command.name,
                convert_command.name,
                concepts_command.name,
            }
            ending = "; what is done is kept, the same command goes on from there" * resumes
            click.echo(f"\nstopped{ending}", err=True)
            raise click.exceptions.Exit(EXIT_STOPPED) from err


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, package_name="sparsepath")
def main() -> None:
    """Find the working parts of a Transformer, keep only those, and see why it decides.

    \b
    Start here:
      $ sparsepath poc demo              on built-in data, about five minutes
      $ sparsepath poc tickets.csv       on your own labelled table
    """


for _command in (
    poc_command,
    predict_command,
    explain_command,
    export_command,
    report_command,
    train_command,
    convert_command,
    generate_command,
    steering_command,
    evaluate_command,
    pathways_command,
    concepts_command,
    serve_command,
    audit_command,
    policy_command,
    review_command,
    keys_command,
    logins_command,
    rollout_command,
    drift_command,
    doctor_command,
    bench_command,
):
    main.add_command(_command)
