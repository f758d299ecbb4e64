"""A real server in a thread, and a plain client that can also misbehave."""

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from sparsepath.audit.database import Database, open_database
from sparsepath.server.options import ServeOptions
from sparsepath.server.serve import listen, load_model, make_server
from sparsepath.server.service import Service

JSON = {"Content-Type": "application/json"}


class Reply(NamedTuple):
    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


class Client(NamedTuple):
    """Asks one server; a connection a request."""

    port: int
    service: Service

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        content = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        usual = JSON if body is not None else {}
        try:
            connection.request(method, path, content, {**usual, **(headers or {})})
            reply = connection.getresponse()
            told = {name.lower(): value for name, value in reply.getheaders()}
            return Reply(reply.status, told, reply.read().decode())
        finally:
            connection.close()

    def classify(self, *texts: str, **more: object) -> Any:
        reply = self.ask("POST", "/api/v1/classify", {"texts": texts, **more})
        assert reply.status == 200, reply
        return reply.json["answers"]

    def raw(self, content: bytes) -> bytes:
        """Send bytes as they are; give all that comes back until the server closes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as connection:
            chunks = []
            with suppress(OSError):  # the server may close before it has read everything
                connection.sendall(content)
                connection.shutdown(socket.SHUT_WR)
            with suppress(OSError):
                while chunk := connection.recv(65536):
                    chunks.append(chunk)
        return b"".join(chunks)


@contextmanager
def running(service: Service) -> Iterator[Client]:
    """Serve on a free port of loopback."""
    listener = listen(ServeOptions(port=0))
    server = make_server(service)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        end = time.monotonic() + 20
        while not server.started:
            assert thread.is_alive()
            assert time.monotonic() < end
            time.sleep(0.01)
        yield Client(listener.getsockname()[1], service)
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


@contextmanager
def running_runs(folder: Path) -> Iterator[Client]:
    """Serve the runs of a folder, of which one is called `served`."""
    with open_database(str(folder / "log.db")) as database:
        service = make_service(folder / "served", database, runs=folder)
        with running(service) as served:
            yield served


def make_service(model: Path, database: Database, **options: Any) -> Service:
    asked = ServeOptions(**options)
    return Service(load_model(model, asked), database, asked)
