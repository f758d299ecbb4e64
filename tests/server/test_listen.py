"""The address that a server takes, and what it says when it cannot."""

import socket

import pytest

from sparsepath.errors import ConfigError
from sparsepath.server.options import ServeOptions
from sparsepath.server.serve import listen


def test_a_port_that_is_taken_is_named_with_another() -> None:
    with listen(ServeOptions(port=0)) as first:
        port = first.getsockname()[1]
        with pytest.raises(ConfigError, match=f"127.0.0.1:{port} cannot") as caught:
            listen(ServeOptions(port=port))
    assert "--port 8001" in caught.value.hint


def test_small_answers_do_not_wait_for_acknowledgements() -> None:
    with (
        listen(ServeOptions(port=0)) as listener,
        socket.create_connection(listener.getsockname()),
    ):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
