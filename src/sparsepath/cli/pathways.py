"""`sparsepath pathways`: what is done with the sub-models of one model."""

import json
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

import click

from sparsepath.artifacts.pathways import HypothesisFigures
from sparsepath.cli.options import json_option
from sparsepath.config import EnsembleOptions, HypothesisOptions, SamplingMode
from sparsepath.errors import needs_extra


def _setting(
    options: type[EnsembleOptions | HypothesisOptions], name: str, kind: Any, text: str
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make the option of a setting, whose default stands where the setting is defined."""
    (default,) = (field.default for field in fields(options) if field.name == name)
    return click.option(f"--{name}", type=kind, default=default, show_default=True, help=text)


@click.group("pathways")
def pathways_command() -> None:
    """Work with the sub-models that one model consists of."""


@pathways_command.command("ensemble")
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("data", type=click.Path(path_type=Path))
@_setting(EnsembleOptions, "members", int, "Sub-models.")
@_setting(EnsembleOptions, "keep", float, "Share of the sources of attention that each keeps.")
@_setting(EnsembleOptions, "mode", click.Choice(get_args(SamplingMode)), "How sources are drawn.")
@_setting(
    EnsembleOptions, "risk", float, "Share of wrong answers allowed where the model answers alone."
)
@_setting(EnsembleOptions, "seed", int, "Draws rows and sources.")
@click.option(
    "--foreign",
    type=click.Path(path_type=Path),
    help="Texts of another kind; how well MODEL notices that is measured.",
)
@click.option(
    "--deep",
    type=click.Path(path_type=Path),
    multiple=True,
    help="Model trained with another seed (several times): a deep ensemble to compare with.",
)
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), help="CSV file: label, spread, disagreement."
)
@json_option
def ensemble_command(
    model: Path,
    data: Path,
    foreign: Path | None,
    deep: tuple[Path, ...],
    out: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Answer DATA by random sub-models of MODEL and average them.

    DATA is a labelled table that MODEL was not trained on. A third of its rows chooses from
    which confidence on the model may answer alone; all figures are of the others.

    \b
    Example:
      $ sparsepath pathways ensemble runs/tickets/models/full more-tickets.csv
    """
    with needs_extra("train", "sparsepath pathways"):
        from sparsepath.evaluate.ensemble_model import ensemble
    found = ensemble(model, data, EnsembleOptions(**options), foreign=foreign, deep=deep, out=out)
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
    for way, confidence, disagreement in found.noticed:
        beyond = "" if disagreement is None else f", by disagreement {disagreement:.3f}"
        click.echo(f"{way}: AUROC of foreign texts {confidence:.3f} by confidence{beyond}")


@pathways_command.command("hypothesis")
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("data", type=click.Path(path_type=Path))
@_setting(HypothesisOptions, "members", int, "Random sub-models of each share of sources.")
@_setting(HypothesisOptions, "rows", int, "Rows of DATA, at most.")
@_setting(HypothesisOptions, "seed", int, "Draws rows, sources and controls.")
@click.option("--html", "page", type=click.Path(path_type=Path), help="Also write a page of plots.")
@click.option(
    "--lang", type=click.Choice(["en", "ja"]), default="en", show_default=True, help="Of the page."
)
@json_option
def hypothesis_command(
    model: Path, data: Path, page: Path | None, lang: str, as_json: bool, **options: Any
) -> None:
    """Measure on DATA whether MODEL is an ensemble of small, input-dependent pathways.

    How good random sub-models are, alone and together; how few units carry an answer; and
    whether they are the same ones for every input; each beside its control.

    \b
    Example:
      $ sparsepath pathways hypothesis runs/tickets/models/full more-tickets.csv
    """
    with needs_extra("train", "sparsepath pathways"):
        from sparsepath.evaluate.hypothesis import hypothesis
        from sparsepath.report.hypothesis import write_hypothesis
    found = hypothesis(model, data, HypothesisOptions(**options))
    if page is not None:
        write_hypothesis(HypothesisFigures.model_validate(found.as_dict()), page, lang)
    if as_json:
        click.echo(json.dumps(found.as_dict(), indent=2))
        return
    for sentence in found.conclusions:
        click.echo(f"- {sentence}")
