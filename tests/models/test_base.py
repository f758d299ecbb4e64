"""Base models come from folders or a package; what is damaged or dangerous is refused."""

import json
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertModel,
    ElectraConfig,
    ElectraModel,
    PreTrainedModel,
    RobertaConfig,
    RobertaModel,
)

from sparsepath.errors import ModelError
from sparsepath.models import sources
from sparsepath.models.base import load_base_model, resolve_base_model
from sparsepath.models.quiet import quiet

SIZES = {
    "vocab_size": 12,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 8,
    "max_position_embeddings": 20,
}
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "card", "##s", "is", "lost", "a", "b"]


def _write(folder: Path, encoder: PreTrainedModel) -> Path:
    """Write a model folder as its authors would."""
    with quiet():
        encoder.save_pretrained(folder)
    tokenizer = Tokenizer(models.WordPiece({w: i for i, w in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.enable_padding(length=128)
    tokenizer.enable_truncation(64)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small, healthy BERT."""
    return _write(tmp_path / "bert", BertModel(BertConfig(**SIZES), add_pooling_layer=False))


def _config(folder: Path, **changes: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@torch.no_grad()
def test_a_folder_gives_the_encoder_with_its_weights(folder: Path) -> None:
    base = resolve_base_model(str(folder))
    assert base is not None
    ids = torch.tensor([[2, 5, 6, 3]])
    want = BertModel.from_pretrained(folder, add_pooling_layer=False)(ids).last_hidden_state
    assert torch.equal(base.encoder(ids).last_hidden_state, want)
    assert base.path_or_id == str(folder)
    assert str(folder) in base.origin
    assert (base.max_length, base.licence, base.pooling) == (20, None, "mean")
    assert not base.encoder.training


def test_padding_and_truncation_of_the_tokenizer_are_dropped(folder: Path) -> None:
    tokenizer = Tokenizer.from_str(load_base_model(folder).tokenizer_json)
    assert tokenizer.encode("the cards").tokens == ["the", "card", "##s"]


@torch.no_grad()
def test_a_language_model_gives_its_body(tmp_path: Path) -> None:
    whole = BertForMaskedLM(BertConfig(**SIZES)).eval()
    base = load_base_model(_write(tmp_path, whole))
    ids = torch.tensor([[2, 5, 6, 3]])
    assert torch.equal(base.encoder(ids)[0], whole.bert(ids)[0])


def test_half_precision_weights_are_read_as_float32(tmp_path: Path) -> None:
    encoder = BertModel(BertConfig(**SIZES), add_pooling_layer=False).half()
    base = load_base_model(_write(tmp_path, encoder))
    assert {p.dtype for p in base.encoder.parameters()} == {torch.float32}


def test_roberta_reads_two_tokens_less_than_it_has_positions(tmp_path: Path) -> None:
    encoder = RobertaModel(RobertaConfig(**SIZES, pad_token_id=1), add_pooling_layer=False)
    assert load_base_model(_write(tmp_path, encoder)).max_length == 18


def test_the_card_and_the_pooling_of_the_authors_are_read(folder: Path) -> None:
    (folder / "README.md").write_text("---\nlanguage: en\nlicense: apache-2.0\n---\n# A model\n")
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode_cls_token": true}')
    (folder / "tokenizer_config.json").write_text('{"model_max_length": 16}')
    base = load_base_model(folder)
    assert (base.licence, base.pooling, base.max_length) == ("apache-2.0", "cls", 16)


def test_weights_in_several_files_are_read(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(tensors)
    parts = {"model-1.safetensors": names[:5], "model-2.safetensors": names[5:]}
    for file, keys in parts.items():
        save_file({key: tensors[key] for key in keys}, folder / file)
    index = {"weight_map": {key: file for file, keys in parts.items() for key in keys}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert load_base_model(folder).encoder.num_parameters() == sum(
        t.numel() for t in tensors.values()
    )
    (folder / "model-2.safetensors").unlink()
    with pytest.raises(ModelError, match=r"lacks 1 of 2 files.*model-2"):
        load_base_model(folder)
    index["weight_map"] = dict.fromkeys(names, "../model-1.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ModelError, match="outside the folder"):
        load_base_model(folder)


# --- what is refused ---


def _cut_weights(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def _garble_header(folder: Path) -> None:
    path = folder / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[20] ^= 0xFF
    path.write_bytes(bytes(content))


def _drop(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    del tensors["encoder.layer.1.output.dense.weight"]
    save_file(tensors, folder / "model.safetensors")


def _poison(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    tensors["encoder.layer.0.output.dense.bias"][3] = float("nan")
    save_file(tensors, folder / "model.safetensors")


def _pickle_only(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


DAMAGES = {
    "no config": (lambda f: (f / "config.json").unlink(), "config.json cannot be read"),
    "config is no JSON": (lambda f: (f / "config.json").write_text("{"), "not valid JSON"),
    "config is binary": (lambda f: (f / "config.json").write_bytes(b"\xff\x00"), "not valid JSON"),
    "config is a list": (lambda f: (f / "config.json").write_text("[]"), "holds a list"),
    "deeply nested config": (lambda f: (f / "config.json").write_text("[" * 10**5), "not valid"),
    "no weights": (lambda f: (f / "model.safetensors").unlink(), "no model.safetensors"),
    "empty weights": (
        lambda f: (f / "model.safetensors").write_bytes(b""),
        "no safetensors header",
    ),
    "weights cut off": (_cut_weights, "its header describes"),
    "header garbled": (_garble_header, "broken safetensors header|cannot be read"),
    "text instead of weights": (
        lambda f: (f / "model.safetensors").write_text("version https://git-lfs.github.com/spec"),
        "no safetensors header",
    ),
    "a tensor is missing": (_drop, r"lacks 1 tensors: encoder\.layer\.1\.output\.dense\.weight"),
    "NaN in a tensor": (_poison, "NaN"),
    "pickle only": (_pickle_only, r"only as pytorch_model\.bin"),
    "adapter": (lambda f: (f / "adapter_config.json").write_text("{}"), "adapter"),
    "quantised": (lambda f: _config(f, quantization_config={"bits": 4}), "quantised"),
    "sizes do not fit": (lambda f: _config(f, intermediate_size=9), "cannot be loaded"),
    "absurd number of layers": (lambda f: _config(f, num_hidden_layers=10**9), "cannot be loaded"),
    "absurd type": (lambda f: _config(f, hidden_size="wide"), "cannot be loaded"),
    "unknown activation": (lambda f: _config(f, hidden_act="rm -rf"), "cannot be loaded"),
    "relative positions": (
        lambda f: _config(f, position_embedding_type="relative_key"),
        "relative_key",
    ),
    "no tokenizer": (lambda f: (f / "tokenizer.json").unlink(), "no tokenizer.json"),
    "broken tokenizer": (lambda f: (f / "tokenizer.json").write_text("{}"), "not a tokenizer"),
}


@pytest.mark.parametrize("case", DAMAGES)
def test_a_damaged_folder_is_refused_with_a_fix(folder: Path, case: str) -> None:
    damage, problem = DAMAGES[case]
    damage(folder)
    with pytest.raises(ModelError, match=problem) as raised:
        resolve_base_model(str(folder))
    assert raised.value.hint


def test_a_tokenizer_larger_than_the_model_is_refused(tmp_path: Path) -> None:
    encoder = BertModel(BertConfig(**SIZES | {"vocab_size": 11}), add_pooling_layer=False)
    with pytest.raises(ModelError, match="12 tokens but the model only 11"):
        load_base_model(_write(tmp_path, encoder))


def test_an_unknown_architecture_is_refused_by_names(tmp_path: Path) -> None:
    encoder = ElectraModel(ElectraConfig(**SIZES, embedding_size=16))
    with pytest.raises(ModelError, match="'electra'") as raised:
        load_base_model(_write(tmp_path, encoder))
    assert "modernbert" in raised.value.hint


def test_settings_cannot_make_transformers_read_another_file(folder: Path) -> None:
    want = load_base_model(folder).encoder.state_dict()
    _config(folder, transformers_weights="evil.bin", _attn_implementation="evil/kernel")
    got = load_base_model(folder).encoder
    assert got.config._attn_implementation == "sdpa"
    assert all(torch.equal(tensor, want[name]) for name, tensor in got.state_dict().items())


@pytest.fixture
def custom(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose own code leaves a file behind when it runs."""
    monkeypatch.setenv("HF_MODULES_CACHE", str(folder.parent / "modules"))
    marker = folder.parent / "ran"
    (folder / "modeling.py").write_text(
        "from transformers import BertModel\n"
        f"open({str(marker)!r}, 'w').close()\n"
        "class Mine(BertModel):\n    pass\n"
    )
    _config(folder, auto_map={"AutoModel": "modeling.Mine"})
    return folder


def test_custom_code_is_refused_before_it_runs(custom: Path) -> None:
    with pytest.raises(ModelError, match=r"custom code.*modeling\.Mine") as raised:
        resolve_base_model(str(custom))
    assert "--allow-custom-code" in raised.value.hint
    assert not (custom.parent / "ran").exists()


def test_custom_code_runs_when_allowed(custom: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import dynamic_module_utils

    monkeypatch.setattr(dynamic_module_utils, "HF_MODULES_CACHE", str(custom.parent / "modules"))
    monkeypatch.setattr(sys, "path", list(sys.path))
    base = resolve_base_model(str(custom), allow_custom_code=True)
    assert base is not None
    assert type(base.encoder).__name__ == "Mine"
    assert (custom.parent / "ran").exists()


@pytest.mark.parametrize("name", ["./nothing-here", "a/b/c", "../../etc", "no such model", ""])
def test_a_name_that_is_neither_folder_nor_id_is_refused(name: str) -> None:
    with pytest.raises(ModelError, match=r"no folder|is a file|config\.json"):
        resolve_base_model(name)


def test_a_file_in_place_of_a_folder_is_refused(folder: Path) -> None:
    with pytest.raises(ModelError, match="is a file, not a folder"):
        resolve_base_model(str(folder / "config.json"))


def test_an_id_that_is_not_in_the_cache_says_how_to_go_on(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="hub cannot be reached") as raised:
        resolve_base_model("sparsepath-tests/never-downloaded")
    assert "path" in raised.value.hint


# --- the default ---


@pytest.fixture
def package(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package that stands for the one of the default model, and runs code when imported."""
    root = folder.parent / "site" / "stand_in_model"
    root.mkdir(parents=True)
    (root / "__init__.py").write_text("raise SystemExit('imported')\n")
    folder.rename(root / "model")
    monkeypatch.syspath_prepend(str(root.parent))
    monkeypatch.setattr(sources, "DEFAULT_PACKAGE", "stand_in_model")
    monkeypatch.setattr(sources, "DEFAULT_MODEL", "sparsepath-tests/never-downloaded")
    return root / "model"


def test_a_changed_package_is_refused_by_its_hash(package: Path) -> None:
    with pytest.raises(ModelError, match="sha256") as raised:
        resolve_base_model(None)
    assert "--force-reinstall" in raised.value.hint


def test_the_package_is_the_default_without_being_imported(
    package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = sources.file_sha256(package / "model.safetensors")
    monkeypatch.setattr(sources, "DEFAULT_PACKAGE_SHA256", digest)
    base = resolve_base_model(None)
    assert base is not None
    assert "sha256 checked" in base.origin
    assert base.path_or_id == "sentence-transformers/all-MiniLM-L6-v2"


def test_without_cache_hub_and_package_there_is_no_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "DEFAULT_PACKAGE", "sparsepath_no_such_package")
    monkeypatch.setattr(sources, "DEFAULT_MODEL", "sparsepath-tests/never-downloaded")
    assert resolve_base_model(None) is None
