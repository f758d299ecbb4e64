"""A catalogue of neurons as a job: what a request may ask for, and the command that it makes."""

from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from sparsepath.artifacts.catalogue import CATALOGUE_FILE
from sparsepath.server.jobs.poc import FORMATS

KIND: Final = "catalogue"

TEXTS: Final = {kind: ending for kind, ending in FORMATS.items() if ending == "jsonl"}
"""Content types that a language model reads, each line `{"text": ...}`, and their files' endings.

Plain text is not among them: any other site's page may send that type without being asked.
"""

TABLES: Final = FORMATS
"""The same of a classifier."""

_Column = Field(default=None, min_length=1, max_length=200, pattern=r"^[^\x00]+$")


class CatalogueAsked(BaseModel):
    """Options of a catalogue; those of `sparsepath concepts build`, without paths."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(default="catalogue", max_length=100, description="What to call it.")
    tokens: int = Field(
        default=200_000, ge=1000, le=10**9, description="Of the corpus that are read, at most."
    )
    length: int | None = Field(default=None, ge=2, le=65536, description="Tokens of a row.")
    dense_k: int | None = Field(
        default=None, ge=1, le=10**6, description="Of a dense model: largest entries to keep."
    )
    text_column: str | None = _Column
    label_column: str | None = _Column
    vectors: bool = Field(default=True, description="Whether labels are searched by meaning.")


def options_of(asked: CatalogueAsked, ending: str, model: Path) -> dict[str, Any]:
    """Give what the database keeps of a request.

    Args:
        asked: the request.
        ending: of the corpus' file.
        model: folder of the model that is served.
    """
    return {"asked": asked.model_dump(), "format": ending, "model": str(model.resolve())}


def command_of(options: dict[str, Any], folder: Path) -> list[str]:
    """Write the command of a job; the same one goes on where it stopped.

    Args:
        options: as `options_of` gave them.
        folder: of the job, with its corpus.
    """
    asked, model = options["asked"], Path(options["model"])
    corpus = folder / f"corpus.{options['format']}"
    words = ["concepts", "build", str(model), str(corpus), f"--out={model / CATALOGUE_FILE}"]
    for name in ("tokens", "length", "dense_k", "text_column", "label_column"):
        if asked[name] is not None:
            words.append(f"--{name.replace('_', '-')}={asked[name]}")
    # What a cancelled job left is of no use to anyone who only has the page.
    return [*words, "--start-over", "--vectors" if asked["vectors"] else "--no-vectors"]
