"""Make the catalogue of a model: record, look at every neuron, write.

Two steps. The model runs once over the corpus and what fired is kept on disk; then everything is
made of that, without the model. Either may be stopped: the same call goes on.
"""

import hashlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sparsepath.artifacts.catalogue import CATALOGUE_FILE
from sparsepath.artifacts.catalogue_schema import CatalogueFacts, ClassFacts
from sparsepath.artifacts.catalogue_write import NeuronRow, Writer, new_catalogue
from sparsepath.artifacts.model_files import find_classifier
from sparsepath.artifacts.provenance import now_utc, package_versions
from sparsepath.concepts.classifiers import classifier_subject
from sparsepath.concepts.cluster import record_on_cluster
from sparsepath.concepts.contrast import text_rows
from sparsepath.concepts.judge import LEAST_SCORE
from sparsepath.concepts.language import language_subject
from sparsepath.concepts.latents import Latents
from sparsepath.concepts.meaning import meaning_clusters
from sparsepath.concepts.neurons import Text, neurons_of
from sparsepath.concepts.options import ROW_TOKENS, CatalogueOptions
from sparsepath.concepts.processes import Job, record_in_processes
from sparsepath.concepts.questions import Part, Questions
from sparsepath.concepts.record import Recording, Share, Tell, discard_other, record
from sparsepath.concepts.recorded import Recorded, recorded
from sparsepath.concepts.rows import RowSettings
from sparsepath.concepts.shards import Shards
from sparsepath.concepts.subject import Corpus, Subject
from sparsepath.concepts.together import Patterns
from sparsepath.concepts.vectors import embed, find_encoder
from sparsepath.concepts.vocabulary import token_bytes
from sparsepath.errors import ConfigError
from sparsepath.kernels.allocator import give_back_freed_memory
from sparsepath.trace.hidden import SitePlace, of_layers

Say = Callable[[str], None]
"""Called with a sentence on what is done."""


class Built(NamedTuple):
    """A finished catalogue."""

    path: Path
    """The file."""
    facts: CatalogueFacts
    """What stands in it."""


def build_catalogue(
    model: Path | str,
    corpus: str,
    options: CatalogueOptions | None = None,
    *,
    out: Path | None = None,
    start_over: bool = False,
    say: Say = lambda _text: None,
) -> Built:
    """Catalogue the neurons of a language model on a corpus.

    Args:
        model: folder of a TopK language model, or of a training; of a dense one with `dense_k`.
        corpus: as `data.source` of a recipe.
        options: other than the usual ones.
        out: the file; None: `concepts.sqlite` in the folder of the model or autoencoder.
        start_over: throw away another unfinished catalogue that the place holds.
        say: told what is done.

    Raises:
        ConfigError: if a site is not sparse, or the place holds another unfinished catalogue.
        DataError: if the corpus cannot be read or is too small.
        ModelError: if the model is dense and `dense_k` is not given, it cannot be read, or the
            autoencoder is of another model.
        RunError: if the disk is full or the place may not be written to.
    """
    options = options or CatalogueOptions()
    subject = load_subject(Path(model), options)
    path = out or subject.home / CATALOGUE_FILE
    _check_home(path, subject)
    work = path.with_name(f".{path.name}.recording")
    read = subject.corpus(corpus, options.columns)
    recording = _recording(subject, read, corpus, options)
    if start_over and discard_other(work, recording):
        say(f"thrown away: {work}, the beginning of another catalogue")
    for note in read.notes:
        say(note)
    n_all = options.tokens
    if read.warning is not None:
        say(f"warning: {read.warning}")

    def tell(n: int) -> None:
        say(f"read {n:,} tokens" + (f" of {n_all:,}" if n_all else ""))

    if options.ray is not None:
        say(f"reading on a Ray cluster ({options.ray})")
        job = Job(model=str(model), corpus=corpus, options=options)
        shards = record_on_cluster(job, recording, work, tell)
    elif options.processes == 1:
        shards = record(read.source, recording, work, tell)
    else:
        say(f"reading in {options.processes} processes")
        job = Job(model=str(model), corpus=corpus, options=options)
        shards = record_in_processes(job, recording, work, tell)
    give_back_freed_memory()
    pieces = token_bytes(subject.tokenizer, subject.n_vocabulary)
    text = _text(recorded(shards, pieces, corpus, read.labels), subject)
    with new_catalogue(path) as writer:
        writer.tokens(pieces, text.recorded.counts.tolist())
        writer.text(text_rows(text.finding, text.held_out))
        scores = _write_neurons(writer, _rows(shards, subject, text, say), options, say)
        facts = _facts(subject, corpus, shards, text, scores).model_copy(
            update={
                "columns": list(read.columns),
                "asked": {"corpus": corpus, **options.decide()},
            }
        )
        facts.warnings.extend([] if read.warning is None else [read.warning])
        writer.facts(facts)
    shutil.rmtree(work)
    return Built(path, facts)


def record_share(job: Job, work: Path, tell: Tell, share: Share) -> None:
    """Make some of the shards of a catalogue; another process makes the catalogue.

    Args:
        job: what is catalogued.
        work: folder of shards.
        tell: as in `record`.
        share: of the shards.

    Raises:
        SparsepathError: as `build_catalogue`.
    """
    subject = load_subject(Path(job.model), job.options)
    read = subject.corpus(job.corpus, job.options.columns)
    recording = _recording(subject, read, job.corpus, job.options)
    record(read.source, recording, work, tell, share)


def load_subject(path: Path, options: CatalogueOptions) -> Subject:
    """Load what is to be catalogued.

    Args:
        path: folder of a model, or of the training that made it.
        options: of the catalogue.

    Raises:
        ConfigError: if a site is not sparse, a layer is not there, or options are for another kind
            of model.
        ModelError: if it cannot be read, or is dense and nothing is said of how to read it.
    """
    folder = find_classifier(path)
    if folder is not None:
        subject: Subject = classifier_subject(folder, options)
    else:
        subject = language_subject(path, options)
    subject.places = of_layers(subject.places, options.layers)
    return subject


def _recording(subject: Subject, corpus: Corpus, name: str, options: CatalogueOptions) -> Recording:
    """Say what is recorded.

    Raises:
        ConfigError: if rows are longer than what the model was trained on.
    """
    length = options.length or min(ROW_TOKENS, subject.longest)
    if length > subject.longest:
        raise ConfigError(
            f"--length {length}, but the model reads {subject.longest} tokens",
            hint=f"choose at most {subject.longest}",
        )
    digests = {file.name: file.sha256 for file in subject.files}
    tokenizer = digests.pop("tokenizer.json", "")
    whole = hashlib.sha256(repr(sorted(digests.items())).encode()).hexdigest()
    return Recording(
        model_sha256=whole,
        tokenizer_sha256=tokenizer,
        places=tuple(subject.places),
        rows=RowSettings(
            source=name,
            length=length,
            share_held_out=options.held_out,
            end_id=subject.end_id,
        ),
        n_tokens=options.tokens,
        is_sparse=subject.is_sparse,
        autoencoder_sha256=_digest(subject.latents),
        columns=corpus.columns,
    )


def _digest(latents: Latents | None) -> str:
    """Give the hash of an autoencoder's files; empty where there is none."""
    if latents is None:
        return ""
    files = [(file.name, file.sha256) for file in latents.facts.files]
    return hashlib.sha256(repr(files).encode()).hexdigest()


def _check_home(path: Path, subject: Subject) -> None:
    """Keep latents out of the model's folder, whose catalogue names neurons.

    Raises:
        ConfigError: if they were to lie there.
    """
    if subject.latents is not None and path.resolve().parent == subject.folder.resolve():
        raise ConfigError(
            f"{path} is beside the model, where L00/5 is a neuron and no latent",
            hint="leave --out out, or choose another folder",
        )


def _text(read: Recorded, subject: Subject) -> Text:
    """Find out what may be asked of the text."""
    embedding = subject.embedding.numpy()
    clusters, n_clusters = meaning_clusters(read, embedding)
    finding = Part(read, clusters, held_out=False)
    held_out = Part(read, clusters, held_out=True)
    return Text(
        read, clusters, n_clusters, finding, held_out, Questions(finding, held_out, n_clusters)
    )


def _rows(shards: Shards, subject: Subject, text: Text, say: Say) -> Iterator[NeuronRow]:
    """Describe every neuron."""
    for number, place in enumerate(subject.places, start=1):
        say(f"labelling {place.site} of layer {place.layer} ({number} of {len(subject.places)})")
        effects = subject.effects(place)
        yield from neurons_of(shards, place, text, effects, is_two_sided=subject.is_two_sided)


class _Scores(NamedTuple):
    """What came out over all neurons."""

    mean: float | None
    control: float | None
    encoder: str | None


def _facts(
    subject: Subject, corpus: str, shards: Shards, text: Text, scores: _Scores
) -> CatalogueFacts:
    """Say what the catalogue is of."""
    state = shards.state()
    assert state is not None  # `recorded` refuses a recording without rows
    return CatalogueFacts(
        made_at=now_utc(),
        # A catalogue of latents does not lie beside the model, so the whole path is kept.
        model=str(subject.folder if subject.latents is None else subject.folder.resolve()),
        files=subject.files,
        corpus=corpus,
        corpus_sha256=state.digest,
        n_documents=state.place.n_documents,
        n_tokens=int(text.recorded.tokens.size),
        n_held_out=text.recorded.n_held_out,
        length=text.recorded.length,
        k={place.site: place.k for place in subject.places},
        widths={place.site: place.width for place in subject.places},
        layers=_layers(subject.places),
        is_sparse=subject.is_sparse,
        is_two_sided=subject.is_two_sided,
        autoencoder=None if subject.latents is None else subject.latents.facts,
        least_score=LEAST_SCORE,
        mean_score=scores.mean,
        mean_control=scores.control,
        pattern_step=Patterns(text.recorded.tokens.size).step,
        n_clusters=text.n_clusters,
        encoder=scores.encoder,
        bytes_per_kept=_bytes_per_kept(shards, subject.places, text.recorded),
        versions=package_versions(),
        kind=subject.kind,
        classes=_classes(text.recorded),
    )


def _write_neurons(
    writer: Writer, rows: Iterator[NeuronRow], options: CatalogueOptions, say: Say
) -> _Scores:
    """Write neurons, and their vectors where there is an encoder."""
    scores, controls, texts = [], [], []
    for row in rows:
        writer.add(row)
        tokens = " ".join(dict.fromkeys(text.strip() for _, text, *_ in row.fires_on[:6]))
        texts.append(f"{row.guess}. {tokens}")
        if row.score is not None and row.control is not None:
            scores.append(row.score)
            controls.append(row.control)
    encoder = find_encoder() if options.vectors else None
    if encoder is not None:
        say(f"embedding {len(texts):,} labels")
        writer.vectors([vector.tobytes() for vector in embed(encoder, texts)])
    return _Scores(
        float(np.mean(scores)) if scores else None,
        float(np.mean(controls)) if controls else None,
        None if encoder is None else encoder.path_or_id,
    )


def _layers(places: Sequence[SitePlace]) -> dict[str, list[int]]:
    """List the layers of each site."""
    found: dict[str, list[int]] = {}
    for place in places:
        found.setdefault(place.site, []).append(place.layer)
    return found


def _bytes_per_kept(shards: Shards, places: Sequence[SitePlace], text: Recorded) -> float:
    """Give the bytes on disk of each kept activation."""
    return shards.size_bytes() / (text.tokens.size * sum(place.k for place in places))


def _classes(text: Recorded) -> list[ClassFacts]:
    """Count the texts of each class that were read."""
    if text.texts is None or text.labels is None:
        return []
    read = np.unique(text.texts)
    counts = np.bincount(text.labels.numbers[read], minlength=len(text.labels.names))
    return [
        ClassFacts(name=name, n_texts=n)
        for name, n in zip(text.labels.names, counts.tolist(), strict=True)
    ]
