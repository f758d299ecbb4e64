"""A training learns, writes what happened, and goes on exactly where it was killed."""

import hashlib
import json
import math
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from tests import warm
from transformers import AutoModelForCausalLM

from sparsepath.artifacts.training_record import read_record
from sparsepath.errors import ConfigError, DataError, RunError
from sparsepath.train.recipe import Recipe
from sparsepath.train.recipe_file import check_recipe
from sparsepath.train.trainer import train

STEPS = 24


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """300 documents of counting, which a small model learns quickly."""
    chance = random.Random(0)
    path = tmp_path_factory.mktemp("corpus") / "counting.txt"
    starts = [chance.randrange(900) for _ in range(300)]
    path.write_text("\n\n".join(" ".join(str(s + i) for i in range(30)) for s in starts))
    return path


def recipe(corpus: Path, **changes: dict[str, Any]) -> Recipe:
    """Describe a training of seconds."""
    parts: dict[str, Any] = {
        "task": "language-model",
        "data": {"source": str(corpus), "length": 32, "held_out": 0.05},
        "tokenizer": {"size": 400},
        "model": {"d_model": 32, "n_layers": 2, "n_heads": 4, "n_kv_heads": 2, "d_mlp": 32},
        "subsampling": {"keep": 0.25, "dense": 0.25},
        "train": {
            "steps": STEPS,
            "batch_size": 8,
            "rate": 3e-3,
            "checkpoint_every": 5,
            "evaluate_every": 10,
            "evaluate_rows": 8,
        },
    }
    for part, values in changes.items():
        parts[part] = {**parts.get(part, {}), **values}
    return check_recipe(parts, "test")


def losses(folder: Path) -> list[float]:
    """Give the loss of each step, and see that no step is missing or there twice."""
    steps = [line for line in read_record(folder) if line["kind"] == "step"]
    assert [line["step"] for line in steps] == list(range(1, len(steps) + 1))
    return [line["loss_nats"] for line in steps]


@pytest.fixture(scope="module")
def whole(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training without interruption."""
    return train(recipe(corpus), tmp_path_factory.mktemp("runs") / "whole").folder


def test_the_model_learns(whole: Path) -> None:
    found = losses(whole)
    assert len(found) == STEPS
    assert found[0] == pytest.approx(math.log(400), abs=0.3)
    assert found[-1] < found[0] - 0.5


def test_every_line_of_the_record_has_its_keys(whole: Path) -> None:
    lines = read_record(whole)
    steps = [line for line in lines if line["kind"] == "step"]
    for line in steps:
        assert set(line) == {"kind", "step", "loss_nats", "lr", "tokens", "wall_s", "keep"}
        assert line["tokens"] == line["step"] * 8 * 32
    assert [line["keep"] for line in steps] == [0.25] * 18 + [1.0] * 6
    assert [line["step"] for line in lines if line["kind"] == "evaluation"] == [10, 20, 24]
    assert [line["what"] for line in lines if line["kind"] == "event"] == ["started", "finished"]


def test_the_trained_model_is_an_ordinary_folder(whole: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(whole / "model")
    evaluation = [line for line in read_record(whole) if line["kind"] == "evaluation"][-1]
    assert model.config._attn_implementation == "sdpa"
    logits = model(torch.arange(8).unsqueeze(0)).logits
    assert logits.shape == (1, 8, 400)
    card = (whole / "model" / "README.md").read_text()
    assert f"loss {evaluation['loss_nats']:.4f}" in card
    assert "keep 0.25" in card
    assert "the last 6 of 24 steps dense" in card


def test_only_the_newest_checkpoints_stay(whole: Path) -> None:
    names = sorted(path.name for path in (whole / "checkpoints").iterdir())
    assert names == ["step-00000020", "step-00000024"]


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_a_killed_training_goes_on_to_the_same_bits(
    corpus: Path, tmp_path: Path, optimizer: str
) -> None:
    ours = recipe(corpus, train={"optimizer": optimizer})
    train(ours, tmp_path / "whole")
    path = tmp_path / "recipe.toml"
    path.write_text(as_toml(ours))
    command = ["-m", "sparsepath", "train", str(path)]
    command += ["--out", str(tmp_path / "killed")]
    chance = random.Random(optimizer)
    for _ in range(2):
        wait_for = chance.randrange(3, STEPS - 6)
        with warm.Warm(command) as process:
            while process.poll() is None and len(read_record(tmp_path / "killed")) < wait_for:
                time.sleep(0.01)
            os.kill(process.pid, signal.SIGKILL)
    done = warm.run(command)
    assert done.returncode == 0, done.stderr
    assert losses(tmp_path / "killed") == losses(tmp_path / "whole")
    weights = [(tmp_path / n / "model/model.safetensors").read_bytes() for n in ("killed", "whole")]
    assert weights[0] == weights[1]


def test_ctrl_c_keeps_the_last_step(corpus: Path, tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(as_toml(recipe(corpus, train={"steps": 2000, "checkpoint_every": 2000})))
    out = tmp_path / "run"
    command = ["-m", "sparsepath", "train", str(path), "--out", str(out)]
    with warm.Warm(command) as process:
        while process.poll() is None and len(read_record(out)) < 4:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
    assert process.returncode == 130
    assert "goes on from there" in said
    (kept,) = (out / "checkpoints").iterdir()
    assert kept.name == f"step-{read_record(out)[-1]['step']:08d}"


def as_toml(ours: Recipe) -> str:
    """Write a recipe as TOML."""
    lines, tables = [], []
    for name, value in ours.model_dump(mode="json", exclude_unset=True).items():
        if isinstance(value, dict):
            tables += [f"[{name}]", *(f"{k} = {json.dumps(v)}" for k, v in value.items())]
        else:
            lines.append(f"{name} = {json.dumps(value)}")
    return "\n".join([*lines, *tables])


def test_cut_steps_and_recomputed_activations_give_the_same_losses(
    corpus: Path, tmp_path: Path
) -> None:
    dense = {"subsampling": {"keep": 1.0}}
    plain = train(recipe(corpus, **dense), tmp_path / "plain")
    other = {"accumulate": 4, "checkpoint_activations": True}
    cut = train(recipe(corpus, **dense, train=other), tmp_path / "cut")
    for ours, theirs in zip(losses(plain.folder), losses(cut.folder), strict=True):
        assert ours == pytest.approx(theirs, abs=2e-4)


def test_two_processes_learn_what_one_does(corpus: Path, tmp_path: Path) -> None:
    ours = recipe(corpus, subsampling={"keep": 0.25, "per_example": False}, train={"steps": 8})
    train(ours, tmp_path / "one")
    finish_in_two_processes(ours, tmp_path / "two")
    for one, two in zip(losses(tmp_path / "one"), losses(tmp_path / "two"), strict=True):
        assert one == pytest.approx(two, abs=1e-6)


def test_a_process_of_two_that_is_killed_costs_only_the_steps_since_the_checkpoint(
    corpus: Path, tmp_path: Path
) -> None:
    steps = {"steps": 30, "checkpoint_every": 3}
    ours = recipe(corpus, subsampling={"keep": 0.25, "per_example": False}, train=steps)
    train(ours, tmp_path / "one")
    with in_two_processes(ours, tmp_path / "two") as running:
        while len(losses(tmp_path / "two")) < 5:
            assert running.poll() is None
            time.sleep(0.02)
        # torchrun's children are the two trainings.
        psutil.Process(running.pid).children()[-1].kill()
        assert running.wait() != 0
    assert 5 <= len(losses(tmp_path / "two")) < 30
    finish_in_two_processes(ours, tmp_path / "two")
    events = [line["what"] for line in read_record(tmp_path / "two") if line["kind"] == "event"]
    assert events == ["started", "resumed", "finished"]
    for one, two in zip(losses(tmp_path / "one"), losses(tmp_path / "two"), strict=True):
        assert one == pytest.approx(two, abs=1e-5)


def test_a_model_spread_over_two_processes_learns_the_same_and_goes_on_in_one(
    corpus: Path, tmp_path: Path
) -> None:
    steps = {"steps": 30, "checkpoint_every": 3}
    sources = {"keep": 0.25, "per_example": False}
    train(recipe(corpus, subsampling=sources, train=steps), tmp_path / "one")
    ours = recipe(corpus, subsampling=sources, train={**steps, "sharding": "full"})
    out = tmp_path / "two"
    with in_two_processes(ours, out) as running:
        while not list(out.glob("checkpoints/step-*")):
            assert running.poll() is None
            time.sleep(0.02)
        psutil.Process(running.pid).children()[0].kill()
        assert running.wait() != 0
    newest = sorted(out.glob("checkpoints/step-*"))[-1]
    assert len(list(newest.glob("state-*-of-00002.safetensors"))) == 2
    found = train(ours, out)
    for one, two in zip(losses(tmp_path / "one"), losses(out), strict=True):
        assert one == pytest.approx(two, abs=1e-5)
    alone = AutoModelForCausalLM.from_pretrained(tmp_path / "one" / "model")
    spread = AutoModelForCausalLM.from_pretrained(found.folder / "model")
    for name, value in alone.state_dict().items():
        torch.testing.assert_close(spread.state_dict()[name], value, atol=1e-4, rtol=1e-3)


def test_a_model_spread_over_two_processes_is_saved_whole(corpus: Path, tmp_path: Path) -> None:
    ours = recipe(corpus, train={"steps": 4, "sharding": "full"})
    finish_in_two_processes(ours, tmp_path / "two")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "two" / "model")
    assert model.lm_head.weight.shape[0] == model.config.vocab_size
    again = train(ours, tmp_path / "two")
    assert math.isfinite(again.evaluation.loss_nats)


def test_a_part_of_a_checkpoint_that_is_missing_is_named(corpus: Path, tmp_path: Path) -> None:
    ours = recipe(corpus, train={"steps": 4, "sharding": "full", "checkpoint_every": 4})
    finish_in_two_processes(ours, tmp_path / "two")
    next((tmp_path / "two" / "checkpoints").glob("*/state-00002-of-00002.safetensors")).unlink()
    with pytest.raises(RunError, match="has 1 of 2 parts"):
        train(ours, tmp_path / "two")


def test_muon_needs_whole_matrices(corpus: Path) -> None:
    with pytest.raises(ConfigError, match="whole matrices"):
        recipe(corpus, train={"sharding": "full", "optimizer": "muon"})


def finish_in_two_processes(ours: Recipe, out: Path) -> None:
    """Run a recipe in two processes that know of each other as under torchrun."""
    path = out.with_suffix(".toml")
    path.write_text(as_toml(ours))
    shared = {
        "WORLD_SIZE": "2",
        "LOCAL_WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(28_500 + os.getpid() % 1000),
        "ACCELERATE_USE_CPU": "true",
    }
    line = ["-m", "sparsepath", "train", str(path), "--out", str(out)]
    ranks = [shared | {"RANK": n, "LOCAL_RANK": n} for n in "01"]
    with ExitStack() as ends:
        both = [ends.enter_context(warm.Warm(line, environment=told)) for told in ranks]
        said = [process.stderr.read() for process in both]
        assert [process.wait() for process in both] == [0, 0], said


@contextmanager
def in_two_processes(ours: Recipe, out: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a recipe under torchrun; whatever happens, nothing stays behind."""
    path = out.with_suffix(".toml")
    path.write_text(as_toml(ours))
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    command += ["--master-port", str(29_500 + os.getpid() % 1000)]
    command += ["-m", "sparsepath", "train", str(path), "--out", str(out)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    with subprocess.Popen(command, env=environment, start_new_session=True) as running:
        try:
            yield running
        finally:
            with suppress(ProcessLookupError):
                os.killpg(running.pid, signal.SIGKILL)


def test_sparse_hidden_states_are_learnt_told_and_saved(corpus: Path, tmp_path: Path) -> None:
    sparse = {"sites": {"block_out": 8, "mlp_in": 6}, "share": 0.5, "dense_layers": 1}
    steps = {"steps": 20, "evaluate_every": 8, "tensorboard": True}
    run = train(recipe(corpus, topk=sparse, train=steps), tmp_path / "run").folder
    told = [line for line in read_record(run) if line["kind"] == "neurons"]
    assert [line["step"] for line in told] == [8, 16, 20]
    sites = "model.layers.0.block_out", "model.layers.0.post_attention_layernorm.topk"
    assert set(told[0]["sites"]) == set(sites)
    # In the first half of the steps k falls from all 32 entries.
    ks = [line["sites"][sites[0]]["k"] for line in told]
    assert 8 < ks[0] < 32
    assert ks[1:] == [8, 8]
    for line in told:
        for site in line["sites"].values():
            assert 0.0 <= site["dead"] <= 1.0 - site["always"] <= 1.0
    model = AutoModelForCausalLM.from_pretrained(run / "model")
    assert model.config.topk == {"block_out": 8, "mlp_in": 6}
    hidden = model(torch.tensor([[5, 6, 7]]), output_hidden_states=True).hidden_states
    assert int((hidden[1] != 0).sum(dim=-1).max()) == 8
    assert "8 at block_out" in (run / "model" / "README.md").read_text()


def test_sparse_and_dense_models_begin_with_the_same_weights(corpus: Path, tmp_path: Path) -> None:
    one = {"steps": 1, "warmup": 1.0}
    dense = train(recipe(corpus, train=one, subsampling={"keep": 1.0}), tmp_path / "dense")
    whole = {"sites": {"block_out": 32}, "shape": "none"}
    sparse = recipe(corpus, train=one, subsampling={"keep": 1.0}, topk=whole)
    assert losses(train(sparse, tmp_path / "sparse").folder) == losses(dense.folder)


def test_tensorboard_gets_the_numbers_of_the_record(corpus: Path, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = train(recipe(corpus, train={"tensorboard": True, "steps": 6}), tmp_path / "run").folder
    events = EventAccumulator(str(run / "tensorboard"))
    events.Reload()
    shown = [(point.step, point.value) for point in events.Scalars("step/loss_nats")]
    assert [step for step, _ in shown] == [1, 2, 3, 4, 5, 6]
    assert [value for _, value in shown] == pytest.approx(losses(run), rel=1e-6)
    assert "held-out/bits_per_byte" in events.Tags()["scalars"]


def test_another_recipe_in_the_folder_is_refused(corpus: Path, whole: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="another recipe"):
        train(recipe(corpus, train={"steps": STEPS + 1}), whole)
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(RunError, match="holds no training"):
        train(recipe(corpus), tmp_path)


def test_a_refused_recipe_leaves_nothing_in_the_way_of_the_corrected_one(
    corpus: Path, whole: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    with pytest.raises(ConfigError):
        train(recipe(corpus, topk={"sites": {"block_out": 10_000}}), out)
    assert not out.exists()
    out.mkdir()
    (out / "letter.txt").write_text("dear")
    with pytest.raises(RunError, match="holds no training"):
        train(recipe(corpus), out)
    assert (out / "letter.txt").read_text() == "dear"
    # A training that was begun stays, whatever is wrong with the next recipe.
    with pytest.raises(RunError, match="another recipe"):
        train(recipe(corpus, topk={"sites": {"block_out": 10_000}}), whole)
    assert (whole / "recipe.json").exists()
    assert (whole / "checkpoints").exists()
    # What was saved says what it was, for any tool.
    (line,) = (whole / "model" / "weights.sha256").read_text().splitlines()
    saved = hashlib.sha256((whole / "model" / "model.safetensors").read_bytes()).hexdigest()
    assert line == f"{saved}  model.safetensors"


def test_a_rising_loss_stops_the_training_and_keeps_its_checkpoints(
    corpus: Path, tmp_path: Path
) -> None:
    wild = {"rate": 30.0, "warmup": 0.0, "diverged": 0.5, "checkpoint_every": 1}
    with pytest.raises(RunError, match=r"rose above .* at step \d+ .*rows \d+ to \d+"):
        train(recipe(corpus, train=wild), tmp_path / "run")
    assert list((tmp_path / "run" / "checkpoints").iterdir())
    assert read_record(tmp_path / "run")[-1]["what"] == "diverged"


def test_what_cannot_be_trained_is_named(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="a row needs"):
        train(recipe(corpus, data={"length": 4000}), tmp_path / "long")
    with pytest.raises(ConfigError, match="n_heads = 5"):
        train(recipe(corpus, model={"n_heads": 5}), tmp_path / "heads")
    with pytest.raises(ConfigError, match="no tokenizer at"):
        train(recipe(corpus, tokenizer={"file": "none.json"}), tmp_path / "tokenizer")
