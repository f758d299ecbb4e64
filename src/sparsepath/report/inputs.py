"""What a report is made from: the files of one run folder, some of which may be missing."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from sparsepath.artifacts.analysis import Analysis
from sparsepath.artifacts.explanation import ExplanationRecord
from sparsepath.artifacts.schema import Candidate, Results, RunManifest
from sparsepath.artifacts.store import ModelT, read_json, read_jsonl
from sparsepath.errors import RunError
from sparsepath.report.language import Words


class View(NamedTuple):
    """All that a section may read."""

    words: Words
    """Language of the report."""
    folder: str
    """Name of the run folder, for commands to copy."""
    run: RunManifest
    results: Results | None
    """None when the run stopped before anything was measured."""
    analysis: Analysis
    """Empty when the run stopped before anything was analysed."""
    records: Sequence[ExplanationRecord]

    @property
    def candidates(self) -> list[Candidate]:
        """Every candidate, in the order of the file."""
        return list(self.results.candidates) if self.results else []


def read_view(run_folder: Path, words: Words) -> View:
    """Read a run folder.

    Raises:
        RunError: if it is no folder, `run.json` is missing, or any file of it is broken.
    """
    if not run_folder.is_dir():
        raise RunError(
            f"no run folder at {run_folder}",
            hint="make one with: sparsepath poc DATA --out RUN",
        )
    explanations = run_folder / "explanations.jsonl"
    return View(
        words=words,
        folder=run_folder.resolve().name,
        run=read_json(run_folder / "run.json", RunManifest),
        results=_optional(run_folder / "results.json", Results),
        analysis=_optional(run_folder / "analysis.json", Analysis) or Analysis(),
        records=read_jsonl(explanations, ExplanationRecord) if explanations.exists() else [],
    )


def _optional(path: Path, schema_type: type[ModelT]) -> ModelT | None:
    return read_json(path, schema_type) if path.exists() else None
