"""Hashes follow content and names, and the machine is described without surprises."""

import hashlib
from pathlib import Path

from pydantic import JsonValue, TypeAdapter

from sparsepath.artifacts import provenance
from sparsepath.version import __version__


def test_a_file_hash_is_plain_sha256(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"x" * 3_000_000)
    assert provenance.sha256_file(path) == hashlib.sha256(b"x" * 3_000_000).hexdigest()


def test_a_folder_hash_changes_with_content_and_names_only(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name / "sub").mkdir(parents=True)
    for place in ("one/b", "one/sub/a", "two/sub/a", "two/b"):
        (tmp_path / place).write_text(place[-1], encoding="utf-8")
    first = provenance.sha256_folder(tmp_path / "one")
    assert first == provenance.sha256_folder(tmp_path / "two")
    (tmp_path / "two" / "b").rename(tmp_path / "two" / "c")
    assert first != provenance.sha256_folder(tmp_path / "two")


def test_the_machine_is_plain_json_with_the_documented_keys() -> None:
    found = provenance.machine()
    TypeAdapter(dict[str, JsonValue]).validate_python(found)
    assert {"cpu", "cores_physical", "cores_logical", "flags", "memory_bytes", "os"} <= set(found)
    assert found["cpu"]
    flags = found["flags"]
    assert isinstance(flags, dict)
    assert {"avx2", "avx512", "neon"} <= set(flags)


def test_versions_name_this_package_and_python() -> None:
    versions = provenance.package_versions()
    assert versions["sparsepath"] == __version__
    assert versions["python"][0] == "3"


def test_now_is_utc_in_seconds() -> None:
    now = provenance.now_utc()
    assert now.endswith("Z")
    assert len(now) == len("2026-11-21T09:30:00Z")
