"""Write a classifier as a Hugging Face folder, and read it back.

The folder loads with transformers alone and `trust_remote_code=True`; where sparsepath is imported,
without the flag. `load_classifier` never runs the code that lies in the folder: it uses its own.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

from huggingface_hub.errors import StrictDataclassError
from tokenizers import Tokenizer

from sparsepath.errors import ModelError
from sparsepath.models.classifier import PathwayClassifier, PathwayConfig
from sparsepath.models.families import FAMILIES, encoder_sites
from sparsepath.models.folder import ModelFolder, open_folder, read_tensors
from sparsepath.models.quiet import quiet
from sparsepath.models.tokenizer import read_tokenizer, special_tokens


class LoadedClassifier(NamedTuple):
    """A classifier read from a folder."""

    model: PathwayClassifier
    """In evaluation mode, float32."""
    tokenizer: Tokenizer
    """Without padding and truncation."""

    @property
    def labels(self) -> list[str]:
        """Names of the labels, in the order of the logits."""
        return label_names(self.model)


def label_names(model: PathwayClassifier) -> list[str]:
    """Return the names of the labels, in the order of the logits."""
    names = {int(number): name for number, name in (model.config.id2label or {}).items()}
    return [str(names[number]) for number in range(model.classifier.out_features)]


def save_classifier(
    folder: Path, model: PathwayClassifier, tokenizer_json: str, *, card: str
) -> None:
    """Write a model folder: weights, configuration, code, tokenizer and model card.

    Args:
        folder: created if missing; files of the same names are replaced. For all or nothing, write
            into a temporary folder and rename it.
        model: the classifier.
        tokenizer_json: text of `tokenizer.json`.
        card: text of `README.md`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with quiet():
        model.save_pretrained(folder)
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": model.config.max_length,
        "model_input_names": ["input_ids", "attention_mask"],
        "clean_up_tokenization_spaces": False,
        **special_tokens(json.loads(tokenizer_json), model.encoder.config.pad_token_id),
    }
    texts = {
        "tokenizer.json": tokenizer_json,
        "tokenizer_config.json": json.dumps(settings, ensure_ascii=False, indent=2) + "\n",
        "README.md": card,
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")


def load_classifier(folder: Path) -> LoadedClassifier:
    """Read a model folder that `save_classifier` wrote; no code in it is run.

    Args:
        folder: the model folder.

    Raises:
        ModelError: if it is incomplete, damaged or something else.
    """
    # The code that the folder names is a copy of classifier.py, which is used instead of it.
    opened = open_folder(folder, {PathwayConfig.model_type}, allow_custom_code=True)
    tokenizer = read_tokenizer(folder).tokenizer
    model = _load_model(opened)
    model.name_or_path = str(folder)  # where its presets and its catalogue are
    n_rows = encoder_sites(model.encoder).embedding.num_embeddings
    if tokenizer.get_vocab_size() > n_rows:
        raise ModelError(
            f"the tokenizer in {folder} has {tokenizer.get_vocab_size()} tokens but the model "
            f"only {n_rows}",
            hint="copy the model folder again, whole",
        )
    return LoadedClassifier(model, tokenizer)


def _load_model(folder: ModelFolder) -> PathwayClassifier:
    """Build the classifier of a checked folder."""
    tensors = read_tensors(folder)
    hint = "config.json and the weights do not belong together: copy the folder again, whole"
    body = folder.config.get("encoder")
    if not isinstance(body, dict) or body.get("model_type") not in FAMILIES:
        raise ModelError(f"config.json in {folder.path} describes no known encoder", hint=hint)
    settings = {
        k: v
        for k, v in folder.config.items()
        if k not in {"auto_map", "transformers_weights", "_attn_implementation"}
    }
    try:
        config = PathwayConfig.from_dict(settings)
        if len(config.layers) > len(tensors):
            raise ValueError(f"{len(config.layers)} layers in config.json")
        with quiet():
            loaded: Any = PathwayClassifier.from_pretrained(
                None, config=config, state_dict=tensors, output_loading_info=True
            )
    except (
        AttributeError,
        KeyError,
        RuntimeError,
        StrictDataclassError,
        TypeError,
        ValueError,
    ) as error:
        raise ModelError(f"{folder.path} cannot be loaded: {error}", hint=hint) from error
    model: PathwayClassifier = loaded[0]
    info = loaded[1]
    wrong = sorted(info["missing_keys"] | info["unexpected_keys"])
    if wrong:
        raise ModelError(
            f"{folder.path} has {len(wrong)} tensors missing or too many: {', '.join(wrong[:5])}",
            hint=hint,
        )
    model.train(False)
    return model
