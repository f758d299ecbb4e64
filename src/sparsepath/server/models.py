"""`/api/v1/models`: what is served."""

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel

from sparsepath.server.auth import Principal, asker
from sparsepath.server.classifier import Classifier
from sparsepath.server.language import LanguageModel
from sparsepath.server.service import Served, Service

router = APIRouter(prefix="/api/v1", tags=["models"])


class ModelName(BaseModel):
    """Which model answered."""

    name: str
    sha256: str
    precision: str


class Model(ModelName):
    """A model that is served."""

    kind: str
    labels: list[str]
    n_stages: int
    presets: list[str]
    """Steering presets of a language model."""


class Models(BaseModel):
    """Every model that is served."""

    models: list[Model]


def name_of(model: Classifier | LanguageModel) -> ModelName:
    """Give a model's name."""
    return ModelName(name=model.name, sha256=model.sha256, precision=model.precision)


@router.get("/models")
async def list_models(
    service: Served, _who: Annotated[Principal, Depends(asker("viewer"))]
) -> Models:
    """List what is served."""
    return Models(models=[told_model(service)])


def told_model(service: Service) -> Model:
    """Describe the model that is served."""
    model, writing = service.answering, service.writing_model
    return Model(
        **name_of(model).model_dump(),
        kind=model.kind,
        labels=model.labels,
        n_stages=model.n_stages,
        presets=[] if writing is None or writing is not model else writing.presets,
    )
