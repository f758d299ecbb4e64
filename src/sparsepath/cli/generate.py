"""`sparsepath generate`: a language model writes on."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sparsepath.cli.options import form_option, json_option, steer_options, writing_options
from sparsepath.config import Form, GenerateOptions
from sparsepath.errors import ConfigError

if TYPE_CHECKING:
    from sparsepath.audit.policy import Standing
    from sparsepath.runtime.language.engine import Ending, Written


@click.command("generate")
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("prompt")
@writing_options(GenerateOptions())
@click.option("--stop", multiple=True, help="Text before which the answer ends (several times).")
@click.option("--preset", help="Steer by a preset of MODEL: its name, or a file.")
@steer_options
@click.option(
    "--policy",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File of an approved policy (`sparsepath policy show`), which must allow the steering.",
)
@click.option("--use", help="What the text is for, as the policy names it.")
@click.option(
    "--policy-database",
    help="Where the policy was approved: a file or URL; then a revoked one is refused too.",
)
@click.option(
    "--trace",
    "trace_file",
    type=click.Path(path_type=Path),
    help="Write which neurons fired at each token, and how much (safetensors).",
)
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
    policy: Path | None,
    use: str | None,
    policy_database: str | None,
    trace_file: Path | None,
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
    from sparsepath.runtime.language.tracing import Trace, write_trace

    asked = GenerateOptions(**options)
    text = sys.stdin.read() if prompt == "-" else prompt
    engine = Engine(
        locate_language_model(model),
        form=form,
        threads=threads,
        preset=preset,
        policy=_standing(policy, use, policy_database, is_steered=bool(preset or steer)),
        use=use,
    )
    if engine.notice:
        click.echo(f"note: {engine.notice}", err=True)
    facts, pieces = Written(), []
    trace = None if trace_file is None else Trace()
    with engine.steered(*steer, is_dense_allowed=dense_sites, unsafe_strength=unsafe_strength):
        edits = [str(edit) for edit in engine.edits]
        for piece in engine.generate(text, asked, facts=facts, trace=trace):
            pieces.append(piece)
            if not as_json:
                click.echo(piece, nl=False)
    if trace_file is not None and trace is not None:
        write_trace(trace_file, trace)
    if as_json:
        told = asdict(facts) | {
            "text": "".join(pieces),
            "tokens_per_s": facts.tokens_per_s,
            "bytes_per_token": facts.bytes_per_token,
            "threads": threads,
            "edits": edits,
            "policy": None if engine.permit is None else engine.permit._asdict(),
        }
        click.echo(json.dumps(told, ensure_ascii=False, indent=2))
        return
    click.echo()
    click.echo(_said(facts, form, threads), err=True)
    if edits:
        click.echo(f"steered by {'; '.join(edits)}", err=True)
    if engine.permit is not None:
        allowed = engine.permit
        click.echo(
            f"allowed by policy {allowed.name} version {allowed.version} for {allowed.use}",
            err=True,
        )


def _standing(
    policy: Path | None, use: str | None, database: str | None, *, is_steered: bool
) -> "Standing | None":
    """Find out where a policy stands: by its file, and by the database if there is one.

    Raises:
        ConfigError: if it would have no effect, cannot be read, or the database does not have it.
    """
    if policy is None:
        if use is not None or database is not None:
            raise ConfigError(
                "--use and --policy-database say nothing without a policy",
                hint="add --policy FILE",
            )
        return None
    if not is_steered:
        raise ConfigError(
            "a policy, but nothing is steered", hint="add --preset or --steer, or leave it out"
        )
    from sparsepath.audit.policy import standing_of
    from sparsepath.audit.policy_file import read_policy

    read = read_policy(policy)
    if database is None:
        return standing_of(read)
    from sparsepath.audit.database import open_database
    from sparsepath.audit.policies import find_policy, list_policies

    with open_database(database, must_exist=True) as opened:
        found = find_policy(list_policies(opened), read.name, read.version)
    if found.sha256 != read.sha256:
        raise ConfigError(
            f"{policy} is not the policy {read.name} version {read.version} of {database}",
            hint=f"write its file anew: sparsepath policy show {read.name} {read.version}",
        )
    return found


_ENDINGS: dict["Ending", str] = {
    "end": "the text is finished",
    "stop": "a stop string came",
    "tokens": "as many as asked for",
    "context": "the context is full",
}


def _said(facts: "Written", form: Form, threads: int) -> str:
    """Say how fast it was."""
    count = "one thread" if threads == 1 else f"{threads} threads"
    parts = [f"{facts.tokens} tokens ({_ENDINGS[facts.ending]}), {form}, {count}"]
    if facts.tokens_per_s is not None:
        parts.append(f"{facts.tokens_per_s:,.0f} tokens/s")
    if facts.bytes_per_token is not None:
        parts.append(f"{facts.bytes_per_token / 1e6:.2f} MB of weights read a token")
    parts.append(f"prompt of {facts.prompt_tokens} tokens in {1000 * facts.prompt_s:.0f} ms")
    return "; ".join(parts)
