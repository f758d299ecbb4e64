"""The log as lines of JSON, for other programs and other places."""

import json
from collections.abc import Iterator, Sequence

from sparsepath.audit.database import Database
from sparsepath.audit.log import head, pages_in, texts_in
from sparsepath.audit.record import KeptText


def exported_lines(
    database: Database, *, first: int = 1, last: int | None = None, with_texts: bool = False
) -> Iterator[str]:
    """Give the records as JSON, one a line, without line ends.

    Each page is read in a transaction of its own, so that a slow reader holds up nobody; records
    never change, and those that came after the first line was read are left out.

    Args:
        database: of the log.
        first: number of the first record.
        last: number of the last one; None: to the end.
        with_texts: put the texts that are kept, with their salts, into a key `kept` before the
            hash's check; drop that key as well as `hash` before checking a line.
    """
    if last is None:
        last = head(database).seq
    while first <= last:
        with database.reading() as connection:
            page = next(pages_in(connection, first=first, last=last), [])
            is_asked = with_texts and bool(page)
            texts = texts_in(connection, page[0].seq, page[-1].seq) if is_asked else {}
        if not page:
            return
        yield from (_with(record.exported(), texts.get(record.seq, [])) for record in page)
        first = page[-1].seq + 1


def _with(line: str, texts: Sequence[KeptText]) -> str:
    """Add texts to a line."""
    if not texts:
        return line
    kept = {
        text.role: {"salt": text.salt, "text": json.loads(text.text) if text.text else None}
        for text in texts
    }
    return f'{line[:-1]},"kept":{json.dumps(kept)}}}'
