"""Measure the features of a model: which sites, which texts, which figures."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from tokenizers import Tokenizer
from transformers import PreTrainedModel

from sparsepath.artifacts.feature_metrics import (
    METRICS,
    OF_TEXT,
    OF_TWO_LABELS,
    FeatureMetrics,
    Metric,
    MetricRow,
)
from sparsepath.artifacts.model_files import locate_language_model, weights_sha256
from sparsepath.artifacts.provenance import now_utc, package_versions
from sparsepath.errors import ConfigError
from sparsepath.evaluate.features.absorption import feature_absorption
from sparsepath.evaluate.features.data import Texts, corpus_texts, table_texts
from sparsepath.evaluate.features.disentangle import disentanglement
from sparsepath.evaluate.features.figures import Figure
from sparsepath.evaluate.features.latents import latent_reader
from sparsepath.evaluate.features.loss import loss_recovered
from sparsepath.evaluate.features.options import MeasureOptions
from sparsepath.evaluate.features.probing import sparse_probing
from sparsepath.evaluate.features.read import Entries, Reader, SiteRead, read_features
from sparsepath.evaluate.features.removal import spurious_removal, targeted_perturbation
from sparsepath.evaluate.features.sparsity import sparsity
from sparsepath.models.language_folder import load_language_model
from sparsepath.trace.hidden import SitePlace, dense_places, sparse_places

Say = Callable[[str], None]
"""Called with a sentence on what is done."""

TABLES = (".csv", ".tsv")
"""Endings, also packed, by which a file is taken for a labelled table without being told."""


class Subject(NamedTuple):
    """A model and where its features are read."""

    model: PreTrainedModel
    tokenizer: Tokenizer
    readers: Sequence[Reader]


def measure_concepts(
    model: Path | str,
    data: Path | str,
    options: MeasureOptions | None = None,
    *,
    say: Say = lambda _text: None,
) -> FeatureMetrics:
    """Measure how well the neurons of a language model stand for concepts.

    Args:
        model: folder of a TopK language model, or of a dense one, or of a training.
        data: a labelled table, or a corpus as `data.source` of a recipe; see `wanted_metrics`.
        options: other than the usual ones.
        say: told what is done.

    Returns:
        A row for each figure and site.

    Raises:
        ConfigError: if options contradict each other, the model or the data.
        DataError: if the data cannot be read or are too small.
        ModelError: if the model cannot be read.
    """
    options = options or MeasureOptions()
    metrics = wanted_metrics(str(data), options)
    folder = locate_language_model(Path(model))
    loaded = load_language_model(folder)
    if options.autoencoder is None:
        readers, is_sparse = _readers(loaded.model, options)
    else:
        readers, is_sparse = [latent_reader(options.autoencoder, loaded.model, folder)], True
    subject = Subject(loaded.model, loaded.tokenizer, readers)
    longest = int(loaded.model.config.max_position_embeddings)
    if options.length > longest:
        raise ConfigError(
            f"--length {options.length}, but the model reads {longest} tokens",
            hint=f"choose at most {longest}",
        )
    if set(metrics) <= set(OF_TEXT) and not _is_table(str(data), options):
        texts = corpus_texts(loaded.tokenizer, str(data), options)
    else:
        texts = table_texts(loaded.tokenizer, Path(data), options)
    rows = measure_features(subject, texts, metrics, options, say)
    labelled = texts.labelled
    return FeatureMetrics(
        model=str(folder),
        model_sha256=weights_sha256(folder),
        data=str(data),
        n_texts=len(texts.encoded.ids),
        n_train=None if labelled is None else len(labelled.train),
        n_test=None if labelled is None else len(labelled.test),
        labels=() if labelled is None else labelled.names,
        length=options.length,
        k={reader.place.site: reader.place.k for reader in readers},
        is_sparse=is_sparse,
        dense_k=options.dense_k,
        autoencoder=None if options.autoencoder is None else str(options.autoencoder),
        rows=tuple(rows),
        seed=options.seed,
        notes=texts.notes,
        created=now_utc(),
        versions=package_versions(),
    )


def _is_table(data: str, options: MeasureOptions) -> bool:
    """Say whether data are taken for a labelled table: by their ending, or by a named column."""
    named = (options.text_column, options.label_column, options.attribute)
    ends = {suffix.lower() for suffix in Path(data).suffixes[-2:]}
    return any(name is not None for name in named) or bool(ends & set(TABLES))


def wanted_metrics(data: str, options: MeasureOptions) -> tuple[Metric, ...]:
    """List what is measured: what was asked for, or all that the data allow.

    A file that ends in .csv or .tsv, or of which a column is named, is a labelled table. What
    needs a second label is measured where `attribute` names its column.

    Raises:
        ConfigError: if something that was asked for needs a second label, and none is named.
    """
    missing = [metric for metric in options.metrics if metric in OF_TWO_LABELS]
    if missing and options.attribute is None:
        raise ConfigError(
            f"{missing[0]} needs a second label of each row",
            hint="name its column by --attribute",
        )
    if options.metrics:
        return tuple(metric for metric in METRICS if metric in options.metrics)
    if not _is_table(data, options):
        return OF_TEXT
    return tuple(m for m in METRICS if m not in OF_TWO_LABELS or options.attribute is not None)


def _readers(model: PreTrainedModel, options: MeasureOptions) -> tuple[list[Reader], bool]:
    """Choose sites; say whether they are sparse.

    Raises:
        ConfigError: if they do not fit the model.
    """
    places = sparse_places(model, options.sites)
    is_sparse = bool(places)
    if is_sparse and options.dense_k is not None:
        raise ConfigError(
            f"the model is sparse already: it keeps {places[0].k} of {places[0].width} entries",
            hint="leave --dense-k out",
        )
    if not options.sites and any(place.site == "block_out" for place in places):
        places = [place for place in places if place.site == "block_out"]
    places = places or dense_places(model, options.sites or ("block_out",))
    known = sorted({place.layer for place in places})
    strange = [layer for layer in options.layers if layer not in known]
    if strange:
        raise ConfigError(
            f"layer {strange[0]} has no such site",
            hint=f"choose among {', '.join(map(str, known))}",
        )
    chosen = [place for place in places if not options.layers or place.layer in options.layers]
    return [_reader(place, options.dense_k) for place in chosen], is_sparse


def _reader(place: SitePlace, dense_k: int | None) -> Reader:
    """Read the entries of a site.

    Raises:
        ConfigError: if fewer are there than wanted.
    """
    if dense_k is None:
        return Reader(place, Entries(place.width))
    if not 1 <= dense_k < place.width:
        raise ConfigError(
            f"--dense-k {dense_k} of {place.width} entries",
            hint=f"choose 1 to {place.width - 1}",
        )
    return Reader(place._replace(k=dense_k), Entries(place.width, dense_k))


def measure_features(
    subject: Subject,
    texts: Texts,
    metrics: Sequence[Metric],
    options: MeasureOptions,
    say: Say = lambda _text: None,
) -> list[MetricRow]:
    """Measure features of any kind: neurons, or latents of autoencoders.

    Args:
        subject: the model, and where and how features are read.
        texts: what it reads.
        metrics: that these texts allow.
        options: numbers and seed.
        say: told what is done.
    """
    rows = []
    if set(metrics) - {"loss-recovered"}:
        say(f"reading {len(texts.encoded.ids):,} texts")
        reads = read_features(subject.model, texts.encoded, subject.readers)
        for read in reads:
            say(f"measuring {read.features.name}")
            rows += list(_rows_of(read, texts, metrics, options))
    if "loss-recovered" in metrics:
        say("measuring what the loss becomes")
        losses = loss_recovered(subject.model, texts.encoded, subject.readers, seed=options.seed)
        for reader, figure in zip(subject.readers, losses, strict=True):
            rows.append(_row(reader.name, "loss-recovered", "share", figure))
    return rows


def _rows_of(
    read: SiteRead, texts: Texts, metrics: Sequence[Metric], options: MeasureOptions
) -> Iterator[MetricRow]:
    """Measure one site."""
    for metric in metrics:
        if metric != "loss-recovered":
            for name, figure in _figures(metric, read, texts, options).items():
                yield _row(read.features.name, metric, name, figure)


def _figures(
    metric: Metric, read: SiteRead, texts: Texts, options: MeasureOptions
) -> dict[str, Figure]:
    """Measure one metric of one site."""
    site, seed = read.features, options.seed
    few = _few(options, site.n_features)
    if metric == "sparsity":
        return sparsity(read.firings, seed)
    if metric in OF_TWO_LABELS:
        assert texts.attributes is not None  # `wanted_metrics` saw to it
        if metric == "disentanglement":
            return {"cause and isolation": disentanglement(site, texts.attributes, seed=seed)}
        removed = spurious_removal(site, texts.attributes, ns=few, seed=seed)
        return {f"n = {n}": figure for n, figure in removed.items()}
    assert texts.labelled is not None  # read as a table
    if metric == "absorption":
        return {"fraction": feature_absorption(site, texts.labelled, seed=seed)}
    if metric == "tpp":
        fallen = targeted_perturbation(site, texts.labelled, ns=few, seed=seed)
        return {f"n = {n}": figure for n, figure in fallen.items()}
    told = sparse_probing(site, texts.labelled, ks=options.ks, seed=seed)
    return {f"k = {k}": figure for k, figure in told.items()}


def _few(options: MeasureOptions, n_features: int) -> list[int]:
    """Leave out numbers of features to remove that are beyond all of them."""
    return [n for n in options.ns if n <= n_features] or [n_features]


def _row(site: str, metric: Metric, name: str, figure: Figure) -> MetricRow:
    """Write one figure."""
    return MetricRow(
        site=site,
        metric=metric,
        figure=name,
        value=figure.value,
        ci95=figure.ci95,
        n=figure.n,
        controls=figure.controls,
        parts=figure.parts,
        note=figure.note,
    )
