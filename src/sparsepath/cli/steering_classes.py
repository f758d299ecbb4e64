"""What `sparsepath steering` does where the model is a sparse classifier of texts."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from sparsepath.artifacts.steering_sweep import ClassPoint, ClassSweep
from sparsepath.config import SweepOptions
from sparsepath.errors import ConfigError, needs_extra

if TYPE_CHECKING:
    from sparsepath.evaluate.steering import Steering

N_SHOWN = 10
"""Labels that are shown of a text."""


def refuse_given(context: click.Context, *names: str) -> None:
    """Refuse options that say nothing to a classifier.

    Raises:
        ConfigError: if one of them was given.
    """
    given = [n for n in names if context.get_parameter_source(n) is ParameterSource.COMMANDLINE]
    if given:
        raise ConfigError(
            f"{', '.join(sorted(given))} beside a classifier, which writes nothing",
            hint="leave it out, or give a language model",
        )


def show_classes(
    model: Path,
    text: str,
    edits: Sequence[str],
    preset: str | None,
    unsafe_strength: bool,
    as_json: bool,
) -> None:
    """Print what a classifier says of a text, unsteered and steered."""
    with needs_extra("train", "steering a classifier"):
        from sparsepath.evaluate.steering_classes import try_classes
    found = try_classes(model, text, edits, preset=preset, unsafe_strength=unsafe_strength)
    if as_json:
        click.echo(json.dumps(found._asdict(), ensure_ascii=False, indent=2))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("label", "unsteered", "steered", title=Text("; ".join(found.edits)))
    for label, share in list(found.steered.items())[:N_SHOWN]:
        table.add_row(Text(label), f"{found.unsteered[label]:.1%}", f"{share:.1%}")
    Console().print(table)


def save_classes(
    model: Path | str, name: str, steering: "Steering", *, note: str = "", author: str | None = None
) -> Path:
    """Keep edits of a classifier as a preset."""
    with needs_extra("train", "steering a classifier"):
        from sparsepath.evaluate.steering_classes import save_class_preset
    if steering.autoencoder is not None or steering.is_dense_allowed:
        raise ConfigError("--sae and --dense-sites are for language models", hint="leave them out")
    return save_class_preset(
        model,
        name,
        steering.edits,
        preset=steering.preset,
        unsafe_strength=steering.unsafe_strength,
        note=note,
        author=author,
    )


def sweep_a_classifier(
    model: Path,
    neurons: tuple[str, ...],
    target: str | None,
    sources: tuple[str, ...],
    out: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Print at several strengths how many rows of a table turn to a label."""
    from sparsepath.artifacts.store import write_json_atomic

    with needs_extra("train", "steering a classifier"):
        from sparsepath.evaluate.steering_classes import sweep_classes
    asked = SweepOptions(**options)
    if target is None or asked.labelled is None:
        raise ConfigError(
            "a classifier is swept on a labelled table",
            hint="give --labelled TABLE and --target LABEL, to which rows are to turn",
        )
    found = sweep_classes(
        model,
        neurons,
        asked.labelled,
        target,
        asked,
        sources=sources,
        tell=lambda point: click.echo(f"  {_line(point)}", err=True),
    )
    if out is not None:
        write_json_atomic(out, found)
        click.echo(f"results: {out}", err=True)
    if as_json:
        click.echo(found.model_dump_json(by_alias=True, indent=2))
        return
    _print(found)


def _line(point: ClassPoint) -> str:
    """Say the figures of one point."""
    strength = "" if point.strength is None else f" {point.strength:g}"
    others = "" if point.accuracy is None else f", accuracy on {point.n_others} others "
    others += "" if point.accuracy is None else f"{point.accuracy:.1%}"
    return f"{point.way}{strength}: {point.share:.0%} of {point.n} rows{others}"


def _print(found: ClassSweep) -> None:
    """Print all points, and the recommended strength."""
    from rich.console import Console
    from rich.table import Table

    names = ("way", "strength", "rows with it", "accuracy on others", "harmless")
    table = Table(*names, title=f"{', '.join(found.neurons)}: {found.target}")
    for point in found.points:
        low, high = point.share_ci95
        table.add_row(
            point.way,
            "" if point.strength is None else f"{point.strength:.4g}",
            f"{point.share:.0%} ({low:.0%} to {high:.0%})",
            "-" if point.accuracy is None else f"{point.accuracy:.1%}",
            "yes" if point.is_harmless else "no",
        )
    Console().print(table)
    best = found.recommended
    if best is None:
        click.echo("no harmless strength does more than no steering")
        return
    click.echo(f"recommended: {best.strength:.4g} (as good: {best.low:.4g} to {best.high:.4g})")
