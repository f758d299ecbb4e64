"""`sparsepath bench`: run one benchmark of a checkout."""

import json

import click

from sparsepath.cli.options import json_option


@click.command("bench", context_settings={"ignore_unknown_options": True})
@click.argument("name", required=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@json_option
def bench_command(name: str | None, arguments: tuple[str, ...], as_json: bool) -> None:
    """Run the benchmark NAME, or list the benchmarks without NAME.

    Works in the root of a checkout, where benchmarks/ is. ARGUMENTS go on to the script.

    \b
    Example:
      $ sparsepath bench poc_banking77 --json
    """
    from sparsepath.artifacts.benchmark import render_table
    from sparsepath.evaluate.benchmarks import find_benchmarks, run_benchmark

    if name is None:
        found = find_benchmarks()
        if as_json:
            click.echo(json.dumps([{"name": b.name, "minutes": b.minutes} for b in found]))
            return
        for benchmark in found:
            click.echo(f"{benchmark.minutes:>6g} min  {benchmark.name}")
        return
    rows = run_benchmark(name, arguments)
    if as_json:
        click.echo(json.dumps([row.model_dump(mode="json") for row in rows], indent=2))
        return
    click.echo(render_table(rows))
