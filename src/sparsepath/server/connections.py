"""Closing connections whose request never becomes whole, in time or in size.

uvicorn waits without end for the first line and the headers of a request, and keeps as many of
them as come. Clients that send them drop by drop or by the gigabyte, or open connections and say
nothing, would keep others out.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, Protocol, final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LOOK_EVERY_S: Final = 0.5

MAX_HELD: Final = 65_536
"""Bytes of a request's head, or of what follows its body, that are held until it is whole."""


_EXTENSION: Final = "sparsepath"
"""Name of what a request's scope has from here."""


@final
class Line:
    """Says when a client leaves, without a task that waits for it."""

    def __init__(self) -> None:
        self.is_cut = False
        self.watchers: set[Callable[[], None]] = set()
        """Called when it is cut."""


@final
class Connection(HttpToolsProtocol):
    """uvicorn's fast protocol, which by itself keeps a head of any size."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._n_held = 0
        self._line = Line()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell those who answer."""
        super().connection_lost(exc)
        self._line.is_cut = True
        for watcher in list(self._line.watchers):
            watcher()

    def on_message_begin(self) -> None:
        """Let a request's scope know its line."""
        super().on_message_begin()
        self.scope["extensions"] = {_EXTENSION: {"line": self._line}}

    def on_message_complete(self) -> None:
        """Let a request's scope know that its body is here."""
        self.scope["extensions"][_EXTENSION]["is_whole"] = True
        super().on_message_complete()

    def data_received(self, data: bytes) -> None:
        """Read on; give up when too much came that is no part of a body."""
        self._n_held += len(data)
        super().data_received(data)
        if self._n_held > MAX_HELD and not self.transport.is_closing():
            self.send_400_response("The head of the request is too large.")

    def on_headers_complete(self) -> None:
        """Count anew: what was held is a request now."""
        self._n_held = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Count anew: the body has a limit of its own."""
        self._n_held = 0
        super().on_body(body)


def line_of(scope: Mapping[str, Any]) -> Line | None:
    """Give the line of a request; None where another server took it."""
    found = scope.get("extensions", {}).get(_EXTENSION, {}).get("line")
    return found if isinstance(found, Line) else None


def is_whole(scope: Mapping[str, Any]) -> bool:
    """Say whether it is known that all of a request's body is here."""
    return bool(scope.get("extensions", {}).get(_EXTENSION, {}).get("is_whole", False))


class Connections(Protocol):
    """What knows the open connections: uvicorn's state of a server."""

    @property
    def connections(self) -> Collection[object]:
        """The connections."""


async def close_unfinished(state: Connections, seconds: float) -> None:
    """Close connections that have been waited for too long, until cancelled.

    Args:
        state: knows the connections.
        seconds: for the first line and the headers of a request.
    """
    since: dict[tuple[Connection, int], float] = {}
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        now = asyncio.get_running_loop().time()
        waiting = [one for one in state.connections if _is_unfinished(one)]
        keys = [(one, id(one.cycle)) for one in waiting if isinstance(one, Connection)]
        since = {key: since.get(key, now) for key in keys}
        for (connection, _), begun in since.items():
            if now - begun > seconds:
                connection.transport.close()


def _is_unfinished(connection: object) -> bool:
    """Say whether the next request of a connection is not whole, and nothing else ends it."""
    if not isinstance(connection, Connection):
        return False
    is_between = connection.cycle is None or connection.cycle.response_complete
    return is_between and connection.timeout_keep_alive_task is None
