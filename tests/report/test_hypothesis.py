"""The page of the hypothesis says in both languages what was measured."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from sparsepath.artifacts.pathways import HypothesisFigures
from sparsepath.errors import ConfigError
from sparsepath.report.hypothesis import write_hypothesis


def made(**changes: Any) -> HypothesisFigures:
    """Make figures of a model whose ensemble is better than itself, and whose pathways move."""
    dense = {"members": 0, "accuracy": 0.91, "nll_nats": 0.345, "brier": 0.1, "ece": 0.02}
    spread = {
        "lorenz": [i / 20 for i in range(21)],
        "effective_share": 0.3,
        "top_share": 0.62,
        "overlap": 0.21,
        "overlap_same_label": 0.43,
        "overlap_shuffled": 0.05,
    }
    parts = [
        {
            "keep": keep,
            "accuracies": [keep / 2, keep],
            "nll_nats": [0.4, 0.5],
            "curve": [dense | {"members": n, "nll_nats": 0.4 - 0.01 * n} for n in (1, 2, 4, 8)],
        }
        for keep in (0.125, 0.25, 0.5, 0.75)
    ]
    plain = {
        "model": "runs/<b>x</b>/models/full",
        "rows": 1234,
        "dense": dense,
        "sub_models": parts,
        "concentration": spread,
        "untrained": spread | {"top_share": 0.17},
        "conclusions": [],
    }
    return HypothesisFigures.model_validate(plain | changes)


@pytest.mark.parametrize(
    ("lang", "said"),
    [
        ("en", ("less than", "depends on the input", "0.320", "62%", "17%", "1,234 rows")),
        ("ja", ("より小さく", "入力によって変わります", "0.320", "62%", "17%", "1,234 行")),
    ],
)
def test_the_page_says_what_was_measured(tmp_path: Path, lang: str, said: tuple[str, ...]) -> None:
    markup = write_hypothesis(made(), tmp_path / "page.html", lang).read_text(encoding="utf-8")
    shown = re.sub(r"<script.*?</script>|<style.*?</style>|<[^>]+>", "", markup, flags=re.DOTALL)
    for part in said:
        assert part in shown, part
    assert "<b>x</b>" not in markup
    found = re.search(r'id="report-data">(.*?)</script>', markup, flags=re.DOTALL)
    assert found is not None
    figures = json.loads(found[1])["figures"]
    assert sorted(figures) == [
        "fig-hypo-alone",
        "fig-hypo-dynamic",
        "fig-hypo-few",
        "fig-hypo-together",
    ]
    boxes = figures["fig-hypo-alone"]["variants"][""]["data"]
    assert [box["y"] for box in boxes] == [[k / 2, k] for k in (0.125, 0.25, 0.5, 0.75)]
    for key in figures:
        assert f'id="{key}"' in markup


def test_an_ensemble_that_is_no_better_and_fixed_pathways_are_said_so(tmp_path: Path) -> None:
    spread = made().concentration.model_dump() | {"overlap": 0.9}
    dense = made().dense.model_dump() | {"nll_nats": 0.1}
    changed = made(concentration=spread, dense=dense)
    markup = write_hypothesis(changed, tmp_path / "page.html", "en").read_text(encoding="utf-8")
    assert "no less than" in markup
    assert "mostly the same for all inputs" in markup


def test_an_unknown_language_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        write_hypothesis(made(), tmp_path / "page.html", "fr")
    assert not (tmp_path / "page.html").exists()
