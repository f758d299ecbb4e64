"""A label may stand for its neuron wherever a model is steered, as long as it names one only."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

import planted
from sparsepath.artifacts.catalogue import Catalogue
from sparsepath.artifacts.concept_names import neuron_called
from sparsepath.artifacts.neuron import Neuron
from sparsepath.cli.main import main
from sparsepath.errors import ConfigError
from sparsepath.models.language_folder import load_language_model
from sparsepath.runtime.language.engine import Engine
from sparsepath.steering.hooks import steer

FOUR, FIVE = Neuron(0, "block_out", 4), Neuron(1, "block_out", 5)


@pytest.fixture(scope="module")
def model(planted_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy in which people have named some neurons."""
    folder = tmp_path_factory.mktemp("named") / "model"
    shutil.copytree(planted_model, folder)
    with Catalogue(folder) as catalogue:
        catalogue.remark(FOUR, label="Refund", by="Ann")
        catalogue.remark(FIVE, label="refund of a 2-day utf-8 order", by="Ann")
        catalogue.remark(Neuron(0, "block_out", 9), label="Loops", by="Ann")
    return folder


@pytest.fixture(scope="module")
def engine(model: Path) -> Engine:
    return Engine(model, form="fp32")


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("refund*2", "L00/4*2"),
        (" REFUND = off @answer", "L00/4=off@answer"),
        ("refund of a 2-day utf-8 order-3", "L01/5-3"),
        ("utf-8 order+1", "L01/5+1"),
        ("loops=0.5", "L00/9=0.5"),
        ("2-day=1 if refund fires", "L01/5=1 if L00/4 fires"),
        ("2-day=1 if loops>0.5", "L01/5=1 if L00/9>0.5"),
        ("L00/7*2", "L00/7*2"),
    ],
)
def test_a_label_is_its_neuron(engine: Engine, text: str, written: str) -> None:
    assert str(engine.edit(text)) == written


def test_what_is_shown_as_a_label_is_found_by_a_phrase_of_it(model: Path) -> None:
    word = planted.LISTS[4][0]
    with Catalogue(model) as catalogue:
        label = catalogue.card(Neuron(1, "block_out", 4)).automatic
    assert word in label
    # Layer 0 has a person's label in its place.
    assert neuron_called(label, model) == Neuron(1, "block_out", 4)
    assert neuron_called(word, model) == Neuron(1, "block_out", 4)


def test_a_label_of_several_neurons_is_refused_with_them(model: Path) -> None:
    word = planted.LISTS[7][0]
    with pytest.raises(ConfigError, match=f"2 neurons are called '{word}'") as found:
        neuron_called(word, model)
    assert "L00/7 (" in found.value.hint
    assert "L01/7 (" in found.value.hint


@pytest.mark.parametrize(("name", "near"), [("refumd", "L00/4 (Refund)"), ("lops", "L00/9")])
def test_an_unknown_label_is_refused_with_the_nearest(model: Path, name: str, near: str) -> None:
    with pytest.raises(ConfigError, match=f"no neuron is '{name}'") as found:
        neuron_called(name, model)
    assert near in found.value.hint


@pytest.mark.parametrize("name", ["never fires", "no clear meaning", "xq", "", "or"])
def test_labels_that_say_nothing_name_nothing(model: Path, name: str) -> None:
    with pytest.raises(ConfigError):
        neuron_called(name, model)


def test_without_a_catalogue_the_way_to_one_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="concepts build"):
        neuron_called("refund", tmp_path)
    with pytest.raises(ConfigError, match="names no neuron"):
        neuron_called("L02.nowhere/1", tmp_path)


def test_the_same_in_transformers(model: Path) -> None:
    loaded = load_language_model(model).model
    with steer(loaded, "refund=off"), steer(loaded, "loops", set=0.0, only_if="refund fires"):
        pass
    with pytest.raises(ConfigError, match="no neuron is 'xq'"), steer(loaded, "xq", scale=0.5):
        pass


def test_the_command_line_says_which_neuron_it_was(model: Path) -> None:
    command = ["steering", "try", str(model), "hab jed", "--steer", "refund=off", "--tokens", "2"]
    done = CliRunner().invoke(main, [*command, "--samples", "1", "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["outputs"][0]["edits"] == ["L00/4=off"]
    done = CliRunner().invoke(main, ["generate", str(model), "hab", "--steer", "refund=off"])
    assert "steered by L00/4=off" in done.stderr
    command = ["steering", "save", str(model), "--name", "calm", "--steer", "refund=off"]
    assert CliRunner().invoke(main, command).exit_code == 0
    assert "L00/4=off" in CliRunner().invoke(main, ["steering", "list", str(model)]).stdout
