"""`sparsepath doctor`: what this machine has, and what of sparsepath runs fast on it."""

import json
from typing import TYPE_CHECKING

import click

from sparsepath.cli.options import json_option

if TYPE_CHECKING:
    from sparsepath.evaluate.doctor import Examination


@click.command("doctor")
@json_option
def doctor_command(as_json: bool) -> None:
    """Show what this machine has and what runs fast on it.

    \b
    Example:
      $ sparsepath doctor --json
    """
    from sparsepath.evaluate.doctor import doctor

    found = doctor()
    if as_json:
        click.echo(json.dumps(found._asdict(), indent=2))
        return
    for line in _lines(found):
        click.echo(line)


def _lines(found: "Examination") -> list[str]:
    """Lay an examination out as aligned lines, the advice last."""
    rows = [
        (key.removesuffix("_bytes").replace("_", " "), _plain(key, value))
        for key, value in found.machine.items()
    ]
    rows += [
        ("memory free", f"{found.memory_free_bytes / 1e9:.1f} GB"),
        ("disk free here", f"{found.disk_free_bytes / 1e9:.1f} GB"),
        ("native library", found.native or "missing"),
        ("matrix product", f"{found.matmul_gflops:.0f} GFLOP/s on one core (float32, measured)"),
    ]
    rows += [(name, version) for name, version in sorted(found.versions.items())]
    rows += [
        (f"extra [{extra}]", f"missing: {', '.join(missing)}" if missing else "installed")
        for extra, missing in found.extras.items()
    ]
    width = max(len(name) for name, _ in rows)
    return [f"{name:<{width}}  {value}" for name, value in rows] + ["", *found.advice]


def _plain(key: str, value: object) -> str:
    """Write a value of the machine's description for people."""
    if isinstance(value, dict):
        return ", ".join(name for name, present in value.items() if present) or "none found"
    if key.endswith("_bytes") and isinstance(value, int):
        return f"{value / 1e9:.1f} GB"
    return "unknown" if value is None else str(value)
