"""Real data that every Python has: the standard library's docstrings, by area.

The task is to route a description of a function, class or module to the chapter of the library
reference it belongs to. Sources are parsed and never imported. What comes out depends on the
Python version (and on what a Linux distribution packages separately), so the hash is in the table.
"""

import ast
import hashlib
import platform
import sysconfig
import warnings
from collections.abc import Iterator
from pathlib import Path

from sparsepath.data.stdlib_areas import AREA_OF_MODULE
from sparsepath.data.tables import Table
from sparsepath.errors import DataError

MAX_DOC_CHARS = 300
"""Characters taken from each docstring, white space collapsed."""

_MIN_DOC_CHARS = 30
_MIN_ROWS = 1_000
_OUTSIDE = frozenset({"test", "tests", "idle_test", "_vendor"})


def load_stdlib_docs() -> Table:
    """Collect the docstrings of the standard library, labelled by area, in a fixed order.

    Raises:
        DataError: if this Python comes without the sources of its library.
    """
    root = Path(sysconfig.get_paths()["stdlib"])
    rows = [
        (" ".join(doc.split())[:MAX_DOC_CHARS], AREA_OF_MODULE[module])
        for module, path in _sources(root)
        for doc in _docstrings(path)
    ]
    texts = [text for text, _ in rows if len(text) >= _MIN_DOC_CHARS]
    labels = [label for text, label in rows if len(text) >= _MIN_DOC_CHARS]
    if len(texts) < _MIN_ROWS:
        raise DataError(
            f"this Python has hardly any library sources ({len(texts):,} docstrings in {root})",
            hint="use an ordinary Python 3.11 or newer, or a table of your own",
        )
    content = "\n".join(f"{label}\t{text}" for text, label in zip(texts, labels, strict=True))
    return Table(
        texts=texts,
        labels=labels,
        row_ids=list(range(len(texts))),
        text_column="docstring",
        label_column="area",
        how_found=f"docstrings of the standard library of Python {platform.python_version()}, "
        "to be routed to an area of the library reference",
        has_header=True,
        n_rows_seen=len(texts),
        sampled=False,
        sha256=hashlib.sha256(content.encode("utf-8", "replace")).hexdigest(),
    )


def spread_docs(n: int) -> list[str]:
    """Collect one docstring each of so many files, evenly spread over the library; fast.

    Args:
        n: at most; files without a docstring give none.

    Raises:
        DataError: if this Python comes without the sources of its library.
    """
    root = Path(sysconfig.get_paths()["stdlib"])
    paths = [path for _, path in _sources(root)]
    chosen = paths[:: max(1, len(paths) // n)][:n]
    firsts = (next((" ".join(d.split()) for d in _docstrings(path)), "") for path in chosen)
    found = [text[:MAX_DOC_CHARS] for text in firsts if len(text) >= _MIN_DOC_CHARS]
    if not found:
        raise DataError(
            f"this Python has hardly any library sources (no docstring in {root})",
            hint="use an ordinary Python 3.11 or newer, or a text of your own",
        )
    return found


def _sources(root: Path) -> Iterator[tuple[str, Path]]:
    """Source files of listed modules with the name of their top-level module."""
    for module in sorted(AREA_OF_MODULE):
        single = root / f"{module}.py"
        if single.is_file():
            yield module, single
        for path in sorted((root / module).rglob("*.py")):
            if not _OUTSIDE.intersection(path.relative_to(root).parts):
                yield module, path


def _docstrings(path: Path) -> Iterator[str]:
    """Docstrings of the module and everything in it, from top to bottom."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = ast.parse(path.read_bytes(), filename=str(path))
    for node in _statements(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            doc = ast.get_docstring(node)
            if doc is not None:
                yield doc


def _statements(tree: ast.Module) -> Iterator[ast.AST]:
    """A module and all its statements in order; expressions hold no docstrings and are skipped."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        for branch in ("cases", "finalbody", "orelse", "handlers", "body"):
            inside = getattr(node, branch, None)
            if isinstance(inside, list):
                waiting.extend(reversed(inside))
