"""Copies of a model that stand alone: for ONNX Runtime, or as a Hugging Face folder.

An ONNX copy has graphs, tokenizer, `sparsepath.json` and a README whose few lines of Python run it
with `onnxruntime`, `tokenizers` and `numpy`; stages of a cascade become folders inside it. Copying
needs the base package only; a Hugging Face folder without graphs needs the packages of `[train]`,
which write them.
"""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Final, Literal

from sparsepath.artifacts.store import folder_atomic
from sparsepath.errors import ConfigError, ModelError, needs_extra
from sparsepath.runtime.engine import load_engine
from sparsepath.runtime.locate import locate_model
from sparsepath.runtime.manifest import (
    MANIFEST,
    Manifest,
    Precision,
    member,
    read_manifest,
    write_manifest,
)

Format = Literal["onnx", "hf"]

HF_FILES: Final = (
    "config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "README.md",
    "unit_means.safetensors",
    "neurons.json",
    "healing.json",
    "recipe.json",
)
"""Files of a Hugging Face folder; its Python files are copied as well."""

_WHOLE: Final = "copy the model folder again, whole, or run the PoC again"

_README: Final = """# {name}

A text classifier made by sparsepath: {n_labels} labels, texts up to {max_length} tokens.
It runs with `pip install onnxruntime tokenizers numpy` and nothing else:

```python
import json
import numpy as np, onnxruntime
from tokenizers import Tokenizer

about = json.load(open("sparsepath.json", encoding="utf-8"))
tokenizer = Tokenizer.from_file("tokenizer.json")
tokenizer.no_padding()
tokenizer.enable_truncation(about["max_length"])
session = onnxruntime.InferenceSession("{graph}", providers=["CPUExecutionProvider"])

ids = np.array([tokenizer.encode("a text").ids], dtype=np.int64)
feeds = {{"input_ids": ids, "attention_mask": np.ones_like(ids)}}
(probabilities,) = session.run(["probabilities"], feeds)
print(about["labels"][int(probabilities[0].argmax())], float(probabilities[0].max()))
```

Several texts at once: fill shorter ones on the right with token {pad_id} and put 0 in the
attention mask there.
"""


def export_model(folder: Path | str, *, to: Format | str, out: Path | str) -> Path:
    """Copy a model into a new folder that needs no sparsepath.

    Args:
        folder: a model folder, or a run folder for its recommended model.
        to: "onnx" or "hf".
        out: a folder that does not exist or is empty; it appears whole or not at all.

    Returns:
        `out`.

    Raises:
        ConfigError: if `to` is unknown or `out` is not free.
        ModelError: if the model is damaged or has no such form.
        MissingExtraError: if graphs must be made and `[train]` is not installed.
    """
    source, target = locate_model(Path(folder)), Path(out)
    copy = {"onnx": _copy_onnx, "hf": _copy_hf}.get(to)
    if copy is None:
        raise ConfigError(f"unknown format {to!r}", hint="choose onnx or hf")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ConfigError(f"{target} is already there", hint="give --out a new folder")
    with folder_atomic(target) as temporary:
        copy(source, temporary)
    return target


def _copy_onnx(source: Path, target: Path) -> None:
    """Copy graphs, or write them, and load the copy once to see that it runs."""
    if (source / MANIFEST).is_file():
        _copy_runnable(source, target)
    else:
        _write_runnable(source, target)
    load_engine(target, precision=_precision(target)).predict_one("a text")


def _copy_runnable(source: Path, target: Path) -> None:
    """Copy a model folder that runs, its cascade stages inside."""
    manifest = read_manifest(source)
    if manifest.kind != "cascade":
        _copy_graphs(source, manifest, target)
        _describe(source.name, manifest, target)
        return
    names = []
    for number, name in enumerate(manifest.stages):
        stage = member(source, name, is_folder=True)
        names.append(f"{number}-{stage.name}")
        (target / names[-1]).mkdir()
        _copy_runnable(stage, target / names[-1])
    write_manifest(target, replace(manifest, stages=names))


def _copy_graphs(source: Path, manifest: Manifest, target: Path) -> None:
    """Copy everything that `load_engine` reads from a single model or early exit."""
    graphs = [*manifest.onnx.values(), *manifest.stages]
    for name in graphs:
        graph = member(source, name)
        _copy(graph, target / name)
        data = graph.with_name(graph.name + ".data")
        if data.is_file():
            _copy(data, (target / name).with_name(data.name))
    _copy(source / "tokenizer.json", target / "tokenizer.json")
    _copy(source / MANIFEST, target / MANIFEST)


def _describe(name: str, manifest: Manifest, target: Path) -> None:
    """Write the README of a single model; stages of an early exit have no short example."""
    if manifest.kind != "single":
        return
    text = _README.format(
        name=name,
        n_labels=len(manifest.labels),
        max_length=manifest.max_length,
        graph=next(iter(manifest.onnx.values())),
        pad_id=manifest.pad_id,
    )
    (target / "README.md").write_text(text, encoding="utf-8")


def _write_runnable(source: Path, target: Path) -> None:
    """Make the graph of a Hugging Face folder that sparsepath saved."""
    if not (source / "config.json").is_file():
        raise ModelError(
            f"{source} has neither {MANIFEST} nor config.json",
            hint="give a model folder such as RUN/models/NAME",
        )
    with needs_extra("train", "making an ONNX graph"):
        from sparsepath.models.describe import describe
        from sparsepath.models.save import load_classifier
        from sparsepath.runtime.build import add_graphs
    loaded = load_classifier(source)
    model = loaded.model
    _copy(source / "tokenizer.json", target / "tokenizer.json")
    pad_id = int(model.encoder.config.pad_token_id or 0)
    manifest = add_graphs(target, describe(model), labels=loaded.labels, pad_id=pad_id)
    _describe(source.name, manifest, target)


def _copy_hf(source: Path, target: Path) -> None:
    """Copy the Hugging Face files and leave the graphs."""
    missing = [name for name in HF_FILES[:3] if not (source / name).is_file()]
    if missing:
        is_dynamic = (source / MANIFEST).is_file() and read_manifest(source).stages
        hint = "export its stages one by one" if is_dynamic else _WHOLE
        raise ModelError(f"{source} has no {', '.join(missing)}", hint=hint)
    for name in [*HF_FILES, *(path.name for path in source.glob("*.py"))]:
        if (source / name).is_file():
            _copy(source / name, target / name)


def _precision(folder: Path) -> Precision:
    """A precision that the folder has."""
    manifest = read_manifest(folder)
    return "int8" if manifest.onnx and "fp32" not in manifest.onnx else "fp32"


def _copy(source: Path, target: Path) -> None:
    """Copy one file.

    Raises:
        ModelError: if it is missing.
    """
    if not source.is_file():
        raise ModelError(f"no {source.name} in {source.parent}", hint=_WHOLE)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
