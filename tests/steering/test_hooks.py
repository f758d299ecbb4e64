"""Edits do the same in transformers, in numpy and in native code, and leave nothing behind."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, BertConfig, BertModel, PreTrainedModel

from sparsepath.artifacts.edit import Edit
from sparsepath.artifacts.steering import make_preset
from sparsepath.config import GenerateOptions
from sparsepath.errors import ConfigError, ModelError
from sparsepath.kernels.native import Level, best_level
from sparsepath.runtime.language.engine import Engine
from sparsepath.runtime.language.plain import PlainPass
from sparsepath.steering.hooks import steer

ModelFolders = Callable[[str], Path]

EDITS: dict[str, list[str]] = {
    "set, everywhere": ["L00/5=3"],
    "several sites": [
        "L00.attn_in/40=2", "L00.attn_out/3+1.5", "L01.mlp_in/7*-2", "L01.M0011=off", "L01/0=-1",
        "L00.M0087=4", "L01.attn_in/0*3",
    ],
    "positions": ["L00/5=3@prompt", "L00/5=-3@answer", "L01/9=4@last", "L01/8+2@3:9"],
    "while another fires": ["L01/4=5 if L00/2 fires", "L01/6+2 if L01/4>0.1", "L00/2*2"],
    "after tokens": [
        "L00/3=4 if after #3|#255|#153|#221|#92",
        "L01.M0001=3@answer if after #9|#3|#153",
    ],
}  # fmt: skip


def _load(folder: Path) -> PreTrainedModel:
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(folder)
    assert model.generation_config is not None
    model.generation_config.eos_token_id = None
    return model.eval()


def _logits(model: PreTrainedModel, ids: list[int]) -> np.ndarray[Any, Any]:
    with torch.no_grad():
        found: np.ndarray[Any, Any] = model(torch.tensor([ids])).logits[0].numpy()
    return found


def _ids(n: int, seed: int = 0) -> list[int]:
    return np.random.default_rng(seed).integers(0, 301, n).tolist()


def _greedy(model: PreTrainedModel, prompts: list[list[int]]) -> list[list[int]]:
    """Continue prompts by 20 tokens, as one batch padded on the left."""
    width = max(map(len, prompts))
    rows = torch.tensor([[0] * (width - len(p)) + p for p in prompts])
    mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts])
    found = model.generate(  # type: ignore[operator]
        rows, attention_mask=mask, max_new_tokens=20, do_sample=False, pad_token_id=0
    )
    tokens: list[list[int]] = found[:, width:].tolist()
    return tokens


@pytest.mark.parametrize("kind", ["sparse", "dense"])
@pytest.mark.parametrize("name", EDITS)
def test_edits_are_the_same_in_all_three_places(
    kind: str, name: str, random_models: ModelFolders
) -> None:
    folder, ids = random_models(kind), _ids(40)
    model, engine = _load(folder), Engine(random_models(kind), form="fp32")
    plain_of_unsteered = engine.logits(ids)
    with steer(model, *EDITS[name]):
        expected = _logits(model, ids)
    with engine.steered(*EDITS[name], unsafe_strength=True):
        plain = PlainPass(engine.weights).run(np.array(ids, np.int32), engine.cache(40), 40)
        np.testing.assert_allclose(plain, expected, atol=3e-5)
        for level in range(int(best_level() or 0) + 1):
            native = Engine(folder, form="fp32", level=Level(level))
            with native.steered(*EDITS[name], unsafe_strength=True):
                np.testing.assert_allclose(native.logits(ids), expected, atol=3e-5)
    assert np.abs(expected - plain_of_unsteered).max() > 0.05
    np.testing.assert_allclose(_logits(model, ids), plain_of_unsteered, atol=3e-5)


@pytest.mark.parametrize("kind", ["sparse", "dense"])
@pytest.mark.parametrize("name", EDITS)
def test_greedy_tokens_are_the_same_also_of_a_padded_batch(
    kind: str, name: str, random_models: ModelFolders
) -> None:
    model, engine = _load(random_models(kind)), Engine(random_models(kind), form="fp32")
    prompts = [_ids(6 + 3 * seed, seed) for seed in range(4)]
    unsteered = _greedy(model, prompts)
    with steer(model, *EDITS[name]):
        expected = _greedy(model, prompts)
    with engine.steered(*EDITS[name], unsafe_strength=True):
        found = [list(engine.tokens(p, GenerateOptions(tokens=20))) for p in prompts]
    assert found == expected
    assert unsteered != expected


def test_token_by_token_is_the_same_as_at_once(random_models: ModelFolders) -> None:
    engine, ids = Engine(random_models("sparse"), form="bf16"), _ids(33)
    with engine.steered(*EDITS["while another fires"], "L00/8=2@5:30", unsafe_strength=True):
        whole = engine.logits(ids)
        cache, found = engine.cache(33), []
        for part in (ids[:1], ids[1:4], ids[4:25], *([token] for token in ids[25:])):
            found.append(engine.read(part, cache, len(part)))
    np.testing.assert_allclose(np.concatenate(found), whole, atol=2e-5)


def test_a_planted_neuron_brings_its_word_and_takes_it_away(planted: Path) -> None:
    engine, model = Engine(planted, form="fp32"), _load(planted)
    options = GenerateOptions(tokens=5)

    def written(prompt: str) -> str:
        return "".join(engine.generate(prompt, options))

    assert written("one two") == " three one two three one"
    with engine.steered("L02/7=8", unsafe_strength=True):
        assert written("one two") == " fire fire fire fire fire"
    assert written("one fire") == " fire fire fire fire fire"
    # Where fire is off, what is left is an empty state, in which all words are equal.
    with engine.steered("L02/7=off", "L02/2=1", unsafe_strength=True):
        assert "fire" not in written("one fire")
    ids = torch.tensor([engine.encode("one two")])
    with steer(model, "L02/7", set=8.0), torch.no_grad():
        assert int(model(ids).logits[0, -1].argmax()) == 5
    with torch.no_grad():
        assert int(model(ids).logits[0, -1].argmax()) == 4


def test_an_edited_neuron_is_there_even_where_topk_dropped_it(planted: Path) -> None:
    model = _load(planted)
    seen: list[torch.Tensor] = []
    layer = model.get_submodule("model.layers.1")
    # Five entries: one more than are kept.
    with steer(model, "L01/7=0.001", "L00/10=5", "L00/11=6", "L00/12=7", "L00/13=8"):
        handle = layer.register_forward_hook(lambda _m, _i, output: seen.append(output))
        with torch.no_grad():
            model(torch.tensor([[1, 2]]))
        handle.remove()
    assert seen[0][0, 1].nonzero()[:, 0].tolist() == [7, 10, 11, 12, 13]


def test_hooks_go_away_also_after_an_error(planted: Path) -> None:
    model = _load(planted)

    def hooks() -> int:
        return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())

    assert hooks() == 0
    with steer(model, "L02/7", suppress=True):
        assert hooks() == 2
    assert hooks() == 0
    with pytest.raises(IndexError), steer(model, "L02/7", suppress=True):
        model(torch.tensor([[1, 99]]))
    assert hooks() == 0


def test_blocks_inside_each_other_work_together(random_models: ModelFolders) -> None:
    model, ids = _load(random_models("sparse")), _ids(12)
    with steer(model, "L00/2*2", "L01/4=5 if L00/2 fires"):
        expected = _logits(model, ids)
        with steer(model, "L00/3=4"):
            assert np.abs(_logits(model, ids) - expected).max() > 0.01
        np.testing.assert_array_equal(_logits(model, ids), expected)
    with steer(model, "L00/2*2"), steer(model, "L01/4=5 if L00/2 fires"):
        np.testing.assert_array_equal(_logits(model, ids), expected)


def test_contradictions_are_named_also_across_blocks(planted: Path) -> None:
    model, engine = _load(planted), Engine(planted)
    both = r"L02/7=8 and L02/7=off@answer"
    with pytest.raises(ConfigError, match=both), steer(model, "L02/7=8", "L02/7=off@answer"):
        pass
    with steer(model, "L02/7=8"):
        with pytest.raises(ConfigError, match=both), steer(model, "L02/7=off@answer"):
            pass
        # The first edit is still there.
        with torch.no_grad():
            assert int(model(torch.tensor([[1, 3]])).logits[0, -1].argmax()) == 5
    with (
        engine.steered("L02/7=8", unsafe_strength=True),
        pytest.raises(ConfigError, match=both),
        engine.steered("L02/7=off@answer"),
    ):
        pass


@pytest.mark.parametrize(
    ("edit", "kind", "message"),
    [
        ("L03/1=2", "sparse", "the model has 3 layers.*\n.*L00 to L02"),
        ("L01/48=2", "sparse", "block_out has 48 entries.*\n.*0 to 47"),
        ("L01.M0088=2", "dense", "mlp_hidden has 88 entries"),
        ("L02/1=2", "sparse", "layer 2 is dense.*\n.*L00 to L01"),
        ("L00/1=2 if L02/1 fires", "dense", "computed after it"),
        ("L00/1=2 if L00/99 fires", "dense", "L00/99: block_out has 48"),
    ],
)
def test_what_a_model_does_not_have_is_refused(
    edit: str, kind: str, message: str, random_models: ModelFolders
) -> None:
    model, engine = _load(random_models(kind)), Engine(random_models(kind))
    with pytest.raises((ConfigError, ModelError), match=message), steer(model, edit):
        pass
    with pytest.raises((ConfigError, ModelError), match=message), engine.steered(edit):
        pass


def test_a_dense_site_of_a_sparse_model_needs_leave(planted: Path) -> None:
    engine, model = Engine(planted), _load(planted)
    with pytest.raises(ModelError, match="not sparse at mlp_hidden, only at block_out"):
        engine.steered("L00.M0001=1").__enter__()
    with steer(model, "L00.M0001=1", is_dense_allowed=True):
        pass
    with engine.steered("L00.M0001=1", is_dense_allowed=True, unsafe_strength=True):
        assert len(engine.edits) == 1
        with engine.steered("L00/1=off"):  # what is allowed already stays so
            assert len(engine.edits) == 2
    assert engine.edits == ()


def test_a_model_of_another_kind_is_refused() -> None:
    config = BertConfig(
        vocab_size=8, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8
    )
    with pytest.raises(ModelError, match="type 'bert'"), steer(BertModel(config), "L00/1=2"):
        pass


def test_edits_are_given_whole_or_in_parts(planted: Path) -> None:
    model = _load(planted)
    with (
        pytest.raises(ConfigError, match="set and scale"),
        steer(model, "L0/1", set=1.0, scale=2.0),
    ):
        pass
    edit = Edit(neuron="L00/1", operation="set", value=1.0)
    with pytest.raises(ConfigError, match="parts of one"), steer(model, edit, set=1.0):
        pass
    with pytest.raises(ConfigError, match="parts of one"), steer(model, edit, positions="last"):
        pass


def test_a_preset_steers_transformers_too_if_it_is_of_this_model(planted: Path) -> None:
    engine, model = Engine(planted), _load(planted)
    edits = [engine.edit("L02/7=8")]
    mine = make_preset("fire", edits, engine.weights.made_of)
    with steer(model, mine), torch.no_grad():
        assert int(model(torch.tensor([[1, 3]])).logits[0, -1].argmax()) == 5
    other = make_preset("fire", edits, "0" * 64)
    with pytest.raises(ModelError, match="belongs to a model with hash 0000"), steer(model, other):
        pass


def test_strengths_are_checked_where_usual_values_are_given(planted: Path) -> None:
    engine, model = Engine(planted), _load(planted)
    with pytest.raises(ConfigError, match="beyond the limit"):
        steer(model, "L02/4=1e6", ranges=engine.ranges).__enter__()
    with steer(model, "L02/4=1e6", ranges=engine.ranges, unsafe_strength=True):
        pass
