"""A small language model that can be steered, and a policy over it."""

from pathlib import Path
from typing import Any

from sparsepath.artifacts.steering import make_preset, write_preset
from sparsepath.audit.clock import in_days
from sparsepath.audit.policy_model import presets_of
from sparsepath.models.language import fresh_llama, train_byte_tokenizer
from sparsepath.runtime.language.engine import Engine


def make_lm(folder: Path, *, seed: int) -> Path:
    """Save a random language model with two presets."""
    fresh_llama(
        vocabulary=300, length=64, d_model=32, n_layers=2, n_heads=2, n_kv_heads=2, d_mlp=48,
        seed=seed,
    ).save_pretrained(folder)  # fmt: skip
    tokenizer = train_byte_tokenizer(iter(["one two three four"]), size=300)
    tokenizer.save(str(folder / "tokenizer.json"))
    engine = Engine(folder)
    for name, edit in (("calm", "L01/3=4"), ("wild", "L01/3=40")):
        write_preset(folder, make_preset(name, [engine.edit(edit)], engine.weights.made_of))
    return folder


def content(lm: Path, **changes: Any) -> dict[str, Any]:
    """Write a policy that allows the preset `calm`."""
    calm = presets_of(lm)[0]
    return {
        "schema": 1, "name": "drafts", "version": 1, "owner": "Support", "model": "small",
        "model_sha256": calm.model_sha256, "uses": ["draft-reply"], "expires": in_days(1.0),
        "presets": [{"name": "calm", "sha256": calm.own_sha256}],
    } | changes  # fmt: skip
