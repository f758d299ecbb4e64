"""The application: its routes behind the guard."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from sparsepath.server import classify, health, models, openai
from sparsepath.server.guard import Guard
from sparsepath.server.problems import AsciiJson, add_handlers
from sparsepath.server.service import Service
from sparsepath.version import __version__


def create_app(service: Service) -> FastAPI:
    """Put a server together; it answers while its lifespan runs."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with service.running():
            yield

    app = FastAPI(
        title="sparsepath",
        version=__version__,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        default_response_class=AsciiJson,
    )
    app.state.service = service
    for part in (health, models, classify, openai):
        app.include_router(part.router)
    add_handlers(app)
    app.add_middleware(Guard, options=service.options, metrics=service.metrics)
    return app
