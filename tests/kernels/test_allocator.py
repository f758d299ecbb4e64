"""Freed memory stays with a process that asks for it."""

import subprocess
import sys

import pytest

SCRIPT = """
import resource, sys
import numpy as np
from sparsepath.kernels.allocator import keep_freed_memory

if sys.argv[1] == "kept" and not keep_freed_memory():
    sys.exit(3)
np.empty(3_000_000, np.uint8)[:] = 1
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(50):
    a, b = np.empty(3_000_000, np.uint8), np.empty(3_000_000, np.uint8)
    a[:] = b[:] = 1
    del a, b
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(way: str) -> int:
    command = [sys.executable, "-c", SCRIPT, way]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode == 3:
        pytest.skip("the C library is not glibc")
    return int(result.stdout)


def test_pages_are_taken_once() -> None:
    assert faults("kept") < 4_000 < 40_000 < faults("not kept")
