"""What the process that explains writes, in the words of the server."""

from pathlib import Path
from typing import Any

from sparsepath.errors import RunError

_HEAD = ".H"


def told_label(content: dict[str, Any], label: str, catalogue: str | None) -> dict[str, Any]:
    """Tell why a text got its label.

    Args:
        content: as `evaluate/explain_worker.py` writes it.
        label: what the server answers.
        catalogue: of the model's neurons, if one is shown.

    Returns:
        What `LabelInside` holds, but for model, request and record.
    """
    found = content["explanation"]
    kept = ("target", "against", "probability", "margin", "n_tokens_cut", "n_units")
    more = ("n_units_kept", "n_units_enough", "is_exact")
    return {name: found[name] for name in (*kept, *more)} | {
        "kind": "label",
        "label": label,
        "looked_into": Path(content["folder"]).name,
        "is_same_answer": found["predicted"] == label,
        "tokens": [
            {name: token[name] for name in ("text", "score", "is_special")}
            for token in found["tokens"]
        ],
        "units": _units(found),
        "edges": [_edge(edge) for edge in found["edges"]],
        "catalogue": catalogue,
        "test": _label_test(found["test"], content["verdict"]),
    }


def told_token(content: dict[str, Any], catalogue: str | None) -> dict[str, Any]:
    """Tell why a text goes on with a token.

    Args:
        content: as `evaluate/explain_worker.py` writes it.
        catalogue: of the model's neurons, if one is shown.

    Returns:
        What `TokenInside` holds, but for model, request and record.
    """
    found = content["explanation"]
    kept = ("answer", "target", "against", "probability", "margin", "site", "is_sparse")
    more = ("n_active", "n_named", "heads", "left_out")
    tests = ("kept", "removed", "swapped", "random_kept", "random_removed", "random_swapped")
    return {name: found[name] for name in (*kept, *more)} | {
        "kind": "token",
        "words": [word | {"is_special": False} for word in found["words"]],
        "neurons": [neuron | {"concept": neuron["label"]} for neuron in found["neurons"]],
        "catalogue": catalogue,
        "test": {name: found["test"][name] for name in tests} | {"verdict": content["verdict"]},
        "card": content["card"],
    }


def _units(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Name units, with what is known of neurons."""
    facts = {neuron["name"]: neuron for neuron in found["neurons"]}
    concepts = found["concepts"] or [None] * len(found["units"])
    return [
        {
            "name": unit["name"],
            "kind": "head" if _HEAD in unit["name"] else "neuron",
            "score": unit["score"],
            "concept": concept,
            "fires_for": facts.get(unit["name"], {}).get("label"),
            "fires_for_share": facts.get(unit["name"], {}).get("label_share", 0.0),
        }
        for unit, concept in zip(found["units"], concepts, strict=True)
    ]


def _edge(edge: dict[str, Any]) -> dict[str, Any]:
    """Read the name of an edge, such as `12>17@L02.H05`: token 17 reads token 12."""
    places, _, head = edge["name"].partition("@")
    source, is_one, reader = places.partition(">")
    if not is_one:
        raise RunError(f"{edge['name']!r} is no edge", hint="report this")
    return {
        "head": head,
        "reader": int(reader),
        "source": int(source),
        "score": edge["score"],
    }


def _label_test(test: dict[str, Any], verdict: str) -> dict[str, Any]:
    return {
        "verdict": verdict,
        "margin_of_nothing": test["margin_of_nothing"],
        "kept": test["margin_kept"],
        "removed": test["margin_when_removed"],
        "random_kept": test["random_margin_kept"],
        "random_removed": test["random_margin_when_removed"],
        "confidence_kept": test["confidence_kept"],
        "confidence_removed": test["confidence_removed"],
    }
