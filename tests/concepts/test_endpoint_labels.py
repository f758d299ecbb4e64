"""Labels from an endpoint are judged on held-out text, and the better label is shown."""

import json
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from answerer import Answerer, answering
from click.testing import CliRunner, Result

import planted
from sparsepath.artifacts.catalogue import Catalogue
from sparsepath.artifacts.catalogue_contrast import contrast_of
from sparsepath.artifacts.catalogue_query import search_words
from sparsepath.artifacts.neuron import Neuron
from sparsepath.cli.main import main
from sparsepath.concepts.build import build_catalogue
from sparsepath.concepts.endpoint_labels import detection
from sparsepath.concepts.options import CatalogueOptions

FIRST, SECOND = Neuron(0, "block_out", 0), Neuron(0, "block_out", 1)


@pytest.fixture
def server() -> Iterator[Answerer]:
    with answering() as one:
        yield one


@pytest.fixture
def catalogue(planted_model: Path, tmp_path: Path) -> Path:
    """A copy that may be written to, in which our label of the first neuron fails."""
    folder = tmp_path / "model"
    shutil.copytree(planted_model, folder)
    database = sqlite3.connect(folder / "concepts.sqlite")
    with database:
        database.execute(
            "UPDATE contrast SET said = zeroblob(length(said)) WHERE neuron = "
            "(SELECT id FROM neuron WHERE layer = 0 AND number = 0)"
        )
    database.close()
    return folder


def label(catalogue: Path, server: Answerer, *more: str, code: int = 0) -> Result:
    """Run the command."""
    command = ["concepts", "label", str(catalogue), "--endpoint", server.url, "--model", "rules"]
    done = CliRunner().invoke(main, [*command, *more])
    assert done.exit_code == code, done.output
    return done


def two(catalogue: Path, server: Answerer, *more: str) -> dict[str, dict[str, object]]:
    """Label both neurons."""
    done = label(catalogue, server, "--neuron", "L00/0", "--neuron", "L00/1", "--json", *more)
    return {row["neuron"]: row["found"] for row in json.loads(done.stdout)}


def test_places_of_a_contrast_are_what_they_are_called(planted_model: Path) -> None:
    with Catalogue(planted_model) as catalogue:
        held_out = catalogue.facts.n_held_out
        for number in range(planted.N_LISTS):
            found = contrast_of(catalogue, Neuron(1, "block_out", number))
            words = set(planted.LISTS[number])
            for excerpt, fires, said in found.trials:
                assert (excerpt.texts[excerpt.at].strip() in words) == fires
                assert said == fires  # our labels are right here
            assert sum(trial.fires for trial in found.trials) >= 5
            assert all(one.texts[one.at].strip() not in words for one in found.silent)
            assert len(found.silent) == 8
        rows = catalogue.database.execute("SELECT COUNT(*) FROM text").fetchone()[0]
        assert rows * catalogue.facts.length == catalogue.facts.n_tokens
    assert held_out


def test_the_better_label_is_shown_and_the_other_stays(catalogue: Path, server: Answerer) -> None:
    found = two(catalogue, server)
    words = "one of " + " ".join(sorted(planted.LISTS[0]))
    assert found["L00/0"]["label"] == words
    assert found["L00/0"]["score"] == 1.0
    assert found["L00/0"]["own_score"] == 0.5
    assert found["L00/0"]["is_kept"]
    assert found["L00/1"]["own_score"] == 1.0
    assert not found["L00/1"]["is_kept"]
    with Catalogue(catalogue) as opened:
        first, second = opened.card(FIRST), opened.card(SECOND)
        assert first.line.label == words
        assert first.line.by_endpoint
        assert first.automatic != words
        assert first.endpoint[0].model == "rules"
        assert first.endpoint[0].endpoint == server.url
        assert second.line.label == second.automatic
        assert not second.line.by_endpoint
        assert len(second.endpoint) == 1
        hits = search_words(opened, "one")
        assert FIRST in [hit.line.neuron for hit in hits]
    shown = CliRunner().invoke(main, ["concepts", "show", str(catalogue), "L00/0"]).output
    assert "rules at http" in " ".join(shown.split())
    listed = CliRunner().invoke(main, ["concepts", "list", str(catalogue), "--limit", "0"]).output
    assert f"{words} (an endpoint's)" in listed


def test_only_the_label_and_contexts_go_out_when_it_is_judged(
    catalogue: Path, server: Answerer
) -> None:
    label(catalogue, server, "--neuron", "L00/0")
    name, *judging = (request["messages"][1]["content"] for request in server.asked)
    assert "It fires at" in name
    assert len(judging) == 2
    with Catalogue(catalogue) as opened:
        ours = opened.card(FIRST).automatic
    assert all("said to fire at" in question and ours not in question for question in judging)


def test_a_persons_label_still_wins(catalogue: Path, server: Answerer) -> None:
    with Catalogue(catalogue) as opened:
        opened.remark(FIRST, label="mine", by="Ann")
    two(catalogue, server)
    with Catalogue(catalogue) as opened:
        line = opened.card(FIRST).line
        assert (line.label, line.by_person, line.by_endpoint) == ("mine", True, False)
        opened.remark(FIRST, label="", by="Ann")
        assert opened.card(FIRST).line.by_endpoint


def test_neurons_that_a_model_was_asked_for_are_skipped(catalogue: Path, server: Answerer) -> None:
    assert set(two(catalogue, server)) == {"L00/0", "L00/1"}
    asked = len(server.asked)
    assert two(catalogue, server) == {}
    assert len(server.asked) == asked
    assert set(two(catalogue, server, "--again")) == {"L00/0", "L00/1"}


def test_a_dry_run_prints_the_first_question_and_sends_nothing(
    catalogue: Path, server: Answerer
) -> None:
    done = label(catalogue, server, "--limit", "4", "--dry-run", "--key-env", "NOT_SET")
    assert "It does not fire at the token" in done.stdout
    assert "4 neurons, 12 calls; nothing was sent" in done.stderr
    assert server.asked == []


def test_a_stop_keeps_what_was_done(catalogue: Path, server: Answerer) -> None:
    server.failures = [None] * 3 + [(401, {})]
    done = label(catalogue, server, "--limit", "2", code=1)
    assert "refuses: HTTP 401" in done.stderr
    database = sqlite3.connect(catalogue / "concepts.sqlite")
    assert database.execute("SELECT COUNT(*) FROM endpoint_label").fetchone() == (1,)
    database.close()


def test_an_answer_of_no_use_is_asked_for_again_and_then_left(
    catalogue: Path, server: Answerer
) -> None:
    useless = [
        {"content": "I think so"}, {"content": '{"label": ""}'}, {"content": '{"label": ["x"]}'},
    ]  # fmt: skip
    server.failures = [*useless[:2]]
    assert all(two(catalogue, server).values())
    server.failures = [*useless]
    found = two(catalogue, server, "--again")
    assert list(found.values()).count(None) == 1
    server.failures = useless * 3
    done = label(catalogue, server, "--limit", "5", code=1)
    assert "no usable answer for 3 neurons in a row" in done.stderr


def test_too_few_answers_are_not_taken_for_judgements(catalogue: Path, server: Answerer) -> None:
    server.failures = [None, {"content": '{"answers": ["yes"]}'}]
    assert two(catalogue, server)["L00/0"] is not None
    assert len(server.asked) == 3 + 3 + 1


def test_labels_stay_when_the_same_catalogue_is_built_again_only(
    catalogue: Path, server: Answerer, corpus: str
) -> None:
    two(catalogue, server)
    same = CatalogueOptions(length=16, held_out=0.25, vectors=False)
    build_catalogue(catalogue, corpus, same)
    with Catalogue(catalogue) as opened:
        assert opened.card(FIRST).line.by_endpoint
        assert len(opened.card(SECOND).endpoint) == 1
    other = CatalogueOptions(length=8, held_out=0.25, vectors=False)
    build_catalogue(catalogue, corpus, other)
    with Catalogue(catalogue) as opened:
        assert not opened.card(FIRST).line.by_endpoint


def test_detection_weighs_both_kinds_alike() -> None:
    assert detection([True, True, False, False, False, False], [True, False] * 3) == 0.5
    assert detection([True, False, False, False, False], [True, True, False, False, False]) == 0.875
