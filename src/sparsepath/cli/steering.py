"""`sparsepath steering`: edit neurons of a sparse model, and keep what works."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from sparsepath.artifacts.model_files import find_classifier
from sparsepath.cli.generate import generate_command
from sparsepath.cli.options import (
    form_option,
    json_option,
    sae_option,
    steer_options,
    writing_options,
)
from sparsepath.cli.steering_classes import refuse_given, save_classes, show_classes
from sparsepath.cli.steering_sweep import sweep_command
from sparsepath.config import Form, GenerateOptions

TRIED = GenerateOptions(tokens=40, temperature=0.8, top_p=0.95)
"""How outputs are written that are to be compared."""


@click.group("steering")
def steering_command() -> None:
    """Edit single neurons of a model while it works."""


steering_command.add_command(sweep_command)


@steering_command.command("try")
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("prompt")
@click.option("--preset", help="Steer by a preset of MODEL: its name, or a file.")
@steer_options
@sae_option
@writing_options(TRIED)
@click.option(
    "--samples", type=click.IntRange(min=1), default=3, show_default=True, help="Outputs of each."
)
@form_option("int8")
@json_option
@click.pass_context
def try_command(  # noqa: PLR0913 - options
    context: click.Context,
    /,
    model: Path,
    prompt: str,
    preset: str | None,
    steer: tuple[str, ...],
    unsafe_strength: bool,
    dense_sites: bool,
    autoencoder: Path | None,
    samples: int,
    form: Form,
    as_json: bool,
    **options: Any,
) -> None:
    """Show what MODEL writes after PROMPT, unsteered and steered, on the same seeds.

    Of a sparse classifier PROMPT is the text, and what is shown are the probabilities of labels.

    \b
    Example:
      $ sparsepath steering try runs/stdlib-lm-topk "def main(" --steer "L02/117=8"
    """
    if find_classifier(model) is not None:
        refuse_given(context, "dense_sites", "autoencoder", "samples", "form", *options)
        show_classes(model, prompt, steer, preset, unsafe_strength, as_json)
        return
    from sparsepath.evaluate.steering import Steering, try_steering

    asked = GenerateOptions(**options)
    found = try_steering(
        model,
        prompt,
        Steering(steer, preset, dense_sites, unsafe_strength, autoencoder),
        [replace(asked, seed=asked.seed + number) for number in range(samples)],
        form=form,
    )
    if as_json:
        told = {"prompt": prompt, "outputs": [tried._asdict() for tried in found]}
        click.echo(json.dumps(told, ensure_ascii=False, indent=2))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    title = Text("; ".join(found[0].edits))
    table = Table("seed", "unsteered", "steered", show_lines=True, title=title)
    for tried in found:
        table.add_row(str(tried.seed), Text(tried.unsteered), Text(tried.steered))
    Console().print(table)


@steering_command.command("save")
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--name", required=True, help="Letters, digits, `.`, `-` and `_`.")
@steer_options
@sae_option
@click.option("--preset", help="Begin with the edits of this preset.")
@click.option("--note", default="", help="What it is for.")
@click.option("--author", help="Who made it.  [default: the user's name]")
def save_command(  # noqa: PLR0913 - options
    model: Path,
    name: str,
    steer: tuple[str, ...],
    unsafe_strength: bool,
    dense_sites: bool,
    autoencoder: Path | None,
    preset: str | None,
    note: str,
    author: str | None,
) -> None:
    """Keep edits in MODEL's folder, as presets/NAME.json.

    A preset belongs to these weights: `generate --preset`, `steering apply` and the Python Engine
    refuse it for others, and after it was edited by hand. Of a sparse classifier `predict --preset`
    uses it.

    \b
    Example:
      $ sparsepath steering save runs/stdlib-lm-topk --name plain --steer "L02/117=off"
    """
    from sparsepath.evaluate.steering import Steering, save_preset

    steering = Steering(steer, preset, dense_sites, unsafe_strength, autoencoder)
    save = save_preset if find_classifier(model) is None else save_classes
    click.echo(save(model, name, steering, note=note, author=author))


@steering_command.command("apply")
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("prompt")
@click.option("--name", required=True, help="Preset of MODEL, or its file.")
@writing_options(GenerateOptions())
@form_option("int8")
@json_option
@click.pass_context
def apply_command(
    context: click.Context, /, model: Path, prompt: str, name: str, **options: Any
) -> None:
    """Let MODEL write on after PROMPT with a preset; the same as `generate --preset`.

    A sparse classifier answers PROMPT, as in `steering try`.

    \b
    Example:
      $ sparsepath steering apply runs/stdlib-lm-topk "def main(" --name plain
    """
    if find_classifier(model) is not None:
        refuse_given(context, *(set(options) - {"as_json"}))
        show_classes(model, prompt, (), name, unsafe_strength=False, as_json=options["as_json"])
        return
    context.invoke(generate_command, model=model, prompt=prompt, preset=name, **options)


@steering_command.command("list")
@click.argument("model", type=click.Path(path_type=Path))
@json_option
def list_command(model: Path, as_json: bool) -> None:
    """List the presets of MODEL, also those that cannot be used, with the reason.

    \b
    Example:
      $ sparsepath steering list runs/stdlib-lm-topk
    """
    from sparsepath.evaluate.steering import list_presets

    found = list_presets(model)
    if as_json:
        rows = [
            {
                "name": name,
                "preset": preset and preset.model_dump(mode="json", by_alias=True),
                "trouble": trouble,
            }
            for name, preset, trouble in found
        ]
        click.echo(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    if not found:
        click.echo("no presets yet; `sparsepath steering save` makes one", err=True)
    for name, preset, trouble in found:
        if preset is None:
            click.echo(f"{name}: cannot be used: {trouble}")
            continue
        about = ", ".join(part for part in (preset.author, preset.created, preset.note) if part)
        click.echo(f"{name}: {preset} ({about})")
