"""Kernels in plain C, compiled when the package is installed and loaded by ctypes.

The library knows nothing of Python or torch, so one file serves every version of both. It chooses
its instructions when it runs. Where there is no library, as on a machine that had no compiler, the
callers take PyTorch's operators instead: slower, with the same result.
"""

import ctypes
import sys
from enum import IntEnum
from functools import lru_cache
from pathlib import Path

ABI = 10
"""Version of the functions; a library of another one is not used."""

NO_MEMORY = 2
"""What functions return where memory ran out."""

LIBRARY = "_native.dll" if sys.platform == "win32" else "_native.so"
"""Name of the file in this folder."""


class Level(IntEnum):
    """Instruction sets of x86, where AVX-512 holds AVX2, and of ARM."""

    PLAIN = 0
    """What the compiler makes of plain C."""
    AVX2 = 1
    AVX512 = 2
    NEON = 3


@lru_cache(maxsize=1)
def library() -> ctypes.CDLL | None:
    """Load the library once; None where there is none that fits."""
    try:
        found = ctypes.CDLL(str(Path(__file__).parent / LIBRARY))
        if found.sp_abi() != ABI:
            return None
    except (OSError, AttributeError):
        return None
    found.sp_start()
    return found


@lru_cache(maxsize=1)
def best_level() -> Level | None:
    """Say what the processor can do; None without the library."""
    found = library()
    return None if found is None else Level(found.sp_best_level())
