"""The report of a run: which sections it has, in which order."""

from collections.abc import Callable

from sparsepath.report import background, costs
from sparsepath.report.calibration import calibration
from sparsepath.report.candidates import candidates, size
from sparsepath.report.confusion import confusion
from sparsepath.report.document import Frame, document
from sparsepath.report.edges import edges
from sparsepath.report.explained import explained
from sparsepath.report.flips import flips
from sparsepath.report.inputs import View
from sparsepath.report.labels import slices
from sparsepath.report.removal import removal
from sparsepath.report.section import Section
from sparsepath.report.sparse import sparse
from sparsepath.report.summary import summary
from sparsepath.report.tradeoff import tradeoff
from sparsepath.report.units import units
from sparsepath.report.unsure import unsure

SECTIONS: tuple[Callable[[View], Section | None], ...] = (
    tradeoff,
    candidates,
    size,
    units,
    removal,
    edges,
    slices,
    confusion,
    flips,
    calibration,
    unsure,
    explained,
    sparse,
    costs.latency,
    costs.dynamic,
    background.data,
    background.stages,
    background.method,
    background.machine,
)
"""In the order of the page; a section whose part of the run is missing is left out."""


def render(view: View) -> str:
    """The whole report as text.

    Raises:
        MissingExtraError: if the charting library is not installed.
    """
    words = view.words
    made = words(
        "page.made",
        version=view.run.versions.get("sparsepath", ""),
        date=words.moment(view.run.finished_utc or view.run.created_utc),
    )
    title = words("page.title", name=view.folder)
    sections = [section for make in SECTIONS if (section := make(view)) is not None]
    return document(words, Frame(title, words("nav.top"), summary(view), made), sections)
