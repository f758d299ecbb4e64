"""Where entries are kept by magnitude, each sign of an entry is a neuron of its own."""

from pathlib import Path

import planted
import pytest

from sparsepath.artifacts.catalogue import Catalogue
from sparsepath.artifacts.catalogue_query import search_words
from sparsepath.artifacts.edit import Edit
from sparsepath.artifacts.neuron import Neuron
from sparsepath.concepts.build import build_catalogue
from sparsepath.concepts.options import CatalogueOptions
from sparsepath.concepts.search import search_classes, search_prompt
from sparsepath.errors import ConfigError

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


def test_an_edit_is_of_an_entry() -> None:
    with pytest.raises(ConfigError, match="fix: write L00/3; values below zero"):
        Edit(neuron="L00/3+", operation="set", value=-2)
