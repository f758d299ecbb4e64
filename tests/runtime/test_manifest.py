"""`sparsepath.json` comes back as written; damaged, foreign or dishonest ones are refused."""

import json
from pathlib import Path

import pytest

from sparsepath.errors import ModelError
from sparsepath.runtime.manifest import (
    MANIFEST,
    Manifest,
    member,
    read_manifest,
    write_manifest,
)

SINGLE = {
    "schema": 1,
    "kind": "single",
    "labels": ["a", "b"],
    "max_length": 32,
    "pad_id": 0,
    "onnx": {"fp32": "model.onnx"},
}
CASCADE = {
    "schema": 1,
    "kind": "cascade",
    "labels": ["a", "b"],
    "stages": ["../light", "../full"],
    "thresholds": [0.9],
}


def write(folder: Path, content: object) -> Path:
    folder.mkdir(exist_ok=True, parents=True)
    (folder / MANIFEST).write_text(json.dumps(content))
    return folder


def test_a_manifest_comes_back_as_it_was_written(tmp_path: Path) -> None:
    manifest = Manifest(
        kind="early-exit",
        labels=["はい", "no"],
        max_length=32,
        pad_id=1,
        stages=["stage0.onnx", "stage1.onnx"],
        thresholds=[0.75],
    )
    write_manifest(tmp_path, manifest)
    assert read_manifest(tmp_path) == manifest


def test_stages_of_a_cascade_may_lie_beside_it(tmp_path: Path) -> None:
    folder = write(tmp_path / "models" / "both", CASCADE)
    assert read_manifest(folder).stages == ["../light", "../full"]
    assert member(folder, "../light", is_folder=True) == tmp_path / "models" / "light"


WRONG = {
    "kind": SINGLE | {"kind": "magic"},
    "labels": SINGLE | {"labels": []},
    "labels of numbers": SINGLE | {"labels": [1, 2]},
    "max_length": SINGLE | {"max_length": 0},
    "pad_id": SINGLE | {"pad_id": "0"},
    "onnx missing": SINGLE | {"onnx": {}},
    "onnx precision": SINGLE | {"onnx": {"fp64": "model.onnx"}},
    "onnx list": SINGLE | {"onnx": ["model.onnx"]},
    "onnx number": SINGLE | {"onnx": {"fp32": 3}},
    "stages": CASCADE | {"stages": [], "thresholds": []},
    "thresholds": CASCADE | {"thresholds": []},
    "threshold range": CASCADE | {"thresholds": [1.5]},
    "threshold text": CASCADE | {"thresholds": ["0.5"]},
}


@pytest.mark.parametrize("case", WRONG)
def test_a_manifest_with_a_wrong_value_is_refused(tmp_path: Path, case: str) -> None:
    folder = write(tmp_path / "m", WRONG[case])
    with pytest.raises(ModelError, match=rf"{MANIFEST}: .*{case.split()[0]}(.|\n)*fix: "):
        read_manifest(folder)


@pytest.mark.parametrize("text", ["", "{", "\x00", '{"schema": 1'])
def test_a_half_written_manifest_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / MANIFEST).write_text(text)
    with pytest.raises(ModelError, match="cannot be read"):
        read_manifest(tmp_path)


@pytest.mark.parametrize("content", [[], 3, {}, SINGLE | {"schema": 2}])
def test_another_schema_is_refused(tmp_path: Path, content: object) -> None:
    folder = write(tmp_path / "m", content)
    with pytest.raises(ModelError, match="this sparsepath reads schema 1"):
        read_manifest(folder)


def test_a_missing_folder_and_a_missing_manifest_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no model folder at"):
        read_manifest(tmp_path / "nowhere")
    with pytest.raises(ModelError, match=f"no {MANIFEST} in"):
        read_manifest(tmp_path)


ESCAPES = ["../model.onnx", "/etc/passwd", "a/../../b.onnx", "", ".", "a\0b"]


@pytest.mark.parametrize("name", ESCAPES)
def test_a_graph_outside_its_folder_is_refused(tmp_path: Path, name: str) -> None:
    folder = write(tmp_path / "models" / "m", SINGLE | {"onnx": {"fp32": name}})
    with pytest.raises(ModelError, match="outside its place"):
        read_manifest(folder)


@pytest.mark.parametrize("name", ["../../other", "/etc", "..", ".", "../../models"])
def test_a_stage_outside_the_store_is_refused(tmp_path: Path, name: str) -> None:
    folder = write(tmp_path / "models" / "both", CASCADE | {"stages": ["../light", name]})
    with pytest.raises(ModelError, match="outside its place"):
        read_manifest(folder)


def test_a_link_that_leads_out_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret.onnx").write_text("x")
    folder = write(tmp_path / "models" / "m", SINGLE)
    (folder / "model.onnx").symlink_to(tmp_path / "secret.onnx")
    with pytest.raises(ModelError, match="outside its place"):
        read_manifest(folder)
