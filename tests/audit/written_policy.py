"""A policy, a preset and a request that fits both, for tests to change."""

from typing import Any

from sparsepath.artifacts.edit import Edit
from sparsepath.artifacts.steering import Preset, make_preset
from sparsepath.audit.actor import Actor
from sparsepath.audit.clock import in_days, now
from sparsepath.audit.policy import Policy
from sparsepath.audit.policy_rules import Asked

WEIGHTS, CATALOGUE = "a" * 64, "c" * 64
ALICE, BOB = Actor("user:alice", "Alice"), Actor("key:0123456789abcdef", "bob")


def edit(neuron: str = "L01/3", operation: Any = "set", value: float = 8.0) -> Edit:
    return Edit(neuron=neuron, operation=operation, value=value)


def preset(name: str = "calm", *edits: Edit) -> Preset:
    return make_preset(name, edits or [edit()], WEIGHTS, author="Alice")


CALM = preset()


def content(**changes: Any) -> dict[str, Any]:
    """Plain values of a policy that allows one preset and two neurons for one use."""
    plain: dict[str, Any] = {
        "schema": 1, "name": "drafts", "version": 1, "owner": "Support", "model": "small",
        "model_sha256": WEIGHTS, "catalogue_sha256": CATALOGUE, "uses": ["draft-reply"],
        "role": "reviewer", "expires": in_days(30.0),
        "presets": [{"name": "calm", "sha256": CALM.own_sha256}],
        "neurons": [
            {"neuron": "L00/5", "set": [-4.0, 4.0], "scale": [0.0, 2.0]},
            {"neuron": "L00/6", "suppress": True},
        ],
    }  # fmt: skip
    return plain | changes


def policy(**changes: Any) -> Policy:
    return Policy.model_validate(content(**changes))


def asked(**changes: Any) -> Asked:
    plain = Asked(WEIGHTS, CATALOGUE, now(), "draft-reply", "reviewer", CALM)
    return plain._replace(**changes)
