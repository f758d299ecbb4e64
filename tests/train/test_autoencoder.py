"""Autoencoders are trained over a frozen model: planted directions are found, scores are right."""

import random
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM

from sparsepath.artifacts.model_files import weights_sha256
from sparsepath.artifacts.training_record import read_record
from sparsepath.errors import ConfigError, ModelError
from sparsepath.models.autoencoder import AutoencoderConfig, SparseAutoencoder
from sparsepath.models.autoencoder_folder import read_autoencoder
from sparsepath.models.quiet import quiet
from sparsepath.train.autoencoder import AutoencoderTask
from sparsepath.train.recipe import Recipe
from sparsepath.train.recipe_file import check_recipe
from sparsepath.train.trainer import train

WIDTH, N_DIRECTIONS, N_WORDS = 16, 24, 400


def directions() -> torch.Tensor:
    """What is planted: more directions than the hidden state has entries."""
    drawn = torch.randn(N_DIRECTIONS, WIDTH, generator=torch.Generator().manual_seed(5))
    return torch.nn.functional.normalize(drawn, dim=-1)


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose hidden state at a word is a sum of two planted directions, and a shift."""
    folder = tmp_path_factory.mktemp("planted")
    generator = torch.Generator().manual_seed(0)
    chosen = torch.rand(N_WORDS, N_DIRECTIONS, generator=generator).topk(2, dim=-1).indices
    weights = 4 * (0.5 + torch.rand(N_WORDS, 2, generator=generator))
    table = torch.zeros(N_WORDS, N_DIRECTIONS).scatter(-1, chosen, weights) @ directions() + 1
    config = LlamaConfig(
        vocab_size=N_WORDS, hidden_size=WIDTH, intermediate_size=8, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=2, max_position_embeddings=64, bos_token_id=0,
        eos_token_id=0, tie_word_embeddings=True,
    )  # fmt: skip
    with torch.random.fork_rng(), torch.no_grad():
        model = LlamaForCausalLM(config)
        model.get_input_embeddings().weight.copy_(table)
        for block in model.model.layers:
            block.self_attn.o_proj.weight.zero_()
            block.mlp.down_proj.weight.zero_()
    with quiet():
        model.save_pretrained(folder / "model")
    words = {f"w{number}": number for number in range(N_WORDS)}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="w0"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "model" / "tokenizer.json"))
    draw = random.Random(0)
    texts = [" ".join(draw.choices(list(words), k=60)) for _ in range(300)]
    (folder / "corpus.txt").write_text("\n\n".join(texts))
    return folder


def recipe(planted: Path, *, train: dict[str, Any] | None = None, **settings: Any) -> Recipe:
    """Describe a training of seconds."""
    return check_recipe(
        {
            "task": "sparse-autoencoder",
            "data": {"source": str(planted / "corpus.txt"), "length": 32, "held_out": 0.1},
            "model": {"base": str(planted / "model")},
            "autoencoder": {
                "layer": 0,
                "latents": 32,
                "k": 2,
                "dead_after": 5_000,
                **settings,
            },
            "train": {
                "steps": 300,
                "batch_size": 8,
                "rate": 2e-2,
                "weight_decay": 0.0,
                "evaluate_every": 1000,
                "checkpoint_every": 1000,
                **(train or {}),
            },
        },
        "test",
    )


def test_planted_directions_are_recovered(planted: Path, tmp_path: Path) -> None:
    found = train(recipe(planted), tmp_path / "run")
    model = read_autoencoder(tmp_path / "run")
    learnt = load_file(tmp_path / "run" / "model" / "model.safetensors")["decoder"]
    torch.testing.assert_close(learnt.norm(dim=-1), torch.ones(32))
    likeness = (directions() @ learnt.T).max(dim=-1).values
    assert float(likeness.mean()) > 0.9
    assert found.evaluation.scores["explained_variance"] > 0.9
    assert found.evaluation.scores["l0"] <= 2
    assert (model.config.layer, model.config.site) == (0, "block_out")
    assert model.config.parent_sha256 == weights_sha256(planted / "model")
    card = (tmp_path / "run" / "model" / "README.md").read_text()
    assert "sparse-autoencoder; data: block_out of layer 0" in card
    assert "Attention" not in card


def test_a_stopped_training_goes_on_to_the_same_bits(
    planted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = recipe(planted, latents=200, dead_after=300, train={"steps": 8, "checkpoint_every": 3})
    train(ours, tmp_path / "whole")
    loss, n_calls = AutoencoderTask.loss, 0

    def stopping(self: AutoencoderTask, *arguments: Any) -> torch.Tensor:
        nonlocal n_calls
        n_calls += 1
        if n_calls == 5:
            raise RuntimeError("killed")
        return loss(self, *arguments)

    monkeypatch.setattr(AutoencoderTask, "loss", stopping)
    with pytest.raises(RuntimeError, match="killed"):
        train(ours, tmp_path / "killed")
    train(ours, tmp_path / "killed")
    whole, killed = (
        [line["loss_nats"] for line in read_record(tmp_path / name) if line["kind"] == "step"]
        for name in ("whole", "killed")
    )
    assert len(whole) == 8
    assert whole == killed
    file = "model/model.safetensors"
    assert (tmp_path / "whole" / file).read_bytes() == (tmp_path / "killed" / file).read_bytes()


def test_parts_of_a_step_give_the_same_result(planted: Path, tmp_path: Path) -> None:
    losses = []
    for n_parts in (1, 4):
        parts = {"steps": 4, "accumulate": n_parts}
        train(recipe(planted, train=parts), tmp_path / str(n_parts))
        lines = read_record(tmp_path / str(n_parts))
        losses.append([line["loss_nats"] for line in lines if line["kind"] == "step"])
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_scores_of_what_copies_and_of_what_says_nothing(planted: Path, tmp_path: Path) -> None:
    task = AutoencoderTask(recipe(planted, latents=32, k=WIDTH), tmp_path)
    model = SparseAutoencoder(AutoencoderConfig(width=WIDTH, n_latents=32, k=WIDTH))
    both = torch.cat([torch.eye(WIDTH), -torch.eye(WIDTH)])
    with torch.no_grad():
        model.decoder.copy_(both)
        nothing = task.evaluate(model, "held-out").scores
        model.encoder.copy_(both)
        copied = task.evaluate(model, "held-out").scores
    assert copied["explained_variance"] == pytest.approx(1, abs=1e-6)
    assert copied["loss_recovered"] == pytest.approx(1, abs=1e-6)
    assert copied["l0"] == WIDTH
    assert copied["nats_autoencoder"] == pytest.approx(copied["nats_clean"])
    assert nothing["loss_recovered"] == pytest.approx(0, abs=1e-6)
    assert nothing["nats_autoencoder"] == pytest.approx(nothing["nats_zero"])
    assert (nothing["l0"], nothing["dead"]) == (0, 1)
    assert nothing["explained_variance"] < 0  # zeros are worse than the mean


@pytest.mark.parametrize(
    ("part", "values", "told"),
    [
        ("model", {"d_model": 8}, r"model\.d_model has no effect on sparse-autoencoder"),
        ("model", {}, r"without model\.base"),
        ("autoencoder", {"latents": 4, "k": 5}, r"k = 5 of 4 latents"),
        ("subsampling", {"keep": 0.5}, r"subsampling\.keep has no effect"),
        ("topk", {"sites": {"block_out": 4}}, r"topk\.sites has no effect"),
        ("train", {"sharding": "full"}, r"train\.sharding has no effect"),
        ("task", "language-model", r"autoencoder\.k has no effect on language-model"),
    ],
)
def test_keys_that_say_nothing_are_refused(part: str, values: Any, told: str) -> None:
    content = {"task": "sparse-autoencoder", "model": {"base": "x"}, "autoencoder": {"k": 2}}
    with pytest.raises(ConfigError, match=told):
        check_recipe({**content, part: values}, "test")


def test_a_layer_or_a_model_that_is_not_there_is_named(planted: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"layer = 2, .* has 2 layers"):
        AutoencoderTask(recipe(planted, layer=2), tmp_path)
    (tmp_path / "empty").mkdir()
    other = recipe(planted).model_copy(
        update={"model": recipe(planted).model.model_copy(update={"base": str(tmp_path / "empty")})}
    )
    with pytest.raises(ModelError, match="no language model at"):
        AutoencoderTask(other, tmp_path)
