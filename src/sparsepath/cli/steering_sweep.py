"""`sparsepath steering sweep`: the strength at which a neuron steers without breaking the text."""

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sparsepath.artifacts.model_files import find_classifier
from sparsepath.cli.options import form_option, json_option
from sparsepath.cli.steering_classes import refuse_given, sweep_a_classifier
from sparsepath.config import Form, SweepOptions
from sparsepath.errors import ConfigError

if TYPE_CHECKING:
    from sparsepath.artifacts.steering_sweep import Sweep, SweepPoint
    from sparsepath.steering.judge import Judge


_FOR_WRITING = (
    "words", "classifier", "label", "prompts", "form", "positions", "samples", "tokens",
    "temperature", "top_p", "neutral", "n_neutral", "random_directions", "mean_difference",
    "prompt_baseline", "is_dense_allowed",
)  # fmt: skip
"""Options that say nothing to a classifier."""


def _setting(
    name: str, kind: Any, text: str, option: str | None = None
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make the option of a setting, whose default stands where the setting is defined."""
    (default,) = (field.default for field in fields(SweepOptions) if field.name == name)
    return click.option(
        option or f"--{name.replace('_', '-')}",
        name,
        type=kind,
        default=default,
        show_default=default is not None,
        help=text,
    )


@click.command("sweep")
@click.argument("model", type=click.Path(path_type=Path))
@click.option(
    "--steer",
    "neurons",
    multiple=True,
    required=True,
    metavar="NEURON",
    help="Neuron, such as L02/117, or its label (several times: all get the same strength).",
)
@_setting("strengths", str, "Numbers with commas; 2x is twice the usual largest value.")
@_setting("operation", click.Choice(["set", "add", "scale"]), "What is done to the neurons.")
@_setting("positions", str, "Where: all, prompt, answer, last, or a slice such as 3:10.")
@_setting("goal", click.Choice(["more", "less"]), "More of the concept, or less.")
@click.option("--words", help="Words that carry the concept: a file, one a line, or with commas.")
@click.option("--classifier", type=click.Path(path_type=Path), help="Model that judges outputs.")
@click.option("--label", help="Its label for outputs that carry the concept.")
@click.option("--prompt", "prompts", multiple=True, help="Beginning of outputs (several times).")
@_setting("samples", int, "Outputs for each prompt.")
@_setting("tokens", int, "New tokens of an output, at most.")
@_setting("temperature", float, "0 takes the likeliest token each time.")
@_setting("top_p", float, "Draw among the likeliest tokens of this probability together.")
@_setting("seed", int, "Draws outputs, neurons and directions.")
@_setting("neutral", str, "Corpus for side effects.  [default: docstrings]")
@_setting("n_neutral", int, "Its texts, at most.", "--neutral-texts")
@_setting("labelled", str, "Labelled table: accuracy is measured too.")
@_setting("random_neurons", int, "Compare with so many other neurons.")
@_setting("random_directions", int, "Compare with so many random directions of equal norm.")
@click.option(
    "--mean-difference",
    nargs=2,
    metavar="WITH WITHOUT",
    help="Compare with the direction between the means of two corpora.",
)
@_setting("prompt_baseline", str, "Compare with this text before every prompt.")
@click.option(
    "--scores",
    "scored",
    is_flag=True,
    help="Score outputs for concept, fluency and relevance too, and all together.",
)
@click.option("--unsafe-strength", is_flag=True, help="Allow strengths beyond the limit.")
@click.option(
    "--dense-sites",
    "is_dense_allowed",
    is_flag=True,
    help="Also edit what a sparse model leaves dense.",
)
@click.option(
    "--target", help="Of a sparse classifier: label that rows of --labelled are to turn to."
)
@click.option(
    "--from",
    "sources",
    multiple=True,
    help="Of a sparse classifier: label of rows that are to turn (several times).  [default: all "
    "but the target]",
)
@form_option("int8")
@click.option("-o", "--out", type=click.Path(path_type=Path), help="JSON file of the results.")
@json_option
@click.pass_context
def sweep_command(  # noqa: PLR0913 - options
    context: click.Context,
    /,
    model: Path,
    neurons: tuple[str, ...],
    words: str | None,
    classifier: Path | None,
    label: str | None,
    prompts: tuple[str, ...],
    target: str | None,
    sources: tuple[str, ...],
    form: Form,
    out: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Measure at several strengths how often outputs of MODEL carry a concept, and what it costs.

    The concept is judged by words or by a classifier, never by the neuron. Side effects are bits
    per byte on neutral texts and repeated 4-grams; every strength has the same seeds.

    Of a sparse classifier it is the share of rows of --labelled that get the label --target, and
    the accuracy on the other rows.

    \b
    Example:
      $ sparsepath steering sweep runs/stdlib-lm-topk --steer L01/5 --words error,raise*
    """
    from sparsepath.artifacts.store import write_json_atomic
    from sparsepath.evaluate.steering_sweep import PROMPTS, sweep_steering

    if find_classifier(model) is not None:
        refuse_given(context, *_FOR_WRITING)
        sweep_a_classifier(model, neurons, target, sources, out, as_json, **options)
        return
    if target is not None or sources:
        raise ConfigError(
            "--target and --from are for classifiers",
            hint="judge what a language model writes by --words, or by --classifier and --label",
        )
    judge = _judge(words, classifier, label)
    found = sweep_steering(
        model,
        neurons,
        judge,
        SweepOptions(**options),
        prompts=prompts or PROMPTS,
        form=form,
        tell=lambda point: click.echo(f"  {_line(point)}", err=True),
    )
    if out is not None:
        write_json_atomic(out, found)
        click.echo(f"results: {out}", err=True)
    if as_json:
        click.echo(found.model_dump_json(by_alias=True, indent=2))
        return
    _print_table(found)


def _judge(words: str | None, classifier: Path | None, label: str | None) -> "Judge":
    """Make who judges.

    Raises:
        ConfigError: if it is not exactly one of both ways.
    """
    from sparsepath.evaluate.steering_sweep import classifier_judge
    from sparsepath.steering.judge import read_words, word_judge

    if (words is None) == (classifier is None) or (classifier is None) != (label is None):
        raise ConfigError(
            "the concept is judged by words, or by a classifier with a label",
            hint="give --words fire,flame, or --classifier RUN --label NAME",
        )
    if words is not None:
        return word_judge(read_words(words))
    assert classifier is not None
    assert label is not None
    return classifier_judge(classifier, label)


def _line(point: "SweepPoint") -> str:
    """Say the figures of one point."""
    strength = "" if point.strength is None else f" {point.strength:g}"
    scored = "" if point.scores is None else f", score {point.scores.together:.2f}"
    return (
        f"{point.way}{strength}: {point.share:.0%} of {point.n} outputs, bits per byte "
        f"{point.bits_ratio - 1:+.1%}, repetition {point.repetition:.1%}{scored}"
    )


def _print_table(found: "Sweep") -> None:
    """Print all points, and the recommended strength."""
    from rich.console import Console
    from rich.table import Table

    has_accuracy = any(point.accuracy is not None for point in found.points)
    names = ["way", "strength", "outputs with it", "bits/byte", "change", "repetition", "fluent"]
    is_scored = any(point.scores is not None for point in found.points)
    names += ["concept", "fluency", "relevance", "score"] * is_scored
    table = Table(
        *names, *["accuracy"] * has_accuracy, title=f"{', '.join(found.neurons)}: {found.judge}"
    )
    for point in found.points:
        low, high = point.share_ci95
        row = [
            point.way,
            "" if point.strength is None else f"{point.strength:.4g}",
            f"{point.share:.0%} ({low:.0%} to {high:.0%})",
            f"{point.bits_per_byte:.4f}",
            f"{point.bits_ratio - 1:+.1%}",
            f"{point.repetition:.1%}",
            "yes" if point.is_fluent else "no",
        ]
        if (scores := point.scores) is not None:
            parts = (scores.concept, scores.fluency, scores.relevance, scores.together)
            row += [f"{part:.2f}" for part in parts]
        if point.accuracy is not None:
            row.append(f"{point.accuracy:.1%}")
        table.add_row(*row)
    Console().print(table)
    best = found.recommended
    if best is None:
        click.echo("no strength is fluent and better than no steering")
        return
    click.echo(f"recommended: {best.strength:.4g} (as good: {best.low:.4g} to {best.high:.4g})")
