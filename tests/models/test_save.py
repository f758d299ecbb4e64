"""A saved classifier comes back bit by bit, also where sparsepath is not installed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from torch import Tensor
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from sparsepath.errors import ModelError
from sparsepath.models.classifier import PathwayClassifier, from_encoder
from sparsepath.models.families import FAMILIES
from sparsepath.models.quiet import quiet
from sparsepath.models.save import load_classifier, save_classifier
from sparsepath.models.surgery import extract
from sparsepath.models.topk_classifier import make_sparse
from sparsepath.models.units import UnitMask

Inputs = dict[str, Tensor]

ALONE = """
import sys
sys.modules["sparsepath"] = None
import torch
from transformers import AutoModelForSequenceClassification
torch.set_num_threads(1)
for folder in sys.argv[1:]:
    model, info = AutoModelForSequenceClassification.from_pretrained(
        folder, trust_remote_code=True, output_loading_info=True
    )
    assert not any(info.values()), info
    assert type(model).__module__.startswith("transformers_modules")
    case = torch.load(folder + "/case.pt", weights_only=True)
    logits = case.pop("logits")
    with torch.no_grad():
        got = model.eval()(**case).logits
    assert torch.equal(got, logits), folder
    print("equal")
"""


def _tokenizer_json(pad: str = "[PAD]") -> str:
    """Make a tokenizer of 60 tokens."""
    words = [pad, "[UNK]", "[CLS]", "[SEP]"] + [f"w{i}" for i in range(56)]
    vocab = {word: number for number, word in enumerate(words)}
    tokenizer = Tokenizer(models.WordPiece(vocab, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.add_special_tokens(words[:4])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return tokenizer.to_str()


def _degenerate(model: PathwayClassifier) -> dict[str, PathwayClassifier]:
    """Return the model whole and in the shapes that are easy to get wrong."""
    result = {"full": model}
    for name in ("no-layers", "no-heads", "no-neurons", "last-layer"):
        keep = UnitMask.full(model)
        if name == "no-layers":
            keep.heads[:] = keep.neurons[:] = False
        if name == "no-heads":
            keep.heads[:] = False
        if name == "no-neurons":
            keep.neurons[:] = False
        if name == "last-layer":
            keep.heads[:2] = keep.neurons[:2] = False
        result[name] = extract(model, keep)
    by = {"mlp_hidden": "value", "block_out": "magnitude"}
    result["sparse"] = make_sparse(model, {"mlp_hidden": 5, "block_out": 0.3}, by=by)
    return result


@torch.no_grad()
def test_every_shape_of_model_comes_back_bit_by_bit(
    model: PathwayClassifier, padded: Inputs, tmp_path: Path
) -> None:
    for name, case in _degenerate(model).items():
        save_classifier(tmp_path / name, case, _tokenizer_json(), card="# A model\n")
        loaded = load_classifier(tmp_path / name)
        assert torch.equal(loaded.model(**padded).logits, case(**padded).logits), name
        assert loaded.model.config.id2label == {0: "a", 1: "b", 2: "c"}
        assert loaded.tokenizer.encode("w0 w5").ids == [2, 4, 9, 3]
        with quiet():
            auto, info = AutoModelForSequenceClassification.from_pretrained(
                tmp_path / name, output_loading_info=True
            )
        assert not any(info.values()), name
        assert torch.equal(auto.eval()(**padded).logits, case(**padded).logits), name


@pytest.mark.slow
@torch.no_grad()
def test_saved_models_load_without_sparsepath(make_model, inputs: Inputs, tmp_path: Path) -> None:
    folders = []
    for family in FAMILIES:
        whole = make_model(family)
        ids = inputs["input_ids"].clamp_min(whole.config.pad_token_id)
        case = {"input_ids": ids, "attention_mask": inputs["attention_mask"]}
        for name, model in _degenerate(whole).items():
            folder = tmp_path / family / name
            save_classifier(folder, model, _tokenizer_json(), card="")
            torch.save({**case, "logits": model(**case).logits}, folder / "case.pt")
            folders.append(str(folder))
    done = subprocess.run(
        [sys.executable, "-c", ALONE, *folders],
        env={
            "HF_MODULES_CACHE": str(tmp_path / "modules"),
            "HF_HOME": str(tmp_path / "home"),
            "HF_HUB_OFFLINE": "1",
            "OMP_NUM_THREADS": "1",
            "PATH": "",
        },
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["equal"] * len(folders)


def test_transformers_reads_the_tokenizer(make_model, tmp_path: Path) -> None:
    save_classifier(tmp_path, make_model("bert"), _tokenizer_json(), card="")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    batch = tokenizer(["w0", "w1 w2 w3"], padding=True)
    assert batch["input_ids"] == [[2, 4, 3, 0, 0], [2, 5, 6, 7, 3]]
    assert set(batch) == {"input_ids", "attention_mask"}
    assert tokenizer.model_max_length == 30


def test_the_padding_token_is_the_one_of_the_model(make_model, tmp_path: Path) -> None:
    save_classifier(tmp_path, make_model("bert"), _tokenizer_json(pad="<nil>"), card="")
    assert AutoTokenizer.from_pretrained(tmp_path).pad_token == "<nil>"


def test_the_card_and_no_local_path_are_written(make_model, tmp_path: Path) -> None:
    encoder = make_model("bert").encoder
    encoder.config._name_or_path = "/home/someone/secret"
    model = from_encoder(encoder, ["a", "b"])
    model.config._name_or_path = "/home/someone/secret"
    for case in (model, extract(model, UnitMask.full(model))):
        save_classifier(tmp_path, case, _tokenizer_json(), card="# Card")
        assert (tmp_path / "README.md").read_text() == "# Card"
        assert "/home/someone" not in (tmp_path / "config.json").read_text()


def test_loading_runs_no_code_of_the_folder(make_model, tmp_path: Path) -> None:
    save_classifier(tmp_path / "m", make_model("bert"), _tokenizer_json(), card="")
    marker = tmp_path / "ran"
    (tmp_path / "m" / "classifier.py").write_text(f"open({str(marker)!r}, 'w').close()\n")
    load_classifier(tmp_path / "m")
    assert not marker.exists()


def test_nothing_is_printed(make_model, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    save_classifier(tmp_path, make_model("bert"), _tokenizer_json(), card="")
    load_classifier(tmp_path)
    assert capfd.readouterr() == ("", "")


def _edit_config(folder: Path, **changes: object) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | changes))


def _drop_tensor(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    tensors.pop("classifier.bias")
    save_file(tensors, folder / "model.safetensors")


def _swap_shape(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    tensors["classifier.weight"] = torch.zeros(3, 31)
    save_file(tensors, folder / "model.safetensors")


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (_drop_tensor, "classifier.bias"),
        (_swap_shape, "cannot be loaded"),
        (lambda f: _edit_config(f, layers=[]), "cannot be loaded"),
        (lambda f: _edit_config(f, layers=[1, 2, 3]), "cannot be loaded"),
        (lambda f: _edit_config(f, encoder={"model_type": "gpt2"}), "no known encoder"),
        (lambda f: _edit_config(f, encoder=None), "no known encoder"),
        (lambda f: _edit_config(f, pooling="max"), "'max'"),
        (lambda f: _edit_config(f, model_type="bert"), "architecture 'bert'"),
        (lambda f: (f / "tokenizer.json").unlink(), "no tokenizer.json"),
        (lambda f: (f / "tokenizer.json").write_text("{}"), "not a tokenizer"),
    ],
)
def test_a_damaged_folder_is_refused_with_a_fix(
    make_model, tmp_path: Path, damage, problem: str
) -> None:
    save_classifier(tmp_path, make_model("bert"), _tokenizer_json(), card="")
    damage(tmp_path)
    with pytest.raises(ModelError, match=problem) as raised:
        load_classifier(tmp_path)
    assert raised.value.hint


def test_a_tokenizer_of_another_model_is_refused(make_model, tmp_path: Path) -> None:
    model = make_model("bert")
    small = extract(model, UnitMask.full(model), vocabulary=torch.arange(9))
    save_classifier(tmp_path, small, _tokenizer_json(), card="")
    with pytest.raises(ModelError, match="60 tokens but the model only 9"):
        load_classifier(tmp_path)
