"""`sparsepath export`: a copy of a model that other programs can run."""

from pathlib import Path

import click

FORMATS = ("onnx", "hf")


@click.command("export")
@click.argument("model", type=click.Path(path_type=Path))
@click.option(
    "--to",
    "target",
    type=click.Choice(FORMATS),
    required=True,
    help="onnx: ONNX Runtime alone runs it. hf: a Hugging Face folder.",
)
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), required=True, help="New folder for the copy."
)
def export_command(model: Path, target: str, out: Path) -> None:
    """Copy MODEL into a folder that needs no sparsepath.

    MODEL is a model folder such as RUN/models/NAME, or a run folder, which stands for the
    model that the run recommends.

    \b
    Example:
      $ sparsepath export runs/tickets/models/light --to onnx -o light-onnx
    """
    from sparsepath.runtime.export import export_model
    from sparsepath.runtime.locate import locate

    found = locate(model)
    click.echo(export_model(found.folder, to=target, out=out))
    if target == "onnx" and found.precision != "fp32":
        click.echo(f"the run recommends this model in {found.precision}:", err=True)
        click.echo(
            f"  sparsepath predict {out} DATA -o OUT --precision {found.precision}", err=True
        )
