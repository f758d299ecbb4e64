"""Options of a catalogue, their defaults and limits: the one home of each; needs no torch."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue, TypeAdapter

from sparsepath.artifacts.neuron import Site
from sparsepath.errors import ConfigError

ROW_TOKENS = 128
"""Tokens of a row where nothing else is asked for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CatalogueOptions:
    """How the neurons of a language model are catalogued."""

    sites: tuple[Site, ...] = ()
    """Where; empty: `block_out` where it is sparse, else every sparse site."""

    layers: tuple[int, ...] = ()
    """Which, from 0; empty: all that have the sites."""

    tokens: int | None = 1_000_000
    """Tokens of the corpus that are read, at most; None: all."""

    length: int | None = None
    """Tokens of a row; None: `ROW_TOKENS`, or what the model reads where that is less."""

    held_out: float = 0.2
    """Share of the documents on which labels are judged and never found, between 0 and 1."""

    dense_k: int | None = None
    """Of a dense model, take the so many largest entries of each hidden state as kept; of an
    autoencoder with thresholds, the so many strongest latents."""

    autoencoder: Path | None = None
    """Folder of a sparse autoencoder over the model; its latents take the place of neurons."""

    vectors: bool = True
    """Whether labels get vectors for search by meaning."""

    text_column: str | None = None
    """Of a table for a classifier: its column of texts; None: found."""

    label_column: str | None = None
    """The same of its labels; None: found where there is one."""

    processes: int = 1
    """That the model reads the corpus in, at least 1; the catalogue is the same."""

    ray: str | None = None
    """Address of a Ray cluster on which it does, or `local` for one of this machine only; with one
    process there are as many tasks as the cluster has processors. None: no cluster."""

    @property
    def columns(self) -> dict[str, str | None]:
        """Columns of a table."""
        return {"text": self.text_column, "label": self.label_column}

    def decide(self) -> dict[str, JsonValue]:
        """Give the options that decide what is in a catalogue, not who makes it."""
        given: dict[str, JsonValue] = TypeAdapter(CatalogueOptions).dump_python(self, mode="json")
        return {name: value for name, value in given.items() if name not in ("processes", "ray")}

    def __post_init__(self) -> None:
        """Check the settings.

        Raises:
            ConfigError: if one is out of range.
        """
        if self.length is not None and self.length < 2:
            raise ConfigError(f"length = {self.length}", hint="use rows of at least 2 tokens")
        if self.tokens is not None and self.tokens < (self.length or ROW_TOKENS):
            raise ConfigError(
                f"tokens = {self.tokens} with rows of {self.length or ROW_TOKENS}",
                hint="read more tokens",
            )
        if self.processes < 1:
            raise ConfigError(f"processes = {self.processes}", hint="give 1 or more")
        given = [*(f"site {site}" for site in self.sites), *(f"layer {n}" for n in self.layers)]
        if self.autoencoder is not None and given:
            raise ConfigError(
                f"{given[0]} beside an autoencoder",
                hint="leave --site and --layer out; the autoencoder has its own",
            )
        if not 0 < self.held_out < 1:
            raise ConfigError(
                f"held_out = {self.held_out}", hint="choose a share between 0 and 1, such as 0.2"
            )
