"""Ctrl-C between steps, not inside one: half a step must not get into a checkpoint."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupt:
    """Whether the user asked to stop."""

    is_wanted: bool = False
    """True after the first Ctrl-C."""


@contextmanager
def between_steps() -> Iterator[Interrupt]:
    """Remember Ctrl-C inside the block; a second one interrupts at once.

    Outside the main thread, where no signal can be caught, nothing is remembered.
    """
    found = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield found
        return
    before = signal.getsignal(signal.SIGINT)

    def remember(_number: int, _frame: FrameType | None) -> None:
        found.is_wanted = True
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, remember)
    try:
        yield found
    finally:
        signal.signal(signal.SIGINT, before)
