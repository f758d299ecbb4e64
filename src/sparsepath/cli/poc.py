"""`sparsepath poc`: the main job, on a table of one's own or on the built-in demo data."""

import time
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

import click
import psutil

from sparsepath.config import LANGUAGES, PocOptions, TrainingMode, default_run_folder
from sparsepath.errors import needs_extra

DEMO = "demo"
"""The word that stands for the built-in data; a file of that name is `./demo`."""

_DEFAULTS = {field.name: field.default for field in fields(PocOptions)}


@click.command("poc")
@click.argument("data")
@click.option("--test", type=click.Path(path_type=Path), help="A second table: the test set.")
@click.option("--text-column", help="Column with the text.  [default: found and announced]")
@click.option("--label-column", help="Column with the label.  [default: found and announced]")
@click.option("--group-column", help="Rows with equal cells here stay on one side of the split.")
@click.option("--model", help="Encoder: Hugging Face id or folder.  [default: all-MiniLM-L6-v2]")
@click.option(
    "--minutes",
    type=float,
    default=_DEFAULTS["minutes"],
    show_default=True,
    help="Wall time for everything.",
)
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Run folder.  [default: runs/<name of DATA>]",
)
@click.option(
    "--lang",
    type=click.Choice(LANGUAGES),
    default=_DEFAULTS["lang"],
    show_default=True,
    help="Language of the report.",
)
@click.option(
    "--seed",
    type=int,
    default=_DEFAULTS["seed"],
    show_default=True,
    help="Seed of the split, of training and of the random controls.",
)
@click.option(
    "--threads",
    type=int,
    default=_DEFAULTS["threads"],
    show_default=True,
    help="Threads of every measured engine; training uses all cores.",
)
@click.option("--target-latency-ms", type=float, help="Recommend nothing slower (median).")
@click.option("--target-size-mb", type=float, help="Recommend nothing larger (10^6 bytes).")
@click.option(
    "--min-accuracy", type=float, help="Recommend nothing below this, 0 to 1 (validation rows)."
)
@click.option(
    "--train",
    type=click.Choice(get_args(TrainingMode)),
    default=_DEFAULTS["train"],
    show_default=True,
    help="Fine-tune with all sources of attention, or with subsampled ones first.",
)
@click.option(
    "--allow-custom-code",
    is_flag=True,
    help="Run Python code that is part of the base model. Only for models you trust.",
)
def poc_command(data: str, out: Path | None, **options: Any) -> None:
    """Measure how light a model gets on DATA, and why it decides.

    DATA is a csv, tsv, jsonl or parquet table (also .gz, .xz, .zip), a folder with one
    subfolder of text files per label, or the word `demo` for built-in data. The run folder
    gets report.html, results.json, explanations.jsonl and models/. Ctrl-C keeps what is
    done; the same command goes on from there.

    \b
    Example:
      $ sparsepath poc tickets.csv --minutes 15
    """
    table = None if data == DEMO else Path(data)
    run = PocOptions(data=table, out=out or default_run_folder(table), **options)
    with needs_extra("train", "sparsepath poc"):
        from sparsepath.poc.run import run_poc
        from sparsepath.report.write import write_report
    # Loading PyTorch takes seconds, which a user counts as part of the minutes.
    folder = run_poc(run, write_report, spent_s=time.time() - psutil.Process().create_time())
    click.echo(folder / "report.html")
