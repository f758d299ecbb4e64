"""Explaining one text with anything a run left: which model decides it, and why.

A cascade is explained by the stage that answers the text, an early exit by the model that it was
made from, since its exits have no units of their own.
"""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

from sparsepath.artifacts.catalogue import CATALOGUE_FILE, Catalogue
from sparsepath.artifacts.neuron import Neuron
from sparsepath.artifacts.schema import Results
from sparsepath.artifacts.store import read_json, safe_join
from sparsepath.errors import ModelError
from sparsepath.pathways.explain import Explanation
from sparsepath.pathways.explain_model import explain as explain_with
from sparsepath.runtime.engine import load_engine
from sparsepath.runtime.locate import RESULTS, locate
from sparsepath.runtime.manifest import MANIFEST, member, read_manifest


class ExplainedText(NamedTuple):
    """An explanation and the model that it is about."""

    explanation: Explanation
    """Why the model decides as it does."""

    folder: Path
    """Folder of the model that was looked into."""


def explain(
    model: Path | str,
    text: str,
    *,
    target: str | None = None,
    against: str | None = None,
    seed: int = 0,
) -> ExplainedText:
    """Explain why a model on disk gives a text its label and not another one.

    Args:
        model: A model folder, or a run folder for its recommended model.
        text: At least one word.
        target: Label to explain. None: the model's answer.
        against: Label to compare with. None: the most probable other one.
        seed: Seed of the random sets that the explanation is tested against.

    Raises:
        ModelError: if the model cannot be used, or has no weights or unit means to look into.
        ConfigError: if a label is unknown.
        DataError: if the text has no words.
        RunError: if a catalogue lies beside the model that is damaged, or of another model.
    """
    folder = find_explainable(Path(model), text)
    explanation = explain_with(folder, text, target=target, against=against, seed=seed)
    return ExplainedText(replace(explanation, concepts=_concepts(folder, explanation)), folder)


def explanation_plain(explanation: Explanation) -> dict[str, Any]:
    """Turn an explanation into what JSON can hold.

    Args:
        explanation: of a classifier's label.
    """
    rest = replace(explanation, tokens=[], units=[], edges=[], neurons=[])
    plain: dict[str, Any] = {**asdict(rest), "test": explanation.test._asdict()}
    for name in ("tokens", "units", "edges"):
        plain[name] = [item._asdict() for item in getattr(explanation, name)]
    plain["neurons"] = [item.model_dump(mode="json") for item in explanation.neurons]
    return plain


def _concepts(folder: Path, explanation: Explanation) -> list[str | None]:
    """Look the neurons of an explanation up in the catalogue beside the model, if there is one.

    Raises:
        RunError: if it is damaged, or of another model.
    """
    if not explanation.neurons or not (folder / CATALOGUE_FILE).is_file():
        return []
    with Catalogue(folder) as catalogue:
        return [catalogue.label_of(Neuron.parse(unit.name)) for unit in explanation.units]


def find_explainable(model: Path, text: str) -> Path:
    """Return the folder of the single model that decides a text.

    Args:
        model: A model folder, or a run folder for its recommended model.
        text: What is to be explained; decides which stage of a cascade answers.

    Raises:
        ModelError: if there is no model whose weights can be looked into.
    """
    folder, precision = locate(model)
    manifest = read_manifest(folder) if (folder / MANIFEST).is_file() else None
    if manifest is not None and manifest.kind == "cascade":
        stage = int(load_engine(folder, precision=precision).answer([text]).stages[0])
        return find_explainable(member(folder, manifest.stages[stage], is_folder=True), text)
    if manifest is not None and manifest.kind in {"early-exit", "self-ensemble"}:
        return _parent(folder)
    if not (folder / "config.json").is_file():
        raise ModelError(
            f"{folder} holds no weights that could be looked into",
            hint="give the model's folder in its run, RUN/models/NAME",
        )
    return folder


def _parent(folder: Path) -> Path:
    """Find the model that an early exit was made from, in the results of its run.

    Raises:
        ModelError: if the folder does not lie in a run, or the run does not know its parent.
    """
    run = folder.resolve().parents[1]
    hint = "explain the sub-model or the full model that it was made from"
    if not (run / RESULTS).is_file():
        raise ModelError(f"{folder} is an early exit, which has no units of its own", hint=hint)
    results = read_json(run / RESULTS, Results)
    name = folder.resolve().relative_to(run).as_posix()
    parents = [item.parent for item in results.candidates if item.folder == name and item.parent]
    parent = results.candidate(parents[0]) if parents else None
    if parent is None or parent.folder is None:
        raise ModelError(f"the run {run} does not say what {folder.name} was made from", hint=hint)
    return safe_join(run, parent.folder)
