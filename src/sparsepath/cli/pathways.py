"""`sparsepath pathways`: what is done with the sub-models of one model."""

import json
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

import click

from sparsepath.cli.options import json_option
from sparsepath.config import EnsembleOptions, HypothesisOptions, SamplingMode
from sparsepath.errors import needs_extra

_DEFAULTS = {field.name: field.default for field in fields(EnsembleOptions)}
_HYPOTHESIS = {field.name: field.default for field in fields(HypothesisOptions)}


@click.group("pathways")
def pathways_command() -> None:
    """Work with the sub-models that one model consists of."""


@pathways_command.command("ensemble")
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("data", type=click.Path(path_type=Path))
@click.option(
    "--members", type=int, default=_DEFAULTS["members"], show_default=True, help="Sub-models."
)
@click.option(
    "--keep",
    type=float,
    default=_DEFAULTS["keep"],
    show_default=True,
    help="Share of the sources of attention that each keeps.",
)
@click.option(
    "--mode",
    type=click.Choice(get_args(SamplingMode)),
    default=_DEFAULTS["mode"],
    show_default=True,
    help="How sources are drawn.",
)
@click.option(
    "--risk",
    type=float,
    default=_DEFAULTS["risk"],
    show_default=True,
    help="Share of wrong answers allowed where the model answers alone.",
)
@click.option(
    "--seed", type=int, default=_DEFAULTS["seed"], show_default=True, help="Draws rows and sources."
)
@json_option
def ensemble_command(model: Path, data: Path, as_json: bool, **options: Any) -> None:
    """Answer DATA by random sub-models of MODEL and average them.

    DATA is a labelled table that MODEL was not trained on. A third of its rows chooses from
    which confidence on the model may answer alone; all figures are of the others.

    \b
    Example:
      $ sparsepath pathways ensemble runs/tickets/models/full more-tickets.csv
    """
    with needs_extra("train", "sparsepath pathways"):
        from sparsepath.evaluate.ensemble_model import ensemble
    found = ensemble(model, data, EnsembleOptions(**options))
    if as_json:
        click.echo(json.dumps(found.as_dict(), indent=2))
        return
    click.echo(f"{'members':>8} {'accuracy':>9} {'NLL':>7} {'Brier':>7} {'ECE':>7}")
    for point in (found.dense, *found.curve):
        name = str(point.members) if point.members else "dense"
        click.echo(
            f"{name:>8} {point.accuracy:>9.1%} {point.nll_nats:>7.4f} {point.brier:>7.4f} "
            f"{point.ece:>7.4f}"
        )
    click.echo(f"members disagree with the ensemble on {found.disagreement:.1%} of the answers")
    for name, alone in (("dense", found.alone_dense), ("ensemble", found.alone)):
        if alone.threshold is None:
            click.echo(f"{name}: no confidence is known to keep wrong answers below {alone.risk:g}")
            continue
        click.echo(
            f"{name}: answers alone from a confidence of {alone.threshold:.3f} on: "
            f"{alone.coverage:.1%} of the rows, {alone.error or 0.0:.1%} of them wrong "
            f"(allowed: {alone.risk:.1%})"
        )


@pathways_command.command("hypothesis")
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("data", type=click.Path(path_type=Path))
@click.option(
    "--members",
    type=int,
    default=_HYPOTHESIS["members"],
    show_default=True,
    help="Random sub-models of each share of sources.",
)
@click.option(
    "--rows",
    type=int,
    default=_HYPOTHESIS["rows"],
    show_default=True,
    help="Rows of DATA, at most.",
)
@click.option(
    "--seed",
    type=int,
    default=_HYPOTHESIS["seed"],
    show_default=True,
    help="Draws rows, sources and controls.",
)
@json_option
def hypothesis_command(model: Path, data: Path, as_json: bool, **options: Any) -> None:
    """Measure on DATA whether MODEL is an ensemble of small, input-dependent pathways.

    How good random sub-models are, alone and together; how few units carry an answer; and
    whether they are the same ones for every input; each beside its control.

    \b
    Example:
      $ sparsepath pathways hypothesis runs/tickets/models/full more-tickets.csv
    """
    with needs_extra("train", "sparsepath pathways"):
        from sparsepath.evaluate.hypothesis import hypothesis
    found = hypothesis(model, data, HypothesisOptions(**options))
    if as_json:
        click.echo(json.dumps(found.as_dict(), indent=2))
        return
    for sentence in found.conclusions:
        click.echo(f"- {sentence}")
