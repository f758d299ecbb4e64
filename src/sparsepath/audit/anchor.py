"""The newest hash, kept elsewhere: what finds a log that was cut off or written anew.

An anchor file has one line a look, each with number, hash and time of the newest record then. It
belongs where the owner of the database cannot write: another machine, a mailbox, a printout.
"""

from pathlib import Path

from sparsepath.artifacts.base import Artifact
from sparsepath.artifacts.store import append_jsonl, read_jsonl
from sparsepath.audit.clock import now
from sparsepath.audit.database import Database
from sparsepath.audit.log import head


class Anchor(Artifact):
    """One line of an anchor file."""

    seq: int
    """Number of the newest record; 0: there was none."""
    hash: str
    time: str
    """UTC."""


def write_anchor(database: Database, path: Path) -> Anchor:
    """Add the newest record to an anchor file, unless it is its last line already; give it.

    Raises:
        RunError: if the file cannot be read or written.
    """
    newest = head(database)
    before = read_anchors(path)
    if before and before[-1].hash == newest.hash:
        return before[-1]
    anchor = Anchor(seq=newest.seq, hash=newest.hash, time=now())
    append_jsonl(path, anchor)
    return anchor


def read_anchors(path: Path) -> list[Anchor]:
    """Read an anchor file; none where there is no file; raises as `read_jsonl`."""
    return read_jsonl(path, Anchor) if path.exists() else []
