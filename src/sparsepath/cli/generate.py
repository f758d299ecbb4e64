"""`sparsepath generate`: a language model writes on."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sparsepath.cli.options import form_option, json_option, steer_options, writing_options
from sparsepath.config import Form, GenerateOptions

if TYPE_CHECKING:
    from sparsepath.runtime.language.engine import Written


@click.command("generate")
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("prompt")
@writing_options(GenerateOptions())
@click.option("--stop", multiple=True, help="Text before which the answer ends (several times).")
@click.option("--preset", help="Steer by a preset of MODEL: its name, or a file.")
@steer_options
@form_option("int8")
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Threads; the answer is the same with any number.",
)
@json_option
def generate_command(  # noqa: PLR0913 - options
    model: Path,
    prompt: str,
    preset: str | None,
    steer: tuple[str, ...],
    unsafe_strength: bool,
    dense_sites: bool,
    form: Form,
    threads: int,
    as_json: bool,
    **options: Any,
) -> None:
    """Let a language model write on after PROMPT.

    Without torch; a PROMPT of - reads standard input. MODEL is the folder of a
    language model of the Llama kind, dense or sparse, or of a training.

    \b
    Example:
      $ sparsepath generate runs/stdlib-lm-topk "def main(" --tokens 40
    """
    from sparsepath.artifacts.model_files import locate_language_model
    from sparsepath.runtime.language.engine import Engine, Written

    asked = GenerateOptions(**options)
    text = sys.stdin.read() if prompt == "-" else prompt
    engine = Engine(locate_language_model(model), form=form, threads=threads, preset=preset)
    if engine.notice:
        click.echo(f"note: {engine.notice}", err=True)
    facts, pieces = Written(), []
    with engine.steered(*steer, is_dense_allowed=dense_sites, unsafe_strength=unsafe_strength):
        edits = [str(edit) for edit in engine.edits]
        for piece in engine.generate(text, asked, facts=facts):
            pieces.append(piece)
            if not as_json:
                click.echo(piece, nl=False)
    if as_json:
        told = asdict(facts) | {
            "text": "".join(pieces),
            "tokens_per_s": facts.tokens_per_s,
            "bytes_per_token": facts.bytes_per_token,
            "threads": threads,
            "edits": edits,
        }
        click.echo(json.dumps(told, ensure_ascii=False, indent=2))
        return
    click.echo()
    click.echo(_said(facts, form, threads), err=True)
    if edits:
        click.echo(f"steered by {'; '.join(edits)}", err=True)


def _said(facts: "Written", form: Form, threads: int) -> str:
    """Say how fast it was."""
    count = "one thread" if threads == 1 else f"{threads} threads"
    parts = [f"{facts.tokens} tokens ({facts.ending}), {form}, {count}"]
    if facts.tokens_per_s is not None:
        parts.append(f"{facts.tokens_per_s:,.0f} tokens/s")
    if facts.bytes_per_token is not None:
        parts.append(f"{facts.bytes_per_token / 1e6:.2f} MB of weights read a token")
    parts.append(f"prompt of {facts.prompt_tokens} tokens in {1000 * facts.prompt_s:.0f} ms")
    return "; ".join(parts)
