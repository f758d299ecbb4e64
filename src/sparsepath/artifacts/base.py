"""What every artifact model has in common.

Read with it: `schema.py`, `analysis.py`, `explanation.py`, `benchmark.py`, which build on it.
"""

import math
from typing import Annotated, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict

SCHEMA: Final = 1
"""Version of every artifact of a run folder; raised when a key is renamed or removed."""

Interval = tuple[float, float]
"""Lower and upper end of an interval, in the unit of the value beside it."""


def _none_if_not_finite(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else value


MaybeFloat = Annotated[float | None, BeforeValidator(_none_if_not_finite)]
"""A number, or None where it does not exist; NaN and infinities become None."""


class Artifact(BaseModel):
    """A frozen record that refuses unknown keys and accepts attribute names and JSON keys.

    In Python the version is called `schema_version`, since `schema` is taken by pydantic;
    in the file it is `schema`.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, populate_by_name=True, protected_namespaces=()
    )
