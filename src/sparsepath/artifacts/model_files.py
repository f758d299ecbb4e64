"""The files of a model's weights, and the hash by which everything made of them knows them."""

import json
from pathlib import Path

from sparsepath.artifacts.provenance import sha256_file
from sparsepath.artifacts.store import write_text_atomic
from sparsepath.errors import ModelError

CLASSIFIER_TYPE = "sparsepath_classifier"
"""`model_type` of classifiers in `config.json`."""

SUMS_FILE = "weights.sha256"
"""Hashes of the weights as they were saved."""


def locate_language_model(path: Path) -> Path:
    """Give the model folder that a path means: itself, or the model of a training's folder.

    Raises:
        ModelError: if there is none.
    """
    for folder in (path, path / "model"):
        if (folder / "config.json").is_file():
            return folder
    raise ModelError(
        f"no language model at {path}",
        hint="give a folder with config.json, or the folder of a finished `sparsepath train`",
    )


def find_classifier(path: Path) -> Path | None:
    """Give the folder of the classifier that a path means; None where there is none.

    Args:
        path: of a model, or of the training that made it.
    """
    for folder in (path, path / "model"):
        config = folder / "config.json"
        if config.is_file():
            try:
                found = json.loads(config.read_text(encoding="utf-8"))
            except (OSError, ValueError):
                return None  # whoever reads it says what is wrong
            is_one = isinstance(found, dict) and found.get("model_type") == CLASSIFIER_TYPE
            return folder if is_one else None
    return None


def weights_sha256(folder: Path) -> str:
    """Give the hash of a model's weights; of several files, joined by commas.

    Raises:
        ModelError: if there are none, or parts are missing.
    """
    return ",".join(sha256_file(path) for path in model_files(folder))


def write_sums(folder: Path) -> None:
    """Write the hashes of a model's weights beside them, as `sha256sum` does.

    Raises:
        ModelError: as `model_files`.
    """
    lines = [f"{sha256_file(path)}  {path.name}\n" for path in model_files(folder)]
    write_text_atomic(folder / SUMS_FILE, "".join(lines))


def check_sums(folder: Path, sha256: str | None = None) -> None:
    """See that a model's weights are those that were saved, where that was written down.

    Args:
        folder: of a model.
        sha256: what `weights_sha256` gives for it, where that is known.

    Raises:
        ModelError: if a file was altered.
    """
    path = folder / SUMS_FILE
    if not path.is_file():
        return
    lines = path.read_text("utf-8", "replace").splitlines()
    saved = {name.strip(): digest for digest, _, name in (line.partition(" ") for line in lines)}
    files = model_files(folder)
    found = (sha256 or weights_sha256(folder)).split(",")
    for file, digest in zip(files, found, strict=True):
        if saved.get(file.name) != digest:
            raise ModelError(
                f"{file} is not what was saved: sha256 {digest[:12]}..., in {SUMS_FILE} "
                f"{str(saved.get(file.name))[:12]}...",
                hint="copy the model folder again, whole; if you changed the weights yourself, "
                f"delete {SUMS_FILE}",
            )


def model_files(folder: Path) -> list[Path]:
    """List the files of a model.

    Raises:
        ModelError: if there are none, or parts are missing.
    """
    whole, index = folder / "model.safetensors", folder / "model.safetensors.index.json"
    if whole.is_file():
        return [whole]
    try:
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (OSError, ValueError, KeyError, AttributeError) as err:
        raise ModelError(
            f"no model.safetensors in {folder}",
            hint="give the folder of a model saved as safetensors",
        ) from err
    paths = [folder / Path(name).name for name in names]
    missing = [path.name for path in paths if not path.is_file()]
    if missing or not paths:
        raise ModelError(
            f"{folder} lacks {missing[0] if missing else 'its parts'}",
            hint="copy the model folder again, whole",
        )
    return paths
