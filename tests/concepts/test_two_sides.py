"""Where entries are kept by magnitude, each sign of an entry is a neuron of its own."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

import planted
from sparsepath.artifacts.catalogue import Catalogue
from sparsepath.artifacts.catalogue_query import search_words
from sparsepath.artifacts.concept_names import finder
from sparsepath.artifacts.edit import Edit
from sparsepath.artifacts.edit_text import parse_edit
from sparsepath.artifacts.neuron import Neuron
from sparsepath.concepts.build import build_catalogue
from sparsepath.concepts.delphi import export_delphi
from sparsepath.concepts.options import CatalogueOptions
from sparsepath.concepts.search import search_classes, search_prompt
from sparsepath.errors import ConfigError
from sparsepath.report.neuronpedia import export_neuronpedia

HALF = planted.N_LISTS // 2


@pytest.fixture(scope="module")
def two_sided(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose entry c fires on list c above zero and on list c + 25 below it."""
    place = tmp_path_factory.mktemp("sides")
    folder = planted.save_model(place / "model", is_two_sided=True)
    corpus = planted.save_corpus(place / "corpus.txt")
    options = CatalogueOptions(length=16, held_out=0.25, vectors=False)
    build_catalogue(folder, str(corpus), options)
    return folder


def neuron_of(number: int) -> Neuron:
    """The neuron that was planted for a list."""
    return Neuron(0, "block_out", number % HALF, "-" if number >= HALF else "+")


def test_each_sign_finds_its_own_list(two_sided: Path) -> None:
    with Catalogue(two_sided) as catalogue:
        assert catalogue.facts.is_two_sided
        for number, one in enumerate(planted.LISTS):
            assert search_words(catalogue, one[1])[0].line.neuron == neuron_of(number)
            card = catalogue.card(neuron_of(number))
            assert sorted(token.text.strip() for token in card.fires_on) == sorted(one)
            assert card.line.score is not None
            assert card.line.score > 0.95


def test_what_is_below_zero_is_shown_below_zero(two_sided: Path) -> None:
    with Catalogue(two_sided) as catalogue:
        above, below = catalogue.card(neuron_of(3)), catalogue.card(neuron_of(3 + HALF))
    assert above.largest == 2
    assert above.line.mean == 2
    assert below.largest == -2
    assert below.line.mean == -2
    assert below.details.bounds == (-2, -2)
    assert all(context.value == -2 for context in below.contexts)
    assert {value for context in below.contexts for value in context.values} == {-2, 0}
    # What one sign makes likelier the other makes unlikelier, by as much for a value of 1.
    assert above.details.promotes is not None
    assert below.details.demotes == [(text, -value) for text, value in above.details.promotes]
    assert {text.strip() for text, _ in above.details.promotes} == set(planted.LISTS[3])


def test_prompts_and_classes_tell_the_signs_apart(two_sided: Path, tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    ours, others = planted.LISTS[3 + HALF], planted.LISTS[3]
    rows = [f"{word} {word},a" for word in ours] + [f"{word} {word},b" for word in others]
    table.write_text("\n".join(["text,label", *rows]))
    with Catalogue(two_sided) as catalogue:
        assert search_prompt(catalogue, ours[0])[0].line.neuron == neuron_of(3 + HALF)
        best = search_classes(catalogue, table, "a")[0]
    assert best.line.neuron == neuron_of(3 + HALF)
    assert best.strength == 1


def test_a_name_without_a_sign_is_asked_for_one(two_sided: Path) -> None:
    with (
        Catalogue(two_sided) as catalogue,
        pytest.raises(ConfigError, match=r"fix: say L00/3\+ or L00/3-"),
    ):
        catalogue.card(Neuron(0, "block_out", 3))


@pytest.mark.parametrize(
    ("text", "neuron", "operation", "value"),
    [
        ("L00/3-=8", "L00/3", "set", -8),
        ("L00/3+=8", "L00/3", "set", 8),
        ("L00/3-+2", "L00/3", "add", -2),
        ("L00/3+2", "L00/3", "add", 2),
        ("L00/3-2", "L00/3", "add", -2),
        ("L00/3-*2", "L00/3", "scale", 2),
        ("L00/3-=off", "L00/3", "suppress", 0),
    ],
)
def test_a_sign_is_steered_by_its_size(
    text: str, neuron: str, operation: str, value: float
) -> None:
    edit = parse_edit(text)
    assert (edit.neuron, edit.operation, edit.value) == (neuron, operation, value)


def test_a_label_of_the_lower_sign_makes_the_entry_smaller(two_sided: Path) -> None:
    with Catalogue(two_sided) as catalogue:
        catalogue.remark(neuron_of(3 + HALF), label="reef", by="Ann")
    edit = parse_edit("reef=8 if L00/4+>0.5", find=finder(two_sided))
    assert (edit.neuron, edit.value) == ("L00/3", -8)
    assert edit.only_if is not None
    assert edit.only_if.neuron == "L00/4"
    with pytest.raises(ConfigError, match="L00/3- is one sign of an entry"):
        parse_edit("L01/4=8 if reef fires", find=finder(two_sided))


def test_an_edit_is_of_an_entry() -> None:
    with pytest.raises(ConfigError, match="fix: write L00/3; values below zero"):
        Edit(neuron="L00/3+", operation="set", value=-2)


def test_exports_number_the_lower_signs_after_the_upper_ones(
    two_sided: Path, tmp_path: Path
) -> None:
    width = planted.N_LISTS + planted.N_OTHERS
    with Catalogue(two_sided) as catalogue:
        export_neuronpedia(catalogue, tmp_path / "dashboards")
        export_delphi(catalogue, tmp_path / "latents", tokens=800)
    batches = [json.loads(p.read_text()) for p in (tmp_path / "dashboards/L00").glob("batch-*")]
    features = {f["feature_index"]: f for batch in batches for f in batch["features"]}
    for number, one in ((3, planted.LISTS[3]), (3 + width, planted.LISTS[3 + HALF])):
        for example in features[number]["activations"]:
            at = example["qualifying_token_index"]
            assert example["tokens"][at].strip() in one
            assert example["values"][at] == 2
        assert min(features[number]["freq_hist_data_bar_values"]) > 0
    fired = []
    for path in (tmp_path / "latents/layers.0").glob("*.safetensors"):
        content = load_file(path)
        start = int(path.stem.split("_")[0])
        fired += [(*place[:2], place[2] + start) for place in content["locations"].tolist()]
        assert (content["activations"] > 0).all()
    ids = [planted.words().index(word) for word in planted.LISTS[3 + HALF]]
    truth = np.argwhere(np.isin(content["tokens"], ids)).tolist()
    assert sorted([row, token] for row, token, number in fired if number == 3 + width) == truth
