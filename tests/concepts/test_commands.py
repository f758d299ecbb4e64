"""`sparsepath concepts` on the command line, on planted neurons."""

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import planted
from sparsepath.cli.main import main
from sparsepath.report.neuron import quoted

WORD = planted.LISTS[4][0]


def run(*arguments: object) -> Result:
    """Run a command that works."""
    done = CliRunner().invoke(main, ["concepts", *map(str, arguments)])
    assert done.exit_code == 0, done.output
    return done


def test_a_list_names_neurons_labels_and_tokens(planted_model: Path) -> None:
    lines = run("list", planted_model, "--layer", 1, "--limit", 3).output.splitlines()
    assert len(lines) == 3
    assert all(line.startswith("L01/") for line in lines)
    rows = json.loads(run("list", planted_model, "--limit", 0, "--json").stdout)
    assert len(rows) == 2 * (planted.N_LISTS + planted.N_OTHERS)
    known = next(row for row in rows if row["neuron"] == "L00/4")
    assert WORD in known["label"]
    assert {text.strip() for text in known["tokens"]} == set(planted.LISTS[4])


def test_layers_are_summed_up(planted_model: Path) -> None:
    rows = json.loads(run("list", planted_model, "--by-layer", "--json").stdout)
    assert [(row["layer"], row["neurons"]) for row in rows] == [(0, 64), (1, 64)]
    assert "token_entropy" in run("list", planted_model, "--by-layer").output


def test_show_marks_the_token_at_which_a_neuron_fires(planted_model: Path) -> None:
    shown = run("show", planted_model, "L00/4").output
    assert any(f"[[ {word}]]" in shown for word in planted.LISTS[4])
    assert "balanced accuracy" in " ".join(shown.split())
    card = json.loads(run("show", planted_model, "L00/4", "--json").stdout)
    assert {context["band"] for context in card["contexts"]} >= {"top", "50%"}
    for context in card["contexts"]:
        assert context["texts"][context["at"]].strip() in planted.LISTS[4]
    assert sorted(v.strip() for v in card["details"]["rule"][0]["values"]) == sorted(
        planted.LISTS[4]
    )


def test_what_people_say_is_escaped_on_the_page(planted_model: Path, tmp_path: Path) -> None:
    file, page = tmp_path / "c.sqlite", tmp_path / "page.html"
    shutil.copyfile(planted_model / "concepts.sqlite", file)
    evil = "<script>alert(1)</script>"
    run("note", file, "L00/4", "--label", evil, "--note", "&lt;", "--by", "<b>")
    assert f"{evil} (a person's)" in run("list", file, "--limit", 0).output
    run("show", file, "L00/4", "--html", page)
    tags: list[str] = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attrs: tags.append(tag)  # type: ignore[method-assign]
    parser.feed(page.read_text(encoding="utf-8"))
    assert "script" not in tags
    assert tags.count("b") == len(
        json.loads(run("show", file, "L00/4", "--json").stdout)["contexts"]
    )
    assert "http" not in page.read_text(encoding="utf-8")


def own_words(page: str) -> list[str]:
    """Give headings, heads of tables and sentences of a page."""
    return re.findall(r"<(?:h2|th|p)[^>]*>([^<]+)</", page)


def test_a_page_in_japanese_says_the_same_and_nothing_in_english(
    planted_model: Path, tmp_path: Path
) -> None:
    file = tmp_path / "c.sqlite"
    shutil.copyfile(planted_model / "concepts.sqlite", file)
    run("note", file, "L00/4", "--label", "\u8a9e", "--verdict", "agree", "--by", "Ann")
    pages = {}
    for lang in ("en", "ja"):
        page = tmp_path / f"{lang}.html"
        run("show", file, "L00/4", "--html", page, "--lang", lang)
        pages[lang] = page.read_text(encoding="utf-8")
        assert f'<html lang="{lang}">' in pages[lang]
    english, japanese = (own_words(pages[lang]) for lang in ("en", "ja"))
    assert len(english) == len(japanese) >= 17
    label = english[0]
    for one, other in zip(english[1:], japanese[1:], strict=True):
        assert re.search(r"[\u3001-\u30ff\u4e00-\u9fff]", other), other
        assert one != other
    assert (label, japanese[0]) == ("\u8a9e", "\u8a9e")
    assert "\u540c\u610f" in pages["ja"]  # agree
    assert "agree" not in pages["ja"]
    # Figures are the same ones.
    numbers = [re.findall(r"\d+\.\d+", " ".join(some[1:-1])) for some in (english, japanese)]
    assert numbers[0] == numbers[1]


def test_a_token_is_shown_with_what_cannot_be_seen() -> None:
    assert quoted(" a\n\t\r") == '" a\u21b5\u21e5\u240d"'
    assert quoted("\x06\u3042\ufffd") == '"\\x06\u3042\ufffd"'


def test_a_terminal_speaks_japanese_too(planted_model: Path) -> None:
    english = run("show", planted_model, "L00/4").output
    japanese = run("show", planted_model, "L00/4", "--lang", "ja").output
    assert "Fires on: " in english
    assert "\u767a\u706b\u3059\u308b\u30c8\u30fc\u30af\u30f3\uff1a" in japanese
    assert english.splitlines()[0].startswith("L00/4: the words")
    assert japanese.splitlines()[0].startswith("L00/4: \u8a9e\u300c")


def test_searches_print_what_they_found(planted_model: Path) -> None:
    by_word = json.loads(run("search", planted_model, WORD, "--layer", 0, "--json").stdout)
    assert by_word[0]["neuron"] == "L00/4"
    assert run("search", planted_model, "--prompt", WORD, "--limit", 1).output.startswith("L0")
    nothing = run("search", planted_model, WORD, "--max-rate", 0)
    assert nothing.stdout == ""
    assert "nothing found" in nothing.stderr


@pytest.mark.parametrize(
    "wrong", [[], [WORD, "--prompt", WORD], ["--for", "a", WORD], ["--not", "b", WORD]]
)
def test_a_search_for_nothing_or_for_two_things_is_refused(
    wrong: list[str], planted_model: Path
) -> None:
    done = CliRunner().invoke(main, ["concepts", "search", str(planted_model), *wrong])
    assert done.exit_code == 2


def test_a_search_for_no_word_is_refused(planted_model: Path) -> None:
    done = CliRunner().invoke(main, ["concepts", "search", str(planted_model), ""])
    assert done.exit_code == 1
    assert "no word to search for" in done.stderr


def test_a_catalogue_of_running_text_knows_no_classes(planted_model: Path) -> None:
    done = CliRunner().invoke(main, ["concepts", "search", str(planted_model), "--for", "a"])
    assert done.exit_code == 1
    assert "--table TABLE" in done.output


def test_compare_and_track_print_their_figures(planted_model: Path) -> None:
    same = run("compare", planted_model, planted_model, "--limit", 1).output
    assert "likeness of what they fire on 1.000" in same
    assert json.loads(run("compare", planted_model, planted_model, "--json").stdout)["n"] == 128
    assert "to_before" in run("track", planted_model, planted_model).output
    life = run("track", planted_model, planted_model, "--neuron", "L00/4").output
    assert "settled at" in life
    assert "stays" in life
    lives = json.loads(run("track", planted_model, planted_model, "--json").stdout)["lives"]
    assert len(lives) == 128


def test_a_model_without_a_catalogue_says_how_to_make_one(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["concepts", "list", str(tmp_path)])
    assert done.exit_code == 1
    assert f"sparsepath concepts build {tmp_path} CORPUS" in done.stderr
