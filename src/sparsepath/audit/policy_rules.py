"""May a model be steered so, for this use, by this role, now? The one place that answers.

The server, the native runtime and the command line all ask here. A request is allowed if one policy
allows it; else the policy that came closest says which of its rules refuses.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple, get_args

from sparsepath.artifacts.edit import Edit
from sparsepath.artifacts.steering import Preset
from sparsepath.audit.clock import written
from sparsepath.audit.policy import Policy, Standing
from sparsepath.audit.roles import Role, allows
from sparsepath.errors import PolicyError

Rule = Literal[
    "no-policy",
    "not-listed",
    "not-approved",
    "revoked",
    "superseded",
    "expired",
    "clock",
    "model-changed",
    "catalogue-changed",
    "preset-changed",
    "strength",
    "use",
    "role",
]
"""Why a request is refused, in the order in which a policy is asked."""

RULES: Final[tuple[Rule, ...]] = get_args(Rule)
"""The same."""

CLOCK_S: Final = 300.0
"""Seconds by which two machines' clocks may differ."""


class Asked(NamedTuple):
    """What somebody wants to do."""

    model_sha256: str
    """Of the model that would write."""
    catalogue_sha256: str | None
    """Of the catalogue beside it; None: there is none."""
    moment: str
    """Now, UTC."""
    use: str | None
    """What for; None: it was not said."""
    role: Role
    preset: Preset | None = None
    edits: tuple[Edit, ...] = ()
    """Beside the preset."""

    @property
    def is_steered(self) -> bool:
        """Whether there is anything to allow."""
        return self.preset is not None or bool(self.edits)


class Refusal(NamedTuple):
    """Why a policy does not allow something."""

    rule: Rule
    why: str
    """What is wrong, with what was met."""
    fix: str


class Permit(NamedTuple):
    """The policy that allows something, as records name it."""

    name: str
    version: int
    sha256: str
    use: str


def permit(standings: Sequence[Standing], asked: Asked) -> Permit:
    """Find the policy that allows something.

    Raises:
        PolicyError: if none does; it names the rule, and the policy that came closest.
    """
    for standing in standings:
        policy = standing.policy
        if asked.use in policy.uses and refused(standing, asked) is None:
            return Permit(policy.name, policy.version, standing.sha256, asked.use)
    raise _closest(standings, asked)


def _closest(standings: Sequence[Standing], asked: Asked) -> PolicyError:
    """Say why nothing allows it: by the last rule that any policy reached."""
    found = [(standing.policy, refused(standing, asked)) for standing in standings]
    reached = [(RULES.index(r.rule), number) for number, (_, r) in enumerate(found) if r]
    if not reached:
        return PolicyError(
            "the rule no-policy refuses this: no policy is known for this model",
            rule="no-policy",
            hint="propose one: sparsepath policy new, then sparsepath policy propose",
        )
    # Of equally close ones the last, which is the newest version.
    policy, refusal = found[max(reached)[1]]
    assert refusal is not None
    return PolicyError(
        f"the rule {refusal.rule} of policy {policy.name} version {policy.version} refuses this: "
        f"{refusal.why}",
        rule=refusal.rule,
        hint=refusal.fix,
    )


def refused(standing: Standing, asked: Asked) -> Refusal | None:
    """Say why one policy does not allow something; None: it does."""
    return (
        _of_subject(standing.policy, asked)
        or _of_state(standing, asked.moment)
        or of_model(standing.policy, asked)
        or _of_preset(standing.policy, asked)
        or _of_strength(standing.policy, asked)
        or _of_asker(standing.policy, asked)
    )


def _of_subject(policy: Policy, asked: Asked) -> Refusal | None:
    """Is it a preset or are they neurons that the policy is about?"""
    listed = [preset.name for preset in policy.presets]
    preset = asked.preset
    for edit in _to_limit(policy, asked):
        if policy.limit(edit.neuron) is None:
            what = f"the neuron {edit.neuron}" if preset is None else f"the preset {preset.name}"
            named = ", ".join(listed) or "none"
            return Refusal(
                "not-listed", f"it does not name {what}", f"presets that it names: {named}"
            )
    return None


def _of_state(standing: Standing, moment: str) -> Refusal | None:
    """Is it in force?"""
    renew = "propose and approve a new version"
    state, policy = standing.state(moment), standing.policy
    if state == "proposed":
        return Refusal(
            "not-approved",
            "nobody has approved it",
            f"someone other than {standing.author} approves it: sparsepath policy approve "
            f"{policy.name} {policy.version}",
        )
    if state == "revoked":
        return Refusal("revoked", f"it was revoked at {standing.ended}: {standing.reason}", renew)
    if state == "superseded":
        return Refusal(
            "superseded", f"{standing.ended_by} took its place", "what that version allows counts"
        )
    if state == "expired":
        return Refusal("expired", f"it ended at {policy.expires}", renew)
    approved = standing.approved
    if approved is not None and moment < approved and _later(moment, CLOCK_S) < approved:
        return Refusal(
            "clock",
            f"this machine's clock says {moment}, before its approval at {approved}",
            "set the clock",
        )
    return None


def of_model(policy: Policy, asked: Asked) -> Refusal | None:
    """Are model and catalogue those that were looked at?"""
    renew = "look at the preset again on this model, then propose a new version"
    if policy.model_sha256 != asked.model_sha256:
        return Refusal(
            "model-changed",
            f"it is for weights with hash {policy.model_sha256[:12]}..., these have "
            f"{asked.model_sha256[:12]}...",
            renew,
        )
    if policy.catalogue_sha256 not in (None, asked.catalogue_sha256):
        met = "there is none" if asked.catalogue_sha256 is None else asked.catalogue_sha256[:12]
        return Refusal(
            "catalogue-changed",
            f"it rests on a catalogue with hash {policy.catalogue_sha256[:12]}..., met: {met}",
            renew,
        )
    return None


def _of_preset(policy: Policy, asked: Asked) -> Refusal | None:
    """Is the preset the one that was approved?"""
    preset = asked.preset
    if preset is None:
        return None
    listed = {allowed.name: allowed.sha256 for allowed in policy.presets}
    if listed.get(preset.name, preset.content_sha256) == preset.content_sha256:
        return None
    return Refusal(
        "preset-changed",
        f"the preset {preset.name} is not the one that was approved",
        "propose a new version with its hash, or put the approved preset back",
    )


def _of_strength(policy: Policy, asked: Asked) -> Refusal | None:
    """Is it no stronger than allowed?"""
    for edit in _to_limit(policy, asked):
        limit = policy.limit(edit.neuron)
        if limit is not None and not limit.allows(edit):
            return Refusal(
                "strength", f"{edit} is beyond its limits: {limits_told(policy, edit)}", "use less"
            )
    return None


def _of_asker(policy: Policy, asked: Asked) -> Refusal | None:
    """May it be used for this, by this role?"""
    if asked.use not in policy.uses:
        uses = ", ".join(policy.uses)
        met = "no use was named" if asked.use is None else f"the use {asked.use} is not allowed"
        return Refusal("use", met, f"say what it is for, one of: {uses}")
    if not allows(asked.role, policy.role):
        return Refusal(
            "role",
            f"it needs the role {policy.role}, the key has {asked.role}",
            "ask who runs the server for another key",
        )
    return None


def _to_limit(policy: Policy, asked: Asked) -> Iterable[Edit]:
    """Give the edits that limits of neurons must allow: all but those of an approved preset."""
    preset = asked.preset
    if preset is not None and all(preset.name != allowed.name for allowed in policy.presets):
        yield from preset.edits
    yield from asked.edits


def limits_told(policy: Policy, edit: Edit) -> str:
    """Write the limits of an edit's neuron."""
    limit = policy.limit(edit.neuron)
    assert limit is not None
    told = limit.model_dump(exclude_none=True, exclude_defaults=True, exclude={"neuron"})
    return ", ".join(
        key if value is True else f"{key} {value[0]:g} to {value[1]:g}"
        for key, value in told.items()
    )


def _later(moment: str, seconds: float) -> str:
    return written(datetime.fromisoformat(moment) + timedelta(seconds=seconds))
