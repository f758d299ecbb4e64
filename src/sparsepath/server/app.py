"""The application: its routes behind the guard."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.types import ASGIApp

from sparsepath.audit.roles import Role
from sparsepath.server import (
    classify,
    compare,
    concepts,
    health,
    keys,
    models,
    neuron_fire,
    neuron_views,
    openai,
    page,
    pathways,
    policies,
    policy_files,
    records,
    review,
    rollout_routes,
    runs,
    start,
    trainings,
)
from sparsepath.server.auth import LEAST
from sparsepath.server.express import Express
from sparsepath.server.guard import Guard
from sparsepath.server.jobs import catalogue_routes, training_routes
from sparsepath.server.jobs import routes as job_routes
from sparsepath.server.login import routes as login_routes
from sparsepath.server.problems import AsciiJson, add_handlers
from sparsepath.server.service import Service
from sparsepath.server.steering import routes as steering_routes
from sparsepath.server.why import routes as why_routes
from sparsepath.version import __version__

ASKED = (health, models, classify, openai, start, why_routes)
SHOWN = (runs, compare, pathways, concepts, neuron_views, neuron_fire, steering_routes)
GOVERNING = (policies, policy_files, review, rollout_routes, records, keys, job_routes)
TRAINING = (catalogue_routes, training_routes, trainings)
PARTS = (*ASKED, *SHOWN, login_routes, *GOVERNING, *TRAINING, page)

ROUTERS = tuple(part.router for part in PARTS)
"""Every route."""


def guarded(service: Service) -> ASGIApp:
    """Put a server together; it answers while its lifespan runs."""
    app = Express(create_app(service), service)
    return Guard(app, options=service.options, metrics=service.metrics)


def create_app(service: Service) -> FastAPI:
    """Put the routes together; nothing may reach them but through `guarded`."""

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
    _add_routes(app)
    add_handlers(app)
    return app


def describe() -> dict[str, Any]:
    """Give the OpenAPI document, which needs no model."""
    app = FastAPI(title="sparsepath", version=__version__, default_response_class=AsciiJson)
    _add_routes(app)
    return app.openapi()


def _add_routes(app: FastAPI) -> None:
    """Add every route, the role that it demands in its description as `x-least-role`."""
    for router in ROUTERS:
        for route in router.routes:
            if isinstance(route, APIRoute) and (role := _least(route.dependant)) is not None:
                route.openapi_extra = {**(route.openapi_extra or {}), "x-least-role": role}
        app.include_router(router)


def _least(dependant: Dependant) -> Role | None:
    """Find the role that a route demands, if it demands one."""
    roles = (LEAST.get(part.call) for part in dependant.dependencies if part.call is not None)
    return next((role for role in roles if role is not None), None)
