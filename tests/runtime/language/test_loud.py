"""Rows behind loud inputs are stored twice, so that 8 bits of them do not drown the others."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from sparsepath.kernels.by_input import Floats
from sparsepath.kernels.native import Level, best_level
from sparsepath.models.language import train_byte_tokenizer
from sparsepath.runtime.language import weights_file
from sparsepath.runtime.language.cache import Cache
from sparsepath.runtime.language.engine import Engine
from sparsepath.runtime.language.loud import MOST, loud_inputs
from sparsepath.runtime.language.plain import PlainPass
from sparsepath.runtime.language.weights_file import read_weights

LOUD = 17
IDS = np.random.default_rng(0).integers(0, 300, 60).astype(np.int32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with one neuron that is thousands of times as loud as the others."""
    folder = tmp_path_factory.mktemp("loud")
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=300, hidden_size=48, intermediate_size=88, num_hidden_layers=3,
            num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=96,
        )
    )  # fmt: skip
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.dim() > 1:
                weight.normal_(std=0.15, generator=torch.Generator().manual_seed(len(name)))
        block: Any = model.model.layers[1].mlp
        block.gate_proj.weight[LOUD] *= 50
        block.up_proj.weight[LOUD] *= 50
        # It writes one entry of the stream, and little else, as such neurons do.
        block.down_proj.weight[:, LOUD] *= 8e-3
        block.down_proj.weight[5, LOUD] = 0.3
    model.eval().save_pretrained(folder)
    tokenizer = train_byte_tokenizer(iter(["one two three"]), size=300)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def _fresh(folder: Path) -> Path:
    for kept in folder.glob("decode-*"):
        kept.unlink()
    return folder


def _logits(folder: Path, form: Any) -> Floats:
    weights = read_weights(_fresh(folder), form)
    return PlainPass(weights).run(IDS, Cache(weights.shape, 60), 60)


def _stream(folder: Path, form: Any) -> Floats:
    """What layer 1 leaves, but for the entry that the loud neuron writes."""
    weights, found = read_weights(_fresh(folder), form), {}

    def tap(layer: int, site: str, hidden: Floats) -> None:
        found[layer, site] = np.delete(hidden, 5, axis=1)

    PlainPass(weights, tap).run(IDS, Cache(weights.shape, 60), 0)
    return found[1, "block_out"]


@pytest.mark.parametrize(("form", "gain"), [("int8", 2.5), ("int4", 1.3)])
def test_a_loud_row_is_stored_twice_and_the_stream_is_nearer(
    folder: Path, form: Any, gain: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    exact = _stream(folder, "fp32")
    found = _stream(folder, form)
    down = read_weights(folder, form).layers[1].down
    assert down.doubled is not None
    assert LOUD in down.doubled
    assert down.dense().shape == (88, 48)
    monkeypatch.setattr(weights_file, "loud_inputs", lambda *_: np.zeros(0, np.int32))
    once = _stream(folder, form)
    assert np.std(once - exact) > gain * np.std(found - exact)


def test_the_second_row_holds_what_the_first_one_lost(folder: Path) -> None:
    exact = read_weights(_fresh(folder), "fp32").layers[1].down.dense()
    for form, most in (("int8", 2e-4), ("int4", 0.02)):
        down = read_weights(folder, form).layers[1].down  # type: ignore[arg-type]
        lost = np.abs(down.dense() - exact)
        assert lost[LOUD].max() <= most * np.abs(exact[LOUD]).max()
        assert down.doubled is not None
        quiet = np.setdiff1d(np.arange(88), down.doubled)
        assert (lost[quiet].max(axis=1) > most * np.abs(exact[quiet]).max(axis=1)).all()


@pytest.mark.parametrize("form", ["fp32", "bf16"])
def test_floating_numbers_need_no_second_row(folder: Path, form: Any) -> None:
    layers = read_weights(_fresh(folder), form).layers
    assert all(matrix.doubled is None for layer in layers for matrix in layer[2:])


@pytest.mark.parametrize("form", ["int8", "int4"])
@pytest.mark.parametrize("threads", [1, 2])
def test_native_code_and_numpy_read_second_rows_alike(
    folder: Path, form: Any, threads: int
) -> None:
    exact, wanted = _logits(folder, "fp32"), _logits(folder, form)
    for level in range(int(best_level() or 0) + 1):
        engine = Engine(folder, form=form, level=Level(level), threads=threads)
        cache = Cache(engine.shape, 60)
        parts = [IDS[:30], *IDS[30:].reshape(-1, 1)]  # together, and one by one
        found = [engine.read(part.tolist(), cache, len(part)) for part in parts]
        change = np.concatenate(found) - wanted
        # The loud neuron makes thousands of times as much of the last bit of a factor.
        assert np.abs(change).max() < 6e-3
        assert np.std(change) < 4e-3 * np.std(wanted - exact)


def test_a_kept_file_has_the_second_rows(folder: Path) -> None:
    first = read_weights(_fresh(folder), "int8")
    made = (folder / "decode-int8.safetensors").stat().st_mtime_ns
    again = read_weights(folder, "int8")
    assert (folder / "decode-int8.safetensors").stat().st_mtime_ns == made
    for one, other in zip(first.layers, again.layers, strict=True):
        assert (one.down.doubled is None) == (other.down.doubled is None)
        np.testing.assert_array_equal(one.down.dense(), other.down.dense())


def test_inputs_are_loud_that_outweigh_a_usual_token() -> None:
    chance = np.random.default_rng(0)
    heard = chance.standard_normal((64, 300)).astype(np.float32)
    errors = np.full(300, 0.01, np.float32)
    assert loud_inputs(heard, errors).tolist() == []
    heard[0, [40, 7]] = 400, -30
    heard[:, 9] = 400
    assert loud_inputs(heard, errors * (np.arange(300) != 9)).tolist() == [7, 40]
    heard[3, 100:120] = np.arange(20) * 10 + 1000
    found = loud_inputs(heard, errors * (np.arange(300) != 9))
    assert found.tolist() == list(range(112, 120))
    assert len(found) == MOST
    heard[1, 1] = np.nan
    assert len(loud_inputs(heard, errors)) <= MOST
    assert loud_inputs(np.zeros((4, 5), np.float32), np.zeros(5, np.float32)).tolist() == []
