"""`/api/v1/steering`: every route."""

from fastapi import APIRouter

from sparsepath.server.steering import presets, show, sweeps, trial

PARTS = (show, trial, presets, sweeps)

router = APIRouter(routes=[route for part in PARTS for route in part.router.routes])
