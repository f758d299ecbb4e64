"""Explanations in a process of their own, for programs that do without torch themselves.

Reads one line of JSON a request on standard input and writes one line a reply; ends when its input
does. A request holds `kind` (`label` or `token`), `model` (a folder), `threads`, `text`, and, each
possibly null, `target`, `against`, `place` (`L02.mlp_hidden`) and `contrast`. A reply holds
`explanation` (as `sparsepath explain --json` prints it), `verdict` (whether it held in its own
test), of a label `folder` (what was looked into), of a token `card`; or `error` and `fix`, where
`is_asked_wrong` says whose fault it is.
"""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import torch

from sparsepath.artifacts.neuron import read_place
from sparsepath.errors import ConfigError, DataError, SparsepathError
from sparsepath.evaluate.decision import asdict_plain, card_of, explain_token
from sparsepath.evaluate.explain import explain, explanation_plain
from sparsepath.pathways.explain_check import verdict_of
from sparsepath.pathways.next_token import Asked


def main() -> None:
    """Answer until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started it ends it
    if hasattr(os, "nice"):
        os.nice(10)  # answers come before explanations
    for line in sys.stdin:
        sys.stdout.write(json.dumps(reply(json.loads(line))) + "\n")
        sys.stdout.flush()


def reply(asked: dict[str, Any]) -> dict[str, Any]:
    """Answer a request.

    Args:
        asked: its content.
    """
    torch.set_num_threads(asked["threads"])
    try:
        return _KINDS[asked["kind"]](asked)
    except SparsepathError as err:
        is_asked_wrong = isinstance(err, ConfigError | DataError)
        return {"error": err.message, "fix": err.hint, "is_asked_wrong": is_asked_wrong}
    except Exception as err:  # noqa: BLE001 - its message may hold the text
        return {"error": type(err).__name__, "fix": "look at the model", "is_asked_wrong": False}


def _label(asked: dict[str, Any]) -> dict[str, Any]:
    """Explain a classifier's label."""
    found = explain(asked["model"], asked["text"], target=asked["target"], against=asked["against"])
    return {
        "explanation": explanation_plain(found.explanation),
        "verdict": verdict_of(found.explanation.margin, found.explanation.test),
        "folder": str(found.folder.resolve()),
    }


def _token(asked: dict[str, Any]) -> dict[str, Any]:
    """Explain a language model's next token, and write the card."""
    question = Asked(
        target=asked["target"],
        against=asked["against"],
        place=None if asked["place"] is None else read_place(asked["place"]),
        contrast=asked["contrast"],
    )
    told = explain_token(Path(asked["model"]), asked["text"], question)
    card = card_of(asked["model"], told, question)
    return {
        "explanation": asdict_plain(told),
        "verdict": told.test.verdict,
        "card": card.model_dump(mode="json", by_alias=True),
    }


_KINDS = {"label": _label, "token": _token}


if __name__ == "__main__":
    main()
