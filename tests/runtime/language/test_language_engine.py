"""A language model without torch gives what transformers gives, and says what is wrong with it."""

import json
import math
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from safetensors import safe_open
from safetensors.numpy import load_file as load_numpy
from safetensors.numpy import save_file as save_numpy
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel, Qwen2Config
from transformers.models.mistral import MistralConfig, MistralForCausalLM
from transformers.models.qwen2 import Qwen2ForCausalLM

from sparsepath.artifacts.model_files import write_sums
from sparsepath.cli.main import main
from sparsepath.config import GenerateOptions
from sparsepath.errors import ConfigError, DataError, ModelError
from sparsepath.kernels.by_input import stored, written_out
from sparsepath.kernels.native import Level, best_level
from sparsepath.models.language import fresh_llama, fresh_topk, train_byte_tokenizer
from sparsepath.models.language_folder import load_language_model
from sparsepath.runtime.language import engine as engine_file
from sparsepath.runtime.language.cache import Cache
from sparsepath.runtime.language.engine import Engine, Written
from sparsepath.runtime.language.plain import PlainPass
from sparsepath.runtime.language.shape import read_shape
from sparsepath.runtime.language.weights_file import read_weights

VOCABULARY, CONTEXT = 301, 96
SIZES: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 48,
    "intermediate_size": 88,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": CONTEXT,
    "bos_token_id": None,
    "eos_token_id": None,
}


def _llama(**changes: Any) -> PreTrainedModel:
    return LlamaForCausalLM(LlamaConfig(**(SIZES | changes)))


def _topk(sites: dict[str, int], **changes: Any) -> PreTrainedModel:
    llama = fresh_llama(
        vocabulary=VOCABULARY, length=CONTEXT, d_model=48, n_layers=3, n_heads=4, n_kv_heads=2,
        d_mlp=88, seed=0,
    )  # fmt: skip
    settings: dict[str, Any] = {
        "topk_by": "value", "topk_positive": False, "n_always_on": 0, "n_dense_layers": 1,
        "straight_through": False,
    }  # fmt: skip
    return fresh_topk(llama, topk=sites, **(settings | changes))


EVERYWHERE = {"attn_in": 7, "attn_out": 6, "mlp_in": 5, "mlp_hidden": 11, "block_out": 30}

MODELS: dict[str, Callable[[], PreTrainedModel]] = {
    "llama": _llama,
    "llama, tied": lambda: _llama(tie_word_embeddings=True),
    "llama, biases": lambda: _llama(attention_bias=True, mlp_bias=True),
    "llama, wide heads": lambda: _llama(head_dim=20),
    "llama, heads of more than a tile": lambda: _llama(head_dim=40),
    "llama, heads of many tiles": lambda: _llama(head_dim=260),
    "llama 3": lambda: _llama(
        rope_parameters={
            "rope_type": "llama3", "rope_theta": 5000.0, "factor": 8.0, "low_freq_factor": 1.0,
            "high_freq_factor": 4.0, "original_max_position_embeddings": 32,
        }
    ),
    "linear positions": lambda: _llama(
        rope_parameters={"rope_type": "linear", "rope_theta": 10000.0, "factor": 3.0}
    ),
    "mistral, window": lambda: MistralForCausalLM(MistralConfig(**SIZES, sliding_window=9)),
    "qwen2": lambda: Qwen2ForCausalLM(Qwen2Config(**SIZES)),
    "block_out": lambda: _topk({"block_out": 6}),
    "all sites": lambda: _topk(EVERYWHERE),
    "magnitude, always on": lambda: _topk(EVERYWHERE, topk_by="magnitude", n_always_on=3),
    "by site": lambda: _topk(
        EVERYWHERE, topk_by={"attn_in": "magnitude", "mlp_hidden": "magnitude", "mlp_in": "value"}
    ),
    "positive, no dense layer": lambda: _topk(EVERYWHERE, topk_positive=True, n_dense_layers=0),
    "everything kept": lambda: _topk({"block_out": 46, "mlp_hidden": 86}, n_always_on=2),
}  # fmt: skip


def _saved(model: PreTrainedModel, folder: Path) -> Path:
    """A model with weights large enough to matter, and a tokenizer, in a folder."""
    with torch.no_grad():
        for name, weight in model.named_parameters():
            generator = torch.Generator().manual_seed(len(name))
            size = 0.15 if weight.dim() > 1 else 0.05
            noise = torch.randn(weight.shape, generator=generator) * size
            weight.copy_(1 + noise if "norm" in name else noise)
    model.eval()
    model.save_pretrained(folder)
    tokenizer = train_byte_tokenizer(iter(["one two three", "drei vier 日本語"]), size=300)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sparse model."""
    return _saved(MODELS["all sites"](), tmp_path_factory.mktemp("language"))


def _ids(n: int, seed: int = 0) -> list[int]:
    return np.random.default_rng(seed).integers(0, VOCABULARY, n).tolist()


@pytest.mark.parametrize("name", MODELS)
def test_logits_are_those_of_transformers(name: str, tmp_path: Path) -> None:
    model = MODELS[name]()
    engine = Engine(_saved(model, tmp_path), form="fp32")
    ids = _ids(61)
    with torch.no_grad():
        expected = model(torch.tensor([ids])).logits[0].numpy()
    np.testing.assert_allclose(engine.logits(ids), expected, atol=2e-5)
    for level in range(int(best_level() or 0)):
        lower = Engine(tmp_path, form="fp32", level=Level(level))
        np.testing.assert_allclose(lower.logits(ids), expected, atol=2e-5)
    plain = PlainPass(engine.weights).run(np.array(ids, np.int32), Cache(engine.shape, 61), 61)
    np.testing.assert_allclose(plain, expected, atol=2e-5)


@pytest.mark.parametrize("name", ["llama", "all sites"])
def test_greedy_tokens_are_those_of_transformers(name: str, tmp_path: Path) -> None:
    model = MODELS[name]()
    engine = Engine(_saved(model, tmp_path), form="fp32")
    assert model.generation_config is not None
    model.generation_config.eos_token_id = None
    for seed in range(20):
        prompt = torch.tensor([_ids(5 + seed, seed)])
        expected = model.generate(  # type: ignore[operator]
            prompt,
            attention_mask=torch.ones_like(prompt),
            max_new_tokens=24,
            do_sample=False,
            pad_token_id=0,
        )[0, prompt.shape[1] :]
        prompt = prompt[0].tolist()
        assert list(engine.tokens(prompt, GenerateOptions(tokens=24))) == expected.tolist()


@pytest.mark.parametrize("form", ["bf16", "int8", "int4"])
def test_native_code_computes_what_numpy_says(folder: Path, form: Any) -> None:
    weights = read_weights(folder, form)
    ids = np.array(_ids(40), np.int32)
    expected = PlainPass(weights).run(ids, Cache(weights.shape, 40), 40)
    # Rows of 8 bits are multiplied by factors of 15; form int4 has such rows too.
    most = 2e-5 if form == "bf16" else 3e-4
    for level in range(int(best_level() or 0) + 1):
        engine = Engine(folder, form=form, level=Level(level))
        found = engine.read(ids.tolist(), Cache(weights.shape, 40), 40)
        np.testing.assert_allclose(found, expected, atol=most)


@pytest.mark.parametrize("level", list(range(int(best_level() or 0) + 1)))
@pytest.mark.parametrize("name", ["llama", "mistral, window", "llama, heads of many tiles"])
def test_keys_and_values_of_8_bits_are_those_of_numpy(
    name: str, level: int, tmp_path: Path
) -> None:
    engine = Engine(_saved(MODELS[name](), tmp_path), form="fp32", level=Level(level))
    ids = np.array(_ids(90), np.int32)
    byte, own, exact = (Cache(engine.shape, 90, kept=kept) for kept in ("int8", "int8", "fp32"))
    assert engine._native is not None
    native, plain, wanted = (
        np.concatenate([
            runs.run(part, cache, len(part)) for part in np.split(ids, [60, *range(61, 90)])
        ])
        for runs, cache in (
            (engine._native, byte), (PlainPass(engine.weights), own), (engine._native, exact)
        )
    )  # fmt: skip
    # What lies between two steps may be rounded to either; later layers differ by that.
    steps = np.abs(byte.keys[0].astype(int) - own.keys[0])
    assert steps.max() <= 1
    assert steps.mean() < 0.001
    np.testing.assert_allclose(native, plain, atol=0.02)
    assert 1e-4 < np.abs(native - wanted).max() < 0.2
    for read, full in zip(byte.read(0, 90), exact.read(0, 90), strict=True):
        limit = np.abs(full).max(axis=-1, keepdims=True) * (0.5 / 127 + 1e-5)
        assert (np.abs(read - full) <= limit).all()
    assert 4 * byte.keys.nbytes == exact.keys.nbytes


def test_what_is_not_finite_does_not_hide_in_8_bits(tmp_path: Path) -> None:
    _saved(_llama(), tmp_path)
    cache = Cache(read_shape(tmp_path), 4, kept="int8")
    rows = np.ones((2, 3, 12), np.float32)
    rows[1, 1, 5] = np.nan
    rows[0, 2, 3] = -np.inf
    rows[0, 0] = 0.0
    cache.write(0, rows, rows)
    for found in cache.read(0, 3):
        assert np.isnan(found[1, 1]).all()
        assert np.isnan(found[0, 2]).all()
        assert (found[0, 0] == 0.0).all()
        assert (found[1, 0] == 1.0).all()


def test_token_by_token_is_the_same_as_at_once(folder: Path) -> None:
    engine = Engine(folder, form="int8")
    ids = _ids(33)
    whole = engine.read(ids, Cache(engine.shape, 33), 33)
    for runs in (engine._native, PlainPass(engine.weights)):
        assert runs is not None
        cache = Cache(engine.shape, 33)
        parts = [ids[:1], ids[1:4], ids[4:21], *([token] for token in ids[21:])]
        found = [runs.run(np.array(part, np.int32), cache, len(part)) for part in parts]
        np.testing.assert_allclose(np.concatenate(found), whole, atol=3e-4)
        assert cache.length == 33


def test_what_cannot_be_read_is_refused_and_nothing_is_lost(folder: Path) -> None:
    engine = Engine(folder, form="fp32")
    cache = engine.cache(3)
    engine.read([1, 2], cache, 1)
    with pytest.raises(ConfigError, match="4 tokens in a cache for 3"):
        engine.read([1, 2], cache, 1)
    for tokens, told in (([], "no tokens"), ([1, VOCABULARY], "1 to 301"), ([-1], "-1 to -1")):
        with pytest.raises(DataError, match=told):
            engine.read(tokens, cache, 1)
    assert cache.length == 2
    np.testing.assert_allclose(engine.read([7], cache, 1), engine.logits([1, 2, 7])[-1:], atol=2e-5)


def test_a_sparse_model_reads_its_share_of_the_weights(tmp_path: Path) -> None:
    read = {}
    for name in ("llama", "all sites"):
        engine = Engine(_saved(MODELS[name](), tmp_path / name), form="fp32")
        facts = Written()
        "".join(engine.generate("one two", GenerateOptions(tokens=9), facts=facts))
        read[name] = facts.bytes_per_token
        assert facts.tokens == 9
        assert facts.ending == "tokens"
        assert facts.tokens_per_s is not None
    # One row of the embedding, all layers and the head, 4 bytes a weight.
    layer = 48 * 96 + 48 * 48 + 48 * 176 + 88 * 48
    assert read["llama"] == 4 * (48 + 3 * layer + 48 * VOCABULARY)
    sparse = 7 * 96 + 6 * 48 + 5 * 176 + 11 * 48
    # What reaches the dense layer has 30 entries.
    last = layer - 18 * 96
    assert read["all sites"] == 4 * (48 + 2 * sparse + last + 48 * VOCABULARY)


@pytest.mark.parametrize("form", ["fp32", "bf16", "int8", "int4"])
def test_stored_weights_are_near_those_given(form: Any) -> None:
    weight = np.random.default_rng(0).normal(size=(17, 45)).astype(np.float32)
    weight[3] = 0.0
    rows, scales = stored(weight, form)
    found = written_out(rows, scales, form, 45)
    assert found.shape == weight.shape
    step = {"fp32": 0.0, "bf16": 2.0**-8, "int8": 0.5 / 127, "int4": 0.2}[form]
    limits = step * np.abs(weight).max(axis=1, keepdims=True) * (1 + 1e-5)
    assert (np.abs(found - weight) <= limits).all()
    assert (found[3] == 0.0).all()
    if form == "bf16":
        assert (found == torch.from_numpy(weight).bfloat16().float().numpy()).all()


def test_the_score_is_that_of_transformers(tmp_path: Path) -> None:
    model = MODELS["all sites"]()
    engine = Engine(_saved(model, tmp_path), form="fp32")
    text = "one two three 日本語 " * 12
    ids = engine.tokenizer.encode(text).ids
    nats = 0.0
    for start in range(0, len(ids) - 1, 40):
        part = torch.tensor([ids[start : start + 41]])
        with torch.no_grad():
            logits = model(part).logits[0, :-1]
        nats += float(torch.nn.functional.cross_entropy(logits, part[0, 1:], reduction="sum"))
    found = engine.score(text, length=40)
    assert found.tokens == len(ids) - 1
    assert found.nats == pytest.approx(nats, rel=1e-5)
    n_bytes = len(text.encode()) * found.tokens / len(ids)
    assert found.bits_per_byte == pytest.approx(nats / math.log(2) / n_bytes, rel=1e-5)
    with pytest.raises(DataError, match="0 tokens"):
        engine.score("")


def test_drawn_tokens_follow_the_seed_and_the_model(folder: Path) -> None:
    engine = Engine(folder)
    prompt = _ids(7)

    def drawn(seed: int, **changes: Any) -> list[int]:
        settings: dict[str, Any] = {"tokens": 30, "temperature": 1.0, "seed": seed}
        return list(engine.tokens(prompt, GenerateOptions(**(settings | changes))))

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)
    greedy = list(engine.tokens(prompt, GenerateOptions(tokens=30)))
    assert drawn(1, top_p=1e-9) == greedy
    assert drawn(3, temperature=1e-6) == greedy
    logits = engine.logits(prompt)[-1].astype(np.float64)
    shares = np.exp(logits - logits.max())
    shares /= shares.sum()
    end = list(engine.shape.end_ids)  # is not given
    drawn_first = [(drawn(seed, tokens=1) or end)[0] for seed in range(1500)]
    first = np.bincount(drawn_first, minlength=VOCABULARY) / 1500
    assert np.abs(first - shares).max() < 4 * math.sqrt(shares.max() / 1500)


def test_pieces_joined_are_the_text_of_the_tokens(folder: Path) -> None:
    engine = Engine(folder)
    for seed in range(5):
        options = GenerateOptions(tokens=40, temperature=1.5, seed=seed)
        ids = list(engine.tokens(engine.encode("one 日本"), options))
        prompt = engine.encode("one 日本")
        whole = engine.tokenizer.decode([*prompt, *ids])[len(engine.tokenizer.decode(prompt)) :]
        pieces = list(engine.generate("one 日本", options))
        assert "".join(pieces) == whole
        assert len(pieces) > 3


def test_an_answer_ends_before_a_stop_text(folder: Path) -> None:
    engine = Engine(folder)
    options = GenerateOptions(tokens=40, temperature=1.0, seed=4)
    whole = "".join(engine.generate("one two", options))
    stop = whole[9:13]
    facts = Written()
    asked = GenerateOptions(tokens=40, temperature=1.0, seed=4, stop=("never there", stop))
    found = "".join(engine.generate("one two", asked, facts=facts))
    assert found == whole[: whole.index(stop)]
    assert facts.ending == "stop"
    # The beginning of a stop text that never comes is not lost.
    asked = GenerateOptions(tokens=40, temperature=1.0, seed=4, stop=(whole[-3:] + "\0",))
    assert "".join(engine.generate("one two", asked)) == whole


def test_an_answer_ends_with_the_context(folder: Path) -> None:
    engine = Engine(folder)
    facts = Written()
    list(engine.generate("one two", GenerateOptions(tokens=500), facts=facts))
    # The last token is written without being read.
    assert facts.prompt_tokens + facts.tokens == CONTEXT + 1
    assert facts.ending == "context"
    with pytest.raises(ConfigError, match=f"trained on {CONTEXT}"):
        next(engine.tokens(_ids(CONTEXT + 1)))


def test_an_end_token_ends_the_answer(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "model")
    first = next(Engine(folder).tokens(_ids(4)))
    config = json.loads((folder / "config.json").read_text())
    config["eos_token_id"] = [0, first]
    (tmp_path / "model" / "config.json").write_text(json.dumps(config))
    assert list(Engine(tmp_path / "model").tokens(_ids(4))) == []


def test_made_weights_are_mapped_and_made_again_when_the_model_changed(
    folder: Path, tmp_path: Path
) -> None:
    place = tmp_path / "model"
    shutil.copytree(folder, place)
    kept = place / "decode-int4.safetensors"
    kept.unlink(missing_ok=True)
    first = Engine(place, form="int4")
    assert kept.is_file()
    assert isinstance(first.weights.layers[0].down.rows, np.memmap)
    made = kept.stat().st_mtime_ns
    expected = first.logits(_ids(9))
    np.testing.assert_array_equal(Engine(place, form="int4").logits(_ids(9)), expected)
    assert kept.stat().st_mtime_ns == made
    kept.write_bytes(kept.read_bytes()[:-100])  # cut off
    np.testing.assert_array_equal(Engine(place, form="int4").logits(_ids(9)), expected)
    assert kept.stat().st_mtime_ns != made
    weights = load_file(place / "model.safetensors")
    weights["model.norm.weight"] *= 2
    save_file(weights, place / "model.safetensors", {"format": "pt"})
    changed = Engine(place, form="int4").logits(_ids(9))
    np.testing.assert_allclose(changed, 2 * expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["layers.1.mlp_norm", "layers.0.qkv.scales", "head.rows"])
def test_made_weights_of_another_size_are_never_read(
    folder: Path, tmp_path: Path, name: str
) -> None:
    place = tmp_path / "model"
    shutil.copytree(folder, place)
    kept = place / "decode-int8.safetensors"
    kept.unlink(missing_ok=True)
    Engine(place)
    with safe_open(kept, framework="np") as opened:
        facts = opened.metadata()
    tensors = load_numpy(kept)
    save_numpy(tensors | {name: tensors[name][:-1].copy()}, kept, facts)
    expected = Engine(folder).logits(_ids(9))
    np.testing.assert_array_equal(Engine(place).logits(_ids(9)), expected)
    assert load_numpy(kept)[name].shape == tensors[name].shape


def test_made_weights_that_were_altered_are_made_anew(folder: Path, tmp_path: Path) -> None:
    place = tmp_path / "model"
    shutil.copytree(folder, place)
    expected = Engine(place).logits(_ids(9))
    kept = place / "decode-int8.safetensors"
    before = {name: tensor.copy() for name, tensor in load_numpy(kept).items()}
    altered = bytearray(kept.read_bytes())
    for at in range(len(altered) // 2, len(altered), 7):
        altered[at] ^= 0x55
    kept.write_bytes(altered)
    np.testing.assert_array_equal(Engine(place).logits(_ids(9)), expected)
    after = load_numpy(kept)
    assert all((after[name] == tensor).all() for name, tensor in before.items())


def test_weights_that_were_altered_since_they_were_saved_are_refused(
    folder: Path, tmp_path: Path
) -> None:
    place = tmp_path / "model"
    shutil.copytree(folder, place)
    write_sums(place)
    expected = Engine(place).logits(_ids(9))
    weights = place / "model.safetensors"
    altered = bytearray(weights.read_bytes())
    altered[-9] ^= 1
    weights.write_bytes(altered)
    for read in (Engine, load_language_model):
        with pytest.raises(ModelError, match=r"model\.safetensors is not what was saved"):
            read(place)
    altered[-9] ^= 1
    weights.write_bytes(altered)
    np.testing.assert_array_equal(Engine(place).logits(_ids(9)), expected)


def test_a_folder_that_cannot_be_written_is_no_obstacle(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "model"
    shutil.copytree(folder, place)
    (place / "decode-int4.safetensors").unlink(missing_ok=True)

    def refused(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("sparsepath.runtime.language.kept.save_file", refused)
    found = Engine(place, form="int4").logits(_ids(9))
    assert not (place / "decode-int4.safetensors").exists()
    np.testing.assert_allclose(found, Engine(folder, form="int4").logits(_ids(9)), atol=1e-6)


def test_without_the_library_the_answer_is_the_same_with_a_notice(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = GenerateOptions(tokens=12)
    expected = "".join(Engine(folder).generate("one two", options))
    monkeypatch.setattr(engine_file, "library", lambda: None)
    engine = Engine(folder)
    facts = Written()
    assert "".join(engine.generate("one two", options, facts=facts)) == expected
    assert facts.bytes_per_token is None
    assert "native library" in (engine.notice or "")


def test_parts_of_a_model_are_put_together(folder: Path, tmp_path: Path) -> None:
    model = MODELS["llama"]()
    whole = _saved(model, tmp_path / "whole")
    parts = tmp_path / "parts"
    model.save_pretrained(parts, max_shard_size="40KB")
    shutil.copy(whole / "tokenizer.json", parts / "tokenizer.json")
    assert len(list(parts.glob("model-*.safetensors"))) > 1
    expected = Engine(whole, form="fp32").logits(_ids(9))
    np.testing.assert_array_equal(Engine(parts, form="fp32").logits(_ids(9)), expected)
    next(parts.glob("model-00002*")).unlink()
    with pytest.raises(ModelError, match="lacks model-00002"):
        Engine(parts, form="fp32")


def test_half_precision_is_read(tmp_path: Path) -> None:
    model = MODELS["llama"]()
    for kind, name in ((torch.bfloat16, "bf16"), (torch.float16, "fp16")):
        place = _saved(model.to(kind), tmp_path / name)
        reloaded = LlamaForCausalLM.from_pretrained(place, dtype=torch.float32)
        with torch.no_grad():
            expected = reloaded(torch.tensor([_ids(9)])).logits[0].numpy()
        np.testing.assert_allclose(Engine(place, form="fp32").logits(_ids(9)), expected, atol=2e-5)


def _broken(folder: Path, name: str, change: Callable[[Path], None], place: Path) -> Path:
    shutil.copytree(folder, place)
    change(place / name)
    return place


def _configured(**changes: Any) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return change


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("config.json", Path.unlink, "missing or damaged"),
        ("config.json", lambda p: p.write_text("{"), "missing or damaged"),
        ("config.json", lambda p: p.write_text("[]"), "missing or damaged"),
        ("config.json", lambda p: p.write_text('{"model_type": "llama"}'), "lacks or contradicts"),
        ("config.json", _configured(model_type="gpt2"), "of type 'gpt2'"),
        ("config.json", _configured(hidden_act="gelu"), "use 'gelu'"),
        ("config.json", _configured(num_key_value_heads=3), "lacks or contradicts"),
        ("config.json", _configured(topk={"nowhere": 3}), "lacks or contradicts"),
        ("config.json", _configured(topk={"block_out": 0}), "lacks or contradicts"),
        ("config.json", _configured(n_always_on=48), "lacks or contradicts"),
        ("config.json", _configured(intermediate_size=80), "belongs to another model"),
        ("config.json", _configured(vocab_size=200), "belongs to another model|tokenizer has"),
        ("config.json", _configured(num_hidden_layers=5), "no tensor model.layers.3"),
        (
            "config.json",
            _configured(rope_parameters={"rope_type": "yarn", "rope_theta": 1e4}),
            "'yarn'",
        ),
        ("model.safetensors", Path.unlink, "no model.safetensors"),
        ("model.safetensors", lambda p: p.write_bytes(p.read_bytes()[:-9]), "damaged"),
        ("model.safetensors", lambda p: p.write_bytes(b"\x80\x04pickle"), "damaged"),
        ("tokenizer.json", Path.unlink, "no tokenizer.json"),
        ("tokenizer.json", lambda p: p.write_text("{}"), "is damaged"),
        (
            "tokenizer.json",
            lambda p: train_byte_tokenizer(iter([" ".join(map(str, range(999)))]), size=400).save(
                str(p)
            ),
            "the tokenizer has 400 tokens",
        ),
    ],
)
def test_what_is_wrong_with_a_folder_is_said(
    folder: Path, tmp_path: Path, name: str, change: Callable[[Path], None], message: str
) -> None:
    place = _broken(folder, name, change, tmp_path / "model")
    for kept in place.glob("decode-*"):
        kept.unlink()
    with pytest.raises(ModelError, match=message):
        Engine(place)


def test_wrong_settings_are_said(folder: Path) -> None:
    for changes in ({"tokens": 0}, {"temperature": -1.0}, {"top_p": 0.0}, {"stop": ("",)}):
        with pytest.raises(ConfigError):
            GenerateOptions(**changes)
    with pytest.raises(DataError, match="the prompt is empty"):
        next(Engine(folder).generate(""))


def test_the_command_prints_the_answer_and_its_speed(folder: Path) -> None:
    expected = "".join(Engine(folder).generate("one two", GenerateOptions(tokens=15)))
    arguments = ["generate", str(folder), "one two", "--tokens", "15"]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    assert done.stdout == expected + "\n"
    assert "15 tokens (as many as asked for), int8, one thread; " in done.stderr
    assert "MB of weights read a token; prompt of" in done.stderr
    piped = CliRunner().invoke(main, ["generate", str(folder), "-", *arguments[3:]], "one two")
    assert piped.stdout == done.stdout, (piped.exception, piped.output)
    found = json.loads(CliRunner().invoke(main, [*arguments, "--json"]).stdout)
    assert found["text"] == expected
    assert found["tokens"] == 15
    wrong = CliRunner().invoke(main, ["generate", str(folder.parent / "nowhere"), "one"])
    assert wrong.exit_code == 1
    assert "no language model at" in wrong.stderr


def test_the_base_package_writes_and_scores(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one two three\n\nfour five six")
    absent = ["torch", "transformers", "jaxtyping", "pyarrow", "datasets", "sklearn", "onnx"]
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({absent!r}))\n"
        "from sparsepath.cli.main import main\n"
        f"main(['generate', {str(folder)!r}, 'one two', '--tokens', '5'], standalone_mode=False)\n"
        f"main(['evaluate', {str(folder)!r}, 'a.txt'], standalone_mode=False)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    expected = "".join(Engine(folder).generate("one two", GenerateOptions(tokens=5)))
    assert done.stdout.startswith(expected)
    assert "text: bits per byte" in done.stdout
