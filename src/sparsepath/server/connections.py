"""Closing connections whose request never becomes whole.

uvicorn waits without end for the first line and the headers of a request. Clients that send them
drop by drop, or open connections and say nothing, would keep others out.
"""

import asyncio
from collections.abc import Collection
from typing import Final, Protocol

from uvicorn.protocols.http.h11_impl import H11Protocol

LOOK_EVERY_S: Final = 0.5


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
    since: dict[tuple[H11Protocol, int], float] = {}
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        now = asyncio.get_running_loop().time()
        waiting = [one for one in state.connections if _is_unfinished(one)]
        keys = [(one, id(one.cycle)) for one in waiting if isinstance(one, H11Protocol)]
        since = {key: since.get(key, now) for key in keys}
        for (connection, _), begun in since.items():
            if now - begun > seconds:
                connection.transport.close()


def _is_unfinished(connection: object) -> bool:
    """Say whether the next request of a connection is not whole, and nothing else ends it."""
    if not isinstance(connection, H11Protocol):
        return False
    is_between = connection.cycle is None or connection.cycle.response_complete
    return is_between and connection.timeout_keep_alive_task is None
