"""A catalogue as the files that SAEDashboard writes for Neuronpedia, one folder for each site.

`batch-N.json` has the features that fire, `skipped_indexes.json` those that never do. What a
catalogue does not know stays empty: a histogram over the logits of all tokens, aligned and
correlated neurons. Labels are not in these files; Neuronpedia takes explanations by another way.

Of an example's band a catalogue knows how strong its examples are, so `bin_min` and `bin_max` are
the weakest and strongest of them, and `bin_contains` the share of all tokens that the band covers
(`concepts/examples.py`: half as wide as the share of firings that are stronger).

Source: sae-dashboard 0.8.0, `neuronpedia/neuronpedia_dashboard.py`, `neuronpedia_converter.py` and
`neuronpedia_runner.py`.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from sparsepath.artifacts.catalogue import Catalogue
from sparsepath.artifacts.catalogue_schema import Context, NeuronCard
from sparsepath.artifacts.neuron import Neuron, Side, Site
from sparsepath.artifacts.store import folder_atomic, write_json_atomic
from sparsepath.errors import ConfigError

BATCH = 128
"""Features of a file, as SAEDashboard has them."""

TOP, TOP_BAND = -1.0, "top"
"""What stands for the bin of the strongest examples, and their band in a catalogue."""

SET_OF = "{site}-sparsepath"
"""Name of a set of features where none is given."""


class Exported(NamedTuple):
    """What was written of one site."""

    folder: Path
    n_features: int
    """Those that fire."""
    n_dead: int


def export_neuronpedia(
    catalogue: Catalogue, out: Path, *, model_id: str | None = None, set_name: str | None = None
) -> list[Exported]:
    """Write the dashboards of all neurons of a catalogue.

    Args:
        catalogue: open.
        out: a new folder; a folder for each layer and site in it.
        model_id: as Neuronpedia knows the model; None: the name of its folder.
        set_name: of the features; None: the site's with `-sparsepath` behind it.

    Raises:
        ConfigError: if the folder is there already.
        RunError: if the place may not be written to.
    """
    if out.exists():
        raise ConfigError(f"{out} is already there", hint="give a new folder")
    name = model_id or Path(catalogue.facts.model).resolve().name
    found = []
    with folder_atomic(out) as folder:
        for site, layers in catalogue.facts.layers.items():
            kind: Site = Neuron.parse(f"L00.{site}/0").site
            of_set = set_name or SET_OF.format(site=site.replace("_", "-"))
            for layer in layers:
                place = f"L{layer:02d}" + ("" if kind == "block_out" else f".{kind}")
                head = {"model_id": name, "layer": layer, "sae_set": of_set}
                written = _write_site(catalogue, folder / place, (layer, kind), head)
                found.append(written._replace(folder=out / place))
    return found


def _write_site(
    catalogue: Catalogue, folder: Path, place: tuple[int, Site], head: dict[str, Any]
) -> Exported:
    """Write the files of one site."""
    waiting: list[dict[str, Any]] = []
    dead, n, n_files = [], 0, 0
    for card in _cards(catalogue, *place):
        if card.is_dead:
            dead.append(_number(card, catalogue))
            continue
        waiting.append(feature_json(card, catalogue))
        n += 1
        if len(waiting) == BATCH:
            _write_batch(folder, n_files, head, waiting)
            waiting, n_files = [], n_files + 1
    if waiting:
        _write_batch(folder, n_files, head, waiting)
    skipped = head | {"layer": str(place[0]), "log_sparsity": None, "skipped_indexes": dead}
    write_json_atomic(folder / "skipped_indexes.json", skipped)
    return Exported(folder, n, len(dead))


def _write_batch(
    folder: Path, number: int, head: dict[str, Any], features: list[dict[str, Any]]
) -> None:
    content = head | {"sae_id_suffix": None, "features": features}
    write_json_atomic(folder / f"batch-{number}.json", content)


def _cards(catalogue: Catalogue, layer: int, site: Site) -> Iterator[NeuronCard]:
    """Read the neurons of a site in their order."""
    sides: tuple[Side, ...] = ("+", "-") if catalogue.facts.is_two_sided else ("",)
    for side in sides:
        for number in range(catalogue.facts.widths[site]):
            yield catalogue.card(Neuron(layer, site, number, side))


def _number(card: NeuronCard, catalogue: Catalogue) -> int:
    """Give the number of a feature; where each sign of an entry is one, those below zero follow."""
    neuron = card.line.neuron
    return neuron.number(catalogue.facts.widths[neuron.site])


def feature_json(card: NeuronCard, catalogue: Catalogue) -> dict[str, Any]:
    """Describe a neuron with the keys of `NeuronpediaDashboardFeature`."""
    facts, details, sign = catalogue.facts, card.details, card.line.neuron.sign
    low, high = sorted(sign * end for end in details.bounds)
    bars = details.histogram[::sign]
    width = (high - low) / len(details.histogram) or 1.0 / len(details.histogram)
    promotes, demotes = details.promotes or [], details.demotes or []
    empty: dict[str, Any] = {name: [] for name in _UNKNOWN}
    return empty | {
        "feature_index": _number(card, catalogue),
        "pos_str": [token for token, _ in promotes],
        "pos_values": [round(value, 3) for _, value in promotes],
        "neg_str": [token for token, _ in demotes],
        "neg_values": [round(value, 3) for _, value in demotes],
        "frac_nonzero": card.line.rate,
        "freq_hist_data_bar_values": [
            round(low + width * (bin_ + 0.5), 5) for bin_ in range(len(bars))
        ],
        "freq_hist_data_bar_heights": bars,
        "n_prompts_total": facts.n_tokens // facts.length,
        "n_tokens_in_prompt": facts.length,
        "dataset": facts.corpus,
        "activations": [_activation(context, card) for context in card.contexts],
    }


_UNKNOWN = (
    "neuron_alignment_indices",
    "neuron_alignment_values",
    "neuron_alignment_l1",
    "correlated_neurons_indices",
    "correlated_neurons_l1",
    "correlated_neurons_pearson",
    "correlated_features_indices",
    "correlated_features_l1",
    "correlated_features_pearson",
    "logits_hist_data_bar_heights",
    "logits_hist_data_bar_values",
    "decoder_weights_dist",
    "vector",
)
"""Keys whose content a catalogue does not have."""


def _activation(context: Context, card: NeuronCard) -> dict[str, Any]:
    """Describe an example with the keys of `NeuronpediaDashboardActivation`."""
    sign = card.line.neuron.sign
    low, high, share = TOP, sign * card.largest, TOP
    if context.band != TOP_BAND:
        values = [sign * each.value for each in card.contexts if each.band == context.band]
        low, high = min(values), max(values)
        share = card.line.rate * float(context.band.rstrip("%")) / 100 / 2
    return {
        "bin_min": low,
        "bin_max": high,
        "bin_contains": share,
        "tokens": list(context.texts),
        "values": [round(sign * value, 3) for value in context.values],
        "qualifying_token_index": context.at,
    }
