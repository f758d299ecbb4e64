"""Benchmark rows keep their keys, come back from a file, and are printed as one table."""

import json
from pathlib import Path

import pytest

from sparsepath.artifacts.benchmark import BenchmarkRow, read_rows, render_table, write_rows


def row(**changes: object) -> BenchmarkRow:
    content: dict[str, object] = {
        "figure": "speed", "value": 3.2, "unit": "x", "better": "higher", "target": 3.0,
        "command": "sparsepath bench poc", "date": "2026-11-30",
    }  # fmt: skip
    return BenchmarkRow.model_validate({**content, **changes})


def test_rows_come_back_with_exactly_the_documented_keys(tmp_path: Path) -> None:
    rows = [row(ci95=(3.0, 3.4)), row(value=None, note="needs a GPU")]
    write_rows(tmp_path / "poc.json", rows)
    assert read_rows(tmp_path / "poc.json") == rows
    keys = json.loads((tmp_path / "poc.json").read_text(encoding="utf-8"))[0].keys()
    assert list(keys) == [
        "figure", "value", "unit", "better", "target", "peer", "ci95", "n", "threads", "machine",
        "versions", "command", "date", "note",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("value", "better", "met"),
    [(3.0, "higher", True), (2.9, "higher", False), (3.0, "lower", True), (3.1, "lower", False),
     (None, "higher", None)],
)  # fmt: skip
def test_met_depends_on_which_way_is_better(
    value: float | None, better: str, met: bool | None
) -> None:
    assert row(value=value, better=better).met is met


def test_the_table_lines_up_also_with_wide_characters() -> None:
    lines = render_table([row(), row(figure="速さ", value=1.0), row(value=None, note="no GPU")])
    header, rule, first, second, third = lines.splitlines()
    assert header.startswith("figure  value")
    assert set(rule) == {"-", " "}
    assert first.endswith("yes")
    assert second.endswith("NO")
    assert "none: no GPU" in third
    assert second.index("1x") == first.index("3.2x") - 2
