"""What transformers asks of every model, asked of sparse language models.

The names of the questions are those of its own `tests/test_modeling_common.py`, which is in no
wheel. Generation is in `test_topk_generation.py`; what only these models have, in
`test_topk_lm.py`.
"""

import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, PreTrainedModel

from sparsepath.models.topk_lm import TopKConfig, TopKForCausalLM, TopKModel

SITES = {"block_out": 8, "attn_in": 7, "attn_out": 6, "mlp_in": 5, "mlp_hidden": 9}
IDS = torch.arange(3, 30).view(3, 9)
N_LAYERS, N_HEADS, WIDTH, N_TOKENS = 3, 4, 32, 50
CLASSES: list[type[PreTrainedModel]] = [TopKModel, TopKForCausalLM]


def config(**changes: Any) -> TopKConfig:
    """Describe a tiny model."""
    sizes: dict[str, Any] = {
        "vocab_size": N_TOKENS, "hidden_size": WIDTH, "intermediate_size": 48,
        "num_hidden_layers": N_LAYERS, "num_attention_heads": N_HEADS, "num_key_value_heads": 2,
        "max_position_embeddings": 64, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
        "topk": SITES,
    }  # fmt: skip
    return TopKConfig(**(sizes | changes))


def made(kind: type[PreTrainedModel] = TopKForCausalLM, **changes: Any) -> Any:
    """Build a model with random weights."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return kind(config(**changes)).eval()


def first(model: Any, ids: Tensor = IDS, **settings: Any) -> Tensor:
    """Give a model's first output."""
    with torch.no_grad():
        found: Tensor = model(ids, **settings)[0]
    return found


def loaded(kind: Any, folder: Path) -> tuple[Any, Any]:
    """Load a model, and say what was missing or too much."""
    found, told = kind.from_pretrained(folder, output_loading_info=True)
    return found, told


@pytest.fixture(params=CLASSES, ids=lambda kind: kind.__name__)
def kind(request: pytest.FixtureRequest) -> type[PreTrainedModel]:
    """Run the test for body and language model."""
    found: type[PreTrainedModel] = request.param
    return found


def test_forward_signature(kind: type[PreTrainedModel]) -> None:
    names = list(inspect.signature(kind.forward).parameters)
    assert names[:2] == ["self", "input_ids"]
    assert kind.main_input_name == "input_ids"
    assert kind.base_model_prefix == "model"


def test_determinism(kind: type[PreTrainedModel]) -> None:
    model = made(kind)
    assert torch.equal(first(model), first(model))


def test_initialization() -> None:
    # With a range of nothing all weights are zero and all norms one.
    for name, weight in made(initializer_range=1e-10).named_parameters():
        assert round(float(weight.detach().mean()), 7) == (1.0 if "norm" in name else 0.0), name
    wide = made(initializer_range=0.5, hidden_size=256, intermediate_size=256)
    spread = wide.model.layers[0].mlp.down_proj.weight.detach().std()
    assert float(spread) == pytest.approx(0.5, rel=0.05)


@pytest.mark.parametrize("is_tied", [False, True])
def test_save_load(kind: type[PreTrainedModel], is_tied: bool, tmp_path: Path) -> None:
    model = made(kind, tie_word_embeddings=is_tied)
    model.save_pretrained(tmp_path)
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".safetensors", ".py"}
    saved = load_file(tmp_path / "model.safetensors")
    assert ("lm_head.weight" in saved) == (kind is TopKForCausalLM and not is_tied)
    found, told = loaded(kind, tmp_path)
    assert not any(told[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    assert torch.equal(first(found), first(model))


def test_load_save_without_tied_weights(tmp_path: Path) -> None:
    model = made(tie_word_embeddings=True)
    assert model.lm_head.weight is model.model.embed_tokens.weight
    model.save_pretrained(tmp_path)
    found = TopKForCausalLM.from_pretrained(tmp_path)
    assert found.lm_head.weight is found.model.embed_tokens.weight
    assert found.num_parameters() == model.num_parameters()


def test_a_body_is_read_from_a_language_model_and_back(tmp_path: Path) -> None:
    model = made()
    model.save_pretrained(tmp_path / "whole")
    body = AutoModel.from_pretrained(tmp_path / "whole")
    assert isinstance(body, TopKModel)
    assert torch.equal(first(body), first(model.model))
    body.save_pretrained(tmp_path / "body")
    whole, told = loaded(TopKForCausalLM, tmp_path / "body")
    assert set(told["missing_keys"]) == {"lm_head.weight"}
    assert torch.equal(first(whole.model), first(body))


def test_can_init_all_missing_weights(tmp_path: Path) -> None:
    model = made()
    model.save_pretrained(tmp_path)
    save_file({}, tmp_path / "model.safetensors", {"format": "pt"})
    # Memory that is handed out next is full of sevens.
    for size in [*(p.numel() for p in model.parameters()), 1, 32, 48] * 8:
        torch.full((size,), 7.0)
    found, told = loaded(TopKForCausalLM, tmp_path)
    assert set(told["missing_keys"]) == {name for name, _ in model.named_parameters()}
    for name, weight in found.named_parameters():
        if "norm" in name:
            assert torch.equal(weight, torch.ones_like(weight)), name
        else:
            assert float(weight.detach().abs().max()) < 0.2, name


def test_init_weights_can_init_buffers(tmp_path: Path) -> None:
    # What a loaded model has counted is nothing.
    made().save_pretrained(tmp_path)
    for size in [1, 32, 48] * 200:
        torch.full((size,), 7.0)
    found = TopKForCausalLM.from_pretrained(tmp_path)
    counters = {n: b for n, b in found.named_buffers() if n.endswith(("fired", "n_rows"))}
    assert len(counters) == 2 * 2 * len(SITES)
    for name, counter in counters.items():
        assert not counter.any(), name
    assert torch.equal(found.model.rotary_emb.inv_freq, made().model.rotary_emb.inv_freq)


def test_from_pretrained_no_checkpoint() -> None:
    model = made()
    found = TopKForCausalLM.from_pretrained(
        None, config=model.config, state_dict=model.state_dict()
    )
    assert torch.equal(first(found.eval()), first(model))


def test_load_with_mismatched_shapes(tmp_path: Path) -> None:
    made().save_pretrained(tmp_path)
    with pytest.raises(RuntimeError, match="mismatch"):
        TopKForCausalLM.from_pretrained(tmp_path, vocab_size=60)
    found = TopKForCausalLM.from_pretrained(tmp_path, vocab_size=60, ignore_mismatched_sizes=True)
    assert first(found).shape == (*IDS.shape, 60)
    assert float(found.lm_head.weight.detach().abs().max()) < 0.2


@pytest.mark.parametrize("kind_of_number", [torch.bfloat16, torch.float16])
def test_half_precision_loads_runs_and_stays_sparse(
    kind_of_number: torch.dtype, tmp_path: Path
) -> None:
    model = made()
    model.save_pretrained(tmp_path)
    found = TopKForCausalLM.from_pretrained(tmp_path, dtype=kind_of_number)
    assert {weight.dtype for weight in found.parameters()} == {kind_of_number}
    with torch.no_grad():
        out = found(IDS, output_hidden_states=True)
    assert out.logits.dtype == kind_of_number
    assert int((out.hidden_states[1] != 0).sum(dim=-1).max()) == SITES["block_out"]
    # Other entries may be kept where two are nearly equal, so that only most of it is the same.
    difference = (out.logits.float() - first(model)).abs()
    assert float(difference.median()) < 0.02
    found.save_pretrained(tmp_path / "half")
    assert AutoConfig.from_pretrained(tmp_path / "half").dtype == kind_of_number
    again = TopKForCausalLM.from_pretrained(tmp_path / "half", dtype="auto")
    assert again.dtype == kind_of_number


def test_config_round_trip(tmp_path: Path) -> None:
    asked = config(topk_by="magnitude", n_always_on=2, n_dense_layers=2, straight_through=True)
    asked.save_pretrained(tmp_path)
    found = AutoConfig.from_pretrained(tmp_path)
    assert isinstance(found, TopKConfig)
    assert found.to_diff_dict() == asked.to_diff_dict()
    (tmp_path / "other.json").write_text(asked.to_json_string())
    again = TopKConfig.from_json_file(tmp_path / "other.json")
    assert again.topk == SITES
    assert json.loads(again.to_json_string()) == json.loads(asked.to_json_string())
    assert AutoConfig.from_pretrained(tmp_path, n_dense_layers=0).n_dense_layers == 0
    plain = TopKConfig()
    assert (plain.topk, plain.n_dense_layers) == ({}, 1)


def test_from_config(tmp_path: Path) -> None:
    asked = config()
    for auto, kind in ((AutoModel, TopKModel), (AutoModelForCausalLM, TopKForCausalLM)):
        found: Any = auto.from_config(asked)
        assert type(found) is kind
        assert found.config.topk == SITES
    half = AutoModelForCausalLM.from_config(asked, dtype=torch.bfloat16)
    assert half.dtype == torch.bfloat16
    config(num_hidden_layers=2).save_pretrained(tmp_path)
    assert AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(tmp_path)).config.topk


def test_hidden_states_output(kind: type[PreTrainedModel]) -> None:
    hidden = made(kind)(IDS, output_hidden_states=True).hidden_states
    assert len(hidden) == N_LAYERS + 1
    assert {tuple(state.shape) for state in hidden} == {(*IDS.shape, WIDTH)}
    by_config = made(kind, output_hidden_states=True)(IDS).hidden_states
    assert all(torch.equal(a, b) for a, b in zip(hidden, by_config, strict=True))


def test_attention_outputs(kind: type[PreTrainedModel]) -> None:
    model = made(kind, attn_implementation="eager")
    attentions = model(IDS, output_attentions=True).attentions
    assert len(attentions) == N_LAYERS
    for shares in attentions:
        assert shares.shape == (3, N_HEADS, 9, 9)
        torch.testing.assert_close(shares.sum(dim=-1), torch.ones(3, N_HEADS, 9))
        assert not shares.triu(diagonal=1).any()


def test_retain_grad_hidden_states_attentions() -> None:
    model = made(attn_implementation="eager")
    out = model(IDS, output_hidden_states=True, output_attentions=True)
    kept = (out.hidden_states[1], out.attentions[0])
    for part in kept:
        part.retain_grad()
    out.logits.flatten()[0].backward()
    assert all(part.grad is not None for part in kept)


def test_model_outputs_equivalence(kind: type[PreTrainedModel]) -> None:
    model = made(kind, attn_implementation="eager")
    for asked in ({}, {"output_hidden_states": True}, {"output_attentions": True}):
        named = model(IDS, use_cache=False, **asked)
        plain = model(IDS, use_cache=False, return_dict=False, **asked)
        assert isinstance(plain, tuple)
        flat = [part if isinstance(part, tuple) else (part,) for part in plain]
        wanted = [part if isinstance(part, tuple) else (part,) for part in named.to_tuple()]
        for a, b in zip(flat, wanted, strict=True):
            assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def test_inputs_embeds_matches_input_ids(kind: type[PreTrainedModel]) -> None:
    model = made(kind)
    with torch.no_grad():
        embedded = model.get_input_embeddings()(IDS)
        assert torch.equal(model(inputs_embeds=embedded)[0], first(model))
    with pytest.raises(ValueError, match="exactly one"):
        model(IDS, inputs_embeds=embedded)


def test_batching_equivalence(kind: type[PreTrainedModel]) -> None:
    model = made(kind)
    single = torch.cat([first(model, row[None]) for row in IDS])
    torch.testing.assert_close(first(model), single, atol=1e-5, rtol=1e-4)


def test_eager_matches_sdpa_inference(kind: type[PreTrainedModel], tmp_path: Path) -> None:
    made(kind).save_pretrained(tmp_path)
    mask = torch.ones_like(IDS)
    mask[1, :4] = 0
    found = []
    for name in ("eager", "sdpa"):
        model = kind.from_pretrained(tmp_path, attn_implementation=name)
        assert model.config._attn_implementation == name
        found.append(first(model, attention_mask=mask)[mask.bool()])
        model.set_attn_implementation("eager")
        assert model.config._attn_implementation == "eager"
    torch.testing.assert_close(found[0], found[1], atol=1e-5, rtol=1e-4)


def test_custom_4d_attention_mask() -> None:
    # Three texts in one row, of which each sees itself alone.
    model = made()
    packed = IDS.view(1, 27)
    own = torch.arange(27) // 9
    sees = (own[:, None] == own) & torch.ones(27, 27, dtype=torch.bool).tril()
    mask = torch.zeros(1, 1, 27, 27).masked_fill(~sees, torch.finfo(torch.float32).min)
    positions = torch.arange(9).repeat(3)[None]
    found = first(model, packed, attention_mask=mask, position_ids=positions)
    torch.testing.assert_close(found.view(3, 9, -1), first(model), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("is_tied", [False, True])
def test_resize_tokens_embeddings(is_tied: bool) -> None:
    model = made(tie_word_embeddings=is_tied)
    before = first(model)
    model.resize_token_embeddings(N_TOKENS + 7)
    assert model.config.vocab_size == N_TOKENS + 7
    assert (model.lm_head.weight is model.get_input_embeddings().weight) == is_tied
    longer = first(model)
    assert longer.shape[-1] == N_TOKENS + 7
    torch.testing.assert_close(longer[..., :N_TOKENS], before)
    first(model, torch.tensor([[N_TOKENS + 6]]))
    model.resize_token_embeddings(N_TOKENS - 5)
    torch.testing.assert_close(first(model), before[..., : N_TOKENS - 5])
    model.resize_token_embeddings(pad_to_multiple_of=64)
    assert model.get_output_embeddings().weight.shape == (64, WIDTH)


def test_model_get_set_embeddings(kind: type[PreTrainedModel]) -> None:
    model = made(kind)
    assert isinstance(model.get_input_embeddings(), nn.Embedding)
    new = nn.Embedding(N_TOKENS, WIDTH)
    model.set_input_embeddings(new)
    assert model.get_input_embeddings() is new
    out = model.get_output_embeddings()
    assert (out is None) == (kind is TopKModel)


def _gradients(model: Any) -> dict[str, Tensor]:
    """Train one step's gradients."""
    model.train()
    model(IDS, labels=IDS).loss.backward()
    return {name: weight.grad for name, weight in model.named_parameters()}


def test_training() -> None:
    model = made()
    labels = IDS.masked_fill(IDS == 5, -100)
    out = model(IDS, labels=labels)
    wanted = nn.functional.cross_entropy(
        out.logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=-100
    )
    torch.testing.assert_close(out.loss, wanted)
    for name, grad in _gradients(model).items():
        assert grad is not None, name
        assert grad.isfinite().all(), name
        assert grad.any(), name


def _noting(calls: list[int], number: int, plain: Callable[..., Any]) -> Callable[..., Any]:
    """Note when a function is called."""

    def call(*args: Any, **settings: Any) -> Any:
        calls.append(number)
        return plain(*args, **settings)

    return call


@pytest.mark.parametrize("is_reentrant", [False, True])
def test_training_gradient_checkpointing(is_reentrant: bool) -> None:
    wanted = _gradients(made())
    model = made()
    assert model.supports_gradient_checkpointing
    model.activation_checkpointing_enable({"use_reentrant": is_reentrant})
    calls: list[int] = []
    for number, layer in enumerate(model.model.layers):
        layer._gradient_checkpointing_func = _noting(
            calls, number, layer._gradient_checkpointing_func
        )
    for name, grad in _gradients(model).items():
        torch.testing.assert_close(grad, wanted[name], msg=name)
    assert calls == list(range(N_LAYERS))


def test_can_be_initialized_on_meta(kind: type[PreTrainedModel]) -> None:
    with torch.device("meta"):
        model = kind(config())
    assert {weight.device.type for weight in model.parameters()} == {"meta"}


def test_labels_of_padding_move_nothing() -> None:
    model = made()
    loss = model(IDS, labels=torch.full_like(IDS, -100).index_fill(1, torch.tensor([4]), 7)).loss
    logits = first(model)[:, 3]
    torch.testing.assert_close(loss, nn.functional.cross_entropy(logits, torch.full((3,), 7)))
