"""What a classifier kept of the model that it was cut from, as its `config.json` states it."""

from pathlib import Path

from pydantic import BaseModel, Field, ValidationError

from sparsepath.artifacts.model_files import CLASSIFIER_TYPE
from sparsepath.errors import RunError

CONFIG_FILE = "config.json"

MAX_BYTES = 4_000_000
"""A larger file is not read: a configuration takes kilobytes."""


class KeptLayer(BaseModel):
    """What is left of one layer."""

    source: int = Field(ge=0, le=9999)
    """Its number in the first model."""
    heads: list[int] = Field(max_length=4096)
    """Attention heads that stayed, by their numbers there."""
    neurons: int = Field(ge=0)
    """MLP neurons that stayed; which ones is not in the file."""


class _Config(BaseModel):
    model_type: str = ""
    layers: list[KeptLayer] = Field(default_factory=list, max_length=10_000)


class _Kind(BaseModel):
    model_type: str = ""


def read_kept(folder: Path) -> list[KeptLayer] | None:
    """Read what a model kept.

    Args:
        folder: of a model.

    Returns:
        The kept layers from input to output, of a model without any none; None where the folder
        holds no classifier of ours with one configuration.

    Raises:
        RunError: if the configuration cannot be read.
    """
    path = folder / CONFIG_FILE
    if not path.is_file():
        return None
    try:
        if path.stat().st_size > MAX_BYTES:
            raise _broken(path, f"it has more than {MAX_BYTES:,} bytes")
        content = path.read_bytes()
        if _Kind.model_validate_json(content).model_type != CLASSIFIER_TYPE:
            return None
        return _Config.model_validate_json(content).layers
    except ValidationError as err:
        first = err.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise _broken(path, f"{where}: {first['msg']}") from err
    except OSError as err:
        raise _broken(path, str(err.strerror)) from err


def _broken(path: Path, why: str) -> RunError:
    return RunError(
        f"{path.parent.name}/{path.name} cannot be read: {why}",
        hint="copy the model folder again, whole, or run the PoC again",
    )
