"""Proposing, approving and revoking policies; every step is a record of the chain.

Where a policy stands follows from these records alone, in their order. `verify` sees when one was
taken off the list that finds them.

Read with: `policy.py` (what a policy is), `policy_rules.py` (what it allows).
"""

import json
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import JsonValue
from sqlalchemy import Connection, func, select

from sparsepath.artifacts.steering import Preset
from sparsepath.audit.actor import Actor
from sparsepath.audit.clock import now
from sparsepath.audit.database import Database
from sparsepath.audit.log import append_in, hold
from sparsepath.audit.policy import Policy, Standing, same_person
from sparsepath.audit.policy_model import check_fits
from sparsepath.audit.policy_rules import Asked
from sparsepath.audit.record import Draft, Kind, Record
from sparsepath.audit.tables import POLICY_CHANGES, RECORDS
from sparsepath.errors import ConfigError, RunError


def list_policies(database: Database) -> list[Standing]:
    """List every version of every policy, in the order in which they were proposed.

    Raises:
        RunError: if the database cannot be read, or its records make no sense.
    """
    with database.reading() as connection:
        return policies_in(connection)


def newest_change(database: Database) -> int:
    """Give the number of the record that changed a policy last; 0: there is none."""
    with database.reading() as connection:
        found = connection.execute(select(func.max(POLICY_CHANGES.c.seq))).scalar_one()
    return 0 if found is None else int(found)


def find_policy(standings: Sequence[Standing], name: str, version: int | None = None) -> Standing:
    """Give a version of a policy; None: the newest one.

    Raises:
        ConfigError: if there is none.
    """
    own = [standing for standing in standings if standing.policy.name == name]
    found = [s for s in own if version in (None, s.policy.version)]
    if not found:
        what = f"policy {name!r}" + ("" if version is None or not own else f" version {version}")
        known = ", ".join(dict.fromkeys(s.policy.name for s in standings)) or "none yet"
        raise ConfigError(f"there is no {what}", hint=f"policies are: {known}")
    return found[-1]


def propose(
    database: Database, policy: Policy, presets: Sequence[Preset], asked: Asked, who: Actor
) -> Standing:
    """Put a policy forward, for someone else to approve.

    Args:
        database: where it is kept.
        policy: without an approval; its version follows the newest one of its name.
        presets: of the model.
        asked: of the model: its hash, that of its catalogue, and the time.
        who: its author.

    Raises:
        ConfigError: as `policy_model.check_fits`, or if the version is not the next one.
        RunError: if the database cannot be written to.
    """
    check_fits(policy, presets, asked)
    with database.writing() as connection:
        hold(connection)
        own = [s for s in policies_in(connection) if s.policy.name == policy.name]
        following = own[-1].policy.version + 1 if own else 1
        if policy.version != following:
            raise ConfigError(
                f"policy {policy.name} version {policy.version} cannot be proposed",
                hint=f"write version = {following}, which is the next one",
            )
        body: dict[str, Any] = {"policy": policy.plain, "sha256": policy.sha256}
        return _written(connection, "policy.propose", body | who._asdict(), policy)


def approve(database: Database, name: str, version: int, who: Actor) -> Standing:
    """Approve a policy, which takes the place of its earlier versions.

    Raises:
        ConfigError: if there is none, its author is who approves, or it is not waiting for that.
        RunError: if the database cannot be written to.
    """
    with database.writing() as connection:
        hold(connection)
        found = find_policy(policies_in(connection), name, version)
        if same_person(found.author, who.person):
            raise ConfigError(
                f"{who.person} wrote policy {name} version {version} and cannot approve it",
                hint="let someone else approve it",
            )
        if (state := found.state(now())) != "proposed":
            raise ConfigError(
                f"policy {name} version {version} is {state}",
                hint="propose a new version" if state != "approved" else "there is nothing to do",
            )
        return _written(connection, "policy.approve", _body(found, who), found.policy)


def revoke(database: Database, name: str, version: int, who: Actor, *, reason: str) -> Standing:
    """End a policy, or reject one that was proposed; one that has ended already stays as it is.

    Raises:
        ConfigError: if there is none, or no reason.
        RunError: if the database cannot be written to.
    """
    if not reason.strip() or len(reason) > 200 or not reason.isprintable():
        raise ConfigError(
            f"a reason of {len(reason)} characters", hint="say why in a line of 1 to 200 characters"
        )
    with database.writing() as connection:
        hold(connection)
        found = find_policy(policies_in(connection), name, version)
        if found.end is not None:
            return found
        body = _body(found, who) | {"reason": reason}
        return _written(connection, "policy.revoke", body, found.policy)


def expire(database: Database, *, by: str) -> int:
    """Record which policies have come to their end, so that no clock brings them back.

    Returns:
        How many were found.
    """
    with database.writing() as connection:
        hold(connection)
        over = [
            standing
            for standing in policies_in(connection)
            if standing.end is None and standing.policy.expires <= now()
        ]
        drafts = [
            Draft(kind="policy.expire", body=_body(standing, Actor(by, by))) for standing in over
        ]
        if drafts:
            append_in(connection, drafts)
    return len(over)


def policies_in(connection: Connection) -> list[Standing]:
    """List policies as `list_policies` does, within a transaction."""
    query = select(RECORDS).join(POLICY_CHANGES, POLICY_CHANGES.c.seq == RECORDS.c.seq)
    found: dict[tuple[str, int], Standing] = {}
    for row in connection.execute(query.order_by(RECORDS.c.seq)):
        record = Record(*row)
        try:
            _follow(found, record)
        except (KeyError, TypeError, ValueError) as err:
            raise RunError(
                f"record {record.seq} is no change of a policy that can be understood: {err}",
                hint="check the log: sparsepath audit verify; or update sparsepath",
            ) from err
    return list(found.values())


def _follow(found: dict[tuple[str, int], Standing], record: Record) -> None:
    """Bring policies to where they stand after one more record."""
    body = json.loads(record.body)
    if record.kind == "policy.propose":
        policy = Policy.model_validate(body["policy"])
        standing = Standing(policy, body["sha256"], body["person"], record.time)
        found[policy.name, policy.version] = standing
        return
    key = body["name"], body["version"]
    before = found[key]
    if record.kind == "policy.approve":
        found[key] = before._replace(approver=body["person"], approved=record.time)
        for other, standing in found.items():
            is_older = other[0] == key[0] and other[1] < key[1]
            if is_older and standing.end is None:
                found[other] = standing._replace(
                    end="superseded", ended=record.time, ended_by=f"version {key[1]}"
                )
        return
    end: Literal["expired", "revoked"] = "expired" if record.kind == "policy.expire" else "revoked"
    found[key] = before._replace(
        end=end, ended=record.time, ended_by=body["person"], reason=body.get("reason", "")
    )


def _body(standing: Standing, who: Actor) -> dict[str, JsonValue]:
    policy = standing.policy
    about: dict[str, JsonValue] = {
        "name": policy.name,
        "version": policy.version,
        "sha256": standing.sha256,
    }
    return about | who._asdict()


def _written(
    connection: Connection, kind: Kind, body: dict[str, JsonValue], policy: Policy
) -> Standing:
    """Record a change; give where the policy stands then."""
    append_in(connection, [Draft(kind=kind, body=body)])
    return find_policy(policies_in(connection), policy.name, policy.version)
