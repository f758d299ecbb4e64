"""Known tests of language models, from local files, in the form that lm-evaluation-harness takes.

Files (each also .gz, .bz2 or .xz):

- `arc_easy.jsonl`, `piqa.jsonl`: `query`, `choices`, `gold` (number of the right choice);
- `hellaswag.jsonl`: the same; or `hellaswag_val_full.txt`, six lines an item: context, number of
  the right ending, four endings;
- `lambada_openai.jsonl`: `context`, `continuation`, the last word;
- `winogrande.jsonl`: `context_options` (two), `continuation`, `gold`;
- `BLiMP.zip`: 67 JSON-lines files with `sentence_good`, `sentence_bad`.

Prompts and scores are those of the harness's own tasks of these names.
"""

import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from sparsepath.config import SuiteName
from sparsepath.data.corpus import OPENERS
from sparsepath.errors import ConfigError, DataError

Item = dict[str, Any]


class Suite(NamedTuple):
    """One test."""

    files: tuple[str, ...]
    """Names of its file, without the ending of a packed one."""
    keys: tuple[str, ...]
    """What every item has."""
    prompt: dict[str, Any]
    """How the harness asks and scores."""


class SuiteScore(NamedTuple):
    """What a model reached in one test."""

    suite: str
    n: int
    """Items, or documents."""
    figures: dict[str, float]
    """`accuracy`; where choices differ in length also `accuracy_by_length` (each choice's logarithm
    of probability by its characters); for LAMBADA `perplexity`; for texts `bits_per_byte`."""
    errors: dict[str, float]
    """Standard errors of these."""


def _scores(*names: str) -> list[dict[str, Any]]:
    """Name what is averaged over items."""
    return [{"metric": n, "aggregation": "mean", "higher_is_better": True} for n in names]


_CHOICE = {"output_type": "multiple_choice", "doc_to_target": "gold", "doc_to_choice": "choices"}

SUITES: dict[SuiteName, Suite] = {
    "arc-easy": Suite(
        ("arc_easy.jsonl",),
        ("query", "choices", "gold"),
        _CHOICE | {"doc_to_text": "{{query}}\nAnswer:", "metric_list": _scores("acc", "acc_norm")},
    ),
    "piqa": Suite(
        ("piqa.jsonl",),
        ("query", "choices", "gold"),
        _CHOICE | {"doc_to_text": "{{query}}\nAnswer:", "metric_list": _scores("acc", "acc_norm")},
    ),
    "hellaswag": Suite(
        ("hellaswag.jsonl", "hellaswag_val_full.txt"),
        ("query", "choices", "gold"),
        _CHOICE | {"doc_to_text": "{{query}}", "metric_list": _scores("acc", "acc_norm")},
    ),
    "lambada": Suite(
        ("lambada_openai.jsonl",),
        ("context", "continuation"),
        {
            "output_type": "loglikelihood",
            "doc_to_text": "{{context}}",
            "doc_to_target": "{{' ' + continuation}}",
            "metric_list": [
                *_scores("acc"),
                {
                    "metric": "perplexity",
                    "aggregation": "perplexity",
                    "higher_is_better": False,
                },
            ],
        },
    ),
    "winogrande": Suite(
        ("winogrande.jsonl",),
        ("context_options", "continuation", "gold"),
        {
            "output_type": "multiple_choice",
            "doc_to_text": lambda item: item["gold"],
            "doc_to_target": lambda item: item["continuation"],
            "doc_to_choice": lambda item: item["context_options"],
            "metric_list": _scores("acc"),
        },
    ),
    "blimp": Suite(
        ("BLiMP.zip",),
        ("sentence_good", "sentence_bad"),
        {
            "output_type": "multiple_choice",
            "doc_to_text": "",
            "doc_to_target": 0,
            "doc_to_choice": "{{[sentence_good, sentence_bad]}}",
            "metric_list": _scores("acc"),
        },
    ),
}


def read_items(suite: SuiteName, folder: Path) -> list[Item]:
    """Read the items of a test.

    Args:
        suite: which.
        folder: that holds its file.

    Raises:
        ConfigError: if the test is not known.
        DataError: if its file is missing, damaged or empty.
    """
    if suite not in SUITES:
        raise ConfigError(
            f"the test {suite!r} is not known", hint=f"use one of {', '.join(SUITES)}"
        )
    keys = SUITES[suite].keys
    path = _find(suite, folder)
    try:
        items = list(_reader(path)(path))
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, IndexError) as err:
        raise DataError(
            f"{path} cannot be read ({type(err).__name__}: {err})",
            hint="copy the file again, whole",
        ) from err
    for number, item in enumerate(items):
        missing = [key for key in keys if key not in item]
        if missing:
            raise DataError(
                f"item {number} of {path} has no {missing[0]!r}",
                hint=f"each item needs {', '.join(keys)}",
            )
    if not items:
        raise DataError(f"{path} holds no item", hint="copy the file again, whole")
    return [{key: item[key] for key in keys} for item in items]


def _find(suite: SuiteName, folder: Path) -> Path:
    """Find the file of a test, packed or not.

    Raises:
        DataError: if it is not there.
    """
    names = SUITES[suite].files
    for name in names:
        for ending in ("", *OPENERS):
            if (path := folder / f"{name}{ending}").is_file():
                return path
    raise DataError(
        f"no file for {suite} in {folder}",
        hint=f"put {' or '.join(names)} there, also packed by gzip, bzip2 or xz",
    )


def _reader(path: Path) -> Callable[[Path], Iterator[Item]]:
    """Choose how a file is read."""
    if path.suffix == ".zip":
        return _zipped
    return _six_lines if ".txt" in path.suffixes else _json_lines


def _lines(path: Path) -> Iterator[str]:
    """Read the lines of a file."""
    with OPENERS.get(path.suffix, open)(path, "rt", encoding="utf-8") as file:
        yield from file


def _json_lines(path: Path) -> Iterator[Item]:
    """Read one item a line."""
    yield from (json.loads(line) for line in _lines(path) if line.strip())


def _six_lines(path: Path) -> Iterator[Item]:
    """Read items of six lines."""
    lines = [line.rstrip("\n") for line in _lines(path)]
    for start in range(0, len(lines) // 6 * 6, 6):
        query, gold, *choices = lines[start : start + 6]
        yield {"query": query, "choices": choices, "gold": int(gold)}


def _zipped(path: Path) -> Iterator[Item]:
    """Read the JSON lines of every file of an archive."""
    with zipfile.ZipFile(path) as archive:
        for name in sorted(archive.namelist()):
            # Apple's archiver adds a file of its own beside each.
            if name.endswith(".jsonl") and not name.startswith("__MACOSX"):
                lines = archive.read(name).decode("utf-8").splitlines()
                yield from (json.loads(line) for line in lines if line.strip())
