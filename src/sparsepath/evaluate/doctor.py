"""What this machine has, and what of sparsepath will run fast on it.

Base package only: the examination must work on the server where nothing else is installed.
Speed is measured (`matmul.py`), never guessed from the name of the processor.
"""

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

import psutil
from pydantic import JsonValue

from sparsepath.artifacts.provenance import machine, package_versions
from sparsepath.errors import RunError
from sparsepath.evaluate.matmul import ONE_THREAD
from sparsepath.kernels.native import best_level

EXTRAS = ("train", "demo")
"""Optional dependency sets that a user may want; the development ones are left out."""

DEMO_MEMORY_BYTES = 2 * 10**9
"""Peak memory of the demo that the project promises to stay under."""

DEMO_DISK_BYTES = 2 * 10**9
"""Room that a run folder with every candidate may take."""

SUBSAMPLING = (
    "Training with subsampled attention pays where rows are few and passes over them many: with "
    "500 images it was ahead after 75 passes and behind after 37. In trainings of a few passes, "
    "language models and fine-tuning among them, it cost quality."
)
"""When it is worth it, as far as it was measured (docs/how-to/subsampled-attention.md)."""

_MATMUL_TIMEOUT_S = 120


class Examination(NamedTuple):
    """Everything `sparsepath doctor` prints."""

    machine: dict[str, JsonValue]
    """Processor, cores, instruction sets, memory, operating system (`artifacts.provenance`)."""

    memory_free_bytes: int
    """Memory that a new process can take without swapping."""

    disk_free_bytes: int
    """Room in the current folder."""

    matmul_gflops: float
    """Measured float32 matrix product on one core, in 10^9 operations per second."""

    native: str | None
    """Instructions that the native library uses here; None where there is no library that fits."""

    versions: dict[str, str]
    """Packages that matter and their installed versions."""

    extras: dict[str, list[str]]
    """Optional dependency set -> packages of it that are missing; empty means installed."""

    advice: list[str]
    """What follows from the above, one sentence each."""


def doctor() -> Examination:
    """Examine this machine: takes a few seconds, changes nothing.

    Raises:
        RunError: if the measuring process does not finish.
    """
    described = machine()
    memory = psutil.virtual_memory().available
    disk = shutil.disk_usage(Path.cwd()).free
    extras = {extra: missing_packages(extra) for extra in EXTRAS}
    level = best_level()
    native = None if level is None else level.name.lower()
    return Examination(
        machine=described,
        memory_free_bytes=memory,
        disk_free_bytes=disk,
        matmul_gflops=measure_matmul(),
        native=native,
        versions=package_versions(),
        extras=extras,
        advice=advise(
            _present(described["flags"]), memory, disk, extras, has_native=native is not None
        ),
    )


def missing_packages(extra: str) -> list[str]:
    """List the packages of an optional dependency set that are not installed."""
    missing = []
    for line in importlib.metadata.requires("sparsepath") or []:
        requirement, _, marker = line.partition(";")
        if not re.search(rf"extra\s*==\s*['\"]{re.escape(extra)}['\"]", marker):
            continue
        name = re.split(r"[\s<>=!~\[(]", requirement.strip(), maxsplit=1)[0]
        try:
            importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    return missing


def measure_matmul() -> float:
    """Measure the matrix product of one core in a process of its own, in GFLOP/s.

    Raises:
        RunError: if that process fails or takes longer than two minutes.
    """
    command = [sys.executable, "-m", "sparsepath.evaluate.matmul"]
    environment = {**os.environ, **ONE_THREAD}
    try:
        done = subprocess.run(
            command,
            env=environment,
            capture_output=True,
            text=True,
            timeout=_MATMUL_TIMEOUT_S,
            check=True,
        )
    except (subprocess.SubprocessError, OSError) as err:
        raise RunError(
            f"the speed of a matrix product could not be measured: {err}",
            hint=f"run {' '.join(command)} and read its message",
        ) from err
    return float(done.stdout)


def advise(
    flags: Collection[str],
    memory_free_bytes: int,
    disk_free_bytes: int,
    extras: dict[str, list[str]],
    *,
    has_native: bool = True,
) -> list[str]:
    """Say what follows from an examination, one sentence each.

    Args:
        flags: Instruction sets found, such as "avx2".
        memory_free_bytes: Memory that a new process can take.
        disk_free_bytes: Room in the current folder.
        extras: Optional dependency set -> packages of it that are missing.
        has_native: Whether the native library is there.
    """
    advice = [_instruction_advice(set(flags))]
    if memory_free_bytes < DEMO_MEMORY_BYTES:
        advice.append(
            f"{memory_free_bytes / 1e9:.1f} GB of memory are free; `sparsepath poc` may need "
            f"{DEMO_MEMORY_BYTES / 1e9:.0f} GB. `sparsepath predict` needs far less."
        )
    if disk_free_bytes < DEMO_DISK_BYTES:
        advice.append(
            f"{disk_free_bytes / 1e9:.1f} GB of disk are free here; a run folder may need "
            f"{DEMO_DISK_BYTES / 1e9:.0f} GB. Choose another place with --out."
        )
    if not has_native:
        advice.append(
            "The native library is missing: language models run many times slower. Install a C "
            "compiler (Debian: apt install gcc), then sparsepath again."
        )
    if extras.get("train"):
        advice.append(
            "`sparsepath poc` needs more packages: pip install 'sparsepath[train]'. "
            "`sparsepath predict` works as it is."
        )
    else:
        advice.append(SUBSAMPLING)
    if extras.get("demo"):
        advice.append(
            "Without a network the default encoder is not there: pip install 'sparsepath[demo]'."
        )
    return advice


def _present(flags: JsonValue) -> set[str]:
    """Names of the instruction sets that are marked as present."""
    assert isinstance(flags, dict)
    return {name for name, present in flags.items() if present}


def _instruction_advice(flags: set[str]) -> str:
    """Say what the processor's vector instructions mean for fp32 and int8 models."""
    if flags & {"avx512_vnni", "avx_vnni"}:
        return "The processor has VNNI: fp32 and int8 models both run fast."
    for flag, name in (("avx512", "AVX-512"), ("avx2", "AVX2"), ("neon", "NEON")):
        if flag in flags:
            return f"The processor has {name}: fp32 runs fast; measure int8 before you choose it."
    return "No AVX2, AVX-512 or NEON was found: every model will be slow; take the smallest."
