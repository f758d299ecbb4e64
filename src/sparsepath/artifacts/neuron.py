"""The name of a neuron of a language model: its layer, its site and its number.

`L02/117` is entry 117 of the residual stream after block 2, `L02.M0117` MLP neuron 117 of that
block, `L02.attn_in/117` entry 117 at another site. Layers and entries count from 0. Where entries
are kept by magnitude the two signs of an entry mean different things: `L02/117+` is the neuron that
fires where the entry is above zero, `L02/117-` the one that fires where it is below.
"""

import re
from typing import Literal, NamedTuple, get_args

from sparsepath.errors import ConfigError

Site = Literal["block_out", "attn_in", "attn_out", "mlp_in", "mlp_hidden"]
"""A named place in a block whose entries can be read, made sparse or edited."""

SITES: tuple[Site, ...] = get_args(Site)
"""All sites."""

IN_ORDER: tuple[Site, ...] = ("attn_in", "attn_out", "mlp_in", "mlp_hidden", "block_out")
"""All sites as a block computes them."""

Side = Literal["", "+", "-"]
"""The sign of an entry for which a neuron stands; empty: both."""

_NAME = re.compile(
    r"L(?P<layer>\d{1,4})(?:\.M(?P<mlp>\d{1,7})|(?:\.(?P<site>[a-z_]+))?/(?P<index>\d{1,7}))"
    r"(?P<side>[+-]?)"
)


class Neuron(NamedTuple):
    """One neuron; sorted by layer, site, number and side."""

    layer: int
    site: Site
    index: int  # type: ignore[assignment]  # a tuple has a method of that name
    side: Side = ""

    @property
    def name(self) -> str:
        """The name, as in `L02/117`."""
        if self.site == "mlp_hidden":
            return f"L{self.layer:02d}.M{self.index:04d}{self.side}"
        place = "" if self.site == "block_out" else f".{self.site}"
        return f"L{self.layer:02d}{place}/{self.index}{self.side}"

    @property
    def entry(self) -> "Neuron":
        """The same with both signs."""
        return self._replace(side="")

    @property
    def sign(self) -> int:
        """-1 where it stands for values below zero, else 1."""
        return -1 if self.side == "-" else 1

    def number(self, width: int) -> int:
        """Give its number where both signs of a site of that width are counted in one row.

        Entries above zero come first, then those below.
        """
        return self.index + (width if self.side == "-" else 0)

    @classmethod
    def parse(cls, name: str) -> "Neuron":
        """Read a name.

        Args:
            name: such as `L02/117`, `L02.M0117`, `L02.attn_in/117`, `L02/117-`.

        Raises:
            ConfigError: if it is none.
        """
        found = _NAME.fullmatch(name.strip())
        if found is None or found["site"] not in (None, *SITES):
            raise ConfigError(
                f"{name!r} names no neuron",
                hint="write L02/117 for the residual stream after block 2, L02.M0117 for an MLP "
                f"neuron, or L02.SITE/117 with a site of {', '.join(SITES)}",
            )
        side: Side = next(s for s in get_args(Side) if s == found["side"])
        if found["mlp"] is not None:
            return cls(int(found["layer"]), "mlp_hidden", int(found["mlp"]), side)
        site: Site = next((s for s in SITES if s == found["site"]), "block_out")
        return cls(int(found["layer"]), site, int(found["index"]), side)

    @property
    def order(self) -> tuple[int, int]:
        """Where a model computes it: what is smaller is known before."""
        return self.layer, IN_ORDER.index(self.site)


def place_name(layer: int, site: Site) -> str:
    """Name a layer's site: `L02` for the residual stream after block 2, else `L02.SITE`."""
    return f"L{layer:02d}" + (f".{site}" if site != "block_out" else "")


def read_place(name: str) -> tuple[int, Site]:
    """Read the name of a layer's site: `L02` for the residual stream after block 2, `L02.SITE`.

    Raises:
        ConfigError: if it is none.
    """
    found = re.fullmatch(r"L(\d{1,4})(?:\.([a-z_]+))?", name.strip())
    if found is None or found[2] not in (None, *SITES):
        raise ConfigError(
            f"{name!r} names no site",
            hint="write L02 for the residual stream after block 2, or L02.SITE with a site of "
            f"{', '.join(SITES)}",
        )
    return int(found[1]), next((site for site in SITES if site == found[2]), "block_out")
