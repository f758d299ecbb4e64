"""Measure the features of a model: which sites, which texts, which figures."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from sparsepath.artifacts.feature_metrics import (
    METRICS,
    OF_TEXT,
    OF_TWO_LABELS,
    FeatureMetrics,
    Metric,
    MetricRow,
)
from sparsepath.artifacts.model_files import weights_sha256
from sparsepath.artifacts.provenance import now_utc, package_versions
from sparsepath.errors import ConfigError
from sparsepath.evaluate.features.absorption import feature_absorption
from sparsepath.evaluate.features.data import Texts, corpus_texts, table_texts
from sparsepath.evaluate.features.disentangle import disentanglement
from sparsepath.evaluate.features.figures import Figure
from sparsepath.evaluate.features.loss import loss_recovered
from sparsepath.evaluate.features.options import MeasureOptions
from sparsepath.evaluate.features.probing import sparse_probing
from sparsepath.evaluate.features.read import SiteRead, read_features
from sparsepath.evaluate.features.removal import spurious_removal, targeted_perturbation
from sparsepath.evaluate.features.sparsity import sparsity
from sparsepath.evaluate.features.subject import Subject, open_subject

Say = Callable[[str], None]
"""Called with a sentence on what is done."""

TABLES = (".csv", ".tsv")
"""Endings, also packed, by which a file is taken for a labelled table without being told."""


def measure_concepts(
    model: Path | str,
    data: Path | str,
    options: MeasureOptions | None = None,
    *,
    say: Say = lambda _text: None,
) -> FeatureMetrics:
    """Measure how well the neurons of a model stand for concepts.

    Args:
        model: folder of a TopK language model or classifier, or of a dense one, or of a training.
        data: a labelled table, or, for a language model, a corpus as `data.source` of a recipe; see
            `wanted_metrics`.
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
    opened = open_subject(Path(model), options)
    subject, folder = opened.subject, opened.folder
    options = replace(options, length=opened.length)
    if opened.is_classifier:
        metrics = _of_classifiers(metrics, options)
    is_corpus = set(metrics) <= set(OF_TEXT) and not _is_table(str(data), options)
    if is_corpus and not opened.is_classifier:
        texts = corpus_texts(subject.tokenizer, str(data), options)
    else:
        texts = table_texts(subject.tokenizer, Path(data), options)
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
        k={reader.place.site: reader.place.k for reader in subject.readers},
        is_sparse=opened.is_sparse,
        dense_k=options.dense_k,
        autoencoder=None if options.autoencoder is None else str(options.autoencoder),
        rows=tuple(rows),
        seed=options.seed,
        notes=texts.notes,
        created=now_utc(),
        versions=package_versions(),
    )


def _of_classifiers(metrics: tuple[Metric, ...], options: MeasureOptions) -> tuple[Metric, ...]:
    """Leave out what is defined by the next token.

    Raises:
        ConfigError: if it was asked for.
    """
    if "loss-recovered" in options.metrics:
        raise ConfigError(
            "loss-recovered is of language models, and this is a classifier",
            hint="leave it out; what conversion cost a classifier stands in its folder's healing",
        )
    return tuple(metric for metric in metrics if metric != "loss-recovered")


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
