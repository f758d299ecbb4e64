"""`serve`: one process that answers until it is told to stop."""

import signal
import socket
from collections.abc import Callable
from pathlib import Path

import uvicorn

from sparsepath.audit.clock import now
from sparsepath.audit.database import Database
from sparsepath.audit.keys import list_keys
from sparsepath.errors import ConfigError
from sparsepath.runtime.manifest import Precision
from sparsepath.server.app import create_app
from sparsepath.server.classifier import Classifier
from sparsepath.server.logs import set_up_logs
from sparsepath.server.options import ServeOptions
from sparsepath.server.service import Service

STOP_S = 20
"""Seconds that requests get to finish when the server stops."""

MAX_CONNECTIONS = 1000
"""Connections at once; more are refused with 503."""


def serve(
    model: Path,
    database: Database,
    options: ServeOptions,
    *,
    precision: Precision | None = None,
    threads: int = 1,
    told: Callable[[str], None] = lambda _line: None,
) -> None:
    """Serve a model until SIGTERM or Ctrl-C.

    Args:
        model: a model folder, or a run folder for its recommended model.
        database: of audit log and keys.
        options: where to listen, whom to answer.
        precision: which graph; None: what a run recommends, else fp32.
        threads: threads of one matrix product.
        told: gets a line about what is served, and where, when connections are taken.

    Raises:
        ConfigError: if the address cannot be used, or keys are demanded and there is none.
        ModelError: if the model cannot be loaded.
    """
    if options.demands_keys and not any(key.is_valid(now()) for key in list_keys(database)):
        raise ConfigError(
            "every request will need an API key, and there is none",
            hint="make one first: sparsepath keys add NAME --role viewer",
        )
    loaded = Classifier(model, precision=precision, threads=threads, batch=options.batch_texts)
    with _listening(options) as listener:
        port = listener.getsockname()[1]
        host = f"[{options.host}]" if ":" in options.host else options.host
        told(
            f"{loaded.name} ({loaded.precision}); log: {database.name}; "
            f"{'with' if options.demands_keys else 'without'} keys; http://{host}:{port}"
        )
        app = create_app(Service(loaded, database, options))
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            ws="none",
            limit_concurrency=MAX_CONNECTIONS,
            timeout_graceful_shutdown=STOP_S,
        )
        set_up_logs()
        server = uvicorn.Server(config)
        _end_well(server)
        server.run(sockets=[listener])


def _end_well(server: uvicorn.Server) -> None:
    """Let SIGTERM end the process with 0: uvicorn raises it once more when it has stopped."""

    def stop(_signal: int, _frame: object) -> None:
        server.should_exit = True

    signal.signal(signal.SIGTERM, stop)


def _listening(options: ServeOptions) -> socket.socket:
    """Take the address.

    Raises:
        ConfigError: if that is not possible.
    """
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    try:
        return socket.create_server((options.host, options.port), family=family, backlog=1024)
    except OSError as err:
        raise ConfigError(
            f"{options.host}:{options.port} cannot be listened on: {err.strerror}",
            hint="stop what uses that port, or choose another: --port 8001; 0 takes a free one",
        ) from err
