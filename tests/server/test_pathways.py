"""The parts of a model over HTTP, and which of them each measured candidate kept."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.server.runs import write_run
from tests.server.served import Client, running_runs
from tests.server.wide_run import N_HEADS, N_LAYERS, importance, parts, write_wide_run

from sparsepath.artifacts.store import write_json_atomic


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, model_folder: Path) -> Path:
    place = tmp_path_factory.mktemp("runs")
    write_run(place / "served", model_folder)
    write_wide_run(place / "wide")
    escaped = write_wide_run(place / "escaped")
    write_json_atomic(place / "config.json", {"model_type": "sparsepath_classifier"})
    text = (escaped / "results.json").read_text().replace("models/sub-01", "../../escaped/..")
    (escaped / "results.json").write_text(text)
    shutil.copytree(place / "wide", place / "begun")
    for name in ("results.json", "analysis.json"):
        (place / "begun" / name).unlink()
    return place


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[Client]:
    with running_runs(folder) as served:
        yield served


@pytest.fixture(scope="module")
def wide(client: Client) -> Any:
    return client.ask("GET", "/api/v1/runs/wide/pathways").json


def test_a_point_is_a_measured_candidate_with_the_parts_of_its_file(wide: Any) -> None:
    assert [point["name"] for point in wide["points"]] == ["sub-01", "sub-02", "full"]
    lightest = wide["points"][0]
    assert (lightest["size_bytes"], lightest["latency_ms_p50"]) == (20_000_000, 2.0)
    assert lightest["accuracy_ci95"] == pytest.approx([0.68, 0.74])
    for point in wide["points"]:
        kept = [(one["layer"], one["heads"], one["n_neurons"]) for one in point["kept"]]
        said = [(one["source"], one["heads"], one["neurons"]) for one in parts(point["name"])]
        assert kept == said
        assert point["files"] == ["results.json", f"models/{point['name']}/config.json"]


def test_what_cannot_be_placed_is_named_and_controls_are_left_out(wide: Any) -> None:
    told = {one["name"]: one["why"] for one in wide["unplaced"]}
    assert told == {"cascade": "depth-by-text", "damaged": "broken"}


def test_importance_is_a_share_of_the_strongest_unit(wide: Any) -> None:
    (found,) = wide["importance"]
    assert (len(found["heads"]), len(found["heads"][0])) == (N_LAYERS, N_HEADS)
    strongest = max(importance(layer, h) for layer in range(N_LAYERS) for h in range(N_HEADS))
    assert found["heads"][5][7] == pytest.approx(importance(5, 7) / strongest, abs=1e-4)
    for row in found["neurons"]:
        assert len(row) == 16
        assert row == sorted(row, reverse=True)
    assert wide["removal"][0]["points"][1]["accuracy"] == 0.8
    assert wide["missing"] == []


def test_a_run_without_such_files_says_what_is_missing(client: Client) -> None:
    begun = client.ask("GET", "/api/v1/runs/begun/pathways").json
    assert begun["missing"] == ["results", "importance", "parts"]
    assert begun["layers"] == begun["points"] == []
    served = client.ask("GET", "/api/v1/runs/served/pathways").json
    assert served["missing"] == ["importance"]
    assert {one["why"] for one in served["unplaced"]} == {"no-parts"}


def test_a_candidate_outside_the_run_folder_is_not_read(client: Client) -> None:
    found = client.ask("GET", "/api/v1/runs/escaped/pathways").json
    assert {"name": "sub-01", "why": "broken"} in found["unplaced"]
    assert client.ask("GET", "/api/v1/runs/..%2Fwide/pathways").status == 404
