"""`sparsepath concepts search`, `compare` and `track`."""

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from sparsepath.artifacts.catalogue import Catalogue
from sparsepath.artifacts.catalogue_classes import search_known_classes
from sparsepath.artifacts.catalogue_query import Hit, search_words
from sparsepath.artifacts.catalogue_says import search_says
from sparsepath.artifacts.neuron import SITES, Neuron
from sparsepath.cli.concepts_print import (
    filtered,
    lang_option,
    print_hits,
    print_life,
    table,
    track_json,
)
from sparsepath.cli.options import json_option
from sparsepath.concepts.options import CatalogueOptions
from sparsepath.config import Language
from sparsepath.errors import ConfigError, needs_extra

DEFAULTS = CatalogueOptions()


@click.command("search")
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("words", required=False)
@click.option("--meaning", is_flag=True, help="Find labels near in meaning to WORDS.")
@click.option("--says", is_flag=True, help="Find neurons that make WORDS likelier.")
@click.option("--prompt", help="Find what fires in this text instead.")
@click.option("--for", "wanted", help="Find what fires for texts of this class instead.")
@click.option("--not", "other", help="... and not for this one.  [default: all others]")
@click.option(
    "--table",
    "labelled",
    type=click.Path(path_type=Path),
    help="Labelled table with these classes, as `sparsepath poc` reads it.  "
    "[default: what the catalogue of a classifier was made on]",
)
@click.option("--layer", type=int, help="Only this layer.")
@click.option("--site", type=click.Choice(SITES), help="Only this site.")
@click.option("--min-score", type=float, help="Only labels at least this good.")
@click.option("--max-rate", type=float, help="Only neurons that fire at no more of the tokens.")
@click.option("--limit", default=10, show_default=True, help="Lines; 0 lists all.")
@lang_option
@json_option
def search_command(  # noqa: PLR0913 - one option each
    model: Path,
    words: str | None,
    meaning: bool,
    says: bool,
    prompt: str | None,
    wanted: str | None,
    other: str | None,
    labelled: Path | None,
    limit: int,
    lang: Language,
    as_json: bool,
    **only: Any,
) -> None:
    """Find neurons of MODEL by WORDS, by meaning, by a prompt, or by a class of texts.

    \b
    Example:
      $ sparsepath concepts search runs/stdlib-lm-topk return
      $ sparsepath concepts search runs/stdlib-lm-topk return --says
      $ sparsepath concepts search runs/stdlib-lm-topk --prompt "def main("
    """
    given = [words is not None, prompt is not None, wanted is not None]
    if sum(given) != 1 or (wanted is None and (labelled or other)):
        raise click.UsageError("give WORDS, or --prompt, or --for, perhaps with --not and --table")
    if (meaning or says) and (words is None or (meaning and says)):
        raise click.UsageError("--meaning and --says are two ways to search for WORDS; give one")
    if words == "":
        raise ConfigError("there is no word to search for", hint="give at least one")
    with Catalogue(model, lang) as catalogue:
        if says:
            assert words is not None
            hits = search_says(catalogue, words)
        elif words is not None and not meaning:
            hits = search_words(catalogue, words)
        elif wanted is not None and labelled is None:
            hits = search_known_classes(catalogue, wanted, other)
        else:
            hits = _by_model(catalogue, words, prompt, (wanted, other, labelled))
    print_hits(filtered(hits, **only)[: limit or None], as_json)


def _by_model(
    catalogue: Catalogue,
    words: str | None,
    prompt: str | None,
    classes: tuple[str | None, str | None, Path | None],
) -> list[Hit]:
    """Search in the ways that need the model or an encoder."""
    with needs_extra("train", "sparsepath concepts search"):
        from sparsepath.concepts import search
    if words is not None:
        return search.search_meaning(catalogue, words)
    if prompt is not None:
        return search.search_prompt(catalogue, prompt)
    wanted, other, labelled = classes
    assert wanted is not None
    assert labelled is not None
    return search.search_classes(catalogue, labelled, wanted, other)


@click.command("compare")
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("other", type=click.Path(path_type=Path))
@click.option(
    "--best", is_flag=True, help="Match by where neurons fire, instead of by their names."
)
@click.option("--limit", default=10, show_default=True, help="Pairs; 0 lists all.")
@json_option
def compare_command(model: Path, other: Path, best: bool, limit: int, as_json: bool) -> None:
    """Compare the neurons of MODEL with those of OTHER, the least alike first.

    Both are models with a catalogue, or catalogues.

    \b
    Example:
      $ sparsepath concepts compare runs/a runs/b --best
    """
    with needs_extra("train", "sparsepath concepts compare"):
        from sparsepath.concepts.compare import compare
    with Catalogue(model) as first, Catalogue(other) as second:
        found = compare(first, second, best=best)
    if as_json:
        pairs = [
            pair._asdict() | {"neuron": pair.neuron.name, "other": pair.other.name}
            for pair in found.pairs[: limit or None]
        ]
        plain = found._asdict() | {"pairs": pairs, "n": len(found.pairs)}
        click.echo(json.dumps(plain, ensure_ascii=False, indent=2))
        return
    where = "" if found.by_pattern is None else f"; where they fire {found.by_pattern:.3f}"
    click.echo(
        f"{len(found.pairs)} pairs; likeness of what they fire on {found.by_tokens:.3f} "
        f"(shuffled {found.control:.3f}){where}"
    )
    for pair in found.pairs[: limit or None]:
        pattern = "    -" if pair.by_pattern is None else f"{pair.by_pattern:.3f}"
        click.echo(
            f"{pair.neuron.name:<10} {pair.other.name:<10} {pair.by_tokens:.3f} {pattern}  "
            f"{pair.label}  ->  {pair.other_label}"
        )


@click.command("track")
@click.argument("models", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--corpus", help="Catalogue the checkpoints of the one training in MODELS on this.")
@click.option(
    "--tokens",
    default=DEFAULTS.tokens,
    show_default=True,
    help="Tokens of CORPUS that are read for each checkpoint, at most.",
)
@click.option("--dense-k", type=int, help="Of a dense model: as in `concepts build`.")
@click.option("--neuron", help="Tell the life of this neuron, such as L02/117.")
@json_option
def track_command(
    models: tuple[Path, ...], corpus: str | None, neuron: str | None, as_json: bool, **options: Any
) -> None:
    """Follow neurons over MODELS, in the order of time: when a meaning appears, stays, moves, dies.

    MODELS are models with a catalogue, or catalogues, of one shape; or with --corpus the folder
    of one training, whose checkpoints are catalogued first.

    \b
    Example:
      $ sparsepath concepts track runs/stdlib-lm-topk --corpus stdlib --tokens 50000
    """
    with needs_extra("train", "sparsepath concepts track"):
        from sparsepath.concepts.checkpoints import catalogue_checkpoints
        from sparsepath.concepts.track import track
    paths, names = list(models), [str(path) for path in models]
    if corpus is not None:
        if len(models) > 1:
            raise click.UsageError("give one training with --corpus")
        asked = CatalogueOptions(vectors=False, **options)
        say = lambda text: click.echo(text, err=True)  # noqa: E731
        dated = catalogue_checkpoints(models[0], corpus, asked, say)
        paths, names = [one.path for one in dated], [one.name for one in dated]
    with ExitStack() as stack:
        found = track([stack.enter_context(Catalogue(path)) for path in paths], names)
    lives = found.lives
    if neuron is not None:
        wanted = Neuron.parse(neuron)
        lives = [life for life in lives if wanted in (life.neuron, life.neuron.entry)]
        if not lives:
            raise ConfigError(
                f"{neuron} is in none of them", hint="see `sparsepath concepts list --order name`"
            )
    if as_json:
        click.echo(
            json.dumps(track_json(found._replace(lives=lives)), ensure_ascii=False, indent=2)
        )
        return
    if neuron is not None:
        for life in lives:
            print_life(life)
        return
    click.echo(table([step._asdict() for step in found.steps]))
    if found.layers:
        click.echo("\nfrom each layer to the next, in the last one:")
        click.echo(table([layer._asdict() for layer in found.layers]))
