"""Silence lasts for the block only."""

import pytest
from huggingface_hub.utils import are_progress_bars_disabled
from transformers.utils import logging

from sparsepath.models.quiet import quiet


def _fail_quietly() -> None:
    with quiet():
        assert logging.get_verbosity() == logging.ERROR
        assert not logging.is_progress_bar_enabled()
        assert are_progress_bars_disabled()
        raise RuntimeError


@pytest.mark.parametrize("has_bars", [True, False])
def test_settings_come_back_even_after_an_error(has_bars: bool) -> None:
    before = (logging.get_verbosity(), logging.is_progress_bar_enabled())
    logging.set_verbosity_info()
    (logging.enable_progress_bar if has_bars else logging.disable_progress_bar)()
    try:
        with pytest.raises(RuntimeError):
            _fail_quietly()
        assert logging.get_verbosity() == logging.INFO
        assert logging.is_progress_bar_enabled() == has_bars
        assert are_progress_bars_disabled() != has_bars
    finally:
        logging.set_verbosity(before[0])
        (logging.enable_progress_bar if before[1] else logging.disable_progress_bar)()
