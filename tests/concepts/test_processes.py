"""Several processes make the same catalogue as one, and one that dies is named."""

import json
import os
from pathlib import Path

import psutil
import pytest
import torch
from test_build import content

import planted
from sparsepath.concepts import record
from sparsepath.concepts.build import build_catalogue, record_share
from sparsepath.concepts.options import CatalogueOptions
from sparsepath.concepts.processes import Job
from sparsepath.concepts.record import Share
from sparsepath.concepts.worker import work
from sparsepath.errors import ConfigError, RunError

ONE = CatalogueOptions(length=16, held_out=0.25, vectors=False)
TWO = CatalogueOptions(length=16, held_out=0.25, vectors=False, processes=2)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A corpus of three shards."""
    folder = tmp_path_factory.mktemp("large")
    return str(planted.save_corpus(folder / "corpus.txt", n_documents=2000))


@pytest.mark.parametrize("n", [2, 3])
def test_shares_together_are_the_whole_in_any_order(
    tmp_path: Path, planted_model: Path, corpus: str, n: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record, "SHARD_TOKENS", 1024)
    job = Job(str(planted_model), corpus, ONE)
    record_share(job, tmp_path / "whole", lambda _n: None, Share(0, 1))
    for number in reversed(range(n)):
        record_share(job, tmp_path / "parts", lambda _n: None, Share(number, n))
    whole = sorted((tmp_path / "whole").iterdir())
    assert len(whole) >= 8
    for path in whole:
        assert (tmp_path / "parts" / path.name).read_bytes() == path.read_bytes()
    assert len(list((tmp_path / "parts").iterdir())) == len(whole)


def test_a_share_that_is_there_is_not_made_again(
    tmp_path: Path, planted_model: Path, corpus: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record, "SHARD_TOKENS", 1024)
    job, told = Job(str(planted_model), corpus, ONE), list[int]()
    record_share(job, tmp_path, lambda _n: None, Share(1, 2))
    record_share(job, tmp_path, told.append, Share(1, 2))
    assert told == []


@pytest.mark.slow
def test_two_processes_go_on_after_one_was_killed_to_the_same_catalogue(
    tmp_path: Path, planted_model: Path, large: str
) -> None:
    whole, parts = tmp_path / "whole.sqlite", tmp_path / "parts.sqlite"
    build_catalogue(planted_model, large, ONE, out=whole)
    victims: list[psutil.Process] = []

    def kill(text: str) -> None:
        children = psutil.Process().children()
        if text.startswith("read 0") and not victims:
            victims.append(min(children, key=lambda child: child.pid))
            victims[0].kill()

    with pytest.raises(RunError, match="process 1 of 2 was killed by signal 9") as found:
        build_catalogue(planted_model, large, TWO, out=parts, say=kill)
    assert "goes on" in found.value.hint
    assert not parts.exists()
    assert psutil.Process().children() == []
    # The other one had done its share, which is not done again.
    folder = tmp_path / ".parts.sqlite.recording"
    record_share(Job(str(planted_model), large, ONE), folder, lambda _n: None, Share(1, 2))
    before = {path.name: path.stat().st_mtime_ns for path in folder.glob("shard-*")}
    assert before
    kept: dict[str, int] = {}

    def look(text: str) -> None:
        if text.startswith("labelling"):
            kept.update({path.name: path.stat().st_mtime_ns for path in folder.glob("shard-*")})

    build_catalogue(planted_model, large, TWO, out=parts, say=look)
    assert content(parts) == content(whole)
    assert len(kept) >= 3
    assert before.items() <= kept.items()
    assert not list(tmp_path.glob(".*"))


@pytest.fixture
def broken(tmp_path: Path) -> str:
    """A corpus that cannot be read to its end."""
    path = planted.save_corpus(tmp_path / "corpus.txt", n_documents=500)
    path.write_bytes(path.read_bytes() + b"\xff")
    return str(path)


def test_a_process_ends_with_what_a_user_can_fix(
    tmp_path: Path, planted_model: Path, broken: str, capsys: pytest.CaptureFixture[str]
) -> None:
    threads = torch.get_num_threads()
    told = json.loads(Job(str(planted_model), broken, TWO).written(tmp_path, Share(0, 2), threads))
    assert work(told | {"parent": os.getppid()}) == 1
    assert "UTF-8" in json.loads(capsys.readouterr().out)["message"]


@pytest.mark.slow
def test_what_a_process_cannot_do_is_told_in_its_words(
    tmp_path: Path, planted_model: Path, broken: str
) -> None:
    with pytest.raises(RunError, match=r"process \d of 2 failed: .*UTF-8"):
        build_catalogue(planted_model, broken, TWO, out=tmp_path / "c.sqlite")


def test_no_process_at_all_is_refused() -> None:
    with pytest.raises(ConfigError, match="processes = 0"):
        CatalogueOptions(processes=0)
