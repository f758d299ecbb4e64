"""Adding parts to `analysis.json` as the stages find them."""

from pathlib import Path
from typing import Any

from sparsepath.artifacts.analysis import Analysis
from sparsepath.artifacts.store import read_json, write_json_atomic

ANALYSIS_FILE = "analysis.json"


def load_analysis(folder: Path) -> Analysis:
    """Read the analysis of a run folder; an empty one when there is none yet."""
    path = folder / ANALYSIS_FILE
    return read_json(path, Analysis) if path.exists() else Analysis()


def update_analysis(folder: Path, **parts: Any) -> None:
    """Replace some parts of a run folder's analysis; the others stay."""
    analysis = load_analysis(folder).model_copy(update=parts)
    write_json_atomic(folder / ANALYSIS_FILE, analysis)
