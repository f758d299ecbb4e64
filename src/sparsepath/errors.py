"""Errors that a user can cause and can fix.

Each says what is wrong, with the values met, and then how to fix it. The command line prints
them without a traceback. A bug of our own is an `assert` or an ordinary exception instead.
"""

from collections.abc import Iterator
from contextlib import contextmanager


class SparsepathError(Exception):
    """Base class; `message` says what is wrong, `hint` says what to do about it."""

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(f"{message}\n  fix: {hint}")
        self.message = message
        self.hint = hint


class DataError(SparsepathError):
    """A table, or a file of texts, cannot be used as it is."""


class ModelError(SparsepathError):
    """A model folder or model id cannot be used as it is."""


class ConfigError(SparsepathError):
    """Options or settings contradict each other or are out of range."""


class ShapeError(SparsepathError):
    """A tensor has a shape that the operation does not accept."""


class RunError(SparsepathError):
    """A run folder, or a file of one, cannot be read or written."""


class PolicyError(SparsepathError):
    """A policy does not allow it.

    `rule` is the name of the rule that refuses, such as `expired`.
    """

    def __init__(self, message: str, *, rule: str, hint: str) -> None:
        super().__init__(message, hint=hint)
        self.rule = rule


class MissingExtraError(SparsepathError):
    """A part of the package that is not installed is needed.

    `extra` is the name in brackets of `pip install 'sparsepath[extra]'`.
    """

    def __init__(self, message: str, *, extra: str) -> None:
        super().__init__(message, hint=f"pip install 'sparsepath[{extra}]'")
        self.extra = extra


@contextmanager
def needs_extra(extra: str, what: str) -> Iterator[None]:
    """Turn a missing third-party module into the line that installs it.

    Wrap the imports, not the work: `with needs_extra("train", "the PoC"): from ... import ...`.

    Args:
        extra: Name of the optional dependency set, such as "train".
        what: What the user asked for, as the subject of the sentence.

    Raises:
        MissingExtraError: if a module outside sparsepath cannot be found.
    """
    try:
        yield
    except ModuleNotFoundError as err:
        missing = (err.name or "").partition(".")[0]
        if missing in {"", "sparsepath"}:
            raise
        raise MissingExtraError(
            f"{what} needs the Python package {missing}, which is not installed", extra=extra
        ) from err
