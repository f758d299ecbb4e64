"""A trace holds what sparse sites keep of every token, also where a text is steered."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from safetensors.numpy import load_file

import sparsepath
from sparsepath.artifacts.neuron import IN_ORDER, Neuron, Site
from sparsepath.cli.main import main
from sparsepath.config import GenerateOptions
from sparsepath.errors import ConfigError, ModelError
from sparsepath.kernels.by_input import Floats
from sparsepath.models.language import fresh_llama, fresh_topk, train_byte_tokenizer
from sparsepath.runtime.language import engine as engine_file
from sparsepath.runtime.language.cache import Cache
from sparsepath.runtime.language.engine import Engine
from sparsepath.runtime.language.plain import PlainPass
from sparsepath.runtime.language.tracing import Trace

OPTIONS = GenerateOptions(tokens=8)
EVERYWHERE = {"attn_in": 7, "attn_out": 6, "mlp_in": 5, "mlp_hidden": 11, "block_out": 9}
EDITS = ("L00/3=2", "L00/4=off", "L01.attn_in/5+1", "L01.M0007=3@answer")


def saved(folder: Path, topk: dict[str, int] | None, **settings: Any) -> Path:
    """Write a model that was never trained; None: a dense one."""
    model: Any = fresh_llama(
        vocabulary=301, length=64, d_model=32, n_layers=3, n_heads=2, n_kv_heads=2, d_mlp=40, seed=0
    )
    if topk is not None:
        how = {"topk_by": "magnitude", "topk_positive": False, "n_dense_layers": 1} | settings
        model = fresh_topk(model, topk=topk, **how)
    model.config.eos_token_id = model.generation_config.eos_token_id = None
    model.save_pretrained(folder)
    tokenizer = train_byte_tokenizer(iter(["one two three"]), size=300)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return saved(tmp_path / "model", EVERYWHERE, n_always_on=2)


def looked_at(engine: Engine, ids: list[int], n_prompt: int) -> dict[tuple[int, Site], Floats]:
    """What numpy has at every site of a text, [tokens, width]."""
    found: dict[tuple[int, Site], Floats] = {}

    def tap(layer: int, site: Site, hidden: Floats) -> None:
        found[layer, site] = hidden

    cache = engine.cache(len(ids), n_prompt=n_prompt)
    PlainPass(engine.weights, tap).run(np.array(ids, np.int32), cache, 0)
    return found


@pytest.mark.parametrize("is_native", [True, False])
@pytest.mark.parametrize("edits", [(), EDITS])
def test_a_trace_is_what_every_site_keeps(
    folder: Path, monkeypatch: pytest.MonkeyPatch, is_native: bool, edits: tuple[str, ...]
) -> None:
    if not is_native:
        monkeypatch.setattr(engine_file, "library", lambda: None)
    engine = Engine(folder, form="fp32")
    prompt = list(range(40, 60))  # more than the native code reads at once
    trace = Trace()
    with engine.steered(*edits, unsafe_strength=True):
        written = list(engine.tokens(prompt, OPTIONS, trace=trace))
        truth = looked_at(engine, trace.tokens, len(prompt))
    assert trace.tokens == [*prompt, *written[:-1]]
    assert set(trace.spots) == {(layer, site) for layer in (0, 1) for site in IN_ORDER}
    for layer, site in trace.spots:
        kept, dense = trace.kept(layer, site), np.zeros_like(truth[layer, site])
        for t in range(len(trace.tokens)):
            here = slice(kept.starts[t], kept.starts[t + 1])
            assert np.all(np.diff(kept.indices[here]) > 0)
            dense[t, kept.indices[here]] = kept.values[here]
        np.testing.assert_allclose(dense, truth[layer, site], atol=1e-4, rtol=1e-4)
        assert len(kept.values) == np.count_nonzero(truth[layer, site])


def test_the_text_is_the_same_and_the_next_text_begins_anew(folder: Path) -> None:
    engine, trace = Engine(folder), Trace("block_out")
    plain = "".join(engine.generate("one two", OPTIONS))
    assert "".join(engine.generate("one two", OPTIONS, trace=trace)) == plain
    first = trace.tokens
    "".join(engine.generate("three", OPTIONS, trace=trace))
    assert trace.tokens[:1] != first[:1]
    assert trace.spots == ((0, "block_out"), (1, "block_out"))
    "".join(engine.generate("one two", OPTIONS))  # untraced: nothing is noted
    assert len(trace.kept(1).starts) == len(trace.tokens) + 1


def test_neurons_at_a_token_come_the_strongest_first(folder: Path) -> None:
    engine, trace = Engine(folder, form="fp32"), Trace("block_out")
    with engine.steered("L01/7=-90", unsafe_strength=True):
        engine.read([1, 2, 3], engine.cache(3, trace=trace), 0)
    found = trace.at(2)
    assert found[0] == (Neuron(1, "block_out", 7), -90.0)
    sizes = [abs(value) for _, value in found]
    assert sizes == sorted(sizes, reverse=True)
    assert 2 * 9 <= len(found) <= 2 * (9 + 2) + 1


def test_a_dense_model_has_no_trace(tmp_path: Path) -> None:
    engine = Engine(saved(tmp_path / "dense", None))
    with pytest.raises(ModelError, match=r"sparse at nowhere(?s:.*)convert"):
        list(engine.generate("one", OPTIONS, trace=Trace()))
    engine = Engine(saved(tmp_path / "out", {"block_out": 9}))
    with pytest.raises(ModelError, match="sparse at block_out"):
        Cache(engine.shape, 3, trace=Trace("mlp_hidden"))
    trace = Trace()
    engine.read([1], engine.cache(1, trace=trace), 0)
    with pytest.raises(ConfigError, match=r"layer 2, block_out was not traced(?s:.*)L00, L01"):
        trace.kept(2)


def test_the_command_writes_a_trace(folder: Path, tmp_path: Path) -> None:
    arguments = ["generate", str(folder), "one two", "--tokens", "4"]
    file = tmp_path / "trace.safetensors"
    done = CliRunner().invoke(main, [*arguments, "--trace", str(file)])
    assert done.exit_code == 0, done.output
    found, trace = load_file(file), sparsepath.Trace()
    list(Engine(folder).generate("one two", GenerateOptions(tokens=4), trace=trace))
    assert found["tokens"].tolist() == trace.tokens
    np.testing.assert_array_equal(
        found["L01.mlp_hidden.values"], trace.kept(1, "mlp_hidden").values
    )
    np.testing.assert_array_equal(found["L01.indices"], trace.kept(1).indices)
    assert found["L00.starts"][-1] == len(found["L00.indices"])
    nowhere = CliRunner().invoke(main, [*arguments, "--trace", str(file / "t")])
    assert nowhere.exit_code == 1
    assert "fix:" in nowhere.stderr
