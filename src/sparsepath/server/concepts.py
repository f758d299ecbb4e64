"""`/api/v1/concepts`: catalogues of neurons: lists, search, one neuron, and what people say."""

from collections.abc import Callable, Sequence
from typing import Annotated, Literal, TypeVar

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field

from sparsepath.artifacts.catalogue import Catalogue, Order
from sparsepath.artifacts.catalogue_query import conditions, layer_summaries, search_words
from sparsepath.artifacts.catalogue_says import search_says
from sparsepath.artifacts.catalogue_schema import NeuronCard, NeuronLine, Remark, Verdict
from sparsepath.artifacts.neuron import Neuron, Site
from sparsepath.audit.record import Draft
from sparsepath.config import Language
from sparsepath.errors import SparsepathError
from sparsepath.server.auth import Principal, asker
from sparsepath.server.library import Place
from sparsepath.server.problems import Problem, from_error
from sparsepath.server.service import Served, Service

MAX_PAGE = 200
"""Neurons of one answer, at most."""

MAX_CONTEXTS = 60
"""Examples of one neuron that are shown."""

ResultT = TypeVar("ResultT")

router = APIRouter(prefix="/api/v1/concepts", tags=["concepts"])


class CatalogueLine(BaseModel):
    """A catalogue that can be opened."""

    name: str
    is_served: bool = Field(description="Whether it is of the model that answers.")


class CatalogueList(BaseModel):
    """Every catalogue that can be opened."""

    catalogues: list[CatalogueLine]


class LayerFacts(BaseModel):
    """The neurons of one site and layer; means over those that fire."""

    site: str
    layer: int
    neurons: int
    dead: int
    always_on: int
    clear: int = Field(description="With a label that says something on held-out text.")
    mean_score: float | None


class CatalogueSummary(BaseModel):
    """What a catalogue is of."""

    name: str
    is_served: bool
    made_at: str
    corpus: str
    n_tokens: int
    n_held_out: int
    is_sparse: bool
    least_score: float = Field(description="Below, a label counts as saying nothing.")
    mean_score: float | None = Field(description="Of the automatic labels, on held-out text.")
    mean_control: float | None = Field(description="The same with labels of other neurons.")
    layers: list[LayerFacts]
    warnings: list[str]


class NeuronRow(BaseModel):
    """A neuron in a list."""

    name: str
    label: str
    origin: str = Field(description="Who gave the label: `person`, `endpoint` or `automatic`.")
    score: float | None = Field(
        description="Balanced accuracy of the automatic label on held-out text; chance is 0.5."
    )
    rate: float = Field(description="Share of the tokens at which it fires.")
    tokens: list[str] = Field(
        description="It fires on, the most telling first; in a search by what neurons say those "
        "that it makes likelier."
    )
    why: str | None = Field(default=None, description="What a search found.")


class NeuronRows(BaseModel):
    """A page of neurons."""

    n: int = Field(description="Neurons that fit, on all pages.")
    offset: int
    neurons: list[NeuronRow]


class TokenFacts(BaseModel):
    """A token at which a neuron fires."""

    text: str
    share: float = Field(description="Of the neuron's firings.")
    precision: float = Field(description="Share of the token's occurrences at which it fires.")


class Example(BaseModel):
    """A firing with the tokens around it."""

    band: str = Field(description="`top`, or the share of firings that are stronger.")
    value: float
    at: int = Field(description="Place of the token that fires.")
    tokens: list[str]
    values: list[float] = Field(description="Of the neuron at each token; 0 where silent.")


class RemarkOut(BaseModel):
    """What a person said."""

    label: str | None
    note: str | None
    verdict: str | None
    by: str
    at: str


class NeuronDetails(BaseModel):
    """All that is known of a neuron."""

    row: NeuronRow
    automatic: str = Field(description="The automatic label, also where another is shown.")
    f1: float | None
    control: float | None = Field(description="Score of another neuron's label.")
    held_out: int = Field(description="Firings on held-out text.")
    fired: int = Field(description="Firings on the text that the label was found on.")
    mean: float = Field(description="Of its value where it fires.")
    largest: float
    is_dead: bool
    is_always_on: bool
    bounds: tuple[float, float] = Field(description="Ends of the histogram.")
    histogram: list[int]
    promotes: list[tuple[str, float]] | None = Field(
        description="Tokens it makes likelier, in logits for a value of 1; null: not defined."
    )
    demotes: list[tuple[str, float]] | None
    together: list[tuple[str, float]] = Field(description="Neurons that fire with it (Jaccard).")
    fires_on: list[TokenFacts]
    examples: list[Example]
    remarks: list[RemarkOut] = Field(description="Oldest first.")


class NeuronsAsked(BaseModel):
    """Which neurons are wanted."""

    words: str = Field(default="", max_length=200)
    by: Literal["fires", "says"] = Field(
        default="fires",
        description="What the words are: what neurons fire on or are called, or what they make "
        "likelier.",
    )
    layer: int | None = Field(default=None, ge=0, le=9999)
    site: Site | None = None
    least: float | None = Field(default=None, ge=0, le=1, description="Least score.")
    order: Order = "score"
    lang: Language = Field(default="en", description="Of automatic labels.")
    offset: int = Field(default=0, ge=0, le=10**8)
    limit: int = Field(default=50, ge=1, le=MAX_PAGE)


class Said(BaseModel):
    """What a person says of a neuron; one of the three at least."""

    model_config = ConfigDict(extra="forbid")

    neuron: str = Field(max_length=40, description="Such as `L02/117`.")
    label: str | None = Field(
        default=None, max_length=200, description="Own label; empty: take it back."
    )
    note: str | None = Field(default=None, max_length=2000)
    verdict: Verdict | None = Field(default=None, description="On the automatic label.")


@router.get("")
def list_catalogues(
    service: Served, _who: Annotated[Principal, Depends(asker("viewer"))]
) -> CatalogueList:
    """List the catalogues that can be opened."""
    found = service.library.catalogues()
    return CatalogueList(
        catalogues=[CatalogueLine(name=place.name, is_served=place.is_served) for place in found]
    )


@router.get("/{catalogue}")
async def show_catalogue(
    catalogue: str, service: Served, _who: Annotated[Principal, Depends(asker("viewer"))]
) -> CatalogueSummary:
    """Say what a catalogue is of, and sum up its layers."""
    place = find_place(service, catalogue)
    return await ask_catalogue(service, place, lambda opened: _summary(place, opened))


@router.get("/{catalogue}/neurons")
async def list_neurons(
    catalogue: str,
    asked: Annotated[NeuronsAsked, Query()],
    service: Served,
    _who: Annotated[Principal, Depends(asker("viewer"))],
) -> NeuronRows:
    """List neurons, or find them by words in what they fire on, in labels and in notes."""
    place = find_place(service, catalogue)
    return await ask_catalogue(
        service, place, lambda opened: _listed(opened, asked), lang=asked.lang
    )


@router.get("/{catalogue}/neuron")
async def show_neuron(
    catalogue: str,
    name: Annotated[str, Query(max_length=40, description="Such as `L02/117`.")],
    service: Served,
    _who: Annotated[Principal, Depends(asker("viewer"))],
    lang: Language = "en",
) -> NeuronDetails:
    """Give all that is known of a neuron."""
    place, neuron = find_place(service, catalogue), Neuron.parse(name)
    return _details(
        await ask_catalogue(service, place, lambda opened: opened.card(neuron), lang=lang)
    )


@router.post("/{catalogue}/remarks")
async def add_remark(
    catalogue: str,
    said: Said,
    service: Served,
    who: Annotated[Principal, Depends(asker("reviewer"))],
) -> RemarkOut:
    """Keep what a person says of a neuron; it is on record in the audit log too."""
    place, neuron = find_place(service, catalogue), Neuron.parse(said.neuron)
    if said.verdict is None and not said.note and said.label is None:
        raise Problem(422, "invalid", "nothing is said", fix="give label, note or verdict")

    def remark(opened: Catalogue) -> Remark:
        return opened.remark(
            neuron, label=said.label, note=said.note or None, verdict=said.verdict, by=who.name
        )

    await ask_catalogue(service, place, lambda opened: opened.id_of(neuron))
    facts = {"by": who.name, "catalogue": catalogue, "neuron": neuron.name}
    body = facts | {"verdict": said.verdict, "has_label": said.label is not None}
    await service.journal.write([Draft(kind="concept.remark", body=body)])
    kept = await ask_catalogue(service, place, remark)
    return RemarkOut(**kept._asdict())


async def ask_catalogue(
    service: Service,
    place: Place,
    question: Callable[[Catalogue], ResultT],
    *,
    lang: Language = "en",
) -> ResultT:
    """Ask a catalogue, in a language of its automatic labels; where it lies is not told."""

    def spoken(opened: Catalogue) -> ResultT:
        opened.lang = lang
        return question(opened)

    try:
        return await service.shelf.ask(place.path, spoken)
    except SparsepathError as err:
        told = from_error(err)
        folder = str(place.path.parent)
        message, fix = (text.replace(folder, place.name) for text in (told.message, told.fix))
        raise Problem(told.status, told.code, message, fix=fix) from err


def find_place(service: Service, name: str) -> Place:
    """Find a catalogue by its name.

    Raises:
        Problem: if there is none.
    """
    for place in service.library.catalogues():
        if place.name == name:
            return place
    raise Problem(
        404, "catalogue_not_found", "there is no such catalogue", fix="see /api/v1/concepts"
    )


def _summary(place: Place, opened: Catalogue) -> CatalogueSummary:
    facts = opened.facts
    names = LayerFacts.model_fields
    sums = [layer._asdict() for layer in layer_summaries(opened)]
    return CatalogueSummary(
        name=place.name,
        is_served=place.is_served,
        layers=[LayerFacts(**{name: row[name] for name in names}) for row in sums],
        **facts.model_dump(
            include={
                "made_at", "corpus", "n_tokens", "n_held_out", "is_sparse", "least_score",
                "mean_score", "mean_control", "warnings",
            }
        ),
    )  # fmt: skip


def _listed(opened: Catalogue, asked: NeuronsAsked) -> NeuronRows:
    """Find neurons; those that a search finds come in its own order."""
    where, values = conditions(layer=asked.layer, site=asked.site, min_score=asked.least)
    begin, end = asked.offset, asked.offset + asked.limit
    words = asked.words.replace("\0", " ").strip()
    if words:
        search = search_says if asked.by == "says" else search_words
        hits = search(opened, words, where=where, values=values)
        rows = [row_of(hit.line, hit.why, hit.says) for hit in hits[begin:end]]
        return NeuronRows(n=len(hits), offset=begin, neurons=rows)
    query = f"SELECT COUNT(*) FROM neuron WHERE {where}"
    (n,) = opened.database.execute(query, values).fetchone()
    lines = opened.lines(
        where=where, values=values, order=asked.order, limit=asked.limit, offset=begin
    )
    return NeuronRows(n=n, offset=begin, neurons=[row_of(line) for line in lines])


def row_of(line: NeuronLine, why: str | None = None, says: Sequence[str] = ()) -> NeuronRow:
    """Give a line of a catalogue as answers have it; `why`: what a search found."""
    origin = "person" if line.by_person else "endpoint" if line.by_endpoint else "automatic"
    return NeuronRow(
        name=line.neuron.name,
        label=line.label,
        origin=origin,
        score=line.score,
        rate=line.rate,
        tokens=[*(says or line.tokens)],
        why=why,
    )


def _details(card: NeuronCard) -> NeuronDetails:
    details = card.details
    return NeuronDetails(
        row=row_of(card.line),
        automatic=card.automatic,
        f1=card.f1,
        control=card.control,
        held_out=card.held_out,
        fired=card.fired,
        mean=card.line.mean,
        largest=card.largest,
        is_dead=card.is_dead,
        is_always_on=card.is_always_on,
        bounds=details.bounds,
        histogram=details.histogram,
        promotes=details.promotes,
        demotes=details.demotes,
        together=details.together,
        fires_on=[
            TokenFacts(text=one.text, share=one.share, precision=one.precision)
            for one in card.fires_on
        ],
        examples=[
            Example(
                band=one.band,
                value=one.value,
                at=one.at,
                tokens=[*one.texts],
                values=[*one.values],
            )
            for one in card.contexts[:MAX_CONTEXTS]
        ],
        remarks=[RemarkOut(**one._asdict()) for one in card.remarks],
    )
