"""What several pages need: a small dense model with a sparse autoencoder over it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from sparsepath.cli.main import main

RECIPES = Path(__file__).parents[2] / "recipes"
SMALL = ["train.steps=3", "data.length=32"]
DENSE = ["model.d_model=24", "model.n_layers=3", "model.d_mlp=32", "tokenizer.size=400"]


@pytest.fixture
def train_autoencoder() -> Callable[[Path], None]:
    """Run both recipes of the page about training in the folder that is current."""

    def train(corpus: Path) -> None:
        for name, changes in (("stdlib-lm-dense", DENSE), ("stdlib-sae", [])):
            command = ["train", str(RECIPES / f"{name}.toml")]
            for change in [*SMALL, *changes, f"data.source={corpus}"]:
                command += ["--set", change]
            done = CliRunner().invoke(main, command)
            assert done.exit_code == 0, done.output

    return train
