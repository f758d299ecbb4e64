"""A PoC as a job: which options a request may give, and the command that they make."""

import importlib.util
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from sparsepath.config import Language
from sparsepath.errors import MissingExtraError

KIND: Final = "poc"

FORMATS: Final = {
    "text/csv": "csv",
    "text/tab-separated-values": "tsv",
    "application/x-ndjson": "jsonl",
    "application/jsonl": "jsonl",
}
"""Content types of tables, and the endings of their files."""

_NEEDED: Final = ("torch", "transformers", "sklearn", "onnx")
"""What the extra `train` brings."""

_Column = Field(default=None, min_length=1, max_length=200, pattern=r"^[^\x00]+$")


class PocAsked(BaseModel):
    """Options of a PoC; those of `sparsepath poc`, without paths and models of one's own."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(default="table", max_length=100, description="What to call it.")
    text_column: str | None = _Column
    label_column: str | None = _Column
    group_column: str | None = _Column
    minutes: float = Field(default=15.0, ge=0.1, le=1440.0, description="Wall time.")
    lang: Language = "en"
    seed: int = Field(default=0, ge=0, lt=2**31)
    target_latency_ms: float | None = Field(default=None, gt=0, le=1e6)
    target_size_mb: float | None = Field(default=None, gt=0, le=1e6)
    min_accuracy: float | None = Field(default=None, ge=0, le=1)


def check_installed(what: str = "a PoC") -> None:
    """See that what a job needs is installed.

    Args:
        what: the job, as a person is told of it.

    Raises:
        MissingExtraError: if it is not.
    """
    for name in _NEEDED:
        if importlib.util.find_spec(name) is None:
            raise MissingExtraError(
                f"{what} needs the Python package {name}, which this server lacks", extra="train"
            )


def command_of(options: dict[str, Any], folder: Path) -> list[str]:
    """Write the command of a job.

    Args:
        options: as `options_of` gave them.
        folder: of the job, with its table.
    """
    words = ["poc", str(folder / f"table.{options['format']}"), f"--out={folder / 'run'}"]
    for name, value in options["asked"].items():
        if value is not None and name != "name":
            words.append(f"--{name.replace('_', '-')}={value}")
    return words


def options_of(asked: PocAsked, format_: str) -> dict[str, Any]:
    """Give what the database keeps of a request."""
    return {"format": format_, "asked": asked.model_dump()}
