"""`sparsepath policy` and `generate --policy` on a small model, from the file to a revocation."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from sparsepath.artifacts.steering import make_preset, write_preset
from sparsepath.cli.main import main
from sparsepath.errors import PolicyError
from sparsepath.models.language import fresh_llama, train_byte_tokenizer
from sparsepath.runtime.language.engine import Engine


def sparsepath(*words: str | Path) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def done(*words: str | Path) -> str:
    result = sparsepath(*words)
    assert result.exit_code == 0, result.output
    return result.stdout


def refused(*words: str | Path) -> str:
    result = sparsepath(*words)
    assert result.exit_code == 1, result.output
    assert "fix:" in result.stderr
    return result.stderr


@pytest.fixture(scope="module")
def lm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random language model with two presets."""
    folder = tmp_path_factory.mktemp("lm") / "small"
    fresh_llama(
        vocabulary=300, length=64, d_model=32, n_layers=2, n_heads=2, n_kv_heads=2, d_mlp=48, seed=0
    ).save_pretrained(folder)
    tokenizer = train_byte_tokenizer(iter(["one two three four"]), size=300)
    tokenizer.save(str(folder / "tokenizer.json"))
    engine = Engine(folder)
    for name, edit in (("calm", "L01/3=4"), ("wild", "L01/3=40")):
        write_preset(folder, make_preset(name, [engine.edit(edit)], engine.weights.made_of))
    return folder


def signed(lm: Path) -> None:
    """Propose and approve a policy in the working folder; keep its file."""
    new = ("--name", "drafts", "--preset", "calm", "--use", "draft-reply", "--owner", "Support")
    done("policy", "new", lm, *new, "-o", "drafts.toml")
    done("policy", "propose", "drafts.toml", "--model", lm, "--as", "alice")
    done("policy", "approve", "drafts", "1", "--as", "bob")
    Path("signed.toml").write_text(done("policy", "show", "drafts", "1"))


def test_a_policy_is_written_proposed_approved_shown_and_revoked(
    lm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    signed(lm)
    assert "cannot approve" in refused("policy", "approve", "drafts", "1", "--as", "Alice")
    (told,) = json.loads(done("policy", "list", "--json"))
    assert (told["state"], told["author"], told["approver"]) == ("approved", "alice", "bob")
    assert told["policy"]["presets"][0]["name"] == "calm"
    assert "drafts 1  approved" in done("policy", "list")
    assert 'approver = "bob"' in Path("signed.toml").read_text()
    assert "an approval already" in refused("policy", "propose", "signed.toml", "--model", lm)
    done("policy", "revoke", "drafts", "1", "--reason", "tone", "--as", "alice")
    shown = json.loads(done("policy", "show", "drafts", "--json"))
    assert (shown["state"], shown["ended_by"], shown["reason"]) == ("revoked", "alice", "tone")
    assert json.loads(done("audit", "verify", "--json"))["faults"] == []


def test_bad_files_are_refused_with_a_fix(
    lm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    signed(lm)
    text = Path("drafts.toml").read_text()
    bad = {
        "the key most is not known": text.replace("version = 1", "version = 2\nmost = 3"),
        "has schema 7": text.replace("schema = 1", "schema = 7"),
        "which is over": text.replace(text.split("expires = ")[1][:30], '"2020-01-01"'),
        "which the model lacks": text.replace('"calm"', '"calmer"'),
        "write version = 2": text,
    }
    for told, content in bad.items():
        Path("bad.toml").write_text(content)
        assert told in refused("policy", "propose", "bad.toml", "--model", lm)
    assert "--as alice" in refused("policy", "revoke", "drafts", "1", "--reason", "x", "--as", " ")
    assert len(json.loads(done("policy", "list", "--json"))) == 1


def test_generate_is_steered_as_far_as_the_policy_goes(
    lm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    signed(lm)
    ask = ("generate", lm, "one", "--tokens", "2", "--policy")
    calm = ("signed.toml", "--preset", "calm", "--use", "draft-reply")
    told = json.loads(done(*ask, *calm, "--json"))
    assert told["policy"]["name"] == "drafts"
    assert told["edits"] == ["L01/3=4"]
    assert "the rule use of policy drafts" in refused(*ask, *calm[:3])
    assert "the rule not-listed" in refused(
        *ask, "signed.toml", "--preset", "wild", "--use", "draft-reply"
    )
    assert "the rule not-listed" in refused(*ask, *calm, "--steer", "L00/1=off")
    assert "the rule not-approved" in refused(*ask, "drafts.toml", *calm[1:])
    assert "nothing is steered" in refused(*ask, "signed.toml")
    assert "without a policy" in refused(*ask[:-1], "--preset", "calm", "--use", "draft-reply")
    with_database = (*ask, *calm, "--policy-database", "sparsepath.db")
    assert json.loads(done(*with_database, "--json"))["policy"]["version"] == 1
    done("policy", "revoke", "drafts", "1", "--reason", "tone")
    assert "the rule revoked" in refused(*with_database)
    done(*ask, *calm)  # a file knows of no revocation


def test_the_engine_itself_refuses_what_a_policy_does_not_allow(
    lm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    signed(lm)
    engine = Engine(lm, preset="calm", policy="signed.toml", use="draft-reply")
    assert engine.permit is not None
    with pytest.raises(PolicyError) as caught, engine.steered("L00/1=off"):
        pass
    assert caught.value.rule == "not-listed"
    with pytest.raises(PolicyError, match="rule not-listed"):
        Engine(lm, preset="wild", policy="signed.toml", use="draft-reply")
    with engine.steered():
        assert [str(edit) for edit in engine.edits] == ["L01/3=4"]
