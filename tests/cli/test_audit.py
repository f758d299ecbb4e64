"""`sparsepath audit` and `sparsepath keys` on a small log."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from sparsepath.audit.database import open_database
from sparsepath.audit.log import append
from sparsepath.audit.record import Draft
from sparsepath.cli.main import main
from sparsepath.server.classifier import Classifier


def sparsepath(*words: str | Path) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    database = open_database("sparsepath.db")
    body = {"label": "left", "share": 0.75}
    append(
        database,
        [Draft(kind="decision", body=body, texts={"input": f"text {i}"}) for i in range(3)],
    )
    database.close()
    return tmp_path / "sparsepath.db"


def test_show_prints_the_newest_records_or_one_with_its_text(log: Path) -> None:
    done = sparsepath("audit", "show", "--limit", "2")
    assert done.exit_code == 0, done.output
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["2", "3"]
    assert "text 1" not in done.stdout
    (record,) = json.loads(sparsepath("audit", "show", "--seq", "2", "--json").stdout)
    assert record["kept"]["input"]["text"] == "text 1"
    missing = sparsepath("audit", "show", "--seq", "9")
    assert missing.exit_code == 1
    assert "the newest one is 3" in missing.stderr


def test_verify_says_yes_then_no(log: Path, tmp_path: Path) -> None:
    anchors = tmp_path / "anchors.jsonl"
    assert sparsepath("audit", "anchor", anchors).exit_code == 0
    done = sparsepath("audit", "verify", "--anchor", anchors)
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("3 records, 3 texts, 1 anchors")
    database = sqlite3.connect(log)
    database.executescript(
        "DROP TRIGGER record_UPDATE; UPDATE record SET body = '{}' WHERE seq = 2"
    )
    database.close()
    done = sparsepath("audit", "verify", "--json")
    assert done.exit_code == 1
    faults = json.JSONDecoder().raw_decode(done.stdout)[0]["faults"]
    assert faults[0]["seq"] == 2
    assert "not as it was written" in done.stderr


def test_forget_deletes_texts_and_the_export_still_checks(log: Path, tmp_path: Path) -> None:
    assert sparsepath("audit", "forget").exit_code == 1
    with open_database(str(log)):  # a server that goes on
        done = sparsepath("audit", "forget", "--older-than", "0")
        assert done.stdout == "texts of 3 records deleted\n"
        files = [path for path in log.parent.iterdir() if path.name.startswith(log.name)]
        assert len(files) > 1
        assert b"text 1" not in b"".join(path.read_bytes() for path in files)
    assert sparsepath("audit", "verify").stdout.startswith("4 records, 0 texts")
    done = sparsepath("audit", "export", "--with-texts", "-o", tmp_path / "out.jsonl")
    assert done.stdout == f"{tmp_path / 'out.jsonl'}: 4 records\n"
    assert "kept" not in (tmp_path / "out.jsonl").read_text()


def test_without_a_database_the_option_is_named_and_none_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for words in (("audit", "show"), ("audit", "verify"), ("keys", "list")):
        done = sparsepath(*words)
        assert done.exit_code == 1
        assert "--database" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_key_is_made_listed_and_revoked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made = sparsepath("keys", "add", "router", "--role", "operator")
    assert made.exit_code == 0, made.output
    id_ = made.stdout.split("_")[1]
    assert "cannot be shown again" in made.stderr
    assert sparsepath("keys", "list").stdout.split()[:3] == [id_, "valid", "operator"]
    assert sparsepath("keys", "revoke", id_).exit_code == 0
    assert json.loads(sparsepath("keys", "list", "--json").stdout)[0]["revoked"] is not None
    assert sparsepath("keys", "list").stdout.split()[1] == "revoked"


def test_find_gives_what_was_asked_for_page_by_page(log: Path) -> None:
    done = sparsepath("audit", "find", "--label", "left", "--limit", "2")
    assert done.exit_code == 0, done.output
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["3", "2"]
    assert done.stderr == "more: --before 2\n"
    told = json.loads(sparsepath("audit", "find", "--before", "2", "--json").stdout)
    assert [record["seq"] for record in told["records"]] == [1]
    assert told["next"] is None
    assert sparsepath("audit", "find", "--label", "right").stdout == ""
    assert "is no time" in sparsepath("audit", "find", "--from", "soon").stderr


def test_a_report_is_written_as_a_page_or_told(log: Path, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    done = sparsepath("audit", "report", "--from", "2020-01-01", "--lang", "ja", "-o", out)
    assert (done.exit_code, done.stdout) == (0, f"{out}\n"), done.output
    assert '<html lang="ja">' in out.read_text(encoding="utf-8")
    assert sparsepath("audit", "report", "--from", "2020-01-01").stdout.startswith("# Decisions")
    told = json.loads(sparsepath("audit", "report", "--from", "2020-01-01", "--json").stdout)
    assert told["answers"] == 3
    assert told["chain"]["faults"] == []
    done = sparsepath("audit", "report", "--from", "2020-01-01", "--no-verify", "--json")
    assert json.loads(done.stdout)["chain"] is None


def test_a_replay_tells_the_same_and_another_model(
    model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    model = Classifier(model_folder, precision="fp32", threads=1, batch=1)
    (answer,) = model.answer(["a good day"])
    first = int(answer.probabilities.argmax())
    named = {"name": model.name, "sha256": model.sha256, "precision": "fp32"}
    body: dict[str, Any] = {"label": model.labels[first], "model": named}
    body["probability"] = float(answer.probabilities[first])
    with open_database("sparsepath.db") as database:
        for facts in (body, body | {"model": named | {"sha256": "0" * 64}}):
            append(
                database,
                [Draft(kind="decision", body=facts, texts={"input": "a good day"})],
                keep_texts=False,
            )
    done = sparsepath("audit", "replay", "1", model_folder)
    assert "is not kept" in done.stderr
    done = sparsepath("audit", "replay", "1", model_folder, "--text", "a bad day")
    assert "its hash is another one" in done.stderr
    done = sparsepath("audit", "replay", "1", model_folder, "--text", "a good day")
    assert done.exit_code == 0, done.output
    done = sparsepath("audit", "replay", "2", model_folder, "--text", "a good day", "--json")
    assert done.exit_code == 1
    told = json.JSONDecoder().raw_decode(done.stdout)[0]
    assert (told["is_same_model"], told["is_same_label"]) == (False, True)
    assert "another model" in done.stderr


def test_a_key_has_limits_that_are_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert sparsepath("keys", "add", "a", "--per-minute", "5", "--per-day", "9").exit_code == 0
    assert "5/min  0 of 9/day" in sparsepath("keys", "list").stdout
    (key,) = json.loads(sparsepath("keys", "list", "--json").stdout)
    assert (key["per_minute"], key["per_day"], key["used_today"]) == (5, 9, 0)
    assert sparsepath("keys", "add", "b", "--per-day", "0").exit_code == 2
