"""Write the report of a run folder: the one entry of this package."""

from pathlib import Path

from sparsepath.artifacts.store import write_text_atomic
from sparsepath.report.inputs import read_view
from sparsepath.report.language import words
from sparsepath.report.page import render

REPORT_NAME = "report.html"


def write_report(run_folder: Path, lang: str) -> Path:
    """Write `report.html` into a run folder from what the run has measured so far.

    Parts of the run that are missing are left out of the report.

    Args:
        run_folder: Folder with `run.json`, and as many of `results.json`, `analysis.json` and
            `explanations.jsonl` as the run came to.
        lang: `en` or `ja`.

    Returns:
        Path of the file.

    Raises:
        ConfigError: if there is no such language.
        RunError: if the folder is no run folder, or a file of it is broken or not writable.
        MissingExtraError: if plotly is not installed.
    """
    page = render(read_view(run_folder, words(lang)))
    path = run_folder / REPORT_NAME
    write_text_atomic(path, page)
    return path
