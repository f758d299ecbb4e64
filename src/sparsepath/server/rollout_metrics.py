"""Gauges of rollout, drift and model folder."""

from functools import partial
from typing import Any, Final

from sparsepath.audit.drift.monitor import DriftState
from sparsepath.server.drift import DriftWatch
from sparsepath.server.folder_watch import FolderWatch
from sparsepath.server.metrics import Metrics
from sparsepath.server.rollout import Follower

STAGES: Final = ("none", "shadow", "canary", "full", "rolled-back")
"""The number of a stage is its place."""


def add_gauges(metrics: Metrics, follower: Follower[Any], folder: FolderWatch) -> None:
    """Add what these know to what a server tells."""
    metrics.gauge(
        "sparsepath_model_folder_changed",
        "1: the model's folder holds something else than what answers.",
        lambda: float(folder.is_changed),
    )
    told = {
        "stage": ("0 none, 1 shadow, 2 canary, 3 full, 4 rolled back.", _stage),
        "asks": ("1: gates ask a person to promote or roll back.", _asks),
        "notes": ("Things about the rollout that are not as they should be.", _notes),
        "compared_texts": ("Texts of this stage that both models answered, here.", _compared),
        "agreed_texts": (
            "Of these, texts with the same label; of language models the sum of each text's share "
            "of tokens that both hold likeliest.",
            _agreed,
        ),
        "dropped_texts": ("Texts that the new model was not asked about.", _dropped),
        "new_errors_texts": ("Texts of this stage in which the new model failed.", _errors),
    }
    for name, (meaning, read) in told.items():
        metrics.gauge(f"sparsepath_rollout_{name}", meaning, partial(read, follower))


def add_drift(metrics: Metrics, drift: DriftWatch) -> None:
    """Add whether answers of a classifier drift."""
    metrics.gauge(
        "sparsepath_drift_alarm",
        "1: answers of a served model are spread otherwise than in its PoC.",
        lambda: float(any(state.is_alarm for state in drift.states.values())),
    )
    metrics.gauge(
        "sparsepath_drift_ratio",
        "Largest distance from the PoC in the newest windows, over its threshold.",
        lambda: max((_ratio(state) for state in drift.states.values()), default=0.0),
    )


def _stage(follower: Follower[Any]) -> float:
    rollout = follower.rollout
    return float(STAGES.index("none" if rollout is None else rollout.stage))


def _asks(follower: Follower[Any]) -> float:
    return float(follower.rollout is not None and follower.rollout.asked is not None)


def _notes(follower: Follower[Any]) -> float:
    return float(len(follower.notes))


def _compared(follower: Follower[Any]) -> float:
    return float(follower.counts.tally.compared)


def _agreed(follower: Follower[Any]) -> float:
    return float(follower.counts.tally.agreed)


def _dropped(follower: Follower[Any]) -> float:
    return float(follower.counts.tally.dropped)


def _errors(follower: Follower[Any]) -> float:
    return float(follower.counts.tally.new.errors)


def _ratio(state: DriftState) -> float:
    return max((one.psi / one.threshold for one in state.measures), default=0.0)
