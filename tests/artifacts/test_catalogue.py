"""A catalogue belongs to its model, keeps what people say, and refuses what it is not."""

import shutil
import sqlite3
from itertools import product
from pathlib import Path

import pytest

from sparsepath.artifacts.catalogue import Catalogue
from sparsepath.artifacts.catalogue_query import (
    conditions,
    layer_summaries,
    search_words,
)
from sparsepath.artifacts.catalogue_schema import CatalogueFacts, Details
from sparsepath.artifacts.catalogue_write import NeuronRow, new_catalogue
from sparsepath.artifacts.neuron import Neuron, Side
from sparsepath.artifacts.spelling import byte_level, sentence_piece, spell
from sparsepath.errors import ConfigError, RunError


def details() -> Details:
    return Details(
        bounds=(0, 1), histogram=[1], promotes=None, demotes=None, together=[], join="or",
        rule=[], duplicates=[],
    )  # fmt: skip


def write(path: Path, n: int = 3, sides: tuple[Side, ...] = ("",)) -> Path:
    """Write a small catalogue."""
    facts = CatalogueFacts(
        made_at="2026-11-30T00:00:00Z", model="m", files=[], corpus="c", corpus_sha256="x",
        n_documents=1, n_tokens=100, n_held_out=20, length=10, k={"block_out": 2},
        widths={"block_out": n}, layers={"block_out": [0]}, is_sparse=True,
        is_two_sided=len(sides) > 1, least_score=0.65,
        mean_score=0.8, mean_control=0.5, pattern_step=1, n_clusters=1, encoder=None,
        bytes_per_kept=4.0, versions={},
    )  # fmt: skip
    with new_catalogue(path) as writer:
        writer.tokens([b"", b" cat", b" caf", b"\xc3", b"\xa9"], [0, 3, 1, 1, 1])
        for i, side in product(range(n), sides):
            score = None if i == 2 else 0.9 - 0.3 * i
            writer.add(
                NeuronRow(
                    Neuron(0, "block_out", i, side), f"the word {i}", "guess", "token", score,
                    0.5, 0.5, 9, 20 if side == "-" else 9, 0.1 * (i + 1), 1.0, 2.0, 1.0, 1.0,
                    False, False, details(),
                    [(1, " cat", 1.0, 0.5 / (i + 1), 10.0)],
                    [("top", 2.0, 1, b"".join(x.to_bytes(4, "little") for x in (2, 3, 4)),
                      bytes.fromhex("000000400000"))],
                    b"",
                )
            )  # fmt: skip
        writer.facts(facts)
    return path


def test_lists_come_in_the_asked_order_and_under_conditions(tmp_path: Path) -> None:
    with Catalogue(write(tmp_path / "c.sqlite")) as catalogue:
        assert [line.neuron.index for line in catalogue.lines()] == [0, 1, 2]
        assert [line.neuron.index for line in catalogue.lines(order="rate")] == [2, 1, 0]
        where, values = conditions(min_score=0.7, layer=0)
        assert [line.neuron.index for line in catalogue.lines(where=where, values=values)] == [0]
        (layer,) = layer_summaries(catalogue)
        assert (layer.neurons, layer.clear, layer.mean_score) == (3, 1, pytest.approx(0.75))


def test_a_character_of_two_tokens_is_shown_once_it_is_whole(tmp_path: Path) -> None:
    with Catalogue(write(tmp_path / "c.sqlite")) as catalogue:
        (context,) = catalogue.card(Neuron(0, "block_out", 0)).contexts
    assert context.texts == (" caf", "", "\u00e9")
    assert context.values == (0.0, 2.0, 0.0)
    assert spell([b"a", b"\xc3"]) == ["a", "\ufffd"]
    assert byte_level("\u0120caf\u00c3\u00a9") == " caf\u00e9".encode()
    assert sentence_piece("\u2581a") == b" a"
    assert sentence_piece("<0x0A>") == b"\n"


def test_a_word_finds_what_fires_on_it_by_how_exactly(tmp_path: Path) -> None:
    with Catalogue(write(tmp_path / "c.sqlite")) as catalogue:
        hits = search_words(catalogue, "Cat")
        assert [hit.line.neuron.index for hit in hits] == [0, 1, 2]
        assert hits[0].strength == pytest.approx(2 * 0.5 / 1.5)
        assert search_words(catalogue, "nothing") == []
        assert search_words(catalogue, '"; DROP') == []
        assert [hit.line.neuron.index for hit in search_words(catalogue, "2")] == [2]


def test_a_persons_label_wins_and_is_taken_over_when_the_catalogue_is_made_again(
    tmp_path: Path,
) -> None:
    path, neuron = write(tmp_path / "c.sqlite"), Neuron(0, "block_out", 1)
    with Catalogue(path) as catalogue:
        catalogue.remark(neuron, label="animals", note="seen twice", verdict="disagree", by="Ann")
        catalogue.remark(neuron, note="sure", by="Bob")
    write(path, n=2)
    with Catalogue(path) as catalogue:
        card = catalogue.card(neuron)
        assert (card.line.label, card.line.by_person, card.automatic) == (
            "animals", True, "the word 1",
        )  # fmt: skip
        assert [(r.by, r.label, r.note, r.verdict) for r in card.remarks] == [
            ("Ann", "animals", "seen twice", "disagree"), ("Bob", None, "sure", None),
        ]  # fmt: skip
        assert card.remarks[0].at.endswith("Z")
        (hit,) = search_words(catalogue, "animals")
        assert hit.line.neuron == neuron
        catalogue.remark(neuron, label="")
        assert catalogue.card(neuron).line.label == "the word 1"


@pytest.mark.parametrize("is_of_schema_1", [True, False])
def test_what_was_said_of_an_entry_goes_to_the_sign_that_fires_more(
    tmp_path: Path, is_of_schema_1: bool
) -> None:
    path = write(tmp_path / "c.sqlite")
    with Catalogue(path) as catalogue:
        catalogue.remark(Neuron(0, "block_out", 1), label="animals", by="Ann")
        if is_of_schema_1:
            columns = catalogue.database.execute("PRAGMA table_info(neuron)").fetchall()
            kept = ", ".join(name for _, name, *_ in columns if name != "side")
            catalogue.database.executescript(
                f"CREATE TABLE old AS SELECT {kept} FROM neuron; DROP TABLE neuron; "
                "ALTER TABLE old RENAME TO neuron; PRAGMA user_version = 1"
            )
    write(path, sides=("+", "-"))
    with Catalogue(path) as catalogue:
        assert catalogue.card(Neuron(0, "block_out", 1, "-")).line.label == "animals"
        assert catalogue.card(Neuron(0, "block_out", 1, "+")).line.label == "the word 1"


def test_a_neuron_out_of_range_is_refused_with_the_range(tmp_path: Path) -> None:
    with Catalogue(write(tmp_path / "c.sqlite")) as catalogue:
        for name in ("L00/3", "L01/0", "L00.M0000"):
            with pytest.raises(ConfigError, match="block_out: layers 0, neurons 0 to 2"):
                catalogue.card(Neuron.parse(name))
        with pytest.raises(ConfigError, match="nothing is said"):
            catalogue.remark(Neuron(0, "block_out", 0))


def test_what_is_no_catalogue_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="sparsepath concepts build"):
        Catalogue(tmp_path)
    (tmp_path / "text.sqlite").write_text("hello, this is no database at all " * 40)
    with pytest.raises(RunError, match="no catalogue that can be read"):
        Catalogue(tmp_path / "text.sqlite")
    sqlite3.connect(tmp_path / "other.sqlite").execute("CREATE TABLE t (a)").connection.close()
    with pytest.raises(RunError, match="another SQLite file"):
        Catalogue(tmp_path / "other.sqlite")
    newer = write(tmp_path / "newer.sqlite")
    with sqlite3.connect(newer) as database:
        database.execute("PRAGMA user_version = 99")
    with pytest.raises(RunError, match="schema 99"):
        Catalogue(newer)


def test_a_failed_build_leaves_the_older_catalogue(tmp_path: Path) -> None:
    path = write(tmp_path / "c.sqlite")
    before = path.read_bytes()
    with pytest.raises(ZeroDivisionError), new_catalogue(path):
        raise ZeroDivisionError
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["c.sqlite"]
    foreign = tmp_path / "foreign.sqlite"
    foreign.write_text("mine " * 999)
    with pytest.raises(RunError, match="move it away"):
        write(foreign)
    assert foreign.read_text() == "mine " * 999


def test_a_catalogue_of_another_model_is_refused(tmp_path: Path) -> None:
    from sparsepath.artifacts.catalogue import stamp_files

    model = tmp_path / "model"
    model.mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        (model / name).write_text(name)
    path = write(model / "concepts.sqlite")
    stamps = [stamp.model_dump(mode="json") for stamp in stamp_files(model)]
    with sqlite3.connect(path) as database:
        (content,) = database.execute("SELECT content FROM facts").fetchone()
        facts = CatalogueFacts.model_validate_json(content)
        facts = CatalogueFacts.model_validate(facts.model_dump(by_alias=True) | {"files": stamps})
        database.execute("UPDATE facts SET content = ?", (facts.model_dump_json(by_alias=True),))
    with Catalogue(model) as catalogue:
        assert len(catalogue.facts.files) == 3
    shutil.copytree(model, tmp_path / "copy", copy_function=shutil.copyfile)  # other times
    with Catalogue(tmp_path / "copy"):
        pass
    (model / "model.safetensors").write_text("model.safetensorX")  # same size
    with pytest.raises(RunError, match=r"catalogue of another model: model\.safetensors"):
        Catalogue(model)
