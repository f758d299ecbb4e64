"""Samples are uniform, keep rare labels, stay within the limit, and memory stays flat."""

import csv
import json
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np

from sparsepath.data.sampling import SmallestKeys, StratifiedSample, random_keys
from sparsepath.data.tables import read_table


def test_smallest_keys_are_kept() -> None:
    keys = np.random.default_rng(0).permutation(1_000) / 1_000
    kept = SmallestKeys(10)
    for row_id, key in enumerate(keys.tolist()):
        if kept.wants(key):
            kept.add(key, row_id, None)
    assert [entry[0] for entry in kept.by_key()] == [at / 1_000 for at in range(10)]


def test_a_sample_of_nothing_is_empty() -> None:
    kept = SmallestKeys(0)
    kept.add(0.5, 0, None)
    assert kept.by_key() == []


def test_each_row_has_the_same_chance() -> None:
    times = np.zeros(200)
    for seed in range(300):
        sample = StratifiedSample(50)
        for row_id, key in zip(range(200), random_keys(seed), strict=False):
            sample.add(key, row_id, "text", "ab"[row_id % 2])
        times[[row.row_id for row in sample.rows()]] += 1
    # 300 draws of 50 out of 200: 75 times each, standard deviation 7.5; here 4.5 of them.
    assert times.sum() == 300 * 50
    assert abs(times - 75).max() < 34


def test_rare_labels_are_kept_and_the_limit_holds() -> None:
    sample = StratifiedSample(100)
    for row_id, key in zip(range(20_000), random_keys(0), strict=False):
        label = "rare" if row_id % 5_000 == 7 else "frequent"
        sample.add(key, row_id, f"text {row_id}", label)
    rows = sample.rows()
    assert len(rows) == 100
    assert Counter(row.label for row in rows)["rare"] == 4
    assert [row.row_id for row in rows] == sorted(row.row_id for row in rows)
    assert all(row.text == f"text {row.row_id}" for row in rows)


def test_very_many_labels_keep_three_rows_each() -> None:
    sample = StratifiedSample(100)
    for row_id, key in zip(range(9_000), random_keys(0), strict=False):
        sample.add(key, row_id, "text", f"label {row_id % 300}")
    assert set(Counter(row.label for row in sample.rows()).values()) == {3}


def write_csv(path: Path, n_rows: int) -> Path:
    draw = random.Random(0)
    words = [f"word{at}" for at in range(500)]
    fillings = [" ".join(draw.choices(words, k=12)) for _ in range(1_000)]
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = ([f"{at} {fillings[at % 1_000]}", f"team {at % 7}"] for at in range(n_rows))
        csv.writer(file).writerows([["message", "team"], *rows])
    return path


def test_a_large_table_needs_no_more_memory_than_a_small_one(tmp_path: Path) -> None:
    small = write_csv(tmp_path / "small.csv", 20_000)
    large = write_csv(tmp_path / "large.csv", 200_000)
    assert large.stat().st_size > 16_000_000
    # In a process of its own, because type checks would slow every row.
    script = """
import json, sys, threading, time, psutil
from sparsepath.data.tables import read_table
rss_bytes, done = [], threading.Event()
def watch():
    while not done.wait(0.01):
        rss_bytes.append(psutil.Process().memory_info().rss)
read_table(sys.argv[1], limit=5_000)
threading.Thread(target=watch).start()
try:
    table = read_table(sys.argv[2], limit=5_000)
finally:
    done.set()
print(json.dumps([rss_bytes[0], max(rss_bytes), len(table.texts), table.n_rows_seen, table.notes,
    time.process_time()]))
"""
    command = [sys.executable, "-c", script, str(small), str(large)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    before_bytes, peak_bytes, n_rows, n_rows_seen, notes, cpu_s = json.loads(done.stdout)
    assert (n_rows, n_rows_seen) == (5_000, 200_000)
    assert notes == ["5,000 of 200,000 usable rows sampled at random, rare labels kept"]
    assert cpu_s < 15
    assert peak_bytes - before_bytes < 8_000_000


def test_sampled_rows_are_rows_of_the_table(tmp_path: Path) -> None:
    table = read_table(write_csv(tmp_path / "data.csv", 3_000), limit=200)
    assert (len(table.texts), table.sampled) == (200, True)
    assert all(
        text.startswith(f"{row_id} ") and label == f"team {row_id % 7}"
        for row_id, text, label in zip(table.row_ids, table.texts, table.labels, strict=True)
    )


def test_the_seed_decides_the_sample(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "data.csv", 1_000)
    first, again, other = (read_table(path, limit=50, seed=seed) for seed in (1, 1, 2))
    assert first.row_ids == again.row_ids
    assert first.row_ids != other.row_ids
