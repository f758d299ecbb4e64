"""`sparsepath concepts`: what every neuron of a sparse model stands for."""

import json
from pathlib import Path
from typing import Any, get_args

import click

from sparsepath.artifacts.catalogue import Catalogue, Order
from sparsepath.artifacts.catalogue_query import conditions, layer_summaries
from sparsepath.artifacts.catalogue_schema import Verdict
from sparsepath.artifacts.neuron import SITES, Neuron
from sparsepath.cli.concepts_find import compare_command, search_command, track_command
from sparsepath.cli.concepts_label import label_command
from sparsepath.cli.concepts_measure import export_command, measure_command
from sparsepath.cli.concepts_print import lang_option, print_lines, table
from sparsepath.cli.options import json_option
from sparsepath.concepts.options import ROW_TOKENS, CatalogueOptions
from sparsepath.config import LANGUAGES, Language
from sparsepath.errors import needs_extra
from sparsepath.kernels.allocator import keep_freed_memory

DEFAULTS = CatalogueOptions()

model_argument = click.argument("model", type=click.Path(path_type=Path))


@click.group("concepts")
def concepts_command() -> None:
    """Find out what every neuron of a sparse model stands for."""


@concepts_command.command("build")
@model_argument
@click.argument("corpus")
@click.option(
    "--site",
    "sites",
    multiple=True,
    type=click.Choice(SITES),
    help="Where neurons are looked at (several times).  [default: block_out where it is sparse]",
)
@click.option(
    "--layer",
    "layers",
    multiple=True,
    type=int,
    help="Only this layer, from 0 (several times): of a deep model all take much disk.",
)
@click.option(
    "--tokens",
    default=DEFAULTS.tokens,
    show_default=True,
    help="Tokens of CORPUS that are read, at most; 0 reads all.",
)
@click.option(
    "--length",
    type=int,
    help=f"Tokens of a row.  [default: {ROW_TOKENS}, or what MODEL reads]",
)
@click.option(
    "--held-out",
    default=DEFAULTS.held_out,
    show_default=True,
    help="Share of the documents that only judge labels.",
)
@click.option("--dense-k", type=int, help="Of a dense MODEL: take so many largest entries as kept.")
@click.option(
    "--sae",
    "autoencoder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Catalogue the latents of this sparse autoencoder over MODEL instead of neurons.",
)
@click.option(
    "--text-column",
    help="Of a table for a classifier: its column of texts.  [default: found and announced]",
)
@click.option(
    "--label-column",
    help="The same of its labels.  [default: found and announced, if there is one]",
)
@click.option(
    "--vectors/--no-vectors",
    default=DEFAULTS.vectors,
    show_default=True,
    help="Whether labels can be searched by meaning.",
)
@click.option(
    "--processes",
    type=click.IntRange(min=1),
    default=DEFAULTS.processes,
    show_default=True,
    help="That MODEL reads CORPUS in; each holds MODEL in memory.",
)
@click.option(
    "--ray",
    is_flag=False,
    flag_value="local",
    metavar="[ADDRESS]",
    help="Read CORPUS on a Ray cluster (extra `ray`): --ray=ADDRESS, or --ray alone, behind the "
    "arguments, for one of this machine. With --processes 1 it has a task for each processor.",
)
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    help="The file.  [default: concepts.sqlite in MODEL or the autoencoder]",
)
@click.option(
    "--start-over",
    is_flag=True,
    help="Throw away what a stopped build of another corpus, or with other options, left.",
)
@json_option
def build_command(
    model: Path, corpus: str, out: Path | None, start_over: bool, as_json: bool, **options: Any
) -> None:
    """Catalogue the neurons of MODEL by what fires them in CORPUS.

    MODEL is a TopK language model, its folder or that of its training. CORPUS is a text file, a
    JSON-lines or parquet file, a folder of them, or `stdlib`. Of a sparse classifier CORPUS is a
    table of texts; labels in it tell for which classes neurons fire. After Ctrl-C the same command
    goes on. The catalogue of an autoencoder lies beside it: name that one in place of MODEL later.

    \b
    Example:
      $ sparsepath concepts build runs/stdlib-lm-topk stdlib --tokens 200000
    """
    with needs_extra("train", "sparsepath concepts build"):
        from sparsepath.concepts.build import build_catalogue
    options["tokens"] = options["tokens"] or None
    asked = CatalogueOptions(**options)
    keep_freed_memory()
    say = lambda text: click.echo(text, err=True)  # noqa: E731
    built = build_catalogue(model, corpus, asked, out=out, start_over=start_over, say=say)
    facts = built.facts
    if as_json:
        click.echo(facts.model_dump_json(by_alias=True, indent=2))
        return
    if facts.mean_score is not None:
        click.echo(
            f"labels tell where neurons fire with a balanced accuracy of {facts.mean_score:.3f} "
            f"on held-out text; those of other neurons {facts.mean_control:.3f}"
        )
    click.echo(str(built.path))


@concepts_command.command("list")
@model_argument
@click.option("--layer", type=int, help="Only this layer.")
@click.option("--site", type=click.Choice(SITES), help="Only this site.")
@click.option("--min-score", type=float, help="Only labels at least this good.")
@click.option("--min-rate", type=float, help="Only neurons that fire at this share of the tokens.")
@click.option("--max-rate", type=float, help="Only neurons that fire at no more of them.")
@click.option(
    "--order", type=click.Choice(get_args(Order)), default="score", show_default=True, help="First."
)
@click.option("--limit", default=20, show_default=True, help="Lines; 0 lists all.")
@click.option("--by-layer", is_flag=True, help="Sum up each layer instead.")
@lang_option
@json_option
def list_command(
    model: Path,
    order: Order,
    limit: int,
    by_layer: bool,
    lang: Language,
    as_json: bool,
    **wanted: Any,
) -> None:
    """List the neurons of MODEL with their labels.

    \b
    Example:
      $ sparsepath concepts list runs/stdlib-lm-topk --layer 1 --limit 5
    """
    with Catalogue(model, lang) as catalogue:
        if by_layer:
            summaries = [summary._asdict() for summary in layer_summaries(catalogue)]
            click.echo(json.dumps(summaries, indent=2) if as_json else table(summaries))
            return
        where, values = conditions(**wanted)
        lines = catalogue.lines(where=where, values=values, order=order, limit=limit or None)
    print_lines(lines, as_json)


@concepts_command.command("show")
@model_argument
@click.argument("neuron")
@click.option(
    "--html", type=click.Path(path_type=Path, dir_okay=False), help="Write a page to this file."
)
@click.option(
    "--lang",
    type=click.Choice(LANGUAGES),
    default=LANGUAGES[0],
    show_default=True,
    help="Language of the text and the page.",
)
@json_option
def show_command(
    model: Path, neuron: str, html: Path | None, lang: Language, as_json: bool
) -> None:
    """Show what is known of NEURON, such as L02/117.

    \b
    Example:
      $ sparsepath concepts show runs/stdlib-lm-topk L00/5
    """
    from sparsepath.report.neuron import neuron_html, neuron_json, print_neuron

    with Catalogue(model, lang) as catalogue:
        card = catalogue.card(Neuron.parse(neuron))
        facts = catalogue.facts
    if html is not None:
        from sparsepath.artifacts.store import write_text_atomic

        write_text_atomic(html, neuron_html(card, facts, lang))
        click.echo(f"page: {html}", err=True)
    if as_json:
        click.echo(json.dumps(neuron_json(card), ensure_ascii=False, indent=2))
        return
    from rich.console import Console

    print_neuron(card, Console(highlight=False), lang)


@concepts_command.command("note")
@model_argument
@click.argument("neuron")
@click.option("--label", help="Your own label; it wins over the automatic one. Empty: no more.")
@click.option("--note", help="Any text.")
@click.option("--verdict", type=click.Choice(get_args(Verdict)), help="On the automatic label.")
@click.option("--by", help="Your name.  [default: the user of this machine]")
@json_option
def note_command(model: Path, neuron: str, as_json: bool, **said: Any) -> None:
    """Keep your own label, a note or a verdict on NEURON, with your name and the time.

    \b
    Example:
      $ sparsepath concepts note runs/stdlib-lm-topk L00/5 --label "loops" --by Ann
    """
    with Catalogue(model) as catalogue:
        remark = catalogue.remark(Neuron.parse(neuron), **said)
    if as_json:
        click.echo(json.dumps(remark._asdict(), ensure_ascii=False))
        return
    click.echo(f"kept, {remark.by}, {remark.at}")


for _command in (
    label_command,
    search_command,
    compare_command,
    track_command,
    measure_command,
    export_command,
):
    concepts_command.add_command(_command)
