"""Decisions wait by confidence, by lead over the runner-up, and by label."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.server.served import make_service, running

from sparsepath.audit.database import Database
from sparsepath.cli.main import main
from sparsepath.errors import ConfigError
from sparsepath.server.review_rules import Reason, ReviewRules, read_label_limit

RULES = ReviewRules(0.8, 0.3, {"spam": 0.5, "refund": 0.95})


@pytest.mark.parametrize(
    ("label", "probability", "margin", "reason"),
    [
        ("card", 0.9, 0.85, None),
        ("card", 0.8, 0.3, None),
        ("card", 0.79, 0.6, Reason("probability", 0.8)),
        ("card", 0.81, 0.29, Reason("margin", 0.3)),
        ("card", 0.5, 0.0, Reason("probability", 0.8)),
        ("spam", 0.6, 0.4, None),
        ("spam", 0.6, 0.2, Reason("margin", 0.3)),
        ("refund", 0.94, 0.9, Reason("probability", 0.95)),
    ],
)
def test_the_first_limit_that_is_missed_is_why_it_waits(
    label: str, probability: float, margin: float, reason: Reason | None
) -> None:
    assert RULES.reason(label, probability, margin) == reason
    assert ReviewRules().reason(label, probability, margin) is None


def test_a_close_decision_waits_though_its_confidence_is_no_limit(
    model_folder: Path, database: Database
) -> None:
    asked = "a day"
    with running(make_service(model_folder, database)) as client:
        (plain,) = client.classify(asked)
    label, margin = plain["label"], plain["uncertainty"]["margin"]
    other = next(name for name in plain["probabilities"] if name != label)

    def waits(**options: object) -> bool:
        with running(make_service(model_folder, database, **options)) as client:
            (answer,) = client.classify(asked)
            if answer["waits"]:
                case = client.ask("GET", f"/api/v1/review/{answer['record']['seq']}").json
                told.append((case["by"], case["below"], case["margin"], case["text"]))
            return bool(answer["waits"])

    told: list[tuple[str, float, float, str]] = []
    assert not waits(review_margin_below=margin)
    assert waits(review_margin_below=min(1.0, margin + 0.001))
    assert told == [("margin", min(1.0, margin + 0.001), margin, asked)]
    assert not waits(review_labels=((other, 1.0),))
    assert waits(review_labels=((label, 1.0),))
    assert told[1][:2] == ("probability", 1.0)
    # A label's own limit takes the place of the general one.
    assert not waits(review_below=1.0, review_labels=((label, 0.001),))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"review_margin_below": 0.0}, "review_margin_below"),
        ({"review_margin_below": 1.5}, "review_margin_below"),
        ({"review_margin_below": float("nan")}, "review_margin_below"),
        ({"review_labels": (("left", 2.0),)}, "left"),
        ({"review_labels": (("left", 0.5), ("left", 0.6))}, "two limits"),
        ({"review_labels": (("up", 0.5),)}, "no label of the model"),
    ],
)
def test_a_limit_that_makes_no_sense_is_refused(
    options: dict[str, object], told: str, model_folder: Path, database: Database
) -> None:
    with pytest.raises(ConfigError, match=told):
        make_service(model_folder, database, **options)


def test_a_limit_of_a_label_is_read() -> None:
    assert read_label_limit("refund=0.9") == ("refund", 0.9)
    assert read_label_limit("a=b=1") == ("a=b", 1.0)
    for wrong in ("refund", "=0.9", "refund=", "refund=much"):
        with pytest.raises(ConfigError, match="cannot be read"):
            read_label_limit(wrong)
    found = CliRunner().invoke(main, ["serve", "nowhere", "--review-label", "refund"])
    assert (found.exit_code, "LABEL=CONFIDENCE" in found.stderr) == (1, True)
    assert json.dumps(ReviewRules(0.5).recorded)
