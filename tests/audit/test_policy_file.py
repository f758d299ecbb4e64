"""A policy's file says everything, and nothing unknown or contradictory gets in."""

from pathlib import Path
from typing import Any

import pytest
from tests.audit.written_policy import content, policy

from sparsepath.audit.policy import Approval, Policy, same_person
from sparsepath.audit.policy_file import make_policy, policy_text, read_policy
from sparsepath.errors import ConfigError


def approved(one: Policy, **changes: str) -> Policy:
    facts = {
        "author": "Alice", "proposed": "2026-01-01", "approver": "Bob", "approved": "2026-01-02",
        "sha256": one.sha256,
    }  # fmt: skip
    return one.model_copy(update={"approval": Approval.model_validate(facts | changes)})


@pytest.mark.parametrize("note", ["", 'quotes " and \\ back', "カード 💳", "café"])
def test_what_is_written_is_read_again(tmp_path: Path, note: str) -> None:
    for one in (policy(note=note), policy(note=note, catalogue_sha256=None, neurons=())):
        for whole in (one, approved(one)):
            (tmp_path / "policy.toml").write_text(policy_text(whole), encoding="utf-8")
            assert read_policy(tmp_path / "policy.toml") == whole


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"limits": 3}, "the key limits is not known"),
        ({"neurons": [{"neuron": "L00/5", "set": [0, 1], "most": 9}]}, "the key neurons.0.most"),
        ({"schema": 2}, "has schema 2"),
        ({"schema": None}, "has schema None"),
        ({"name": "../drafts"}, "is no name"),
        ({"name": "a b"}, "is no name"),
        ({"version": 0}, "version: "),
        ({"owner": ""}, "owner: "),
        ({"owner": "a\nb"}, "cannot be printed"),
        ({"uses": []}, "uses: "),
        ({"uses": ["a", "a"]}, "names the use a twice"),
        ({"role": "king"}, "role: "),
        ({"expires": "soon"}, "expires: write 2027"),
        ({"expires": "2027-01-01T10:00:00"}, "needs its zone"),
        ({"expires": "0999-01-01"}, "the year 999"),
        ({"expires": "9999-12-31T23:00:00-05:00"}, "the year 9999"),
        ({"expires": 20270101}, "expires: "),
        ({"model_sha256": "A" * 64}, "model_sha256: "),
        ({"presets": [], "neurons": []}, "allows nothing"),
        ({"presets": [{"name": "calm", "sha256": "a" * 64}] * 2}, "the preset calm twice"),
        ({"neurons": [{"neuron": "L00/5", "set": [4, -4]}]}, "from 4 to -4 is empty"),
        ({"neurons": [{"neuron": "L00/5", "set": [0, float("inf")]}]}, "not finite"),
        ({"neurons": [{"neuron": "L00/5"}]}, "nothing may be done"),
        ({"neurons": [{"neuron": "L0/5", "suppress": True}] * 2}, "the neuron L00/5 twice"),
        ({"neurons": [{"neuron": "L00/5+", "suppress": True}]}, "one sign of an entry"),
        ({"neurons": [{"neuron": "five", "suppress": True}]}, "names no neuron"),
    ],
)
def test_what_is_unknown_missing_or_contradictory_is_refused(
    changes: dict[str, Any], told: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        make_policy(content(**changes), "drafts.toml")
    assert told in caught.value.message, caught.value
    assert caught.value.hint


def test_an_unknown_key_is_answered_with_those_that_are_known() -> None:
    with pytest.raises(ConfigError) as caught:
        make_policy(content(limits=3), "drafts.toml")
    assert "neurons" in caught.value.hint
    assert "catalogue_sha256" in caught.value.hint


def test_what_is_no_file_or_no_toml_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_policy(tmp_path / "nowhere.toml")
    (tmp_path / "broken.toml").write_text("schema = = 1")
    with pytest.raises(ConfigError, match="is no TOML"):
        read_policy(tmp_path / "broken.toml")
    (tmp_path / "broken.toml").write_bytes(b"\xff\xfe\0")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_policy(tmp_path / "broken.toml")


def test_an_approval_is_of_one_content_and_by_another_person(tmp_path: Path) -> None:
    text = policy_text(approved(policy()))
    (tmp_path / "edited.toml").write_text(text.replace("[-4.0, 4.0]", "[-9.0, 9.0]"))
    with pytest.raises(ConfigError, match="changed after its approval"):
        read_policy(tmp_path / "edited.toml")
    (tmp_path / "own.toml").write_text(text.replace('"Bob"', '" alice"'))
    with pytest.raises(ConfigError, match="cannot approve it"):
        read_policy(tmp_path / "own.toml")


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [("Alice", "alice ", True), ("A. Sato", "a.sato", True), ("\uff21lice", "alice", True),
     ("alice", "alicia", False)],
)  # fmt: skip
def test_a_person_is_known_however_the_name_is_written(one: str, other: str, is_same: bool) -> None:
    assert same_person(one, other) == is_same


def test_a_date_is_its_beginning_and_times_are_turned_to_utc() -> None:
    assert policy(expires="2099-06-30").expires == "2099-06-30T00:00:00.000000Z"
    assert policy(expires="2099-06-30T09:00:00+09:00").expires == "2099-06-30T00:00:00.000000Z"
