"""A preset is read as it was saved, or not at all."""

import json
from pathlib import Path

import pytest

from sparsepath.artifacts.edit_text import parse_edit
from sparsepath.artifacts.steering import (
    EditLimit,
    Preset,
    make_preset,
    preset_names,
    read_preset,
    write_preset,
)
from sparsepath.errors import ConfigError, ModelError, RunError

MODEL = "ab" * 32


@pytest.fixture
def preset() -> Preset:
    return make_preset(
        "calm",
        [parse_edit("L02/117=8@answer if L01/5>0.1"), parse_edit("L01.M0003*1.3")],
        MODEL,
        limits=[EditLimit(neuron="L02/117", largest=2.1, value=8.4, factor=4.0)],
        author="Kim",
        note="for letters",
    )


def test_a_preset_is_read_as_it_was_written(preset: Preset, tmp_path: Path) -> None:
    path = write_preset(tmp_path, preset)
    assert path == tmp_path / "presets" / "calm.json"
    assert read_preset(tmp_path, "calm", MODEL) == preset
    assert read_preset(tmp_path / "elsewhere", str(path), MODEL) == preset
    assert preset_names(tmp_path) == ["calm"]
    assert json.loads(path.read_text())["schema"] == 1


@pytest.mark.parametrize("change", ["value", "note", "author", "limits", "model_sha256"])
def test_a_preset_edited_by_hand_is_refused_with_the_command_that_saves_it(
    preset: Preset, tmp_path: Path, change: str
) -> None:
    path = write_preset(tmp_path, preset)
    content = json.loads(path.read_text())
    if change == "value":
        content["edits"][0]["value"] = 80.0
    else:
        content[change] = [] if change == "limits" else "ff"
    path.write_text(json.dumps(content))
    with pytest.raises(ConfigError, match=r"edited by hand.*\n.*steering save MODEL --name calm"):
        read_preset(tmp_path, "calm", MODEL)


def test_a_preset_of_another_model_is_refused(preset: Preset, tmp_path: Path) -> None:
    write_preset(tmp_path, preset)
    with pytest.raises(ModelError, match=r"hash abababababab.*; this one has cdcd"):
        read_preset(tmp_path, "calm", "cd" * 32)


def test_a_preset_that_is_missing_damaged_or_of_a_later_version_is_told(
    preset: Preset, tmp_path: Path
) -> None:
    path = write_preset(tmp_path, preset)
    with pytest.raises(ConfigError, match=r"no preset 'wild'.*\n.*one of: calm"):
        read_preset(tmp_path, "wild", MODEL)
    with pytest.raises(ConfigError, match="no name"):
        read_preset(tmp_path, "../calm", MODEL)
    path.write_text(path.read_text()[:-20])
    with pytest.raises(RunError, match="not whole"):
        read_preset(tmp_path, "calm", MODEL)
    path.write_text(json.dumps({"schema": 2}))
    with pytest.raises(RunError, match="schema 2"):
        read_preset(tmp_path, "calm", MODEL)


def test_a_preset_needs_edits_that_fit_each_other_and_a_name() -> None:
    with pytest.raises(ConfigError, match="without edits"):
        make_preset("calm", [], MODEL)
    with pytest.raises(ConfigError, match="two edits"):
        make_preset("calm", [parse_edit("L0/1=2"), parse_edit("L0/1=3")], MODEL)
    with pytest.raises(ConfigError, match="no name"):
        make_preset("a/b", [parse_edit("L0/1=2")], MODEL)
