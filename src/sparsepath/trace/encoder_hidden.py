"""What passes the sites of a running classifier, layer by layer, without changing it.

As `hidden.py`, for encoders: a hook reads what a site hands on, in a sparse layer what it kept, in
a dense one everything. Layers have the numbers of the model's first ancestor, so that they mean the
same in a cut model.

Read with: `models/topk_classifier.py` (which sites are sparse).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from sparsepath.artifacts.neuron import SITES, Site
from sparsepath.errors import ConfigError
from sparsepath.models.classifier import SITES as ENCODER_SITES
from sparsepath.models.classifier import PathwayClassifier
from sparsepath.models.families import encoder_layers, encoder_sites
from sparsepath.models.topk_classifier import sparse_sites
from sparsepath.trace.hidden import Seen, SitePlace


def sparse_encoder_places(model: PathwayClassifier, sites: Sequence[Site] = ()) -> list[SitePlace]:
    """List the sparse sites of a classifier by site and layer; none of a dense one.

    Args:
        model: a classifier.
        sites: wanted ones; empty: all that are sparse somewhere.

    Raises:
        ConfigError: if a wanted site is sparse nowhere in a sparse model.
    """
    numbers = _numbers(model)
    found = [
        SitePlace(numbers[each.layer], _site(each.site), each.topk.width, each.topk.k)
        for each in sparse_sites(model)
    ]
    known = [site for site in SITES if any(place.site == site for place in found)]
    missing = [site for site in sites if site not in known]
    if found and missing:
        raise ConfigError(
            f"the model is not sparse at {missing[0]}",
            hint=f"choose among its sparse sites: {', '.join(known)}",
        )
    wanted = [place for place in found if not sites or place.site in sites]
    return sorted(wanted, key=lambda place: (SITES.index(place.site), place.layer))


def dense_encoder_places(model: PathwayClassifier, sites: Sequence[Site]) -> list[SitePlace]:
    """List sites of a dense classifier, in every layer.

    Args:
        model: a classifier.
        sites: wanted ones.

    Raises:
        ConfigError: if an encoder has no such site.
    """
    missing = [site for site in sites if site not in ENCODER_SITES]
    if missing:
        raise ConfigError(
            f"an encoder has no site {missing[0]!r}",
            hint=f"its sites are {', '.join(ENCODER_SITES)}",
        )
    body = encoder_sites(model.encoder)
    found = []
    for site in sites:
        for number, layer in zip(_numbers(model), body.layers, strict=True):
            hidden = site == "mlp_hidden"
            width = layer.n_neurons if hidden else body.embedding.embedding_dim
            found.append(SitePlace(number, site, width, width))
    return found


@contextmanager
def watch_encoder(
    model: PathwayClassifier, places: Sequence[SitePlace], seen: Seen
) -> Iterator[None]:
    """Call `seen` with what passes each place, in every pass while the context lasts.

    Args:
        model: a classifier; it is left as it was.
        places: of this model.
        seen: must not change what it is given.
    """
    numbers = _numbers(model)
    layers, parts = encoder_layers(model.encoder), encoder_sites(model.encoder).layers
    handles = []
    try:
        for place in places:
            at = numbers.index(place.layer)
            handles.append(_hook(layers[at], parts[at].mlp_out, place, seen))
        yield
    finally:
        for handle in handles:
            handle.remove()


def _hook(layer: nn.Module, mlp_out: nn.Module, place: SitePlace, seen: Seen) -> RemovableHandle:
    """Look at a site; hooks that came earlier have kept its largest entries by then."""

    def goes_in(_module: nn.Module, inputs: tuple[Any, ...]) -> None:
        seen(place, inputs[0])

    def comes_out(_module: nn.Module, _inputs: tuple[Any, ...], output: Tensor) -> None:
        seen(place, output)

    if place.site == "mlp_hidden":
        return mlp_out.register_forward_pre_hook(goes_in)
    return layer.register_forward_hook(comes_out)


def _numbers(model: PathwayClassifier) -> list[int]:
    """Give the numbers of the present layers."""
    return [int(layer["source"]) for layer in model.config.layers]


def _site(name: str) -> Site:
    """Name a site of an encoder."""
    return "mlp_hidden" if name == "mlp_hidden" else "block_out"
