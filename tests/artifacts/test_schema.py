"""The schemas keep the keys that other programs read, and refuse others."""

import subprocess
import sys

import pytest
from pydantic import ValidationError

from sparsepath.artifacts.schema import Candidate, Cost, Quality, Relative

QUALITY = {"accuracy": 0.9, "accuracy_ci95": (0.88, 0.92), "macro_f1": 0.9}
COST = {
    "parameters": 1, "size_bytes": 4, "latency_ms_p50": 1.0, "latency_ms_p95": 2.0,
    "examples_per_second": 900.0,
}  # fmt: skip
RELATIVE = {"speedup": 1.0, "speedup_ci95": (0.9, 1.1), "size_ratio": 1.0, "accuracy_change": 0.0}


def candidate(**changes: object) -> Candidate:
    content = {"name": "a", "kind": "submodel", "quality": QUALITY, "cost": COST}
    return Candidate.model_validate({**content, "relative": RELATIVE, **changes})


def test_documented_keys_of_results_are_all_there() -> None:
    assert {"accuracy", "accuracy_ci95", "macro_f1", "nll_nats", "ece"} <= set(Quality.model_fields)
    assert {
        "parameters", "size_bytes", "flops_per_example", "latency_ms_p50", "latency_ms_p95",
        "examples_per_second", "peak_rss_bytes",
    } <= set(Cost.model_fields)  # fmt: skip
    assert {"speedup", "speedup_ci95", "size_ratio", "accuracy_change"} <= set(
        Relative.model_fields
    )


def test_an_unknown_key_or_kind_is_refused() -> None:
    with pytest.raises(ValidationError, match="colour"):
        candidate(colour="red")
    with pytest.raises(ValidationError, match="kind"):
        candidate(kind="teacher")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [({}, False), ({"control": True}, True), ({"kind": "control"}, True)],
)
def test_controls_are_known_by_kind_or_mark(changes: dict[str, object], expected: bool) -> None:
    assert candidate(**changes).is_control is expected


def test_artifacts_and_report_import_without_torch() -> None:
    code = (
        "import sys, sparsepath.report, sparsepath.artifacts.provenance\n"
        "import sparsepath.artifacts.benchmark, sparsepath.artifacts.explanation\n"
        "assert not {'torch', 'transformers', 'plotly'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
