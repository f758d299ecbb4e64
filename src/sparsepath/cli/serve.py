"""`sparsepath serve`: a model behind HTTP, every answer on record."""

from pathlib import Path
from typing import Any, get_args

import click

from sparsepath.cli.database import database_option
from sparsepath.cli.login import login_options, read_login
from sparsepath.cli.options import form_option
from sparsepath.config import Form
from sparsepath.runtime.manifest import Precision


@click.command("serve")
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8000, show_default=True, help="Port; 0 takes a free one.")
@click.option(
    "--public",
    "is_public",
    is_flag=True,
    help="Listen beyond this machine; every request then needs a key (`sparsepath keys add`).",
)
@click.option(
    "--allow-host",
    "allowed_hosts",
    multiple=True,
    metavar="NAME",
    help="Name by which requests may call the server (several times).",
)
@click.option("--needs-keys", is_flag=True, help="Demand keys on this machine too.")
@login_options
@database_option
@click.option(
    "--runs",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder whose runs and catalogues the page may show.  [default: the model's own]",
)
@click.option(
    "--keep-texts",
    is_flag=True,
    help="Keep users' texts beside the audit log, until `sparsepath audit forget`.",
)
@click.option(
    "--needs-policy",
    is_flag=True,
    help="Steer a language model only as an approved policy allows, also where it has none.",
)
@click.option(
    "--policy-free",
    metavar="NAME",
    help="Let the language model of this name be steered though policies were approved here and "
    "none is over it.",
)
@click.option(
    "--review-below",
    metavar="CONFIDENCE",
    help="Let decisions wait for a person whose label is less probable; `poc` takes what the run "
    "found. Their texts are kept, also without --keep-texts.",
)
@click.option(
    "--review-margin-below",
    type=float,
    metavar="MARGIN",
    help="Let those wait too whose label leads the runner-up by less, in probability.",
)
@click.option(
    "--review-label",
    "review_labels",
    multiple=True,
    metavar="LABEL=CONFIDENCE",
    help="What --review-below is for decisions with this label (several times).",
)
@click.option("--log-texts", is_flag=True, help="Write users' texts to standard error too.")
@click.option(
    "--anchor",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File elsewhere that gets the log's newest hash every minute.",
)
@click.option(
    "--strict-model",
    is_flag=True,
    help="Give no answers while the model's folder holds something else than what was loaded.",
)
@click.option(
    "--drift-window",
    default=500,
    show_default=True,
    help="Answers that are compared with the PoC at a time.",
)
@click.option(
    "--precision",
    type=click.Choice(get_args(Precision)),
    help="Which graph to run.  [default: what the run recommends, else fp32]",
)
@form_option("int8")
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Threads of the engine.",
)
@click.option(
    "--batch-texts",
    default=32,
    show_default=True,
    help="Texts that go through the engine together, at most.",
)
@click.option(
    "--batch-wait-ms", default=1.0, show_default=True, help="Longest wait for more of them."
)
@click.option(
    "--queue-texts",
    default=1024,
    show_default=True,
    help="Texts that may wait; beyond, requests get 429.",
)
@click.option(
    "--timeout-s", default=30.0, show_default=True, help="Seconds until an answer is given up."
)
@click.option(
    "--store",
    type=click.Path(path_type=Path, file_okay=False),
    default="sparsepath-store",
    show_default=True,
    help="Folder of jobs: their tables, logs and run folders.",
)
@click.option(
    "--jobs", default=1, show_default=True, help="Jobs that run at the same time; others wait."
)
@click.option(
    "--max-upload-mb", default=64, show_default=True, help="Size of a table that is sent, at most."
)
def serve_command(
    model: Path,
    database: str,
    precision: Precision | None,
    form: Form,
    threads: int,
    review_below: str | None,
    **options: Any,
) -> None:
    """Answer requests for MODEL over HTTP, each on record.

    MODEL is a model folder such as RUN/models/NAME, or a run folder, which stands for the
    model that the run recommends; or the folder of a language model, for clients of OpenAI's
    API. Needs no torch.

    \b
    Example:
      $ sparsepath serve runs/tickets
    """
    from sparsepath.audit.database import open_database
    from sparsepath.server.options import ServeOptions
    from sparsepath.server.review_rules import read_label_limit
    from sparsepath.server.serve import load_model, serve
    from sparsepath.server.threshold import read_threshold

    if review_below is not None:
        options["review_below"] = read_threshold(review_below, model)
    options["review_labels"] = tuple(map(read_label_limit, options["review_labels"]))
    asked = ServeOptions(login=read_login(options), **options)
    loaded = load_model(model, asked, precision=precision, form=form, threads=threads)
    with open_database(database) as opened:
        serve(loaded, opened, asked, told=lambda line: click.echo(line, err=True))
