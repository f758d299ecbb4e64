"""What a policy adds to a request: the rules asked, with policies read again every two seconds.

    python benchmarks/policy_check.py [--policies 100] [--seconds 10]

An SQLite database has so many approved policies over one model, of which the last one allows what
is asked, so that all are looked at. Timed is the server's own check, from a request's preset to the
policy that allows it. The longest time is one in which policies were read again.
"""

import argparse
import asyncio
import json
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from sparsepath.artifacts.benchmark import BenchmarkRow, write_rows
from sparsepath.artifacts.edit import Edit
from sparsepath.artifacts.provenance import machine, package_versions
from sparsepath.artifacts.steering import Preset, make_preset
from sparsepath.audit.actor import Actor
from sparsepath.audit.clock import in_days, now
from sparsepath.audit.database import Database, open_database
from sparsepath.audit.policies import approve, propose
from sparsepath.audit.policy import Policy
from sparsepath.audit.policy_rules import Asked
from sparsepath.server.gate import Gate

MINUTES = 0.5
COMMAND = "sparsepath bench policy_check"
RESULTS = Path("benchmarks/results/policy_check.json")
WEIGHTS = "a" * 64


class Model:
    """As much of a language model as the check looks at."""

    name, sha256 = "small", WEIGHTS

    def __init__(self, folder: Path) -> None:
        self.folder = folder


def main() -> None:
    """Measure, print and keep the rows."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--policies", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=10.0)
    given = parser.parse_args()
    preset = make_preset("calm", [Edit(neuron="L01/3", operation="set", value=8.0)], WEIGHTS)
    with tempfile.TemporaryDirectory() as place, open_database(f"{place}/log.db") as database:
        fill(database, preset, given.policies)
        model: Any = Model(Path(place))
        gate = Gate(database, model, needs_policy=True)
        times = asyncio.run(timed(gate, preset, given.seconds))
    common = {
        "unit": "ms", "better": "lower", "n": len(times), "threads": 1, "command": COMMAND,
        "machine": str(machine()["cpu"]), "versions": package_versions(),
        "date": datetime.now(UTC).date().isoformat(),
    }  # fmt: skip
    case = f"policy check, {given.policies} policies"
    rows = [
        BenchmarkRow(figure=f"{case}, median", value=float(np.median(times)), target=0.3, **common),
        BenchmarkRow(figure=f"{case}, longest", value=float(times.max()), **common),
    ]
    write_rows(RESULTS, rows)
    print(json.dumps([row.model_dump(mode="json") for row in rows], indent=2))


def fill(database: Database, preset: Preset, n: int) -> None:
    """Propose and approve policies; all but the last are for other uses."""
    for number in range(n):
        is_last = number == n - 1
        policy = Policy.model_validate({
            "schema": 1, "name": f"p{number}", "version": 1, "owner": "Support", "model": "small",
            "model_sha256": WEIGHTS, "uses": ["draft-reply" if is_last else f"use-{number}"],
            "expires": in_days(1.0), "presets": [{"name": "calm", "sha256": preset.content_sha256}],
        })  # fmt: skip
        asked = Asked(WEIGHTS, None, now(), None, "admin")
        propose(database, policy, [preset], asked, Actor("user:a", "alice"))
        approve(database, policy.name, 1, Actor("user:b", "bob"))


async def timed(gate: Gate, preset: Preset, seconds: float) -> np.ndarray:
    """Ask again and again, a little apart; give milliseconds."""
    await gate.permit(preset, "draft-reply", "viewer")
    end, times = time.monotonic() + seconds, []
    while time.monotonic() < end:
        begun = time.perf_counter()
        await gate.permit(preset, "draft-reply", "viewer")
        times.append(1000 * (time.perf_counter() - begun))
        await asyncio.sleep(0.001)
    return np.array(times)


if __name__ == "__main__":
    main()
