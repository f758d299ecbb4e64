"""A text classifier that somebody fine-tuned: Hugging Face's own classes, or sparsepath's.

Those of Hugging Face differ by family in the layer between the pooled vector and the labels. It
becomes the `Head` of a `PathwayClassifier`, which then answers as the original does.

Read with: `base.py` (the encoder), `classifier.py` (what comes out).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from safetensors import safe_open
from torch import Tensor

from sparsepath.errors import ModelError
from sparsepath.models.base import load_base_model
from sparsepath.models.classifier import PathwayClassifier, PathwayConfig, from_encoder
from sparsepath.models.families import FAMILIES
from sparsepath.models.folder import open_folder, read_json_object
from sparsepath.models.parent import KNOWN as LANGUAGE_KINDS
from sparsepath.models.save import label_names, load_classifier
from sparsepath.models.sources import find_model
from sparsepath.models.topk_lm import TopKConfig

Kind = Literal["language-model", "text-classification"]
"""What can become sparse; the names of tasks."""

_KINDS: Mapping[str, Kind] = {
    **dict.fromkeys((*LANGUAGE_KINDS, TopKConfig.model_type), "language-model"),
    **dict.fromkeys((*FAMILIES, PathwayConfig.model_type), "text-classification"),
}
"""By `model_type`."""

CLASS_SUFFIX = "ForSequenceClassification"
"""End of the name of every class of Hugging Face that labels whole texts."""


class _HeadPaths(NamedTuple):
    """Where a family keeps the layers after its encoder, in its files of weights."""

    dense: str
    classifier: str
    activation: str | None
    """Its name, or None where the configuration says it."""
    norm: str | None = None


_ROBERTA = _HeadPaths("classifier.dense", "classifier.out_proj", "tanh")

HEAD_PATHS: Mapping[str, _HeadPaths] = {
    "bert": _HeadPaths("bert.pooler.dense", "classifier", "tanh"),
    "roberta": _ROBERTA,
    "xlm-roberta": _ROBERTA,
    "distilbert": _HeadPaths("pre_classifier", "classifier", "relu"),
    "modernbert": _HeadPaths("head.dense", "classifier", None, norm="head.norm"),
}
"""By `model_type`."""


class FineTuned(NamedTuple):
    """A classifier that others are made of."""

    model: PathwayClassifier
    """In evaluation mode, float32."""
    tokenizer_json: str
    """Text of `tokenizer.json`."""
    origin: str
    """Where it came from, as the end of a sentence."""

    @property
    def labels(self) -> list[str]:
        """Names of the labels, in the order of the logits."""
        return label_names(self.model)


def kind_of_model(name: str) -> Kind:
    """Say what a model is, by its configuration alone.

    Args:
        name: folder, or id of a model in the Hugging Face cache or on the hub.

    Raises:
        ModelError: if it is nowhere, or neither a language model nor an encoder that is known.
    """
    path = find_model(name, known=tuple(_KINDS)).path
    if not path.is_dir():
        raise ModelError(f"{path} is a file, not a folder", hint="give the folder of a model")
    found = read_json_object(path / "config.json").get("model_type")
    if not isinstance(found, str) or found not in _KINDS:
        raise ModelError(
            f"{name} has architecture {found!r}",
            hint=f"use a language model of the Llama kind ({', '.join(LANGUAGE_KINDS)}) or a text "
            f"classifier on an encoder of one of the families {', '.join(FAMILIES)}",
        )
    return _KINDS[found]


def read_fine_tuned(name: str) -> FineTuned:
    """Read a dense text classifier.

    Args:
        name: folder, or id of a model in the Hugging Face cache or on the hub.

    Raises:
        ModelError: if it is nowhere, damaged, no classifier of whole texts with one label each,
            sparse already, or brings code.
    """
    found = find_model(name)
    config = read_json_object(found.path / "config.json")
    if config.get("model_type") != PathwayConfig.model_type:
        return _read_hugging_face(found.path, config, found.origin)
    loaded = load_classifier(found.path)
    if len(loaded.model.sparse):
        raise ModelError(
            f"{name} keeps its largest entries already; its k cannot be changed",
            hint="convert the dense model that it was made of",
        )
    tokenizer = (found.path / "tokenizer.json").read_text(encoding="utf-8")
    return FineTuned(loaded.model, tokenizer, found.origin)


def _read_hugging_face(path: Path, config: dict[str, Any], origin: str) -> FineTuned:
    """Read a classifier of one of Hugging Face's own classes."""
    base = load_base_model(path)
    _check_class(path, config)
    family = str(config["model_type"])
    paths, settings = HEAD_PATHS[family], base.encoder.config
    tensors = _tensors(path, (paths.dense, paths.classifier, paths.norm))
    missing = [
        f"{n}.weight" for n in (paths.dense, paths.classifier) if f"{n}.weight" not in tensors
    ]
    if missing:
        raise ModelError(
            f"{path} has no {' and no '.join(missing)}, so it does not label texts",
            hint="give an encoder that was fine-tuned as a text classifier, whole",
        )
    has_norm = paths.norm is not None
    head = {
        "activation": paths.activation or str(settings.classifier_activation),
        "bias": f"{paths.dense}.bias" in tensors,
        "norm_eps": float(settings.norm_eps) if has_norm else None,
        "norm_bias": f"{paths.norm}.bias" in tensors,
    }
    model = from_encoder(
        base.encoder,
        _labels(path, config, len(tensors[f"{paths.classifier}.weight"])),
        pooling=str(getattr(settings, "classifier_pooling", "cls")),
        max_length=base.max_length,
        head=head,
    )
    _put(model, paths, tensors, path)
    return FineTuned(model, base.tokenizer_json, origin)


def _check_class(path: Path, config: dict[str, Any]) -> None:
    """See that a model gives each text one label.

    Raises:
        ModelError: if it does something else.
    """
    hint = "give a classifier of whole texts with one label each"
    names = [str(name) for name in config.get("architectures") or []]
    if not any(name.endswith(CLASS_SUFFIX) for name in names):
        raise ModelError(
            f"{path} is {' and '.join(names) or 'an encoder'}, no {CLASS_SUFFIX}", hint=hint
        )
    problem = config.get("problem_type")
    if problem not in {None, "single_label_classification"}:
        raise ModelError(f"{path} was fine-tuned for {problem}", hint=hint)


def _labels(path: Path, config: dict[str, Any], n: int) -> list[str]:
    """Name the labels, as transformers does where the model does not.

    Raises:
        ModelError: if there are fewer than two, or names do not fit them.
    """
    if n < 2:
        raise ModelError(
            f"{path} gives one number, not a label",
            hint="give a classifier of at least two labels",
        )
    named = config.get("id2label") or {str(i): f"LABEL_{i}" for i in range(n)}
    names = [str(named.get(str(i), "")) for i in range(n)]
    if len(named) != n or len(set(names)) != n or "" in names:
        raise ModelError(
            f"id2label in {path / 'config.json'} names {len(set(names))} labels, the model has {n}",
            hint="give each label a name of its own there",
        )
    return names


def _tensors(path: Path, modules: tuple[str | None, ...]) -> dict[str, Tensor]:
    """Read the tensors of some modules; files were checked when the encoder was read."""
    wanted = {f"{name}.{kind}" for name in modules if name for kind in ("weight", "bias")}
    found: dict[str, Tensor] = {}
    for file in open_folder(path, FAMILIES, allow_custom_code=False).weights:
        with safe_open(file, framework="pt") as tensors:
            found |= {x: tensors.get_tensor(x).float() for x in wanted & set(tensors.keys())}
    return found


@torch.no_grad()
def _put(
    model: PathwayClassifier, paths: _HeadPaths, tensors: dict[str, Tensor], path: Path
) -> None:
    """Give head and classifier their weights.

    Raises:
        ModelError: if shapes do not fit.
    """
    model.classifier.bias.zero_()
    places = {"head.dense": paths.dense, "classifier": paths.classifier, "head.norm": paths.norm}
    for own, theirs in places.items():
        for kind in ("weight", "bias"):
            value = tensors.get(f"{theirs}.{kind}")
            if value is None:
                continue
            target = model.get_parameter(f"{own}.{kind}")
            if target.shape != value.shape:
                raise ModelError(
                    f"{theirs}.{kind} in {path} is {tuple(value.shape)}, expected "
                    f"{tuple(target.shape)}",
                    hint="config.json and the weights do not belong together: copy the model "
                    "again, whole",
                )
            target.copy_(value)
