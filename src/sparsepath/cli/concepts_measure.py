"""`sparsepath concepts measure` and `export`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sparsepath.artifacts.catalogue import Catalogue
from sparsepath.artifacts.feature_metrics import METRICS
from sparsepath.artifacts.neuron import SITES
from sparsepath.cli.concepts_print import table
from sparsepath.cli.options import json_option
from sparsepath.errors import needs_extra
from sparsepath.evaluate.features.options import MeasureOptions

if TYPE_CHECKING:
    from sparsepath.artifacts.feature_metrics import FeatureMetrics, MetricRow

DEFAULTS = MeasureOptions()


@click.command("measure")
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("data")
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    type=click.Choice(METRICS),
    help="What to measure (several times).  [default: all that DATA allows]",
)
@click.option(
    "--site",
    "sites",
    multiple=True,
    type=click.Choice(SITES),
    help="Where (several times).  [default: block_out where it is sparse or MODEL is dense]",
)
@click.option("--layer", "layers", multiple=True, type=int, help="Only this layer (several times).")
@click.option(
    "--dense-k",
    type=int,
    help="Of a dense MODEL: take so many largest entries as features.  [default: all entries]",
)
@click.option(
    "--sae",
    "autoencoder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Measure the latents of this sparse autoencoder over MODEL instead.",
)
@click.option("--text-column", help="Of the table.  [default: found]")
@click.option("--label-column", help="Of the table.  [default: found]")
@click.option("--attribute", help="Column of a second label, for scr and disentanglement.")
@click.option(
    "--rows", default=DEFAULTS.rows, show_default=True, help="Rows of the table, at most."
)
@click.option(
    "--tokens", default=DEFAULTS.tokens, show_default=True, help="Tokens of a corpus, at most."
)
@click.option(
    "--length", default=DEFAULTS.length, show_default=True, help="Tokens of a text, at most."
)
@click.option(
    "--seed", default=DEFAULTS.seed, show_default=True, help="Draws rows, controls and intervals."
)
@click.option(
    "-o", "--out", type=click.Path(path_type=Path, dir_okay=False), help="Write JSON here too."
)
@json_option
def measure_command(
    model: Path, data: str, out: Path | None, as_json: bool, **options: Any
) -> None:
    """Measure how well the neurons of MODEL stand for the concepts of DATA.

    MODEL is a language model or a text classifier, sparse or dense. DATA is a labelled table for
    sparse-probing, absorption and tpp, with --attribute also for scr and disentanglement; sparsity
    and loss-recovered of a language model take a corpus too. A file that ends in .csv or .tsv, or
    of which a column is named, is a table. Features are chosen on training rows and judged on
    others.

    \b
    Example:
      $ sparsepath concepts measure runs/stdlib-lm-topk tickets.csv
      $ sparsepath concepts measure runs/stdlib-lm-topk stdlib --metric sparsity
    """
    with needs_extra("train", "sparsepath concepts measure"):
        from sparsepath.evaluate.features.measure import measure_concepts
    asked = MeasureOptions(**options)
    found = measure_concepts(model, data, asked, say=lambda text: click.echo(text, err=True))
    if out is not None:
        from sparsepath.artifacts.store import write_json_atomic

        write_json_atomic(out, found)
        click.echo(f"results: {out}", err=True)
    if as_json:
        click.echo(found.model_dump_json(by_alias=True, indent=2))
        return
    _print(found)


@click.command("export")
@click.argument("catalogue", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "kind",
    type=click.Choice(["neuronpedia", "delphi"]),
    required=True,
    help="Dashboards for Neuronpedia, or every firing as delphi caches it.",
)
@click.option("--model-id", help="Of MODEL at Neuronpedia.  [default: its folder's name]")
@click.option("--set-name", help="Of the features at Neuronpedia.  [default: SITE-sparsepath]")
@click.option("--corpus", help="For delphi: read this.  [default: the catalogue's]")
@click.option("--tokens", type=int, help="For delphi: of it at most.  [default: as the catalogue]")
def export_command(
    catalogue: Path, out: Path, kind: str, corpus: str | None, tokens: int | None, **names: Any
) -> None:
    """Write a catalogue for other tools into the new folder OUT.

    CATALOGUE is a catalogue or a model with one. For Neuronpedia nothing is computed; for delphi
    the model reads the catalogue's corpus again.

    \b
    Example:
      $ sparsepath concepts export runs/stdlib-lm-topk dashboards --format neuronpedia
    """
    foreign = (corpus, tokens) if kind == "neuronpedia" else tuple(names.values())
    if any(value is not None for value in foreign):
        raise click.UsageError(f"an option was given that says nothing to --format {kind}")
    with Catalogue(catalogue) as opened:
        if kind == "neuronpedia":
            from sparsepath.report.neuronpedia import export_neuronpedia

            for site in export_neuronpedia(opened, out, **names):
                click.echo(f"{site.folder}: {site.n_features} neurons, {site.n_dead} never fire")
            return
        with needs_extra("train", "sparsepath concepts export --format delphi"):
            from sparsepath.concepts.delphi import export_delphi

        def tell(n: int) -> None:
            click.echo(f"read {n:,} tokens", err=True)

        for folder in export_delphi(opened, out, corpus=corpus, tokens=tokens, tell=tell):
            click.echo(str(folder))


def _print(found: "FeatureMetrics") -> None:
    """Print a line for each figure."""
    for note in found.notes:
        click.echo(note, err=True)
    split = "" if found.n_test is None else f", {found.n_train} to choose, {found.n_test} to judge"
    click.echo(f"{found.n_texts} texts{split}; 95 % intervals over rows")
    click.echo(table([_cells(row) for row in found.rows]))


def _cells(row: "MetricRow") -> dict[str, object]:
    """Give the cells of one figure."""
    said = ", ".join(f"{name} {value:.3f}" for name, value in row.controls.items())
    ends = "" if row.ci95 is None else "{:.3f} to {:.3f}".format(*row.ci95)
    return {
        "site": row.site,
        "metric": row.metric,
        "figure": row.figure,
        "value": row.value,
        "interval": ends,
        "rows": row.n,
        "controls": said or row.note,
    }
