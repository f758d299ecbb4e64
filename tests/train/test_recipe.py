"""A recipe says everything; what it says wrongly is named."""

from pathlib import Path

import pytest

from sparsepath.errors import ConfigError
from sparsepath.train.recipe_file import read_recipe

ROOT = Path(__file__).parents[2]
RECIPES = sorted((ROOT / "recipes").glob("*.toml"))


def written(folder: Path, text: str) -> Path:
    """Write a recipe."""
    path = folder / "recipe.toml"
    path.write_text('task = "language-model"\n' + text)
    return path


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_that_ships_can_be_read(path: Path) -> None:
    assert read_recipe(path).train.steps > 0


NAMES = sorted(path.stem.removesuffix("-dense") for path in RECIPES if "-dense" in path.stem)


@pytest.mark.parametrize("name", NAMES)
def test_the_dense_recipe_differs_in_one_key_only(name: str) -> None:
    dense, ssa = (
        read_recipe(ROOT / "recipes" / f"{name}-{kind}.toml") for kind in ("dense", "ssa")
    )
    assert dense.subsampling.keep == 1.0
    changed = ssa.subsampling.model_copy(update={"keep": 1.0})
    assert ssa.model_copy(update={"subsampling": changed}) == dense


def test_keys_are_changed_from_the_command_line(tmp_path: Path) -> None:
    changes = ["train.steps=7", "data.source=a b.txt", "subsampling.keep=0.5", "seed=3"]
    recipe = read_recipe(written(tmp_path, "[train]\nsteps = 5\nrate = 0.1\n"), changes)
    assert (recipe.train.steps, recipe.train.rate) == (7, 0.1)
    assert (recipe.data.source, recipe.subsampling.keep, recipe.seed) == ("a b.txt", 0.5, 3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[train]\nstep = 5\n", r"train\.step: Extra inputs"),
        ("[train]\nsteps = 0\n", r"train\.steps: .*greater than or equal to 1 \(met 0\)"),
        ('[train]\nsteps = "many"\n', r"train\.steps: .*met 'many'"),
        ("[subsampling]\nkeep = 1.5\n", r"subsampling\.keep = 1\.5"),
        ('[subsampling]\nmode = "all"\n', r"subsampling\.mode"),
        ("[train]\nbatch_size = 5\naccumulate = 2\n", "batch_size = 5 with train.accumulate = 2"),
        ("[train\n", "is no TOML"),
        ("[model]\npatch = 2\n", r"model\.patch has no effect on language-model"),
        ('[data]\naugment = "shift"\n', r"data\.augment has no effect"),
        ('[topk.by]\nblock_out = "magnitude"\n', "names block_out, which `topk.sites` does not"),
    ],
)
def test_what_a_recipe_says_wrongly_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_recipe(written(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[topk.sites]\nblock_out = 4\n", r"topk\.sites needs a classifier that is gone on from"),
        ("[train]\ndistil = 0.5\n", r"train\.distil needs a classifier that is gone on from"),
        ("[model]\nis_classifier = true\n", r"model\.is_classifier without model\.base"),
        ("[topk]\npositive = true\n", r"topk\.positive has no effect on text-classification"),
    ],
)
def test_only_a_classifier_becomes_sparse_or_has_a_teacher(
    tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / "r.toml").write_text('task = "text-classification"\n' + text)
    with pytest.raises(ConfigError, match=message):
        read_recipe(tmp_path / "r.toml")


@pytest.mark.parametrize("change", ["steps", "=3", "seed.x=3"])
def test_a_change_that_names_no_key_is_refused(tmp_path: Path, change: str) -> None:
    with pytest.raises(ConfigError):
        read_recipe(written(tmp_path, "seed = 1\n"), [change])


def test_a_missing_recipe_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_recipe(tmp_path / "none.toml")
