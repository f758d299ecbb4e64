"""Neurons are found by the words that they make likelier."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.artifacts.test_catalogue import write

from sparsepath.artifacts.catalogue import Catalogue
from sparsepath.artifacts.catalogue_says import search_says
from sparsepath.cli.main import main


def said_by(path: Path, word: str) -> set[str]:
    """Look through every card for a word."""
    with Catalogue(path) as catalogue:
        cards = [catalogue.card(line.neuron) for line in catalogue.lines(where="NOT is_dead")]
    return {
        card.line.neuron.name
        for card in cards
        if word.casefold() in {token.strip().casefold() for token, _ in card.details.promotes or []}
    }


def test_a_word_finds_all_that_say_it_the_most_one_sided_first(planted_model: Path) -> None:
    with Catalogue(planted_model) as catalogue:
        lines = catalogue.lines(where="NOT is_dead", limit=5)
        tokens = [(catalogue.card(line.neuron).details.promotes or [])[0][0] for line in lines]
        words = [token.strip() for token in tokens if token.strip().isalnum()]
        assert words
        for word in words:
            hits = search_says(catalogue, word)
            assert {hit.line.neuron.name for hit in hits} == said_by(planted_model, word)
            strengths = [hit.strength for hit in hits]
            assert strengths == sorted(strengths, reverse=True)
            details = catalogue.card(hits[0].line.neuron).details
            up = [v for token, v in details.promotes or [] if token.strip().lower() == word.lower()]
            down = [-value for _, value in details.demotes or []]
            assert hits[0].strength == pytest.approx(sum(up) / (sum(down) / len(down)))
        other = {hit.line.neuron.name for hit in search_says(catalogue, " ".join(words[:2]))}
        assert other == said_by(planted_model, words[0]) | said_by(planted_model, words[1])
        assert search_says(catalogue, "nowhere-at-all") == []
        assert search_says(catalogue, "100%") == []


def test_the_command_names_the_word_and_takes_one_way_at_a_time(planted_model: Path) -> None:
    with Catalogue(planted_model) as catalogue:
        (line,) = catalogue.lines(where="NOT is_dead", limit=1)
        promotes = catalogue.card(line.neuron).details.promotes or []
    word = next(token.strip() for token, _ in promotes if token.strip().isalnum())
    command = ["concepts", "search", str(planted_model)]
    done = CliRunner().invoke(main, [*command, word.upper(), "--says", "--limit", "0", "--json"])
    found = json.loads(done.stdout)
    assert line.neuron.name in [row["neuron"] for row in found]
    assert all(row["why"].startswith("says ") for row in found)
    assert CliRunner().invoke(main, [*command, word, "--says", "--meaning"]).exit_code == 2
    assert CliRunner().invoke(main, [*command, "--prompt", word, "--says"]).exit_code == 2


def test_where_no_neuron_has_a_way_to_the_head_that_is_said(tmp_path: Path) -> None:
    path = write(tmp_path / "c.sqlite")
    done = CliRunner().invoke(main, ["concepts", "search", str(path), "cat", "--says"])
    assert done.exit_code == 1
    assert "--site mlp_hidden" in done.output
