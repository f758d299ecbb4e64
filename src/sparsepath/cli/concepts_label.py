"""`sparsepath concepts label`: better names from a language model behind an endpoint."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sparsepath.artifacts.catalogue import Catalogue
from sparsepath.artifacts.neuron import Neuron
from sparsepath.cli.options import json_option

if TYPE_CHECKING:
    from sparsepath.concepts.endpoint_labels import Named, Plan


@click.command("label")
@click.argument("model", type=click.Path(path_type=Path))
@click.option(
    "--endpoint",
    "url",
    required=True,
    metavar="URL",
    help="OpenAI-compatible address, such as https://host/v1; http only on this machine.",
)
@click.option("--model", "model_name", required=True, metavar="NAME", help="Model to ask there.")
@click.option(
    "--key-env", metavar="VARIABLE", help="Environment variable that holds the key, if one is due."
)
@click.option("--neuron", "neurons", multiple=True, help="Only this neuron (several times).")
@click.option("--layer", type=int, help="Only this layer.")
@click.option("--limit", default=50, show_default=True, help="Most neurons; 0 takes all.")
@click.option("--again", is_flag=True, help="Also neurons that this model was asked for before.")
@click.option("--timeout", default=60.0, show_default=True, help="Seconds for one answer.")
@click.option(
    "--attempts", default=5, show_default=True, help="For one answer, with growing waits between."
)
@click.option(
    "--dry-run", is_flag=True, help="Send nothing: print the first question and count the calls."
)
@json_option
def label_command(  # noqa: PLR0913 - one option each
    model: Path,
    url: str,
    model_name: str,
    key_env: str | None,
    neurons: tuple[str, ...],
    limit: int,
    timeout: float,
    attempts: int,
    dry_run: bool,
    as_json: bool,
    **chosen: Any,
) -> None:
    """Let a language model at an endpoint label neurons of MODEL's catalogue, and judge its labels.

    Excerpts of the corpus are sent to that endpoint, and nowhere else. Neurons with the worst
    labels come first. A label is shown where it does better than ours on the same held-out
    contexts; a person's label stays. After a stop the same command goes on.

    \b
    Example:
      $ sparsepath concepts label runs/lm --endpoint http://127.0.0.1:8080/v1 --model qwen
    """
    from sparsepath.concepts.endpoint import Endpoint, key_from
    from sparsepath.concepts.endpoint_labels import label_neurons, plan_labels

    endpoint = Endpoint(
        url=url,
        model=model_name,
        key=None if dry_run else key_from(key_env),
        timeout_s=timeout,
        attempts=attempts,
    )
    only = [Neuron.parse(name) for name in neurons]
    with Catalogue(model) as catalogue:
        plan = plan_labels(catalogue, model_name, only=only, limit=limit or None, **chosen)
        if dry_run:
            _print_plan(plan, as_json)
            return
        where = "this machine" if endpoint.is_local else endpoint.url
        click.echo(
            f"{len(plan.neurons)} neurons, {plan.n_calls} calls; excerpts go to {where}", err=True
        )
        done = []
        for named in label_neurons(catalogue, plan.neurons, endpoint):
            done.append(named)
            click.echo(_line(named), err=as_json)
    if as_json:
        rows = [_row(named) for named in done]
        click.echo(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    n_kept = sum(named.found is not None and named.found.is_kept for named in done)
    click.echo(f"{n_kept} of {len(done)} labels are better than ours and are shown", err=True)


def _print_plan(plan: "Plan", as_json: bool) -> None:
    """Say what would be asked."""
    if as_json:
        told = {
            "neurons": [neuron.name for neuron in plan.neurons],
            "calls": plan.n_calls,
            "first": plan.first,
        }
        click.echo(json.dumps(told, ensure_ascii=False, indent=2))
        return
    click.echo(plan.first or "nothing to ask")
    click.echo(f"{len(plan.neurons)} neurons, {plan.n_calls} calls; nothing was sent", err=True)


def _line(named: "Named") -> str:
    """Say what came out for a neuron."""
    found = named.found
    if found is None:
        return f"{named.neuron.name:<10} no usable answer: {named.trouble}"
    kept = "shown" if found.is_kept else "ours stays"
    return (
        f"{named.neuron.name:<10} {found.score:.3f} (ours {found.own_score:.3f}), {kept}: "
        f"{found.label}  (ours: {named.before})"
    )


def _row(named: "Named") -> dict[str, Any]:
    """Give the same as plain content for JSON."""
    found = None if named.found is None else named.found._asdict()
    return named._asdict() | {"neuron": named.neuron.name, "found": found}
