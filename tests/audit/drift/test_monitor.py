"""Windows of decisions in the database are compared with a PoC, each once."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from sparsepath.artifacts.answer_mix import AnswerMix, mix_of
from sparsepath.audit.database import Database
from sparsepath.audit.drift.monitor import Monitor, drift_states
from sparsepath.audit.drift.reference import Reference, read_reference
from sparsepath.audit.export import exported_lines
from sparsepath.audit.log import append
from sparsepath.audit.record import Draft

KEY = "abc:fp32"
WINDOW = 60


def rows(rng: np.random.Generator, n: int, lean: float) -> np.ndarray:
    """Draw probabilities of two labels; `lean` moves them to the first."""
    left = np.clip(rng.beta(2 + lean, 2, n), 0.01, 0.99)
    return np.stack([left, 1 - left], axis=1)


def reference(seed: int = 0) -> Reference:
    mix = mix_of(rows(np.random.default_rng(seed), 800, 0.0))
    return Reference(mix, ["left", "right"], "800 test rows")


def decide(database: Database, probabilities: np.ndarray, sha256: str = "abc") -> None:
    drafts = []
    for p in probabilities:
        entropy = float(-(p * np.log(p)).sum() / np.log(2))
        body = {
            "model": {"sha256": sha256, "precision": "fp32"},
            "label": "left" if p[0] >= 0.5 else "right",
            "probability": float(p.max()),
            "uncertainty": {"entropy": entropy},
        }
        drafts.append(Draft(kind="decision", body=body))
    append(database, drafts)


def kinds(database: Database) -> list[str]:
    found = [json.loads(line)["kind"] for line in exported_lines(database)]
    return [kind for kind in found if kind.startswith("drift")]


def test_an_alarm_begins_and_ends_on_record(place: str, opened: Callable[[str], Database]) -> None:
    database = opened(place)
    rng = np.random.default_rng(1)
    decide(database, rows(rng, WINDOW, 9.0))  # before anybody looked
    monitors = [Monitor(KEY, "m", reference(), WINDOW) for _ in range(2)]
    for monitor in monitors:
        monitor.advance(database)
    for lean, n_windows, alarm in [
        (0.0, 2, False),
        (4.0, 1, True),
        (0.0, 1, True),
        (0.0, 1, False),
    ]:
        for _ in range(n_windows):
            decide(database, rows(rng, WINDOW, lean))
            decide(database, rows(rng, 10, 9.0), sha256="other")
            for monitor in monitors:
                monitor.advance(database)
            assert {m.state.is_alarm for m in monitors} == {alarm}, lean
    assert kinds(database) == ["drift.begin", "drift.end"]
    state = drift_states(opened(place))[KEY]
    assert (state.windows, state.is_alarm, state.since) == (5, False, None)
    assert [one.name for one in state.measures] == ["labels", "confidence", "entropy"]
    assert state.neurons.startswith("not measured")


def test_a_window_goes_on_after_a_restart(place: str, opened: Callable[[str], Database]) -> None:
    database, rng = opened(place), np.random.default_rng(2)
    Monitor(KEY, "m", reference(), WINDOW).advance(database)
    decide(database, rows(rng, WINDOW - 1, 0.0))
    first = Monitor(KEY, "m", reference(), WINDOW)
    first.advance(database)
    assert (first.state.windows, first.n_open) == (0, WINDOW - 1)
    decide(database, rows(rng, 2, 0.0))
    second = Monitor(KEY, "m", reference(), WINDOW)
    second.advance(database)
    assert (second.state.windows, second.n_open) == (1, 1)


def test_only_what_the_poc_kept_is_compared(database: Database) -> None:
    mix = reference().mix
    assert mix is not None
    bare = reference()._replace(mix=AnswerMix(labels=mix.labels, confidence=[], entropy=[]))
    monitor = Monitor(KEY, "m", bare, WINDOW)
    monitor.advance(database)
    decide(database, rows(np.random.default_rng(3), WINDOW, 0.0))
    monitor.advance(database)
    assert [one.name for one in monitor.state.measures] == ["labels"]


def test_a_folder_outside_a_run_has_no_reference(tmp_path: Path) -> None:
    found = read_reference(tmp_path / "models" / "x", "fp32")
    assert found.mix is None
    assert "lies in no run folder" in found.why
