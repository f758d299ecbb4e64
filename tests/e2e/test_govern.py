"""The screen Govern in a real browser: policies, review, rollout, drift, audit log, report."""

import csv
import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.conftest import Open, go
from tests.e2e.faults import TOO_WIDE, serious_faults
from tests.e2e.offices import TEXTS, Office, classifiers, language
from tests.server.runs import HOSTILE
from tests.server.small_lm import content

from sparsepath.audit.policy_file import parse_policy

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def sorting(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    with classifiers(model_folder, tmp_path_factory.mktemp("sorting")) as office:
        yield office


@pytest.fixture(scope="module")
def writing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    with language(tmp_path_factory.mktemp("writing")) as office:
        yield office


def until(holds: Callable[[], Any], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


def saved(page: Any, name: str) -> str:
    """Press a button that saves a file; give what is in it."""
    with page.expect_download() as caught:
        page.get_by_role("button", name=name, exact=True).click()
    return Path(caught.value.path()).read_text(encoding="utf-8")


def test_a_policy_is_proposed_and_its_author_cannot_approve_it(
    open_page: Open, writing: Office
) -> None:
    page = open_page("/govern/policies?new=1&preset=wild", **writing.seen_by("alice"))
    page.get_by_role("checkbox", name="wild").uncheck()
    page.get_by_label("Name", exact=True).fill("replies")
    page.get_by_label("Owner").fill("Support")
    page.get_by_label("Uses").fill("draft-reply, summary")
    page.get_by_role("checkbox", name="calm").check()
    page.get_by_role("button", name="Add a neuron").click()
    page.get_by_label("Neuron", exact=True).fill("L00/7")
    page.get_by_label("Set to, lowest").fill("5")
    page.get_by_label("Set to, highest").fill("2")
    page.get_by_role("button", name="Propose", exact=True).click()
    assert "set of L00/7 from 5 to 2 is empty" in page.get_by_role("alert").inner_text()
    assert "What helps" in page.get_by_role("alert").inner_text()
    page.get_by_label("Set to, highest").fill("8")
    page.get_by_role("button", name="Propose", exact=True).click()
    page.get_by_role("heading", name="replies, version 1 waiting for approval").wait_for()
    approve = page.get_by_role("button", name="Approve")
    assert approve.is_disabled()
    assert "alice proposed it, and that is you" in page.locator("main").inner_text()
    assert "5 \N{HORIZONTAL ELLIPSIS} 8" in page.locator("table").inner_text()


def test_a_policy_is_approved_by_another_and_revoked(open_page: Open, writing: Office) -> None:
    writing.ask("alice", "POST", "/policies", content(writing.folder, name="answers"))
    page = open_page("/govern/policies?state=proposed", **writing.seen_by("bob"))
    page.get_by_role("link", name="answers, version 1").click()
    page.get_by_role("button", name="Approve").click()
    page.get_by_role("heading", name="answers, version 1 in force").wait_for()
    file = parse_policy(saved(page, "Download as TOML"), "the download")
    assert file.approval is not None
    assert (file.approval.author, file.approval.approver) == ("alice", "bob")
    assert writing.ask("vera", "GET", "/policies/answers/1").json["sha256"] == file.sha256

    page.get_by_role("button", name="Revoke").click()
    dialog = page.get_by_role("dialog")
    page.keyboard.press("Escape")
    dialog.wait_for(state="detached")
    assert page.evaluate("document.activeElement.textContent") == "Revoke"
    page.get_by_role("button", name="Revoke").click()
    assert dialog.get_by_role("button", name="Revoke").is_disabled()
    dialog.get_by_label("Reason, for the record").fill(f"tone {HOSTILE}")
    dialog.get_by_role("button", name="Revoke").click()
    page.get_by_role("heading", name="answers, version 1 revoked").wait_for()
    assert HOSTILE in page.locator("main").inner_text()
    assert page.locator("main img").count() == 0
    told = writing.ask("vera", "GET", "/policies/answers/1").json
    assert (told["state"], told["ended_by"]) == ("revoked", "bob")


def test_a_policy_is_read_from_its_file_and_a_bad_file_is_refused(
    open_page: Open, writing: Office, tmp_path: Path
) -> None:
    writing.ask("alice", "POST", "/policies", content(writing.folder, name="filed"))
    file = tmp_path / "filed.toml"
    key = writing.secrets["alice"]
    reply = writing.client.ask(
        "GET", "/api/v1/policies/filed/1/file", None, {"Authorization": f"Bearer {key}"}
    )
    file.write_text(reply.text.replace("version = 1", "version = 2"))
    bad = tmp_path / "bad.toml"
    bad.write_text(reply.text + "most = 3\n")
    page = open_page("/govern/policies?new=1", **writing.seen_by("alice"))
    page.get_by_label("Read from a TOML file").set_input_files(str(bad))
    page.get_by_role("alert").wait_for()
    assert "most" in page.get_by_role("alert").inner_text()
    page.get_by_label("Read from a TOML file").set_input_files(str(file))
    until(lambda: page.get_by_label("Name", exact=True).input_value() == "filed")
    assert page.get_by_role("alert").count() == 0
    assert page.get_by_role("checkbox", name="calm").is_checked()
    page.get_by_role("button", name="Propose", exact=True).click()
    page.get_by_role("heading", name="filed, version 2 waiting for approval").wait_for()
    assert writing.ask("vera", "GET", "/policies/filed/2").json["policy"]["uses"] == ["draft-reply"]


def test_who_may_not_do_a_thing_reads_why_and_nothing_is_refused(
    open_page: Open, sorting: Office, writing: Office
) -> None:
    if not writing.ask("vera", "GET", "/policies").json["policies"]:
        writing.ask("alice", "POST", "/policies", content(writing.folder))
    name = writing.ask("vera", "GET", "/policies").json["policies"][-1]["policy"]["name"]
    page = open_page("/govern", **sorting.seen_by("vera"))
    refused = []
    page.on("response", lambda reply: refused.append(reply.url) if reply.status >= 400 else None)
    assert "needs a key with the role operator; yours has viewer" in page.inner_text("main")
    for path in ("policies", "review", "rollout", "drift", "audit", "audit?record=1", "report"):
        go(page, f"{sorting.url}/govern/{path}")
    assert "needs a key with the role admin" in page.inner_text("main")
    reader = open_page(f"/govern/policies?policy={name}", **writing.seen_by("vera"))
    reader.on("response", lambda reply: refused.append(reply.url) if reply.status >= 400 else None)
    assert reader.get_by_role(
        "button", name=re.compile("Approve|Revoke|Reject")
    ).first.is_disabled()
    assert "the role reviewer; yours has viewer" in reader.inner_text("main")
    go(reader, f"{writing.url}/govern/drift?lang=ja")
    assert "分類モデルのため" in reader.inner_text("main")
    judge = open_page("/govern", **writing.seen_by("bob"))
    judge.on("response", lambda reply: refused.append(reply.url) if reply.status >= 400 else None)
    go(judge, f"{writing.url}/govern/audit?kind=policy")
    judge.locator(".records a").last.click()
    judge.get_by_role("heading", name=re.compile("Policy proposed")).wait_for()
    go(judge, f"{writing.url}/govern/policies?new=1")
    assert "the role operator; yours has reviewer" in judge.inner_text("main")
    operator = open_page("/govern/rollout?lang=ja", **sorting.seen_by("alice"))
    begin = operator.get_by_role("button", name="シャドー段階を始める")
    assert begin.is_disabled()
    assert "管理者 (admin) の権限をもつ鍵が必要です" in operator.inner_text("main")
    assert refused == []


def test_a_verdict_leads_to_the_next_decision_and_to_a_table(
    open_page: Open, sorting: Office
) -> None:
    page = open_page("/govern/review", **sorting.seen_by("bob"))
    assert "7 wait" in page.inner_text("main")
    page.get_by_role("link", name="Look at the oldest").click()
    page.get_by_role("heading", name="what is right").wait_for()
    assert page.locator(".told").inner_text() == TEXTS[0]
    first = page.url
    assert page.get_by_role("button", name="Keep the verdict").is_disabled()
    page.get_by_label("left").check()
    page.get_by_role("button", name="Keep the verdict").click()
    page.get_by_text(TEXTS[1], exact=True).wait_for()
    page.get_by_label("no label fits").check()
    page.get_by_role("button", name="Keep the verdict").click()
    page.get_by_text(HOSTILE, exact=True).wait_for()
    assert page.locator("main img").count() == 0
    go(page, first)
    assert "counts" in page.locator(".card").inner_text()
    page.locator(".card").get_by_role("link").click()
    page.get_by_role("heading", name=re.compile("Record .*: Verdict")).wait_for()
    go(page, f"{sorting.url}/govern/review")
    assert "5 wait" in page.inner_text("main")
    rows = [*csv.reader(saved(page, "Download the labelled table").splitlines())]
    assert rows == [["text", "label"], [TEXTS[0], "left"]]


def test_a_record_is_found_read_and_replayed(open_page: Open, sorting: Office) -> None:
    found = sorting.ask("carol", "GET", "/audit?kind=decision").json["records"][-1]
    text_hash = found["body"]["texts"]["input"]
    page = open_page("/govern/audit", **sorting.seen_by("carol"))
    page.get_by_label("What").select_option("decision")
    page.wait_for_url("**kind=decision*")
    page.locator(".records").wait_for()
    assert page.locator(".records li").count() >= len(TEXTS)
    page.get_by_text("Key, model, label, hash and more").click()
    page.get_by_label("Hash of a record or text").fill(text_hash)
    page.get_by_role("button", name="Search").click()
    page.wait_for_url("**hash=*")
    until(lambda: page.locator(".records li").count() == 1)
    page.get_by_role("link", name=f"record {found['seq']}").click()
    page.get_by_role("heading", name=f"Record {found['seq']}: Decision").wait_for()
    assert TEXTS[0] not in page.inner_text("main")
    read = "/audit?kind=text.read"
    before = len(sorting.ask("carol", "GET", read).json["records"])
    page.get_by_role("button", name="Show the text").click()
    page.get_by_text(TEXTS[0], exact=True).wait_for()
    assert len(sorting.ask("carol", "GET", read).json["records"]) == before + 1
    page.get_by_role("button", name="Ask the model again").click()
    page.get_by_text("The same answer.").wait_for()
    page.get_by_role("link", name=re.compile("The comparison is record")).click()
    page.get_by_role("heading", name="Decision replayed").wait_for()
    page.go_back()
    page.get_by_role("heading", name=f"Record {found['seq']}: Decision").wait_for()
    go(page, f"{sorting.url}/govern/audit?label=nonsense")
    page.get_by_text("There is no such record.").wait_for()


def test_the_chain_is_checked_reported_and_exported(open_page: Open, sorting: Office) -> None:
    page = open_page("/govern/report?lang=ja", **sorting.seen_by("carol"))
    page.get_by_role("button", name="検証する").click()
    page.get_by_text("ログは完全です").wait_for()
    lines = saved(page, "JSONL を保存").splitlines()
    assert json.loads(lines[0])["seq"] == 1
    assert not any("kept" in json.loads(line) for line in lines)
    report = saved(page, "報告書（ページ）")
    assert '<html lang="ja">' in report
    page.locator(".bars a").first.click()
    page.wait_for_url("**/govern/audit?*label=*")
    page.locator(".records li").first.wait_for()


def test_a_rollout_is_begun_promoted_and_undone(open_page: Open, sorting: Office) -> None:
    def stages() -> Any:
        return sorting.ask("alice", "GET", "/rollout").json["rollout"]["stages"]

    def ask_all() -> None:
        for text in TEXTS:
            assert sorting.ask("vera", "POST", "/classify", {"text": text}).status == 200

    page = open_page("/govern/rollout", **sorting.seen_by("carol"))
    page.get_by_label("New model").select_option("other")
    page.get_by_text("Rules: share, gates, price").click()
    page.get_by_label("95th percentile at most, ms").fill("1000")
    page.get_by_role("button", name="Begin the shadow stage").click()
    page.get_by_text("old answers. other answers the same texts beside it").wait_for()
    assert sorting.client.service.follower is not None
    until(lambda: sorting.client.service.follower.rollout)  # type: ignore[union-attr]
    ask_all()
    until(lambda: stages().get("shadow", {"new": {"texts": 0}})["new"]["texts"] == len(TEXTS))
    agreement = page.get_by_role("region", name="Agreement")
    agreement.get_by_text("0.0%", exact=True).first.wait_for()
    page.get_by_role("button", name="Begin the canary stage").click()
    page.get_by_role("dialog").get_by_label("Share of the requests, %").fill("100")
    page.get_by_role("dialog").get_by_role("button", name="Go on").click()
    page.get_by_text("other answers 100% of the requests, old the others.").wait_for()
    latency = page.get_by_role("region", name="Time, 95th percentile")
    assert "at most 1000 ms" in latency.inner_text()
    until(lambda: sorting.client.service.follower.rollout.stage == "canary")  # type: ignore[union-attr]
    ask_all()
    latency.get_by_text("canary, new model").wait_for()
    operator = open_page("/govern/rollout", **sorting.seen_by("alice"))
    assert operator.get_by_role("button", name="Roll back").is_disabled()

    # Somebody else was quicker: the page says so, and does nothing.
    page.get_by_role("button", name="Roll back").click()
    sorting.ask("carol", "POST", "/rollout/promote", {"share": 0.5})
    page.get_by_role("dialog").get_by_role("button", name="Roll back now").click()
    page.get_by_role("alert").get_by_text("changed meanwhile").wait_for()
    page.get_by_text("other answers 50% of the requests").wait_for()
    page.get_by_role("button", name="Roll back").click()
    page.get_by_role("dialog").get_by_label("Why, for the record").fill("a try")
    page.get_by_role("dialog").get_by_role("button", name="Roll back now").click()
    page.get_by_text("old answers everything again; other was taken back.").wait_for()
    told = sorting.ask("carol", "GET", "/audit?kind=rollout.roll-back").json["records"]
    assert [record["body"]["why"] for record in told] == ["a try"]
    page.get_by_role("link", name="every change of rollouts").click()
    page.locator(".records").get_by_text("Rolled back").wait_for()


def test_a_language_model_is_rolled_out_by_tokens(open_page: Open, writing: Office) -> None:
    def new() -> Any:
        stages = writing.ask("alice", "GET", "/rollout").json["rollout"]["stages"]
        return stages.get("shadow", {"new": {"texts": 0}})["new"]

    page = open_page("/govern/rollout", **writing.seen_by("carol"))
    page.get_by_label("New model").select_option("next")
    assert page.get_by_label("Precision").input_value() == "int8"
    page.get_by_text("Rules: share, gates, price").click()
    page.get_by_label("Same likeliest token at least, %").fill("1")
    assert page.get_by_label("Loss of accuracy at most, points").count() == 0
    page.get_by_role("button", name="Begin the shadow stage").click()
    page.get_by_text("small answers. next answers the same texts beside it").wait_for()
    until(lambda: writing.client.service.writing.beside)
    asked = {"model": "small", "prompt": "one two", "max_tokens": 5, "temperature": 0}
    headers = {"Authorization": f"Bearer {writing.secrets['vera']}"}
    for _ in range(3):
        assert writing.client.ask("POST", "/v1/completions", asked, headers).status == 200
    until(lambda: new()["texts"] == 3)
    agreement = page.get_by_role("region", name="Agreement")
    agreement.get_by_text("Mean share of a text's first 64 tokens").wait_for()
    agreement.get_by_text("texts: 3").first.wait_for()
    page.get_by_role("region", name="Cost").get_by_text("tokens: 15").first.wait_for()
    assert page.get_by_role("region", name="Loss of accuracy").count() == 0
    assert "same likeliest token, at least" in page.inner_text("main")
    page.get_by_role("button", name="Roll back").click()
    page.get_by_role("dialog").get_by_role("button", name="Roll back now").click()
    page.get_by_text("small answers everything again; next was taken back.").wait_for()


def test_a_key_is_made_shown_once_and_revoked(open_page: Open, sorting: Office) -> None:
    page = open_page("/govern/keys", **sorting.seen_by("carol"))
    page.get_by_role("button", name="Make a key").click()
    page.get_by_label("Name").fill(f"router {HOSTILE}")
    page.get_by_label("Role").select_option("reviewer")
    page.get_by_label("Days until it expires").fill("9999")
    page.get_by_role("button", name="Make the key").click()
    assert sorting.ask("carol", "GET", "/keys").json["keys"][0]["name"] != f"router {HOSTILE}"
    page.get_by_label("Days until it expires").fill("")
    page.get_by_label("Requests a day (UTC), at most").fill("5")
    page.get_by_role("button", name="Make the key").click()
    page.get_by_text("Copy the key now.").wait_for()
    secret = page.locator(".command code").inner_text()
    sorting.secrets["router"] = secret
    assert sorting.ask("router", "GET", "/review").status == 200

    page.get_by_role("link", name="All keys").click()
    row = page.locator(".cards > li").filter(has_text="router")
    row.wait_for()
    assert secret.split("_", 2)[2] not in page.content()
    assert page.locator("main img").count() == 0
    told = row.inner_text()
    assert "without an end" in told
    assert "of 5 today" in told
    page.go_back()
    assert secret.split("_", 2)[2] not in page.content()
    page.go_forward()

    own = page.locator(".cards > li").filter(has_text="yours")
    assert own.get_by_role("button", name="Revoke").is_disabled()
    row.get_by_role("button", name="Revoke").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    row.get_by_text("revoked").first.wait_for()
    assert sorting.ask("router", "GET", "/review").status == 401
    row.get_by_role("link", name="What it was used for").click()
    page.wait_for_url("**/govern/audit?key=*")


@pytest.mark.parametrize(("lang", "dark"), [("en", False), ("ja", True)])
def test_no_view_of_govern_has_a_fault_or_is_wider_than_it_may_be(
    open_page: Open, sorting: Office, writing: Office, lang: str, dark: bool
) -> None:
    neurons = [{"neuron": "L00/7", "set": [-4, 4], "suppress": True}]
    wide = content(writing.folder, name=f"wide-{lang}", neurons=neurons, note="x" * 200)
    assert writing.ask("alice", "POST", "/policies", wide).status == 201
    decision = sorting.ask("carol", "GET", "/audit?kind=decision").json["records"][0]["seq"]
    case = sorting.ask("bob", "GET", "/review").json["cases"][0]["seq"]
    views = [
        (sorting, ["", "/keys", "/keys?new=1", "/review", f"/review?case={case}", "/rollout",
                   "/drift", "/audit", "/report", f"/audit?record={decision}"]),
        (writing, ["/rollout", "/policies", f"/policies?policy=wide-{lang}", "/policies?new=1"]),
    ]  # fmt: skip
    for office, paths in views:
        page = open_page("/govern", dark=dark, **office.seen_by("carol"))
        for path in paths:
            go(page, f"{office.url}/govern{path}{'&' if '?' in path else '?'}lang={lang}")
            page.evaluate("document.querySelectorAll('details').forEach((one) => one.open = true)")
            assert serious_faults(page) == [], path
            for width in (380, 768, 1920):
                page.set_viewport_size({"width": width, "height": 900})
                page.wait_for_timeout(50)
                assert page.evaluate("document.documentElement.scrollWidth") <= width, (path, width)
                assert page.evaluate(TOO_WIDE) == [], (path, width)
            page.set_viewport_size({"width": 1280, "height": 900})
