"""The row format of every benchmark, and the table that `make bench` prints."""

import json
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field

from sparsepath.artifacts.base import Artifact, Interval
from sparsepath.artifacts.store import read_json_list, write_text_atomic


class BenchmarkRow(Artifact):
    """One figure: value, unit, target, peer, uncertainty, and how to make it again."""

    figure: str
    value: float | None
    """None when this machine cannot measure it; `note` says why."""
    unit: str
    better: Literal["higher", "lower"]
    target: float | None = None
    peer: str | None = None
    """The best thing a user would pick instead, with its version."""
    ci95: Interval | None = None
    n: int | None = None
    threads: int | None = None
    machine: str = ""
    versions: dict[str, str] = Field(default_factory=dict)
    command: str
    date: str
    """ISO date, `2026-11-30`."""
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the target is reached; None without a value or a target."""
        if self.value is None or self.target is None:
            return None
        return self.value >= self.target if self.better == "higher" else self.value <= self.target


def write_rows(path: Path, rows: Sequence[BenchmarkRow]) -> None:
    """Write rows as the JSON list kept under `benchmarks/results/`, whole or not at all."""
    content = [row.model_dump(mode="json") for row in rows]
    write_text_atomic(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def read_rows(path: Path) -> list[BenchmarkRow]:
    """Read what `write_rows` wrote.

    Raises:
        RunError: if the file is missing, broken or of another format.
    """
    return read_json_list(path, BenchmarkRow)


def render_table(rows: Sequence[BenchmarkRow]) -> str:
    """One line a figure: figure, value, target, met or not."""
    header = ("figure", "value", "target", "met")
    cells = [header, *(_cells(row) for row in rows)]
    widths = [max(_width(line[column]) for line in cells) for column in range(len(header))]
    lines = [
        "  ".join(_pad(cell, width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    ]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines)


def _cells(row: BenchmarkRow) -> tuple[str, str, str, str]:
    sign = ">=" if row.better == "higher" else "<="
    value = _number(row.value, row.unit) if row.value is not None else f"none: {row.note}"
    if row.ci95 is not None and row.value is not None:
        value += f" [{row.ci95[0]:.4g}, {row.ci95[1]:.4g}]"
    target = "-" if row.target is None else f"{sign} {_number(row.target, row.unit)}"
    met = {True: "yes", False: "NO", None: "-"}[row.met]
    return row.figure, value, target, met


def _number(value: float, unit: str) -> str:
    gap = "" if unit in {"x", "%", ""} else " "
    return f"{value:.4g}{gap}{unit}"


def _width(text: str) -> int:
    """Columns of a terminal that `text` takes; East Asian wide characters take two."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def _pad(text: str, width: int) -> str:
    return text + " " * (width - _width(text))
