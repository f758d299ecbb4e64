"""Files of a run folder are whole or absent, stay inside it, and say what is wrong with them."""

import errno
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparsepath.artifacts import store
from sparsepath.artifacts.analysis import Analysis, Flip
from sparsepath.artifacts.schema import Results, RunManifest
from sparsepath.errors import RunError

MANIFEST = RunManifest(command=["sparsepath", "poc"], created_utc="2026-11-21T09:30:00Z")


def test_an_artifact_comes_back_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "run.json"
    store.write_json_atomic(path, MANIFEST)
    assert store.read_json(path, RunManifest) == MANIFEST
    assert json.loads(path.read_text(encoding="utf-8"))["schema"] == 1


def test_nothing_hidden_is_left_beside_a_written_file(tmp_path: Path) -> None:
    store.write_text_atomic(tmp_path / "a.txt", "one")
    store.write_text_atomic(tmp_path / "a.txt", "two")
    assert [item.name for item in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "two"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"schema": 1, "comm', "not whole"),
        ("", "not whole"),
        ('{"schema": 0, "command": []}', "schema 0"),
        ('{"schema": 2, "command": []}', "schema 2"),
        ('{"name": "package", "version": "1.0"}', "no schema number"),
        ("[1, 2]", "no schema number"),
        ('{"schema": 1, "command": [], "created_utc": "x", "color": 1}', "color"),
        ('{"schema": 1, "command": 3, "created_utc": "x"}', "command"),
    ],
)
def test_a_broken_old_or_foreign_file_is_named_with_its_fix(
    tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "run.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(RunError, match=message) as caught:
        store.read_json(path, RunManifest)
    assert caught.value.hint


def test_a_missing_file_says_which_folder_was_expected(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"no results\.json"):
        store.read_json(tmp_path / "results.json", Results)


def test_a_file_in_another_encoding_is_foreign(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_bytes("請求".encode("shift_jis"))
    with pytest.raises(RunError, match="UTF-8"):
        store.read_json(tmp_path / "run.json", RunManifest)


def test_plain_content_is_written_without_nan(tmp_path: Path) -> None:
    content = {"a": [{"b": {"c": 1.5}}, None, float("nan"), "é"]}
    store.write_json_atomic(tmp_path / "a.json", content)
    written = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    assert written == {"a": [{"b": {"c": 1.5}}, None, None, "é"]}


def test_not_finite_numbers_become_none() -> None:
    content = {"n_layers": 1, "n_heads": 2, "n_neurons": [4]}
    scores = {"gradient": {"heads": [[float("-inf"), 1.0]], "layers": [float("nan")]}}
    analysis = Analysis.model_validate({"units": {**content, "scores": scores}})
    assert analysis.units is not None
    assert analysis.units.scores["gradient"].heads == [[None, 1.0]]
    assert analysis.units.scores["gradient"].layers == [None]


@pytest.mark.parametrize("part", ["../x", "a/../../x", "/etc/passwd", "a\0b"])
def test_paths_that_lead_outside_are_refused(tmp_path: Path, part: str) -> None:
    with pytest.raises(RunError):
        store.safe_join(tmp_path, part)


def test_a_link_that_leads_outside_is_refused(tmp_path: Path) -> None:
    root = tmp_path / "run"
    root.mkdir()
    (root / "link").symlink_to(tmp_path)
    with pytest.raises(RunError, match="outside"):
        store.safe_join(root, "link", "secret.txt")


@given(st.lists(st.text(alphabet="ab./\\", min_size=1, max_size=8), min_size=1, max_size=4))
def test_a_joined_path_is_always_inside(parts: list[str]) -> None:
    root = Path.cwd()
    try:
        joined = store.safe_join(root, *parts)
    except RunError:
        return
    assert joined.is_relative_to(root.resolve())


def test_a_folder_appears_whole_and_replaces_the_old_one(tmp_path: Path) -> None:
    for text in ("old", "new"):
        with store.folder_atomic(tmp_path / "model") as folder:
            (folder / "sub").mkdir()
            (folder / "sub" / "a.txt").write_text(text, encoding="utf-8")
    assert (tmp_path / "model" / "sub" / "a.txt").read_text(encoding="utf-8") == "new"
    assert [item.name for item in tmp_path.iterdir()] == ["model"]


def test_a_folder_that_fails_half_way_leaves_the_old_one(tmp_path: Path) -> None:
    with store.folder_atomic(tmp_path / "model") as folder:
        (folder / "a.txt").write_text("old", encoding="utf-8")
    with pytest.raises(KeyboardInterrupt):
        _interrupted(tmp_path / "model")
    assert (tmp_path / "model" / "a.txt").read_text(encoding="utf-8") == "old"
    assert [item.name for item in tmp_path.iterdir()] == ["model"]


def _interrupted(path: Path) -> None:
    with store.folder_atomic(path) as folder:
        (folder / "a.txt").write_text("half", encoding="utf-8")
        raise KeyboardInterrupt


def test_what_a_killed_writer_left_is_cleared_or_put_back(tmp_path: Path) -> None:
    (tmp_path / ".model.partial-999").mkdir()
    (tmp_path / ".model.replaced").mkdir()
    (tmp_path / ".model.replaced" / "a.txt").write_text("old", encoding="utf-8")
    with pytest.raises(ValueError, match="stop"), store.folder_atomic(tmp_path / "model"):
        raise ValueError("stop")
    assert (tmp_path / "model" / "a.txt").read_text(encoding="utf-8") == "old"
    assert [item.name for item in tmp_path.iterdir()] == ["model"]


def test_a_half_written_last_line_is_cut_off_and_left_out(tmp_path: Path) -> None:
    path = tmp_path / "flips.jsonl"
    flips = [Flip(row_id=i, text="a\u2028b", truth="t", full="f", candidate="c") for i in range(3)]
    store.append_jsonl(path, *flips[:2])
    with path.open("ab") as file:
        file.write(b'{"row_id": 9, "te')
    assert store.read_jsonl(path, Flip) == flips[:2]
    store.append_jsonl(path, flips[2])
    assert store.read_jsonl(path, Flip) == flips


@pytest.mark.parametrize(
    ("code", "message"), [(errno.ENOSPC, "disk is full"), (errno.EROFS, "may not be written")]
)
def test_a_full_or_read_only_disk_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, message: str
) -> None:
    def fail(_handle: int) -> None:
        raise OSError(code, os.strerror(code))

    (tmp_path / "run.json").write_text("before", encoding="utf-8")
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(RunError, match=message) as caught:
        store.write_text_atomic(tmp_path / "run.json", "after")
    assert "--out" in caught.value.hint
    assert (tmp_path / "run.json").read_text(encoding="utf-8") == "before"


def test_a_file_in_the_place_of_the_folder_is_explained(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("a file", encoding="utf-8")
    with pytest.raises(RunError, match="cannot be made"):
        store.write_text_atomic(tmp_path / "run" / "run.json", "x")
