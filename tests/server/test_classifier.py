"""What is known of a served classifier covers everything that answers."""

import json
import shutil
from pathlib import Path

from sparsepath.server.classifier import Classifier


def load(folder: Path) -> Classifier:
    return Classifier(folder, precision=None, threads=1, batch=4)


def test_the_hash_of_a_cascade_covers_its_stages(model_folder: Path, tmp_path: Path) -> None:
    for name in ("light", "strong"):
        shutil.copytree(model_folder, tmp_path / name)
    (tmp_path / "both").mkdir()
    content = {
        "schema": 1, "kind": "cascade", "labels": ["left", "right"],
        "stages": ["../light", "../strong"], "thresholds": [0.7],
    }  # fmt: skip
    (tmp_path / "both" / "sparsepath.json").write_text(json.dumps(content))
    before = load(tmp_path / "both")
    assert before.n_stages == 2
    (tmp_path / "strong" / "README.md").write_text("another model\n")
    assert load(tmp_path / "both").sha256 != before.sha256
    assert load(tmp_path / "light").sha256 == load(model_folder).sha256
