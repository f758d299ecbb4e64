"""What a policy is compared with: a model's folder, its presets and its catalogue, now."""

import hashlib
import sqlite3
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from sparsepath.artifacts.catalogue import CATALOGUE_FILE
from sparsepath.artifacts.model_files import weights_sha256
from sparsepath.artifacts.steering import FOLDER, Preset, preset_names, read_preset_file
from sparsepath.audit.clock import now
from sparsepath.audit.policy import Policy
from sparsepath.audit.policy_rules import Asked, limits_told, of_model
from sparsepath.errors import ConfigError, RunError


def asked_of(folder: Path, *, sha256: str | None = None) -> Asked:
    """Describe a model, for a request by whoever may do everything on this machine.

    Args:
        folder: of the model.
        sha256: of its weights; None: they are read.

    Raises:
        ModelError: if there are none.
        RunError: if the catalogue beside it is damaged.
    """
    found = weights_sha256(folder) if sha256 is None else sha256
    return Asked(found, catalogue_sha256(folder), now(), None, "admin")


def presets_of(folder: Path) -> list[Preset]:
    """Read the presets of a model's folder; those that cannot be used are left out."""
    found: list[Preset] = []
    for name in preset_names(folder):
        with suppress(ConfigError, RunError):
            found.append(read_preset_file(folder / FOLDER / f"{name}.json"))
    return found


def check_fits(policy: Policy, presets: Sequence[Preset], asked: Asked) -> None:
    """See that a policy can be proposed for a model.

    Args:
        policy: to be proposed.
        presets: of the model, as many as could be read.
        asked: of the model: its hash, that of its catalogue, and the time.

    Raises:
        ConfigError: if it has an approval or has expired, belongs to another model or catalogue,
            names a preset that does not exist or is another one, or one beyond its own limits.
    """
    if policy.approval is not None:
        raise ConfigError(
            f"policy {policy.name} version {policy.version} has an approval already",
            hint="raise `version` and take the table [approval] out, to propose a new one",
        )
    if policy.expires <= asked.moment:
        raise ConfigError(
            f"policy {policy.name} ends at {policy.expires}, which is over",
            hint="set `expires` to a date in the future",
        )
    if (found := of_model(policy, asked)) is not None:
        raise ConfigError(
            f"policy {policy.name}: {found.rule}: {found.why}",
            hint="write a policy for this model: sparsepath policy new",
        )
    known = {preset.name: preset for preset in presets}
    for allowed in policy.presets:
        preset = known.get(allowed.name)
        if preset is None:
            raise ConfigError(
                f"policy {policy.name} names the preset {allowed.name}, which the model lacks",
                hint=f"choose among: {', '.join(known) or 'none yet'}; or make it: "
                "sparsepath steering save",
            )
        if preset.content_sha256 != allowed.sha256:
            raise ConfigError(
                f"the preset {allowed.name} has hash {preset.content_sha256[:12]}..., policy "
                f"{policy.name} says {allowed.sha256[:12]}...",
                hint=f"write its hash into the policy: {preset.content_sha256}",
            )
        for edit in preset.edits:
            limit = policy.limit(edit.neuron)
            if limit is not None and not limit.allows(edit):
                raise ConfigError(
                    f"policy {policy.name} contradicts itself: the preset {preset.name} has {edit},"
                    f" the limits of that neuron are {limits_told(policy, edit)}",
                    hint="widen these limits, or leave the preset or the neuron out",
                )


def catalogue_sha256(folder: Path) -> str | None:
    """Give the hash of what the catalogue beside a model says; None where there is none.

    It covers what the catalogue is of and every neuron's label as it is shown; notes and verdicts
    of people do not count.

    Raises:
        RunError: if the catalogue is damaged.
    """
    file = folder / CATALOGUE_FILE
    if not file.is_file():
        return None
    digest = hashlib.sha256()
    try:
        place = f"{file.resolve().as_uri()}?mode=ro"
        with closing(sqlite3.connect(place, uri=True)) as database:
            for query in _CATALOGUE:
                for row in database.execute(query):
                    digest.update(repr(row).encode("utf-8", "replace"))
    except sqlite3.Error as err:
        raise RunError(
            f"the catalogue {file} is damaged: {err}",
            hint=f"make it anew: sparsepath concepts build {folder} CORPUS",
        ) from err
    return digest.hexdigest()


_CATALOGUE: Final = (
    "SELECT content FROM facts",
    "SELECT layer, site, number, side, COALESCE(own_label, endpoint_label, label) FROM neuron "
    "ORDER BY layer, site, number, side",
)
