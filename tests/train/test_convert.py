"""A dense language model becomes a sparse one, whole or by low-rank changes."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM, MistralConfig
from transformers.models.mistral import MistralForCausalLM

from sparsepath.artifacts.training_record import read_record
from sparsepath.cli.main import main
from sparsepath.errors import ConfigError, DataError, ModelError
from sparsepath.models.parent import read_parent
from sparsepath.models.topk_lm import TopKForCausalLM
from sparsepath.nn.low_rank import add_low_rank, merge_low_rank
from sparsepath.runtime.language.engine import Engine
from sparsepath.train.convert import conversion, convert
from sparsepath.train.recipe_file import check_recipe
from sparsepath.train.trainer import train

SMALL = [
    "data.length=32",
    "data.held_out=0.1",
    "train.steps=30",
    "train.evaluate_every=30",
    "train.checkpoint_every=10",
    "train.evaluate_rows=16",
    "topk.dense_layers=1",
]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Counting from random numbers on."""
    chance = random.Random(0)
    path = tmp_path_factory.mktemp("corpus") / "counting.txt"
    starts = [chance.randrange(900) for _ in range(300)]
    path.write_text("\n\n".join(" ".join(str(s + i) for i in range(30)) for s in starts))
    return str(path)


@pytest.fixture(scope="module")
def parent(corpus: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dense model that learnt some counting."""
    recipe = check_recipe(
        {
            "task": "language-model",
            "data": {"source": corpus, "length": 32, "held_out": 0.1},
            "tokenizer": {"size": 320},
            "model": {"d_model": 32, "n_layers": 3, "n_heads": 4, "n_kv_heads": 2, "d_mlp": 48},
            "train": {"steps": 120, "batch_size": 8, "rate": 5e-3, "evaluate_rows": 16},
        },
        "test",
    )
    return train(recipe, tmp_path_factory.mktemp("parent") / "run").folder / "model"


def loss_of(folder: Path) -> float:
    """Held-out loss that a training ended with."""
    looks = [line for line in read_record(folder) if line["kind"] == "evaluation"]
    return float(looks[-1]["loss_nats"])


def test_the_model_becomes_sparse_and_still_counts(
    parent: Path, corpus: str, tmp_path: Path
) -> None:
    done = convert(parent, corpus, tmp_path / "run", sites={"block_out": 8}, changes=SMALL)
    model = AutoModelForCausalLM.from_pretrained(done.folder / "model")
    assert isinstance(model, TopKForCausalLM)
    assert model.config.topk == {"block_out": 8}
    hidden = model(torch.arange(20)[None], output_hidden_states=True).hidden_states
    assert [int((h[0] != 0).sum(dim=-1).max()) for h in hidden[1:3]] == [8, 8]
    # The parent's loss is 1.9 or so, that of knowing nothing 5.8.
    before = loss_of(parent.parent)
    assert before - 0.1 < loss_of(done.folder) < before + 1.0
    text = "".join(Engine(done.folder / "model").generate("100 101 102"))
    assert any(character.isdigit() for character in text)
    # The same call again finds it finished.
    again = convert(parent, corpus, tmp_path / "run", sites={"block_out": 8}, changes=SMALL)
    assert again.evaluation.loss_nats == done.evaluation.loss_nats


def test_only_what_the_parent_says_can_be_learnt(parent: Path, corpus: str, tmp_path: Path) -> None:
    whole = [*SMALL, "train.distil=1.0", "topk.shape='none'", "train.steps=4"]
    done = convert(parent, corpus, tmp_path / "run", sites={"block_out": 32}, changes=whole)
    # Nothing is dropped, so the first distance is none.
    steps = [line for line in read_record(done.folder) if line["kind"] == "step"]
    assert steps[0]["loss_nats"] == pytest.approx(0.0, abs=1e-5)


def test_low_rank_changes_leave_an_ordinary_model(
    parent: Path, corpus: str, tmp_path: Path
) -> None:
    sites = {"block_out": 8, "mlp_hidden": 12}
    changes = [*SMALL, "train.rank=4"]
    done = convert(parent, corpus, tmp_path / "run", sites=sites, changes=changes)
    model = AutoModelForCausalLM.from_pretrained(done.folder / "model")
    first = read_parent(str(parent)).state_dict()
    now = model.state_dict()
    assert set(now) == set(first)
    changed = (
        now["model.layers.1.mlp.down_proj.weight"] - first["model.layers.1.mlp.down_proj.weight"]
    )
    assert int(torch.linalg.matrix_rank(changed, rtol=1e-3)) == 4
    assert torch.equal(now["model.embed_tokens.weight"], first["model.embed_tokens.weight"])
    assert loss_of(done.folder) < loss_of(parent.parent) + 2.0


def test_a_stopped_conversion_goes_on_exactly(parent: Path, corpus: str, tmp_path: Path) -> None:
    sites = {"block_out": 8}
    changes = [*SMALL, "train.rank=4"]
    whole = convert(parent, corpus, tmp_path / "whole", sites=sites, changes=changes).folder
    part = tmp_path / "part"
    convert(parent, corpus, part, sites=sites, changes=changes)
    for name in ("model", "checkpoints/step-00000030"):
        folder = part / name
        assert folder.exists(), list((part / "checkpoints").iterdir())
        folder.rename(tmp_path / folder.name)
    convert(parent, corpus, part, sites=sites, changes=changes)
    found = [
        [line["loss_nats"] for line in read_record(place) if line["kind"] == "step"]
        for place in (whole, part)
    ]
    assert found[0] == found[1]


def test_merging_changes_no_answer() -> None:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(6, 5), torch.nn.Linear(5, 4))
    x = torch.randn(3, 6)
    before = model(x)
    add_low_rank(model, ["0"], rank=2, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(model(x), before)
    assert sum(p.requires_grad for p in model.parameters()) == 2
    model(x).sum().backward()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.grad is not None:
                parameter -= parameter.grad
    changed = model(x)
    assert not torch.allclose(changed, before)
    merge_low_rank(model)
    torch.testing.assert_close(model(x), changed)
    assert sorted(model.state_dict()) == ["0.bias", "0.weight", "1.bias", "1.weight"]
    with pytest.raises(ConfigError, match="rank 5 for 1, 4 by 5"):
        add_low_rank(model, ["1"], rank=5, generator=torch.Generator())
    with pytest.raises(ConfigError, match="no map is called q"):
        add_low_rank(model, ["q"], rank=1, generator=torch.Generator())


def test_a_mistral_is_read_as_a_llama(tmp_path: Path) -> None:
    sizes: dict[str, Any] = {
        "vocab_size": 50, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2,
        "num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 64,
    }  # fmt: skip
    model = MistralForCausalLM(MistralConfig(**sizes, sliding_window=None)).eval()
    model.save_pretrained(tmp_path / "mistral")
    found = read_parent(str(tmp_path / "mistral")).eval()
    assert isinstance(found, LlamaForCausalLM)
    ids = torch.arange(30)[None]
    torch.testing.assert_close(found(ids).logits, model(ids).logits)
    MistralForCausalLM(MistralConfig(**sizes, sliding_window=8)).save_pretrained(tmp_path / "w")
    with pytest.raises(ModelError, match="looks back 8"):
        read_parent(str(tmp_path / "w"))


def _sparse(parent: Path, place: Path) -> Path:
    recipe = conversion(parent, "stdlib", {"block_out": 4}, changes=SMALL)
    from sparsepath.train.language_start import first_model

    first_model(recipe, 320).save_pretrained(place)
    return place


def _custom(parent: Path, place: Path) -> Path:
    del parent
    sizes = {"vocab_size": 9, "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1}
    LlamaForCausalLM(LlamaConfig(**sizes, num_attention_heads=2)).save_pretrained(place)
    config = json.loads((place / "config.json").read_text())
    (place / "config.json").write_text(json.dumps(config | {"auto_map": {"AutoModel": "x.Y"}}))
    return place


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (_sparse, "keeps its largest entries already"),
        (_custom, "brings custom code"),
        (lambda _parent, place: place, "there is no folder"),
    ],
)
def test_a_model_that_cannot_be_converted_is_refused(
    parent: Path,
    corpus: str,
    tmp_path: Path,
    make: Callable[[Path, Path], Path],
    message: str,
) -> None:
    place = make(parent, tmp_path / "model")
    with pytest.raises(ModelError, match=message):
        convert(place, corpus, tmp_path / "run", sites={"block_out": 4})


@pytest.mark.parametrize(
    ("sites", "changes", "message"),
    [
        ({}, [], "no site is named"),
        ({"block_out": 33}, [], "block_out = 33; 32 entries compete"),
        ({"block_out": 0}, [], "greater than or equal to 1"),
        ({"nowhere": 3}, [], "nowhere"),
        ({"mlp_hidden": 48}, ["topk.always_on=1"], "mlp_hidden = 48; 47 entries compete"),
        ({"block_out": 4}, ["topk.dense_layers=3"], "dense_layers = 3 of 3"),
        ({"block_out": 4}, ["data.length=64"], "was trained on 32"),
        ({"block_out": 4}, ["model.d_model=64"], "no effect beside model.base"),
        ({"block_out": 4}, ["train.rank=32"], "rank 32 for"),
    ],
)
def test_settings_that_do_not_fit_are_refused(
    parent: Path, corpus: str, tmp_path: Path, sites: Any, changes: list[str], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        convert(parent, corpus, tmp_path / "run", sites=sites, changes=[*SMALL, *changes])


def test_texts_that_are_too_short_are_refused(parent: Path, tmp_path: Path) -> None:
    for name, text in (("empty.txt", ""), ("tiny.txt", "one two")):
        (tmp_path / name).write_text(text)
        place = tmp_path / name[:4]
        with pytest.raises(DataError, match=r"documents of .* have \d+ tokens"):
            convert(parent, str(tmp_path / name), place, sites={"block_out": 4}, changes=SMALL)


def test_texts_that_fill_no_step_are_refused(parent: Path, corpus: str, tmp_path: Path) -> None:
    few = Path(corpus).read_text().split("\n\n")[:12]
    (tmp_path / "few.txt").write_text("\n\n".join(few))
    run = tmp_path / "run"
    changes = [*SMALL, "train.batch_size=64"]
    with pytest.raises(DataError, match="fewer than the 64 of one step"):
        convert(parent, str(tmp_path / "few.txt"), run, sites={"block_out": 4}, changes=changes)
    changes = [*SMALL, "train.batch_size=8", "train.steps=1"]
    convert(
        parent, str(tmp_path / "few.txt"), tmp_path / "b", sites={"block_out": 4}, changes=changes
    )


@pytest.mark.parametrize("name", ["tickets.csv", "tickets.TSV", "tickets.csv.gz"])
def test_a_table_is_no_text(parent: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("text,label\none,two\n")
    with pytest.raises(DataError, match="is a table; a language model is healed on text"):
        convert(parent, str(tmp_path / name), tmp_path / "run", sites={"block_out": 4})


def test_distilling_needs_a_parent() -> None:
    with pytest.raises(ConfigError, match=r"train\.distil without model\.base"):
        check_recipe({"task": "language-model", "train": {"distil": 0.5}}, "test")


def test_the_command_converts(parent: Path, corpus: str, tmp_path: Path) -> None:
    arguments = ["convert", str(parent), corpus, "--k", "8", "--site", "mlp_hidden=12"]
    for change in [*SMALL, "train.steps=3"]:
        arguments += ["--set", change]
    out = tmp_path / "run"
    done = CliRunner().invoke(main, [*arguments, "--out", str(out), "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["model"] == str(out / "model")
    config = json.loads((out / "model" / "config.json").read_text())
    assert config["topk"] == {"block_out": 8, "mlp_hidden": 12}
    wrong = CliRunner().invoke(main, ["convert", str(parent), corpus, "--site", "block_out"])
    assert wrong.exit_code == 1
    assert "write it as NAME=K" in wrong.stderr
