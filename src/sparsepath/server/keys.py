"""`/api/v1/keys`: who may ask what, for admins. A key's secret is told once, when it is made."""

import asyncio
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel, ConfigDict, Field

from sparsepath.audit.clock import now
from sparsepath.audit.keys import (
    MAX_DAYS,
    MAX_LIMIT,
    Key,
    KeyLimits,
    NewKey,
    add_key,
    list_keys,
    revoke_key,
)
from sparsepath.audit.roles import Role
from sparsepath.audit.usage import used_on
from sparsepath.errors import ConfigError
from sparsepath.server.auth import Principal, asker
from sparsepath.server.problems import Problem
from sparsepath.server.service import Served

router = APIRouter(prefix="/api/v1/keys", tags=["keys"])

Id = Annotated[str, Path(pattern=r"^[0-9a-f]{1,16}$")]
Admin = Annotated[Principal, Depends(asker("admin"))]
Limit = Annotated[int, Field(ge=1, le=MAX_LIMIT)]


class KeyOut(BaseModel):
    """A key, without its secret."""

    id: str
    name: str = Field(description="Whose it is, or what for.")
    role: Role
    state: Literal["valid", "expired", "revoked"]
    created: str = Field(description="UTC, as all times here.")
    expires: str | None = Field(description="Null: never.")
    revoked: str | None
    per_minute: int | None = Field(description="Texts and other requests; null: no limit.")
    per_day: int | None = Field(description="In a UTC day.")
    used_today: int | None = Field(
        description="What servers took of the day's quota; null where there is none."
    )
    is_yours: bool = Field(description="Whether this request was sent with it.")


class Keys(BaseModel):
    """Every key."""

    keys: list[KeyOut] = Field(description="The newest first.")
    are_demanded: bool = Field(description="False: whoever reaches this server is its admin.")


class KeyAsked(BaseModel):
    """A key to make."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=64, description="Whose it is, or what for.")
    role: Role = "viewer"
    days: Annotated[float, Field(gt=0, le=MAX_DAYS)] | None = Field(
        default=90.0, description="Until it expires; null: never."
    )
    per_minute: Limit | None = None
    per_day: Limit | None = None


class KeyMade(BaseModel):
    """A key that was just made."""

    key: KeyOut
    secret: str = Field(description="The key as it is sent. Nobody can tell it again.")


@router.get("")
async def list_all(service: Served, who: Admin) -> Keys:
    """List keys."""

    def read() -> list[KeyOut]:
        used = used_on(service.database, now()[:10])
        return [_told(key, who, used) for key in reversed(list_keys(service.database))]

    found = await asyncio.to_thread(read)
    return Keys(keys=found, are_demanded=service.options.demands_keys)


@router.post("", status_code=201)
async def add_one(asked: KeyAsked, service: Served, who: Admin) -> KeyMade:
    """Make a key."""

    def add() -> NewKey:
        limits = KeyLimits(asked.per_minute, asked.per_day)
        return add_key(
            service.database, asked.name, asked.role, days=asked.days, limits=limits, by=who.actor
        )

    made = await asyncio.to_thread(add)
    return KeyMade(key=_told(made.key, who, {}), secret=made.secret)


@router.post("/{id}/revoke")
async def revoke_one(id: Id, service: Served, who: Admin) -> KeyOut:
    """Make a key useless; other servers of the database notice within seconds."""
    if who.key is not None and who.key.id == id:
        raise Problem(
            409,
            "own_key",
            "that is the key which this request was sent with",
            fix="send another admin's key, or use `sparsepath keys revoke` on the server's machine",
        )
    try:
        key = await asyncio.to_thread(revoke_key, service.database, id, by=who.actor)
    except ConfigError as err:
        fix = "look at the list of keys for its id"
        raise Problem(404, "key_not_found", err.message, fix=fix) from err
    service.doorkeeper.forget()
    return _told(key, who, {})


def _told(key: Key, who: Principal, used: dict[str, int]) -> KeyOut:
    """Describe a key to someone."""
    state = "revoked" if key.revoked else "valid" if key.is_valid(now()) else "expired"
    about = {
        "state": state,
        "used_today": None if key.per_day is None else used.get(key.id, 0),
        "is_yours": who.key is not None and who.key.id == key.id,
    }
    return KeyOut.model_validate(key._asdict() | about)
