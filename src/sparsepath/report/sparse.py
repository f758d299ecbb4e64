"""What the neurons of the sparse candidate stand for, and whether they explain its answers."""

from sparsepath.artifacts.analysis import SparseReport
from sparsepath.artifacts.neurons import NeuronFacts
from sparsepath.report.html import el
from sparsepath.report.inputs import View
from sparsepath.report.language import Words
from sparsepath.report.section import Cell, Column, Row, Section, note, stack, table

_MAX_TEXTS = 2
_SHOWN_ROWS = 12


def sparse(view: View) -> Section | None:
    """For each label the neuron that stands for it, and the explanations' own test."""
    found = view.analysis.sparse
    if found is None:
        return None
    words = view.words
    columns = [
        Column(words("column.label")),
        Column(words("sparse.neuron")),
        Column(words("sparse.clear"), is_number=True),
        Column(words("sparse.often"), is_number=True),
        Column(words("sparse.texts")),
    ]
    rows = [_row(words, neuron) for neuron in found.neurons]
    body = stack(
        _verdict(words, found),
        table(columns, rows, identity="table-sparse", shown=_SHOWN_ROWS) if rows else None,
        el("p", words("sparse.read"), cls="small"),
        el("p", words("sparse.command", name=found.name, folder=view.folder), cls="small"),
    )
    return Section("sparse", body, lead=words.rich("sparse.lead", name=found.name))


def _verdict(words: Words, found: SparseReport) -> str | None:
    """One sentence on the test; nothing where no text could be tested."""
    shares = (found.share_named, found.margin_kept, found.random_margin_kept)
    named, kept, chance = (None if share is None else words.percent(share, 0) for share in shares)
    removed = found.margin_when_removed
    if named is None or kept is None or chance is None or removed is None:
        return None
    return note(
        el(
            "p",
            words.rich(
                "sparse.verdict",
                n=words.integer(found.n_tested),
                named=named,
                kept=kept,
                random=chance,
                removed=words.percent(removed, 0),
            ),
        )
    )


def _row(words: Words, neuron: NeuronFacts) -> Row:
    """One label."""
    texts = [el("p", example.text) for example in neuron.examples[:_MAX_TEXTS]]
    return Row(
        [
            Cell(neuron.label or "", neuron.label or ""),
            Cell(el("span", neuron.name, cls="mono"), neuron.name),
            Cell(words.percent(neuron.label_share, 0), neuron.label_share),
            Cell(words.percent(neuron.share_of_texts, 0), neuron.share_of_texts),
            Cell(el("div", *texts, cls="small"), None),
        ]
    )
