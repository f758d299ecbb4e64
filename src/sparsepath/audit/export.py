"""The log as lines of JSON, for other programs and other places."""

import json
from collections.abc import Iterator, Sequence

from sparsepath.audit.database import Database
from sparsepath.audit.log import pages_in, texts_in
from sparsepath.audit.record import KeptText


def exported_lines(
    database: Database, *, first: int = 1, last: int | None = None, with_texts: bool = False
) -> Iterator[str]:
    """Give the records as JSON, one a line, without line ends.

    Args:
        database: of the log.
        first: number of the first record.
        last: number of the last one; None: to the end.
        with_texts: put the texts that are kept, with their salts, into a key `kept` before the
            hash's check; drop that key as well as `hash` before checking a line.
    """
    with database.reading() as connection:
        for page in pages_in(connection, first=first, last=last):
            texts = texts_in(connection, page[0].seq, page[-1].seq) if with_texts else {}
            for record in page:
                yield _with(record.exported(), texts.get(record.seq, []))


def _with(line: str, texts: Sequence[KeptText]) -> str:
    """Add texts to a line."""
    if not texts:
        return line
    kept = {
        text.role: {"salt": text.salt, "text": json.loads(text.text) if text.text else None}
        for text in texts
    }
    return f'{line[:-1]},"kept":{json.dumps(kept)}}}'
