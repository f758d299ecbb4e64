"""The report holds every section, works without its parts, and lets no text become markup."""

import base64
import hashlib
import json
import re
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from sparsepath.errors import MissingExtraError, RunError
from sparsepath.report import write_report

MakeRun = Callable[..., Path]
ALL = [
    "tradeoff", "candidates", "size", "units", "removal", "edges", "labels", "confusion", "flips",
    "calibration", "unsure", "explained", "sparse", "latency", "dynamic", "data", "stages",
    "method", "machine",
]  # fmt: skip
VOID = {"meta", "br", "hr", "input", "wbr", "col"}


class Page(HTMLParser):
    """Elements, attributes and visible text of a page; complains about unbalanced tags."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self.scripts: list[str] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(markup)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            self.scripts.append(data)
        elif self.open and self.open[-1] != "style":
            self.words.append(data)

    def values(self, tag: str, name: str) -> list[str]:
        return [v or "" for t, n, v in self.attributes if t == tag and n == name]

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())


def read(run: Path, lang: str = "en") -> tuple[str, Page]:
    markup = write_report(run, lang).read_text(encoding="utf-8")
    return markup, Page(markup)


def figures(page: Page) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(page.scripts[0])["figures"]
    return content


@pytest.mark.parametrize("lang", ["en", "ja"])
def test_a_whole_run_shows_every_section_once_and_links_to_it(make_run: MakeRun, lang: str) -> None:
    _, page = read(make_run(is_japanese=lang == "ja", n_labels=8), lang)
    assert page.values("section", "id") == ALL
    assert page.values("nav", "aria-label")
    assert [f"#{key}" for key in ALL] == [h for h in page.values("a", "href") if h[1:] in ALL][
        : len(ALL)
    ]
    assert page.values("html", "lang") == [lang]


def test_every_place_for_a_figure_has_its_figure_and_its_description(make_run: MakeRun) -> None:
    _, page = read(make_run())
    places = [v for v in page.values("div", "id") if v.startswith("fig-")]
    assert sorted(places) == sorted(figures(page))
    labels = [v for v in page.values("div", "aria-label") if v]
    assert len(labels) >= len(places)
    for item in figures(page).values():
        for variant in item["variants"].values():
            assert variant["data"]
            assert variant["layout"]["font"]["size"] >= 14


@pytest.mark.parametrize(
    ("lang", "said"), [("en", "word embeddings decide"), ("ja", "単語の埋め込み")]
)
def test_rows_that_word_embeddings_decide_have_no_shares(
    make_run: MakeRun, lang: str, said: str
) -> None:
    run = make_run(n_labels=4)
    path = run / "explanations.jsonl"
    records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    for record in records[1:]:
        record["test"] |= {"units_decide": False, "margin_kept": -4321.0}
    path.write_text("\n".join(map(json.dumps, records)) + "\n", encoding="utf-8")
    _, page = read(run, lang)
    assert said in page.text
    assert "432,100" not in page.text
    assert "fig-explained" in figures(page)
    records[0]["test"]["units_decide"] = False
    path.write_text("\n".join(map(json.dumps, records)) + "\n", encoding="utf-8")
    _, page = read(run, lang)
    assert "fig-explained" not in figures(page)


def test_nothing_is_loaded_from_outside_and_only_our_scripts_may_run(make_run: MakeRun) -> None:
    markup, page = read(make_run())
    urls = [v for _, n, v in page.attributes if n in {"src", "href", "action"} and v]
    assert all(url.startswith("#") for url in urls)
    assert "link" not in page.tags
    assert "@import" not in markup.split("<body")[0]
    policy = next(v for v in page.values("meta", "content") if "script-src" in v)
    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in policy.split("style-src")[0]
    for script in page.scripts[1:]:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy


def test_scripts_in_texts_labels_and_tokens_stay_text(make_run: MakeRun) -> None:
    _, page = read(make_run(is_hostile=True, n_labels=4))
    assert page.tags.count("script") == 3
    assert "img" not in page.tags
    assert not [n for _, n, _ in page.attributes if n.startswith("on")]
    assert "window.hacked" in page.text
    data = page.scripts[0]
    assert not set("<>&") & set(data)
    for name, item in figures(page).items():
        texts = re.findall(r"<(?!/?b>|br>)[^>]*>", json.dumps(item))
        assert texts == [], name


@pytest.mark.parametrize("lang", ["en", "ja"])
@pytest.mark.parametrize(
    "parts",
    [(), ("results",), ("analysis",), ("explanations",), ("results", "analysis")],
    ids=lambda parts: "+".join(parts) or "nothing",
)
def test_a_run_that_was_stopped_still_has_a_report(
    make_run: MakeRun, lang: str, parts: tuple[str, ...]
) -> None:
    _, page = read(make_run(parts=parts, status="running", n_labels=3), lang)
    shown = page.values("section", "id")
    assert {"method", "machine"} <= set(shown)
    assert ("tradeoff" in shown) == ("results" in parts)
    assert ("removal" in shown) == ("analysis" in parts)
    assert ("explained" in shown) == ("explanations" in parts)
    assert {"en": "not finished", "ja": "終わっていません"}[lang] in page.text


def test_many_labels_candidates_and_long_texts_stay_below_eight_megabytes(
    make_run: MakeRun,
) -> None:
    run = make_run(n_labels=77, n_submodels=40, n_test=3080, text_length=500)
    markup, page = read(run)
    assert len(markup.encode()) < 8_000_000
    assert "77 labels" in page.text
    assert page.text.count("sub-") > 40


def test_two_labels_and_few_rows_are_enough(make_run: MakeRun) -> None:
    _, page = read(make_run(n_labels=2, n_submodels=2, n_test=120))
    assert "Label more test rows." in page.text


@pytest.mark.parametrize(
    ("shape", "sentence"),
    [
        (
            {"change": -0.004},
            "Not significantly worse than the full model: \N{MINUS SIGN}0.4 points",
        ),
        ({"change": -0.015}, "The loss is real, not chance: \N{MINUS SIGN}1.5 points"),
        (
            {"change": 0.012},
            "No loss: on these rows it was better than the full model, +1.2 points",
        ),
        ({"change": -0.004}, "at a loss of 0.4 points of accuracy."),
        ({"change": 0.012}, "with 1.2 points more accuracy."),
        ({"change": 0.0}, "with no measured change in accuracy."),
        (
            {"control_accuracy": 0.928},
            "A plain alternative is about as good, and no slower: TF-IDF",
        ),
        ({"control_accuracy": 0.873}, "No plain alternative is as good at this speed."),
        ({"control_accuracy": 0.97}, "A plain alternative is more accurate, and no slower: TF-IDF"),
        (
            {"frozen_accuracy": 0.931},
            "The full model is not surely better than its frozen encoder: 93.4% against 93.1%.",
        ),
        (
            {"recommended": "full"},
            "Keep the full model, full: no lighter one is surely good enough.",
        ),
        ({"recommended": "full"}, "Closest comes"),
        ({"recommended": None}, "No model is recommended yet."),
        (
            {
                "rule": "size at most 1 MB",
                "why": "no candidate meets this; sub-1.6ms comes nearest",
            },
            "No candidate meets what was asked for: size at most 1 MB. sub-1.6ms comes nearest.",
        ),
        (
            {"recommended": "cascade-0.9"},
            "Take cascade-0.9: it is 4.3 times as fast as the full model and of the same size",
        ),
    ],
)
def test_the_first_screen_says_what_the_intervals_allow(
    make_run: MakeRun, shape: dict[str, Any], sentence: str
) -> None:
    _, page = read(make_run(**shape))
    assert sentence.replace(" points", "\xa0points") in page.text.replace(" points", "\xa0points")
    assert ("its frozen encoder:" in page.text) == ("frozen_accuracy" in shape)


def test_the_first_screen_gives_speed_size_and_loss_with_intervals(make_run: MakeRun) -> None:
    _, page = read(make_run())
    text = page.text.replace("\xa0", " ")
    assert "Take sub-1.6ms: it is 6.2 times as fast as the full model and 8.0 times smaller" in text
    assert "95% interval 6.0 to 6.4" in text
    assert "95% interval \N{MINUS SIGN}1.1 to +0.3 points" in text
    assert "sparsepath predict 'run one/models/sub-1.6ms' new.csv -o labels.csv" in text


def test_the_japanese_report_writes_dates_and_numbers_in_japanese(make_run: MakeRun) -> None:
    _, page = read(make_run(is_japanese=True, n_labels=8), "ja")
    text = page.text.replace("\xa0", " ")
    assert "2026年11月21日" in text
    assert "sub-1.6ms を推奨します。フルモデルの 6.2 倍の速さで" in text
    assert "13 分 26 秒" in text
    theirs = re.sub(r"sub-[\d.]+ms|tickets 2026", "", text)
    found = re.findall(r"\b(?:the|of|and|with|is|are|rows|units|labels) [a-z]{3,}", theirs)
    assert found == []


def test_the_report_is_the_same_every_time(make_run: MakeRun) -> None:
    run = make_run()
    first = write_report(run, "en").read_bytes()
    assert write_report(run, "en").read_bytes() == first


def test_without_plotly_the_line_that_installs_it_is_given(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(n_labels=2)
    monkeypatch.setitem(sys.modules, "plotly", None)
    with pytest.raises(MissingExtraError, match=r"sparsepath\[train\]"):
        write_report(run, "en")


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no run folder"):
        write_report(tmp_path / "nowhere", "en")
    with pytest.raises(RunError, match=r"no run\.json"):
        write_report(tmp_path, "en")


def test_a_broken_results_file_is_an_error_not_an_empty_report(make_run: MakeRun) -> None:
    run = make_run()
    (run / "results.json").write_text('{"schema": 1, "data"', encoding="utf-8")
    with pytest.raises(RunError, match="not whole"):
        write_report(run, "en")
    assert not (run / "report.html").exists()
