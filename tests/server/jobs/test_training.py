"""Trainings as jobs: a real small one that pauses, goes on, and is looked at as it goes."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.server.served import Client, make_service, running

from sparsepath.audit.database import Database, open_database
from sparsepath.audit.verify import verify
from sparsepath.server.jobs import runner
from sparsepath.server.jobs.training import TrainingAsked, command_of, options_of
from sparsepath.server.training_record import MAX_POINTS, read_curve

RECIPE = """
task = "image-classification"
[data]
source = "digits"
train_rows = 64
held_out_rows = 32
[model]
d_model = 16
n_layers = 1
n_heads = 1
n_kv_heads = 1
d_mlp = 16
[train]
steps = 4000
batch_size = 8
checkpoint_every = 4000
evaluate_every = 20
"""


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with open_database(str(tmp_path / "log.db")) as opened:
        yield opened


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "LOOK_EVERY_S", 0.05)


def wait(client: Client, id_: str, done: Any) -> Any:
    end = time.monotonic() + 60
    while True:
        found = client.ask("GET", f"/api/v1/trainings/{id_}").json
        if done(found):
            return found
        assert time.monotonic() < end, found
        assert found["job"]["state"] != "failed", found
        time.sleep(0.05)


def is_in(state: str) -> Any:
    return lambda found: found["job"]["state"] == state


@pytest.mark.slow
def test_a_training_pauses_at_a_checkpoint_and_goes_on_from_it(
    model_folder: Path, database: Database, tmp_path: Path
) -> None:
    recipe = RECIPE.replace("n_kv_heads = 1\n", "")
    service = make_service(model_folder, database, store=tmp_path / "store")
    with running(service) as client:
        asked = {"name": "<b>digits", "recipe": recipe}
        begun = client.ask("POST", "/api/v1/jobs/training", asked)
        assert begun.status == 201, begun
        id_ = begun.json["id"]
        seen = wait(client, id_, lambda found: found["curve"]["step"] >= 30)
        assert (seen["name"], seen["curve"]["of"]) == ("<b>digits", 4000)
        assert seen["curve"]["evaluations"]
        assert seen["curve"]["left_s"] > 0
        assert seen["curve"]["tokens_per_s"] > 0
        assert client.ask("POST", f"/api/v1/jobs/{id_}/resume", {}).status == 409
        assert client.ask("POST", f"/api/v1/jobs/{id_}/pause", {}).status == 200
        paused = wait(client, id_, is_in("paused"))["curve"]["step"]
        run = tmp_path / "store" / "jobs" / id_ / "run"
        assert len(list((run / "checkpoints").iterdir())) == 1
        assert client.ask("DELETE", f"/api/v1/jobs/{id_}").status == 409
    with running(make_service(model_folder, database, store=tmp_path / "store")) as client:
        assert client.ask("POST", f"/api/v1/jobs/{id_}/resume", {}).json["state"] != "paused"
        seen = wait(client, id_, lambda found: found["curve"]["step"] > paused)
        events = [(one["step"], one["what"]) for one in seen["curve"]["events"]]
        assert events == [(0, "started"), (paused, "resumed")]
        assert client.ask("POST", f"/api/v1/jobs/{id_}/pause", {}).status == 200
        wait(client, id_, is_in("paused"))
        assert client.ask("POST", f"/api/v1/jobs/{id_}/cancel", {}).json["state"] == "cancelled"
        assert client.ask("DELETE", f"/api/v1/jobs/{id_}").status == 204
    assert verify(database).faults == []


@pytest.mark.parametrize(
    ("recipe", "told"),
    [
        ("task = ", "no TOML"),
        ("[" * 5000, "no TOML"),
        ('task = "language-model"\n[data]\nsource = "/etc/passwd"', "data.source"),
        ('task = "language-model"\n[data]\nsource = "datasets:a/b"', "data.source"),
        ('task = "language-model"\n[data]\nsource = ["stdlib"]', "data.source"),
        ('task = "language-model"\n[model]\nbase = "a/model"', "model.base"),
        ('task = "text-classification"\n[data]\ntest = "../x.csv"', "data.test"),
        ('task = "language-model"\n[tokenizer]\nfile = "/etc/passwd"', "tokenizer.file"),
    ],
)
def test_a_recipe_that_reaches_outside_is_refused(
    model_folder: Path, database: Database, tmp_path: Path, recipe: str, told: str
) -> None:
    with running(make_service(model_folder, database, store=tmp_path / "store")) as client:
        reply = client.ask("POST", "/api/v1/jobs/training", {"recipe": recipe})
        assert reply.status == 422
        assert told in reply.json["error"]["message"]
        assert reply.json["error"]["fix"]
        assert client.ask("GET", "/api/v1/jobs").json == {"jobs": []}
        assert not list(tmp_path.glob("store/jobs/*"))


def test_a_recipe_is_refused_with_its_own_words(
    model_folder: Path, database: Database, tmp_path: Path
) -> None:
    with running(make_service(model_folder, database, store=tmp_path / "store")) as client:
        reply = client.ask("POST", "/api/v1/jobs/training", {"recipe": RECIPE})
    assert reply.status == 422
    told = reply.json["error"]
    assert "model.n_kv_heads has no effect on image-classification" in told["message"]
    assert told["fix"] == "leave model.n_kv_heads out"
    assert str(tmp_path) not in reply.text


def test_a_training_of_the_command_line_is_read(
    model_folder: Path, database: Database, tmp_path: Path
) -> None:
    folder = tmp_path / "store" / "by hand"
    folder.mkdir(parents=True)
    step = {"kind": "step", "lr": 1e-3, "keep": 1.0}
    lines = [{**step, "step": i, "loss_nats": 5 - i / 1000, "tokens": 8 * i, "wall_s": i / 2}
             for i in range(1, 2001)]  # fmt: skip
    sites = {"model.layers.0.mlp": {"k": 8, "dead": 0.25, "always": 0.0}}
    more = [{"kind": "neurons", "step": 9, "sites": sites}, {**step, "step": 5, "loss_nats": "nan"}]
    text = "".join(json.dumps(line) + "\n" for line in [*more, *lines]) + '{"kind": "st'
    (folder / "train.jsonl").write_text(text)
    curve = read_curve(folder)
    assert len(curve.steps) <= MAX_POINTS
    assert curve.steps[0].loss_nats == pytest.approx(5 - 2.5 / 1000)
    assert (curve.step, curve.of, curve.tokens_per_s) == (2000, None, 16)
    assert [(one.site, one.dead) for one in curve.neurons] == [("model.layers.0.mlp", 0.25)]
    with running(make_service(model_folder, database, store=tmp_path / "store")) as client:
        listed = client.ask("GET", "/api/v1/trainings").json["trainings"]
        assert [(one["id"], one["job"]) for one in listed] == [("by hand", None)]
        assert client.ask("GET", "/api/v1/trainings/by%20hand").json["curve"]["step"] == 2000
        assert client.ask("GET", "/api/v1/trainings/..%2f..%2fetc").status == 404


def test_the_command_of_a_training_stays_in_its_folder(tmp_path: Path) -> None:
    options = options_of(TrainingAsked(name="--out=/etc", recipe="x"))
    words = command_of(options, tmp_path)
    assert words == ["train", str(tmp_path / "recipe.toml"), f"--out={tmp_path / 'run'}"]
