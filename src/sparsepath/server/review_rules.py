"""Which decisions wait for a person: by confidence, by lead over the runner-up, by label."""

from collections.abc import Collection, Mapping
from typing import Literal, NamedTuple

from pydantic import JsonValue

from sparsepath.errors import ConfigError

By = Literal["probability", "margin"]
"""What of a decision was too low."""


class Reason(NamedTuple):
    """Why a decision waits."""

    by: By
    below: float
    """What it should have had at least."""


class ReviewRules(NamedTuple):
    """Limits; a decision that misses one of them waits."""

    below: float | None = None
    """Of the label's probability."""
    margin_below: float | None = None
    """Of the label's lead over the runner-up, in probability."""
    labels: Mapping[str, float] = {}
    """Of the probability of certain labels, instead of `below`."""

    @property
    def is_set(self) -> bool:
        """Whether anything can wait."""
        return self != ReviewRules()

    @property
    def option(self) -> str:
        """The option that sets the first of them."""
        names = {"below": self.below, "margin-below": self.margin_below}
        return f"--review-{next((n for n, v in names.items() if v is not None), 'label')}"

    @property
    def recorded(self) -> dict[str, JsonValue]:
        """Give them as records have them."""
        return {
            "review_below": self.below,
            "review_margin_below": self.margin_below,
            "review_labels": dict(self.labels),
        }

    def reason(self, label: str, probability: float, margin: float) -> Reason | None:
        """Say why a decision waits; None: it does not."""
        below = self.labels.get(label, self.below)
        if below is not None and probability < below:
            return Reason("probability", below)
        if self.margin_below is not None and margin < self.margin_below:
            return Reason("margin", self.margin_below)
        return None


def check_rules(rules: ReviewRules, labels: Collection[tuple[str, float]]) -> None:
    """See that limits are probabilities, and that no label has two.

    Raises:
        ConfigError: if they are not.
    """
    limits = {"review_below": rules.below, "review_margin_below": rules.margin_below}
    limits |= {f"review_labels: {label[:80]}": value for label, value in rules.labels.items()}
    for name, value in limits.items():
        if value is not None and not 0 < value <= 1:
            raise ConfigError(
                f"{name} = {value:g}", hint="give a probability above 0 and up to 1, such as 0.8"
            )
    if len(rules.labels) != len(labels):
        raise ConfigError("a label has two limits", hint="give --review-label once a label")


def check_labels(rules: ReviewRules, known: Collection[str]) -> None:
    """See that limits are for labels that the model has.

    Raises:
        ConfigError: if one is not.
    """
    for label in rules.labels:
        if label not in known:
            raise ConfigError(
                f"--review-label {label[:80]!r}, which is no label of the model",
                hint=f"labels are: {', '.join(known)}"[:500],
            )


def read_label_limit(told: str) -> tuple[str, float]:
    """Read `LABEL=CONFIDENCE`.

    Raises:
        ConfigError: if it is none.
    """
    label, _, limit = told.rpartition("=")
    try:
        value = float(limit)
    except ValueError:
        label = ""
    if not label:
        raise ConfigError(
            f"--review-label {told[:80]!r} cannot be read",
            hint="write LABEL=CONFIDENCE",
        )
    return label, value
