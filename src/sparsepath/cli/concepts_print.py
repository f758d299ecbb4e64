"""How `sparsepath concepts` prints what it found."""

import json
from typing import TYPE_CHECKING, Any

import click

from sparsepath.artifacts.catalogue_query import Hit
from sparsepath.artifacts.catalogue_schema import NeuronLine
from sparsepath.config import LANGUAGES

lang_option = click.option(
    "--lang",
    type=click.Choice(LANGUAGES),
    default=LANGUAGES[0],
    show_default=True,
    help="Language of automatic labels.",
)

if TYPE_CHECKING:
    from sparsepath.concepts.track import Life, Track


def print_life(life: "Life") -> None:
    """Print a neuron's life, a line for each catalogue, a bar for its likeness to the last."""
    settled = "ends without firing" if life.settled_at is None else f"settled at {life.settled_at}"
    click.echo(f"{life.neuron.name}: {settled}")
    for moment in life.moments:
        bar = "\u2588" * round(10 * (moment.to_last or 0))
        moved = "" if moment.moved_to is None else f" to {moment.moved_to.name}"
        click.echo(f"{moment.name:>12} |{bar:<10}| {moment.event}{moved}: {moment.label}")


def track_json(found: "Track") -> dict[str, Any]:
    """Give what was followed as plain content for JSON."""
    return {
        "steps": [step._asdict() for step in found.steps],
        "layers": [layer._asdict() for layer in found.layers],
        "lives": [
            {
                "neuron": life.neuron.name,
                "settled_at": life.settled_at,
                "moments": [
                    moment._asdict()
                    | {"moved_to": None if moment.moved_to is None else moment.moved_to.name}
                    for moment in life.moments
                ],
            }
            for life in found.lives
        ],
    }


def print_lines(lines: list[NeuronLine], as_json: bool) -> None:
    """Print a list of neurons."""
    if as_json:
        rows = [line._asdict() | {"neuron": line.neuron.name} for line in lines]
        click.echo(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    for line in lines:
        score = "    -" if line.score is None else f"{line.score:.3f}"
        tokens = " ".join(json.dumps(text, ensure_ascii=False) for text in line.tokens[:4])
        mark = " (a person's)" * line.by_person + " (an endpoint's)" * line.by_endpoint
        click.echo(
            f"{line.neuron.name:<10} {score} {line.rate:>7.2%}  {line.label}{mark}  [{tokens}]"
        )


def filtered(
    hits: list[Hit],
    *,
    layer: int | None,
    site: str | None,
    min_score: float | None,
    max_rate: float | None,
) -> list[Hit]:
    """Leave the hits that are wanted."""

    def is_wanted(line: NeuronLine) -> bool:
        return (
            layer in (None, line.neuron.layer)
            and site in (None, line.neuron.site)
            and (min_score is None or (line.score or 0.0) >= min_score)
            and (max_rate is None or line.rate <= max_rate)
        )

    return [hit for hit in hits if is_wanted(hit.line)]


def print_hits(hits: list[Hit], as_json: bool) -> None:
    """Print what a search found."""
    if as_json:
        rows = [
            hit.line._asdict()
            | {"neuron": hit.line.neuron.name, "strength": hit.strength, "why": hit.why}
            | ({"says": hit.says} if hit.says else {})
            for hit in hits
        ]
        click.echo(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    if not hits:
        click.echo("nothing found", err=True)
    for hit in hits:
        click.echo(
            f"{hit.line.neuron.name:<10} {hit.strength:>6.2f}  {hit.line.label}  ({hit.why})"
        )


def table(rows: list[dict[str, Any]]) -> str:
    """Write rows under the names of their columns."""
    names = list(rows[0]) if rows else []
    cells = [names, *([_cell(row[name]) for name in names] for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(names))]
    return "\n".join(
        "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True))
        for line in cells
    )


def _cell(value: object) -> str:
    return "-" if value is None else f"{value:.3f}" if isinstance(value, float) else str(value)
