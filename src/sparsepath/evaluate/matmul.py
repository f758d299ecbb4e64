"""How many float32 operations one core of this machine does per second, measured by numpy.

Run as `python -m sparsepath.evaluate.matmul`, because the number of threads of numpy's
linear algebra can only be set before numpy is imported.
"""

import os
import statistics
import sys
import time

_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
ONE_THREAD = dict.fromkeys(_THREAD_VARIABLES, "1")
"""Environment of the measuring process, on top of the present one."""

SIDE = 768
"""Rows and columns of the matrices: the width of a common encoder."""

N_REPEATS = 9
"""Timed products; the median counts."""


def matmul_gflops() -> float:
    """Time square float32 products in this process and return 10^9 operations per second."""
    import numpy as np

    generator = np.random.default_rng(0)
    left = generator.standard_normal((SIDE, SIDE), dtype=np.float32)
    right = generator.standard_normal((SIDE, SIDE), dtype=np.float32)
    left @ right  # the first product starts threads and touches memory
    times_s = []
    for _ in range(N_REPEATS):
        start = time.perf_counter()
        left @ right
        times_s.append(time.perf_counter() - start)
    return 2 * SIDE**3 / statistics.median(times_s) / 1e9


if __name__ == "__main__":
    os.environ.update(ONE_THREAD)
    sys.stdout.write(f"{matmul_gflops():.3f}\n")
