"""Candidates are timed in turn on the same rows, their warm-up left out."""

import gc
import time
from collections.abc import Callable

import numpy as np

from sparsepath.runtime.timing import WARM_UP, time_interleaved

ROWS = np.arange(12).reshape(3, 4)


def recorder(log: list[tuple[str, int]], name: str) -> Callable[[int], object]:
    return lambda row: log.append((name, row))


def test_every_candidate_gets_the_same_rows_after_a_warm_up() -> None:
    log: list[tuple[str, int]] = []
    calls = {name: recorder(log, name) for name in ("a", "b")}
    times = time_interleaved(calls, ROWS, rng=np.random.default_rng(0))
    assert {name: samples.shape for name, samples in times.items()} == {"a": (3, 4), "b": (3, 4)}
    turn = WARM_UP + 4
    turns = [log[start : start + turn] for start in range(0, len(log), turn)]
    assert len(turns) == 6
    for block in range(3):
        pair = turns[2 * block : 2 * block + 2]
        assert {one[0][0] for one in pair} == {"a", "b"}
        for one in pair:
            assert [row for _, row in one[WARM_UP:]] == ROWS[block].tolist()
            assert len({name for name, _ in one}) == 1


def test_times_are_milliseconds_of_each_call() -> None:
    calls = {"slow": lambda row: time.sleep(0.004 * (row % 2)), "fast": lambda row: row}
    times = time_interleaved(calls, ROWS, rng=np.random.default_rng(0))
    assert (times["slow"][:, 1::2] > 3.9).all()
    assert np.median(times["slow"][:, 0::2]) < 1.0
    assert np.median(times["fast"]) < 1.0


def test_the_order_of_candidates_changes_between_blocks() -> None:
    log: list[tuple[str, int]] = []
    calls = {name: recorder(log, name) for name in ("a", "b")}
    time_interleaved(calls, np.arange(80).reshape(20, 4), rng=np.random.default_rng(0))
    first = {log[block * 2 * (WARM_UP + 4)][0] for block in range(20)}
    assert first == {"a", "b"}


def test_a_time_limit_ends_after_a_whole_block() -> None:
    calls = {"slow": lambda row: time.sleep(0.01), "fast": lambda row: row}
    times = time_interleaved(calls, ROWS, rng=np.random.default_rng(0), max_s=0.0)
    assert {samples.shape for samples in times.values()} == {(1, 4)}


def test_garbage_collection_is_on_again_afterwards() -> None:
    assert gc.isenabled()
    time_interleaved({"a": lambda row: row}, ROWS, rng=np.random.default_rng(0))
    assert gc.isenabled()


def test_processor_time_leaves_out_what_others_did() -> None:
    times = time_interleaved(
        {"asleep": lambda _row: time.sleep(0.02)}, ROWS[:1], rng=np.random.default_rng(0),
        clock=time.thread_time_ns,
    )  # fmt: skip
    assert times["asleep"].max() < 10
