"""How a rollout names a model, and which two can take part in one."""

from typing import Literal

from sparsepath.artifacts.base import Artifact
from sparsepath.config import Form
from sparsepath.errors import ConfigError

ModelKind = Literal["classifier", "language-model"]


class ModelRef(Artifact):
    """A model of a rollout."""

    name: str
    folder: str
    """Absolute; the same on every machine that serves it."""
    precision: Form
    """Of a classifier `fp32` or `int8`."""
    sha256: str
    labels: list[str]
    """None of a language model."""
    kind: ModelKind = "classifier"
    vocabulary: str = ""
    """Hash of a language model's tokens; empty of a classifier."""

    @property
    def key(self) -> str:
        """What tells models apart."""
        return model_key(self.sha256, self.precision)


def model_key(sha256: str, precision: str) -> str:
    """Give what tells models apart."""
    return f"{sha256}:{precision}"


def check_fit(old: ModelRef, new: ModelRef) -> None:
    """See that what two models say can be compared.

    Raises:
        ConfigError: if it cannot.
    """
    if old.key == new.key:
        raise ConfigError(
            f"{new.name} ({new.precision}) is the model that answers already",
            hint="give the folder of another model",
        )
    if old.kind != new.kind:
        raise ConfigError(
            f"{old.name} is a {_called(old)}, {new.name} a {_called(new)}",
            hint="roll out a model of the same kind",
        )
    if set(old.labels) != set(new.labels):
        raise ConfigError(
            f"{new.name} has other labels than {old.name}",
            hint="roll out a model of the same labels",
        )
    if old.vocabulary != new.vocabulary:
        raise ConfigError(
            f"{new.name} has other tokens than {old.name}, so their texts cannot be compared token "
            "by token",
            hint="roll out a model with the same tokenizer.json",
        )


def _called(model: ModelRef) -> str:
    return model.kind.replace("-", " ")
