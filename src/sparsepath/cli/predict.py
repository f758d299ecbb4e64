"""`sparsepath predict`: a label and its probability for every row of a table."""

from pathlib import Path
from typing import get_args

import click

from sparsepath.errors import needs_extra
from sparsepath.runtime.manifest import Precision


@click.command("predict")
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("data", type=click.Path(path_type=Path))
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), required=True, help="CSV file to write."
)
@click.option("--text-column", help="Column with the text.  [default: found and announced]")
@click.option(
    "--precision",
    type=click.Choice(get_args(Precision)),
    help="Which graph to run.  [default: what the run recommends, else fp32]",
)
@click.option("--preset", help="Steer a sparse classifier by a preset of MODEL: name, or file.")
@click.option("--threads", type=click.IntRange(min=1), help="Threads.  [default: all]")
def predict_command(  # noqa: PLR0913 - options
    model: Path,
    data: Path,
    out: Path,
    text_column: str | None,
    precision: Precision | None,
    preset: str | None,
    threads: int | None,
) -> None:
    """Write a label and its probability for every row of DATA.

    MODEL is a model folder such as RUN/models/NAME, or a run folder, which stands for the
    model that the run recommends. Needs no torch.

    \b
    Example:
      $ sparsepath predict runs/tickets new.csv -o labelled.csv
    """
    from sparsepath.runtime.locate import locate
    from sparsepath.runtime.predict import predict_file

    found = locate(model)
    chosen = found.precision if precision is None else precision
    with needs_extra("train", "reading this table"):
        done = predict_file(
            found.folder,
            data,
            out,
            text_column=text_column,
            precision=chosen,
            threads=threads,
            preset=preset,
        )
    click.echo(f"model: {found.folder} ({chosen}); text column: {done.text_column}", err=True)
    for note in done.notes:
        click.echo(note, err=True)
    click.echo(f"{done.out}: {done.n_rows} rows")
