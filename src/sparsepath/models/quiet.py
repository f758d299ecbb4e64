"""Keep transformers and the hub from talking while they load and save."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from huggingface_hub.utils.tqdm import are_progress_bars_disabled
from transformers.utils import logging


@contextmanager
def quiet() -> Iterator[None]:
    """Silence load reports and progress bars inside the block; settings are restored after it."""
    verbosity = logging.get_verbosity()
    had_bars = logging.is_progress_bar_enabled() and not are_progress_bars_disabled()
    try:
        logging.set_verbosity_error()
        _show_bars(False)
        yield
    finally:
        logging.set_verbosity(verbosity)
        _show_bars(had_bars)


def _show_bars(shown: bool) -> None:
    """Turn the progress bars of transformers and of the hub on or off."""
    with warnings.catch_warnings():
        # The hub warns where an environment variable has the last word, which is fine here.
        warnings.simplefilter("ignore")
        if shown:
            logging.enable_progress_bar()
        else:
            logging.disable_progress_bar()
