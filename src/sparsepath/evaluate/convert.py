"""`convert`: a dense model becomes sparse; of a classifier, also what that cost.

A converted classifier is judged on test rows, which neither its training nor any choice saw, beside
its dense parent and beside itself before the training. What its neurons stand for is looked at on
training rows, so that `explain` can name them.

Read with: `train/convert.py` (the training), `artifacts/healing.py` (what is written).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from sparsepath.artifacts.healing import (
    HEALING_FILE,
    HealingFile,
    HealingLook,
    HealingStage,
    StageName,
)
from sparsepath.artifacts.neurons import NeuronsFile
from sparsepath.artifacts.store import folder_atomic, write_json_atomic
from sparsepath.artifacts.training_record import read_record
from sparsepath.evaluate.healing_card import healing_card
from sparsepath.evaluate.model_folder import MEANS_ROWS, write_model_folder
from sparsepath.evaluate.quality import is_right, paired_difference, quality
from sparsepath.models.classifier import PathwayClassifier
from sparsepath.models.describe import describe
from sparsepath.models.save import load_classifier
from sparsepath.models.topk_classifier import sparse_sites
from sparsepath.pathways.neurons import Texts, study_neurons
from sparsepath.trace.batches import bucketed_batches
from sparsepath.trace.gates import unit_means
from sparsepath.train.convert import check_sites, conversion
from sparsepath.train.recipe import Recipe
from sparsepath.train.task import Evaluation
from sparsepath.train.texts import TextTask
from sparsepath.train.trainer import DATA_FOLDER, MODEL_FOLDER, RECIPE_FILE, train

STUDIED_ROWS = 1_000
"""Training rows on which neurons are looked at, at most."""

BATCH = 32
"""Rows that go through a model together."""


class Converted(NamedTuple):
    """What a conversion left."""

    folder: Path
    """The run folder; `model` inside it is an ordinary Hugging Face folder."""
    evaluation: Evaluation
    """The last look at rows that weights are not fitted on."""
    wall_s: float
    """Seconds of training, over all starts."""
    healing: HealingFile | None
    """What the conversion of a classifier cost; None for a language model, and in processes beside
    the first."""


def convert(
    model: Path | str,
    data: Path | str,
    out: Path | str,
    *,
    sites: Mapping[str, int],
    changes: Sequence[str] = (),
) -> Converted:
    """Make a dense model sparse; the same call goes on where an earlier one ended.

    Args:
        model: folder or id of a language model of the Llama kind, or of a text classifier on an
            encoder of a known family.
        data: what it is healed on: for a language model text, as `data.source` of a recipe; for a
            classifier a labelled table with labels that it knows.
        out: run folder; the sparse model is `model` in it.
        sites: entries that are kept, by site.
        changes: keys of the recipe that are set otherwise, `part.key=value` each.

    Raises:
        ConfigError: if settings do not fit the model.
        DataError: if text or table cannot be read, is too short, of the other kind, or has labels
            that the model does not know.
        ModelError: if the model cannot be used, or is sparse already.
        RunError: if `out` belongs to something else, or the loss is no number or rises.
    """
    check_sites(sites)
    place = Path(out)
    recipe = conversion(model, str(data), sites, changes=changes)
    if recipe.task == "language-model":
        return Converted(*train(recipe, place), None)
    task = TextTask(recipe, place / DATA_FOLDER)
    assert task.start.parent is not None
    describe(task.start.parent)  # what no graph can have is refused before the training
    done = train(recipe, place)
    is_first = not torch.distributed.is_initialized() or torch.distributed.get_rank() == 0
    return Converted(*done, _finish(recipe, task, place) if is_first else None)


def _finish(recipe: Recipe, task: TextTask, run: Path) -> HealingFile:
    """Measure the trained model, and make its folder one that can be predicted and explained."""
    model = load_classifier(run / MODEL_FOLDER).model
    healing = _healing(recipe, task, model, run)
    means_rows = [task.encoded[row] for row in task.split.train[:MEANS_ROWS]]
    batches = bucketed_batches(means_rows, None, BATCH, pad_id=task.start.pad_id)
    with folder_atomic(run / MODEL_FOLDER) as folder:
        write_model_folder(
            folder,
            model,
            task.start.tokenizer_json,
            card=healing_card(healing, run.name),
            means=unit_means(model, batches),
            neurons=_study(recipe, task, model),
        )
        write_json_atomic(folder / HEALING_FILE, healing)
        write_json_atomic(folder / RECIPE_FILE, recipe.model_dump(mode="json"))
    return healing


def _healing(recipe: Recipe, task: TextTask, model: PathwayClassifier, run: Path) -> HealingFile:
    """Judge parent, unhealed and healed model on the test rows."""
    assert task.start.parent is not None
    models: dict[StageName, PathwayClassifier] = {
        "parent": task.start.parent.eval(),
        "unhealed": task.start.make(task.labels).eval(),
        "healed": model,
    }
    truth = np.asarray(task.outputs(model, "test").truth)
    said = {
        name: task.outputs(found, "test").values.double().softmax(dim=-1).numpy()
        for name, found in models.items()
    }
    stages = []
    for name, probabilities in said.items():
        figures = quality(probabilities, truth)
        same = probabilities.argmax(axis=1) == said["parent"].argmax(axis=1)
        stages.append(
            HealingStage(
                name=name,
                accuracy=figures.accuracy,
                accuracy_ci95=tuple(figures.accuracy_ci95),
                loss_nats=figures.nll_nats,
                agreement=float(same.mean()),
            )
        )
    change = paired_difference(is_right(said["healed"], truth), is_right(said["parent"], truth))
    return HealingFile(
        parent=str(recipe.model.base),
        kept=_kept(model),
        n_steps=recipe.train.steps,
        n_train=len(task.split.train),
        n_test=len(truth),
        looks=_looks(run, model),
        stages=stages,
        accuracy_change=change.difference,
        accuracy_change_ci95=tuple(change.ci95),
    )


def _kept(model: PathwayClassifier) -> dict[str, int]:
    """Say what each sparse site keeps."""
    return {f"L{s.layer:02d}.{s.site}": s.topk.k for s in sparse_sites(model)}


def _looks(run: Path, model: PathwayClassifier) -> list[HealingLook]:
    """Read what each look at held-out rows told, and what sites kept then."""
    sites = sparse_sites(model)
    names = {f"sparse.{s.layer}_{s.site}.topk": f"L{s.layer:02d}.{s.site}" for s in sites}
    looks: dict[int, HealingLook] = {}
    kept: dict[str, int] = {}
    for line in read_record(run):
        step = int(line["step"])
        if line["kind"] == "neurons":
            kept = {names[name]: int(told["k"]) for name, told in line["sites"].items()}
        if line["kind"] == "evaluation" and line["part"] == "held-out":
            looks[step] = HealingLook(
                step=step, kept=kept, loss_nats=line["loss_nats"], accuracy=line["accuracy"]
            )
    return list(looks.values())


def _study(recipe: Recipe, task: TextTask, model: PathwayClassifier) -> NeuronsFile:
    """Look at what each neuron fires for, on training rows."""
    split = task.split
    generator = torch.Generator().manual_seed(recipe.seed)
    order = torch.randperm(len(split.train), generator=generator)[:STUDIED_ROWS].tolist()
    rows = [int(split.train[place]) for place in order]
    texts = Texts(
        [split.texts[row] for row in rows],
        [task.encoded[row] for row in rows],
        [split.labels[row] for row in rows],
        [split.row_ids[row] for row in rows],
    )
    return study_neurons(model, task.tokenizer, texts, pad_id=task.start.pad_id)
