"""What clients are told of a model that can be steered."""

import importlib.util

from sparsepath.server.service import Service
from sparsepath.server.steering.schema import Lack, PresetOut, SiteOut
from sparsepath.server.steering.subject import Listed
from sparsepath.server.steering.trials import can_put_edits_into_graphs
from sparsepath.trace.edits import Sites, Spot

NEEDED_TO_SWEEP = ("torch", "transformers")
"""What a sweep of a classifier needs."""


def told_lacks(service: Service) -> list[Lack]:
    """List what cannot be done here, with what helps."""
    part = service.steering
    if part.subject is None:
        told = (
            "the model that is served cannot be steered"
            if part.trouble is None
            else (part.trouble.message.replace(str(service.model.folder), service.model.name))
        )
        fix = "serve a language model, or a sparse classifier (sparsepath convert MODEL TABLE)"
        return [Lack(what="steer", why=told, fix=fix)]
    if part.subject.kind == "language-model":
        return []
    found = [
        Lack(
            what="positions",
            why="a graph edits every token alike: no positions and no conditions",
            fix="use `sparsepath steering try`, or sparsepath.steer in Python",
        )
    ]
    install = "pip install 'sparsepath[train]'"
    if not can_put_edits_into_graphs():
        why = "the package onnx, which puts edits into a graph, is not installed on this server"
        found.append(Lack(what="try", why=why, fix=install))
    if missing := [name for name in NEEDED_TO_SWEEP if importlib.util.find_spec(name) is None]:
        why = f"a sweep of a classifier needs {', '.join(missing)}, which this server lacks"
        found.append(Lack(what="sweep", why=why, fix=install))
    return found


def told_sites(sites: Sites) -> list[SiteOut]:
    """List sites; of a classifier those that are sparse, which may differ by layer."""
    if sites.spots:
        names = dict.fromkeys((site, width) for (_, site), width in sites.spots.items())
        return [
            SiteOut(
                site=site,
                width=width,
                layers=[at for (at, s), w in sites.spots.items() if (s, w) == (site, width)],
                is_sparse=True,
            )
            for site, width in names
        ]
    found = []
    for site, width in sites.widths.items():
        for wanted in (True, False):
            layers = [n for n in range(sites.n_layers) if is_sparse(sites, (n, site)) is wanted]
            if layers:
                found.append(SiteOut(site=site, width=width, layers=layers, is_sparse=wanted))
    return found


def is_sparse(sites: Sites, spot: Spot) -> bool:
    """Say whether a site may be edited without asking for dense ones."""
    layer, site = spot
    if sites.spots or not sites.sparse:
        return True
    return site in sites.sparse and layer < sites.n_sparse_layers


def told_preset(one: Listed) -> PresetOut:
    """Write a preset as clients get it."""
    preset = one.preset
    edits = () if preset is None else preset.edits
    return PresetOut(
        name=one.name,
        sha256=None if preset is None else preset.content_sha256,
        edits=[str(edit) for edit in edits],
        neurons=[edit.neuron for edit in edits],
        operations=[edit.operation for edit in edits],
        values=[edit.value for edit in edits],
        limits=[] if preset is None else [*preset.limits],
        dense_sites=preset is not None and preset.is_dense_allowed,
        author="" if preset is None else preset.author,
        note="" if preset is None else preset.note,
        created="" if preset is None else preset.created,
        trouble=one.trouble,
    )
