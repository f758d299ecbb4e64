"""Memory that was freed stays with the process, for work that takes and frees the same again.

A forward pass takes and frees megabytes for each layer. glibc gives such blocks back to the system
at once, and every page of the next one is a fault that the system answers with zeros: a fifth of
the time of a small model's passes on a virtual machine (LOG.md, 2026-11-23).
"""

import ctypes
import platform
from typing import Final

_TRIM_THRESHOLD: Final = -1
_MMAP_THRESHOLD: Final = -3
"""Names of glibc's `mallopt`."""

LARGEST_KEPT: Final = 32 << 20
"""Bytes of a block that stays, at most; glibc allows no more."""

KEPT: Final = 1 << 30
"""Bytes at the end of the heap that stay, at most."""


def give_back_freed_memory() -> None:
    """Give the system what was kept, between two pieces of work that need other blocks."""
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)


def keep_freed_memory() -> bool:
    """Let this process keep what it frees, where the C library is glibc.

    Returns:
        Whether that is so now.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return all(
        mallopt(name, value) == 1
        for name, value in ((_MMAP_THRESHOLD, LARGEST_KEPT), (_TRIM_THRESHOLD, KEPT))
    )
