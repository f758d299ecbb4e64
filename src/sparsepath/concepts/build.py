"""Make the catalogue of a model: record, look at every neuron, write.

Two steps. The model runs once over the corpus and what fired is kept on disk; then everything is
made of that, without the model. Either may be stopped: the same call goes on.
"""

import hashlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tokenizers import Tokenizer
from transformers import PreTrainedModel

from sparsepath.artifacts.catalogue import CATALOGUE_FILE, stamp_files
from sparsepath.artifacts.catalogue_schema import CatalogueFacts, WeightsStamp
from sparsepath.artifacts.catalogue_write import NeuronRow, Writer, new_catalogue
from sparsepath.artifacts.model_files import locate_language_model
from sparsepath.artifacts.neuron import Site
from sparsepath.artifacts.provenance import now_utc, package_versions
from sparsepath.concepts.contrast import text_rows
from sparsepath.concepts.directions import directions
from sparsepath.concepts.familiar import unfamiliar
from sparsepath.concepts.judge import LEAST_SCORE
from sparsepath.concepts.latents import Latents, load_latents
from sparsepath.concepts.meaning import meaning_clusters
from sparsepath.concepts.neurons import Text, neurons_of
from sparsepath.concepts.options import ROW_TOKENS, CatalogueOptions
from sparsepath.concepts.processes import Job, record_in_processes
from sparsepath.concepts.questions import Part, Questions
from sparsepath.concepts.record import WHOLE, Recording, Share, Tell, as_it_is, record
from sparsepath.concepts.recorded import Recorded, recorded
from sparsepath.concepts.rows import RowSettings
from sparsepath.concepts.shards import Shards
from sparsepath.concepts.together import Patterns
from sparsepath.concepts.vectors import embed, find_encoder
from sparsepath.concepts.vocabulary import token_bytes
from sparsepath.errors import ConfigError, ModelError
from sparsepath.models.language_folder import load_language_model
from sparsepath.trace.hidden import SitePlace, dense_places, sparse_places

Say = Callable[[str], None]
"""Called with a sentence on what is done."""


class Built(NamedTuple):
    """A finished catalogue."""

    path: Path
    """The file."""
    facts: CatalogueFacts
    """What stands in it."""


class _Subject(NamedTuple):
    """A model that is catalogued."""

    folder: Path
    files: list[WeightsStamp]
    model: PreTrainedModel
    tokenizer: Tokenizer
    places: list[SitePlace]
    is_sparse: bool
    latents: Latents | None = None
    """Of an autoencoder, which stand in the place of neurons."""

    @property
    def home(self) -> Path:
        """Where its catalogue belongs."""
        return self.folder if self.latents is None else self.latents.folder

    def record(self, recording: Recording, work: Path, tell: Tell, share: Share = WHOLE) -> Shards:
        """Record what fires; as `concepts.record.record`."""
        read = as_it_is if self.latents is None else self.latents.read
        return record(self.model, self.tokenizer, recording, work, tell, share, read)

    @property
    def is_two_sided(self) -> bool:
        """Whether the two signs of an entry are neurons of their own."""
        config: Any = self.model.config
        of_neurons = self.is_sparse and self.latents is None
        by_magnitude = of_neurons and config.topk_by == "magnitude"
        return bool(by_magnitude and not config.topk_positive)


def build_catalogue(
    model: Path | str,
    corpus: str,
    options: CatalogueOptions | None = None,
    *,
    out: Path | None = None,
    say: Say = lambda _text: None,
) -> Built:
    """Catalogue the neurons of a language model on a corpus.

    Args:
        model: folder of a TopK language model, or of a training; of a dense one with `dense_k`.
        corpus: as `data.source` of a recipe.
        options: other than the usual ones.
        out: the file; None: `concepts.sqlite` in the folder of the model or autoencoder.
        say: told what is done.

    Raises:
        ConfigError: if a site is not sparse, or the place holds another unfinished catalogue.
        DataError: if the corpus cannot be read or is too small.
        ModelError: if the model is dense and `dense_k` is not given, it cannot be read, or the
            autoencoder is of another model.
        RunError: if the disk is full or the place may not be written to.
    """
    options = options or CatalogueOptions()
    subject = _subject(Path(model), options)
    path = out or subject.home / CATALOGUE_FILE
    _check_home(path, subject)
    work = path.with_name(f".{path.name}.recording")
    hashes = {file.name: file.sha256 for file in subject.files}
    recording = _recording(subject, corpus, options, hashes)
    n_all = options.tokens
    warning = unfamiliar(corpus, subject.tokenizer, subject.folder)
    if warning is not None:
        say(f"warning: {warning}")

    def tell(n: int) -> None:
        say(f"read {n:,} tokens" + (f" of {n_all:,}" if n_all else ""))

    if options.processes == 1:
        shards = subject.record(recording, work, tell)
    else:
        say(f"reading in {options.processes} processes")
        job = Job(model=str(model), corpus=corpus, options=options)
        shards = record_in_processes(job, recording, work, tell)
    config = subject.model.config
    pieces = token_bytes(subject.tokenizer, int(config.vocab_size))
    text = _text(recorded(shards, pieces, corpus), subject.model)
    with new_catalogue(path) as writer:
        writer.tokens(pieces, text.recorded.counts.tolist())
        writer.text(text_rows(text.finding, text.held_out))
        scores = _write_neurons(writer, _rows(shards, subject, text, say), options, say)
        facts = _facts(subject, corpus, shards, text, scores)
        facts.warnings.extend([] if warning is None else [warning])
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
    subject = _subject(Path(job.model), job.options)
    hashes = {file.name: file.sha256 for file in subject.files}
    recording = _recording(subject, job.corpus, job.options, hashes)
    subject.record(recording, work, tell, share)


def _subject(path: Path, options: CatalogueOptions) -> _Subject:
    """Load a model and choose its places.

    Raises:
        ConfigError: if a site is not sparse, or dense and sparse are mixed up.
        ModelError: if it is dense and nothing is said of how to read it.
    """
    folder = locate_language_model(path)
    files = stamp_files(folder)  # before weights are read: what changes later is noticed
    model, tokenizer = load_language_model(folder)
    if options.autoencoder is not None:
        latents = load_latents(options.autoencoder, model, folder, options.dense_k)
        place = [latents.place]
        return _Subject(folder, files, model, tokenizer, place, latents.is_exact, latents)
    places = sparse_places(model, options.sites)
    if not options.sites and any(place.site == "block_out" for place in places):
        places = [place for place in places if place.site == "block_out"]
    if places and options.dense_k is not None:
        raise ConfigError(
            f"{folder} is sparse already: it keeps {places[0].k} of {places[0].width} entries",
            hint="leave --dense-k out",
        )
    if places:
        return _Subject(folder, files, model, tokenizer, places, is_sparse=True)
    if options.dense_k is None:
        raise ModelError(
            f"{folder} is a dense model: every neuron fires at every token",
            hint=f"make it sparse with: sparsepath convert {folder} CORPUS --k K; or, to compare, "
            "give --dense-k K, which takes the K largest entries of each hidden state",
        )
    sites: Sequence[Site] = options.sites or ("block_out",)
    dense = dense_places(model, sites)
    narrow = [place for place in dense if not 1 <= options.dense_k < place.width]
    if narrow:
        raise ConfigError(
            f"--dense-k {options.dense_k} of {narrow[0].width} entries",
            hint=f"choose 1 to {narrow[0].width - 1}",
        )
    taken = [place._replace(k=options.dense_k) for place in dense]
    return _Subject(folder, files, model, tokenizer, taken, is_sparse=False)


def _recording(
    subject: _Subject, corpus: str, options: CatalogueOptions, digests: dict[str, str]
) -> Recording:
    """Say what is recorded.

    Raises:
        ConfigError: if rows are longer than what the model was trained on.
    """
    longest = int(subject.model.config.max_position_embeddings)
    length = options.length or min(ROW_TOKENS, longest)
    if length > longest:
        raise ConfigError(
            f"--length {length}, but the model reads {longest} tokens",
            hint=f"choose at most {longest}",
        )
    tokenizer = digests.pop("tokenizer.json", "")
    whole = hashlib.sha256(repr(sorted(digests.items())).encode()).hexdigest()
    end = subject.model.config.eos_token_id
    return Recording(
        model_sha256=whole,
        tokenizer_sha256=tokenizer,
        places=tuple(subject.places),
        rows=RowSettings(
            source=corpus,
            length=length,
            share_held_out=options.held_out,
            end_id=end[0] if isinstance(end, list) else end,
        ),
        n_tokens=options.tokens,
        is_sparse=subject.is_sparse,
        autoencoder_sha256=_digest(subject.latents),
    )


def _digest(latents: Latents | None) -> str:
    """Give the hash of an autoencoder's files; empty where there is none."""
    if latents is None:
        return ""
    files = [(file.name, file.sha256) for file in latents.facts.files]
    return hashlib.sha256(repr(files).encode()).hexdigest()


def _check_home(path: Path, subject: _Subject) -> None:
    """Keep latents out of the model's folder, whose catalogue names neurons.

    Raises:
        ConfigError: if they were to lie there.
    """
    if subject.latents is not None and path.resolve().parent == subject.folder.resolve():
        raise ConfigError(
            f"{path} is beside the model, where L00/5 is a neuron and no latent",
            hint="leave --out out, or choose another folder",
        )


def _text(read: Recorded, model: PreTrainedModel) -> Text:
    """Find out what may be asked of the text."""
    table: Any = model.get_input_embeddings()
    embedding = table.weight.detach().float().numpy()
    clusters, n_clusters = meaning_clusters(read, embedding)
    finding = Part(read, clusters, held_out=False)
    held_out = Part(read, clusters, held_out=True)
    return Text(
        read, clusters, n_clusters, finding, held_out, Questions(finding, held_out, n_clusters)
    )


def _rows(shards: Shards, subject: _Subject, text: Text, say: Say) -> Iterator[NeuronRow]:
    """Describe every neuron."""
    for number, place in enumerate(subject.places, start=1):
        say(f"labelling {place.site} of layer {place.layer} ({number} of {len(subject.places)})")
        own = None if subject.latents is None else subject.latents.directions()
        effects = directions(subject.model, place, own)
        yield from neurons_of(shards, place, text, effects, is_two_sided=subject.is_two_sided)


class _Scores(NamedTuple):
    """What came out over all neurons."""

    mean: float | None
    control: float | None
    encoder: str | None


def _facts(
    subject: _Subject, corpus: str, shards: Shards, text: Text, scores: _Scores
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
