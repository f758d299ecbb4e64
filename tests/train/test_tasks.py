"""Images and texts are learnt by the same trainer, dense and subsampled."""

import csv
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForImageClassification

from sparsepath.artifacts.training_record import read_record
from sparsepath.data.images import read_images, split_images
from sparsepath.data.order import places_of_step
from sparsepath.errors import ConfigError, DataError
from sparsepath.models.graph_transformer import GraphTransformer
from sparsepath.models.save import load_classifier
from sparsepath.models.scratch import small_encoder, train_tokenizer
from sparsepath.train.images import ImageTask
from sparsepath.train.recipe import Recipe
from sparsepath.train.recipe_file import check_recipe
from sparsepath.train.trainer import train

WORDS = {"card": ["card", "chip", "pin"], "money": ["money", "transfer", "refund"]}


def digits(keep: float, **data: Any) -> Recipe:
    """Describe a training on digits of seconds."""
    return check_recipe(
        {
            "task": "image-classification",
            "data": {"source": "digits", "train_rows": 200, "held_out_rows": 200, **data},
            "model": {"d_model": 64, "n_layers": 2, "n_heads": 4, "d_mlp": 64, "patch": 2},
            "subsampling": {"keep": keep, "dense": 0.2},
            "train": {"steps": 200, "batch_size": 50, "rate": 1e-3, "evaluate_every": 100},
        },
        "test",
    )


@pytest.mark.parametrize("keep", [1.0, 0.5])
def test_a_vit_learns_digits(tmp_path: Path, keep: float) -> None:
    found = train(digits(keep), tmp_path / "run")
    assert found.evaluation.part == "test"
    assert found.evaluation.n == 1797 - 400
    assert found.evaluation.scores["accuracy"] > 0.5
    parts = [line["part"] for line in read_record(tmp_path / "run") if line["kind"] == "evaluation"]
    assert parts == ["held-out", "held-out", "test"]
    model = AutoModelForImageClassification.from_pretrained(tmp_path / "run" / "model")
    assert model(pixel_values=torch.zeros(1, 1, 8, 8)).logits.shape == (1, 10)


def test_sparse_hidden_states_are_learnt_from_images(tmp_path: Path) -> None:
    sparse = {"sites": {"block_out": 8, "mlp_hidden": 16}, "straight_through": True}
    recipe = digits(1.0).model_dump(exclude_unset=True) | {"topk": sparse}
    found = train(check_recipe(recipe, "test"), tmp_path / "run")
    assert found.evaluation.scores["accuracy"] > 0.4
    model = AutoModelForImageClassification.from_pretrained(tmp_path / "run" / "model")
    assert (model.config.topk, model.config.n_dense_layers) == (sparse["sites"], 1)
    told = [line for line in read_record(tmp_path / "run") if line["kind"] == "neurons"][-1]
    assert {site: of["k"] for site, of in told["sites"].items()} == {
        "vit.layers.0.block_out": 8,
        "vit.layers.0.mlp.activation_fn.1": 16,
    }


def test_images_are_read_from_a_file_and_moved_by_the_seed(tmp_path: Path) -> None:
    path = tmp_path / "images.npz"
    chance = np.random.default_rng(0)
    images = chance.integers(0, 255, (60, 16, 16, 3), dtype=np.uint8)
    np.savez(path, images=images, labels=np.arange(60) % 3)
    read = read_images(str(path))
    assert read.pixels.shape == (60, 3, 16, 16)
    assert float(np.abs(read.pixels.mean(axis=(0, 2, 3))).max()) < 1e-5
    rows = {"source": str(path), "train_rows": 30, "held_out_rows": 10}
    plain, moved = (
        ImageTask(digits(1.0, **rows, augment=augment), tmp_path)
        for augment in ("none", "shift-flip")
    )
    assert torch.equal(moved.batch(3)["pixels"], moved.batch(3)["pixels"])
    assert torch.equal(moved.batch(3)["labels"], plain.batch(3)["labels"])
    assert not torch.equal(moved.batch(3)["pixels"], plain.batch(3)["pixels"])


def test_each_pass_reads_every_image_once() -> None:
    rows = np.concatenate([places_of_step(step, 7, 35, seed=1) for step in range(10)])
    assert sorted(rows[:35]) == sorted(rows[35:]) == list(range(35))
    assert rows[:35].tolist() != rows[35:].tolist()


def test_parts_of_images_share_none() -> None:
    images = read_images("digits")
    marked = images._replace(labels=np.arange(len(images.labels)))
    parts = split_images(marked, 500, 300, seed=0)
    assert [len(part.labels) for part in parts] == [500, 300, 997]
    assert len(np.unique(np.concatenate([part.labels for part in parts]))) == 1797


def test_images_that_cannot_be_learnt_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_text("no archive")
    with pytest.raises(DataError, match="cannot be read as images"):
        read_images(str(tmp_path / "a.npz"))
    np.savez(tmp_path / "b.npz", images=np.zeros((3, 4)), labels=np.zeros(3))
    with pytest.raises(DataError, match=r"images have shape \(3, 4\)"):
        read_images(str(tmp_path / "b.npz"))
    with pytest.raises(DataError, match="too few"):
        train(digits(1.0, train_rows=1700), tmp_path / "few")
    bad = digits(1.0).model_copy(
        update={"model": digits(1.0).model.model_copy(update={"patch": 3})}
    )
    with pytest.raises(ConfigError, match=r"multiple of model\.patch"):
        train(bad, tmp_path / "patch")


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A table that is easily learnt, and a small encoder that knows its words."""
    chance = random.Random(0)
    folder = tmp_path_factory.mktemp("texts")
    rows = []
    for number in range(300):
        label = chance.choice(list(WORDS))
        rows.append((f"{number} {chance.choice(WORDS[label])} x{chance.randrange(99)}", label))
    with (folder / "table.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *rows])
    tokenizer_json = train_tokenizer([text for text, _ in rows], vocabulary_size=300)
    encoder = small_encoder(300, seed=0)
    encoder.save_pretrained(folder / "encoder")
    (folder / "encoder" / "tokenizer.json").write_text(tokenizer_json)
    return folder / "table.csv", folder / "encoder"


@pytest.mark.parametrize("keep", [1.0, 0.5])
def test_an_encoder_learns_labels(table: tuple[Path, Path], tmp_path: Path, keep: float) -> None:
    recipe = check_recipe(
        {
            "task": "text-classification",
            "data": {"source": str(table[0]), "length": 32},
            "model": {"base": str(table[1])},
            "subsampling": {"keep": keep, "dense": 0.2},
            "train": {"steps": 40, "batch_size": 16, "rate": 1e-3},
        },
        "test",
    )
    found = train(recipe, tmp_path / "run")
    assert found.evaluation.scores["accuracy"] > 0.8
    model, tokenizer = load_classifier(tmp_path / "run" / "model")
    ids = torch.tensor([tokenizer.encode("7 refund x3").ids])
    assert model.config.id2label[int(model(ids).logits.argmax())] == "money"


@pytest.mark.parametrize(("keep", "sites"), [(1.0, {}), (0.5, {}), (1.0, {"block_out": 4})])
def test_a_graph_transformer_learns_molecules(
    tmp_path: Path, keep: float, sites: dict[str, int]
) -> None:
    table = tmp_path / "table.csv"
    chains = ["C" * n + "O" * m for n in range(1, 12) for m in range(1, 6)]
    table.write_text("smiles,value\n" + "".join(f"{c},{c.count('O')}\n" for c in chains))
    recipe = check_recipe(
        {
            "task": "molecule-regression",
            "data": {"source": str(table), "train_rows": 30, "held_out_rows": 10},
            "model": {"d_model": 16, "d_edge": 8, "n_layers": 2, "n_heads": 2, "d_mlp": 16},
            "subsampling": {"keep": keep, "dense": 0.5},
            "topk": {"sites": sites},
            "train": {"steps": 80, "batch_size": 10, "rate": 5e-3},
        },
        "test",
    )
    found = train(recipe, tmp_path / "run")
    assert (found.evaluation.part, found.evaluation.n) == ("test", 15)
    # The standard deviation of the values is 1.4.
    assert found.evaluation.scores["mean_absolute_error"] < 0.9
    model = GraphTransformer.from_pretrained(tmp_path / "run" / "model")
    assert model.config.value_deviation == pytest.approx(1.4, abs=0.3)
    assert model.config.topk == sites
