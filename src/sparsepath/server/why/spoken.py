"""Labels of neurons in the language of who asks; cards and records keep the English ones."""

from typing import Any

from sparsepath.artifacts.catalogue import Catalogue
from sparsepath.artifacts.neuron import Neuron
from sparsepath.config import Language
from sparsepath.server.concepts import ask_catalogue
from sparsepath.server.library import Place
from sparsepath.server.service import Service


async def rename(
    service: Service, place: Place, named: list[dict[str, Any]], lang: Language
) -> None:
    """Put labels of a language in place of others, where neurons have some.

    Args:
        service: the server.
        place: of the catalogue.
        named: with `name` and `concept`, and `value` where the sign of a neuron counts.
        lang: the language.
    """
    labels = await ask_catalogue(
        service, place, lambda opened: [_label(opened, one) for one in named], lang=lang
    )
    for one, label in zip(named, labels, strict=True):
        one["concept"] = label


def _label(catalogue: Catalogue, one: dict[str, Any]) -> str | None:
    if one["concept"] is None:
        return None
    neuron = Neuron.parse(one["name"])
    if catalogue.facts.is_two_sided and "value" in one:
        neuron = neuron._replace(side="+" if one["value"] > 0 else "-")
    return catalogue.label_of(neuron)
