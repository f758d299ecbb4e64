"""An engine keeps a preset, and refuses what is far beyond the usual values of its model."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from safetensors.torch import load_file, save_file

from sparsepath.artifacts.neuron import Neuron
from sparsepath.artifacts.steering import make_preset, write_preset
from sparsepath.cli.main import main
from sparsepath.config import GenerateOptions
from sparsepath.errors import ConfigError, ModelError
from sparsepath.models.language import fresh_llama, fresh_topk, train_byte_tokenizer
from sparsepath.runtime.language import engine as engine_file
from sparsepath.runtime.language.engine import Engine
from sparsepath.runtime.language.ranges import FILE, measure_ranges
from sparsepath.trace.ranges import limit_of

OPTIONS = GenerateOptions(tokens=8)


@pytest.fixture
def few_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Usual values are measured on these, which is fast."""
    texts = ["one two three", "The three of them, one by one.", "two or three"]
    monkeypatch.setattr("sparsepath.runtime.language.ranges.neutral_texts", lambda: texts)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A sparse model that was never trained."""
    llama = fresh_llama(
        vocabulary=301, length=64, d_model=32, n_layers=2, n_heads=2, n_kv_heads=2, d_mlp=40, seed=0
    )
    topk = fresh_topk(
        llama, topk={"block_out": 6}, topk_by="value", topk_positive=False, n_dense_layers=0
    )
    topk.save_pretrained(tmp_path / "model")
    tokenizer = train_byte_tokenizer(iter(["one two three"]), size=300)
    tokenizer.save(str(tmp_path / "model" / "tokenizer.json"))
    return tmp_path / "model"


def _strong(engine: Engine) -> str:
    """An edit that changes what is written, within its limit."""
    usual = limit_of(Neuron.parse("L01/3"), engine.ranges)
    return f"L01/3={0.9 * usual.value:.3f}"


@pytest.mark.usefixtures("few_texts")
def test_a_preset_works_after_reload_and_in_generate(folder: Path) -> None:
    engine = Engine(folder, form="fp32")
    plain = "".join(engine.generate("one two", OPTIONS))
    with engine.steered(_strong(engine)):
        steered = "".join(engine.generate("one two", OPTIONS))
        preset = make_preset("calm", engine.edits, engine.weights.made_of)
    assert steered != plain
    assert "".join(engine.generate("one two", OPTIONS)) == plain
    path = write_preset(folder, preset)
    again = Engine(folder, form="fp32", preset="calm")
    assert again.edits == preset.edits
    assert "".join(again.generate("one two", OPTIONS)) == steered
    for name in ("calm", str(path)):
        arguments = ["generate", str(folder), "one two", "--tokens", "8", "--form", "fp32"]
        done = CliRunner().invoke(main, [*arguments, "--preset", name, "--json"])
        assert json.loads(done.stdout)["text"] == steered, done.output
        assert json.loads(done.stdout)["edits"] == [str(preset)]


def test_a_preset_of_other_weights_is_refused(folder: Path) -> None:
    engine = Engine(folder)
    write_preset(folder, make_preset("calm", [engine.edit("L01/3=1")], engine.weights.made_of))
    weights = load_file(folder / "model.safetensors")
    weights["model.norm.weight"] *= 2
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match="belongs to a model with hash"):
        Engine(folder, preset="calm")


@pytest.mark.usefixtures("few_texts")
def test_a_text_that_was_begun_goes_on_as_it_was_begun(folder: Path) -> None:
    engine = Engine(folder, form="fp32")
    whole = list(engine.generate("one two", OPTIONS))
    pieces = engine.generate("one two", OPTIONS)
    found = [next(pieces)]
    with engine.steered(_strong(engine)):
        found += list(pieces)
    assert found == whole


def test_usual_values_are_those_that_texts_have(folder: Path) -> None:
    engine = Engine(folder)
    texts = ["one two three", "three two one"]
    ranges = measure_ranges(engine.weights, engine.tokenizer, texts)
    assert set(ranges) == {(layer, site) for layer in (0, 1) for site in engine.shape.sites.widths}
    found = ranges[1, "block_out"]
    n_tokens = sum(len(engine.encode(text)) for text in texts)
    assert found.n_kept == 6 * n_tokens
    assert found.largest.shape == (32,)
    assert ranges[0, "mlp_hidden"].largest.shape == (40,)
    assert found.rms == pytest.approx((found.squares / found.n_kept) ** 0.5)
    alone = [measure_ranges(engine.weights, engine.tokenizer, [t])[1, "block_out"] for t in texts]
    np.testing.assert_array_equal(found.largest, np.maximum(alone[0].largest, alone[1].largest))


@pytest.mark.usefixtures("few_texts")
def test_usual_values_are_kept_beside_the_model_until_it_changes(folder: Path) -> None:
    first = Engine(folder).ranges
    made = (folder / FILE).stat().st_mtime_ns
    again = Engine(folder).ranges
    assert (folder / FILE).stat().st_mtime_ns == made
    assert again.keys() == first.keys()
    for spot, found in again.items():
        np.testing.assert_array_equal(found.largest, first[spot].largest)
        assert (found.squares, found.n_kept) == (first[spot].squares, first[spot].n_kept)
    weights = load_file(folder / "model.safetensors")
    weights["model.embed_tokens.weight"] *= 3
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    changed = Engine(folder).ranges[1, "block_out"]
    assert changed.squares > 2 * first[1, "block_out"].squares


@pytest.mark.usefixtures("few_texts")
def test_strengths_beyond_four_times_the_usual_are_refused_without_leave(folder: Path) -> None:
    engine = Engine(folder)
    limit = limit_of(Neuron.parse("L01/3"), engine.ranges)
    assert limit.value == pytest.approx(4 * limit.largest)
    for edit in (f"L01/3={1.01 * limit.value}", f"L01/3-{1.01 * limit.value}", "L01/3*-4.1"):
        with pytest.raises(ConfigError, match=r"beyond the limit of (?s:.*)unsafe-strength"):
            engine.steered(edit).__enter__()
        with engine.steered(edit, unsafe_strength=True):
            pass
    for edit in (f"L01/3={-0.99 * limit.value}", "L01/3*4", "L01/3=off"):
        with engine.steered(edit):
            pass
    arguments = ["generate", str(folder), "one", "--tokens", "2", "--steer", "L01/3=1e9"]
    refused = CliRunner().invoke(main, arguments)
    assert refused.exit_code == 1
    assert "its largest value on ordinary text is" in refused.stderr
    assert CliRunner().invoke(main, [*arguments, "--unsafe-strength"]).exit_code == 0


@pytest.mark.usefixtures("few_texts")
def test_a_neuron_that_never_fired_is_limited_by_what_its_site_keeps(folder: Path) -> None:
    engine = Engine(folder)
    found = engine.ranges[1, "block_out"]
    silent = found._replace(largest=np.zeros_like(found.largest))
    limit = limit_of(Neuron.parse("L01/3"), {(1, "block_out"): silent})
    assert (limit.largest, limit.value) == (0.0, pytest.approx(4 * found.rms))


def test_numpy_steers_where_there_is_no_library(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit = "L01/3=2 if L00/4>-1"
    with Engine(folder, form="fp32").steered(edit, unsafe_strength=True):
        pass
    native = Engine(folder, form="fp32")
    monkeypatch.setattr(engine_file, "library", lambda: None)
    plain = Engine(folder, form="fp32")
    ids = native.encode("one two three")
    with native.steered(edit, unsafe_strength=True), plain.steered(edit, unsafe_strength=True):
        np.testing.assert_allclose(plain.logits(ids), native.logits(ids), atol=2e-5)


def test_steering_reads_one_row_more_and_no_more(folder: Path) -> None:
    shutil.rmtree(folder / "presets", ignore_errors=True)
    engine = Engine(folder, form="fp32")
    ids = engine.encode("one two three")
    engine.logits(ids[:1])
    assert engine._native is not None
    before = engine._native.bytes_read
    engine.logits(ids[:1])
    once = engine._native.bytes_read - before
    engine_edit = "L00.M0001=off"
    before = engine._native.bytes_read
    with engine.steered(engine_edit, is_dense_allowed=True):
        engine.logits(ids[:1])
    assert once - (engine._native.bytes_read - before) == 32 * 4
