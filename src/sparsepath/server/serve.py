"""`serve`: one process that answers until it is told to stop."""

import logging
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import uvicorn

from sparsepath.audit.clock import now
from sparsepath.audit.database import Database
from sparsepath.audit.keys import list_keys
from sparsepath.config import Form
from sparsepath.errors import ConfigError, RunError
from sparsepath.runtime.manifest import Precision
from sparsepath.server.app import guarded
from sparsepath.server.classifier import Classifier
from sparsepath.server.connections import Connection, close_unfinished
from sparsepath.server.language import LanguageModel
from sparsepath.server.logs import set_up_logs
from sparsepath.server.model_ref import is_language_model
from sparsepath.server.options import ServeOptions
from sparsepath.server.service import Service

STOP_S = 20
"""Seconds that requests get to finish when the server stops."""

MAX_CONNECTIONS = 1000
"""Connections at once; more are refused with 503."""


def load_model(
    folder: Path,
    options: ServeOptions,
    *,
    precision: Precision | None = None,
    form: Form = "int8",
    threads: int = 1,
) -> Classifier | LanguageModel:
    """Load a classifier, or a language model where the folder is that of one.

    Args:
        folder: a model folder, a run folder for its recommended model, or the folder of a
            language model or of its training.
        options: how it will be served.
        precision: which graph of a classifier; None: what a run recommends, else fp32.
        form: how a language model's weights are stored.
        threads: threads of the engine.

    Raises:
        ModelError: if the model cannot be loaded.
        RunError: if a run's results cannot be read.
    """
    if is_language_model(folder):
        return LanguageModel(folder, form=form, threads=threads)
    return Classifier(folder, precision=precision, threads=threads, batch=options.batch_texts)


def serve(
    model: Classifier | LanguageModel,
    database: Database,
    options: ServeOptions,
    *,
    told: Callable[[str], None] = lambda _line: None,
) -> None:
    """Serve a model until SIGTERM or Ctrl-C.

    Args:
        model: as `load_model` gives it.
        database: of audit log and keys.
        options: where to listen, whom to answer.
        told: gets a line about what is served, and where, when connections are taken.

    Raises:
        ConfigError: if the address cannot be used, or keys are demanded and there is none.
        RunError: if the first record cannot be written.
    """
    needs_one = options.demands_keys and options.login is None
    if needs_one and not any(key.is_valid(now()) for key in list_keys(database)):
        raise ConfigError(
            "every request will need an API key, and there is none",
            hint="make one first: sparsepath keys add NAME --role viewer",
        )
    with listen(options) as listener:
        port = listener.getsockname()[1]
        host = f"[{options.host}]" if ":" in options.host else options.host
        told(
            f"{model.name} ({model.precision}); log: {database.name}; "
            f"{_told_doors(options)}; http://{host}:{port}"
        )
        server = make_server(Service(model, database, options))
        set_up_logs()
        _end_well(server)
        server.run(sockets=[listener])
    if not server.started:
        raise RunError(
            "the server could not begin; the reason is in the log above",
            hint="see that the database can be written to",
        )


def _told_doors(options: ServeOptions) -> str:
    """Say how people and programs get in."""
    if options.login is not None:
        return f"with keys and logins of {options.login.issuer}"
    return "with keys" if options.demands_keys else "without keys"


def make_server(service: Service) -> uvicorn.Server:
    """Put a server together; its `run` takes the listening socket."""
    config = uvicorn.Config(
        guarded(service),
        http=Connection,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_graceful_shutdown=STOP_S,
    )
    logging.getLogger("uvicorn.access").disabled = True  # paths may hold what users wrote
    server = uvicorn.Server(config)
    service.is_leaving = lambda: server.should_exit
    seconds = service.options.body_timeout_s
    service.beside.append(lambda: close_unfinished(server.server_state, seconds))
    return server


def _end_well(server: uvicorn.Server) -> None:
    """Let SIGTERM end the process with 0: uvicorn raises it once more when it has stopped."""

    def stop(_signal: int, _frame: object) -> None:
        server.should_exit = True

    signal.signal(signal.SIGTERM, stop)


def listen(options: ServeOptions) -> socket.socket:
    """Take the address.

    Raises:
        ConfigError: if that is not possible.
    """
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    try:
        found = socket.create_server((options.host, options.port), family=family, backlog=1024)
    except OSError as err:
        raise ConfigError(
            f"{options.host}:{options.port} cannot be listened on: {err.strerror}",
            hint="stop what uses that port, or choose another: --port 8001; 0 takes a free one",
        ) from err
    # Connections inherit this. asyncio sets it only on sockets that name their protocol, and
    # without it the second part of each answer waits 40 ms for the first one's acknowledgement.
    found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return found
