"""Options of the metrics of features: the one home of their defaults and limits; needs no torch."""

from dataclasses import dataclass
from pathlib import Path

from sparsepath.artifacts.feature_metrics import Metric
from sparsepath.artifacts.neuron import Site
from sparsepath.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class MeasureOptions:
    """What is measured, and how."""

    metrics: tuple[Metric, ...] = ()
    """Which; empty: all that the data allow."""

    sites: tuple[Site, ...] = ()
    """Where; empty: `block_out` where it is sparse or the model is dense, else every sparse
    site."""

    layers: tuple[int, ...] = ()
    """Which, from 0; empty: all."""

    dense_k: int | None = None
    """Of a dense model, take the so many largest entries of each hidden state as its features;
    None: all of them."""

    autoencoder: Path | None = None
    """Folder of a sparse autoencoder over the model, whose latents are measured instead."""

    text_column: str | None = None
    """Of the table; None: found."""

    label_column: str | None = None
    """Of the table; None: found."""

    attribute: str | None = None
    """Column of a second label, for `scr` (there it is the spurious one) and `disentanglement`."""

    rows: int = 4000
    """Rows of the table at most, drawn by label."""

    tokens: int = 20_000
    """Tokens at most that `sparsity` and `loss-recovered` read of a corpus."""

    length: int = 128
    """Tokens of a text at most."""

    test_share: float = 0.25
    """Share of the rows that figures are measured on, and nothing chosen on."""

    ks: tuple[int, ...] = (1, 2, 5)
    """Numbers of features for `sparse-probing`."""

    ns: tuple[int, ...] = (2, 5, 10, 20)
    """Numbers of removed features for `tpp` and `scr`."""

    seed: int = 0
    """Draws rows, controls and intervals."""

    def __post_init__(self) -> None:
        """Check the settings.

        Raises:
            ConfigError: if one is out of range.
        """
        if self.length < 2 or self.tokens < self.length:
            raise ConfigError(
                f"tokens = {self.tokens}, length = {self.length}",
                hint="read texts of 2 tokens or more, and one of them at least",
            )
        if self.autoencoder is not None and (self.sites or self.layers or self.dense_k):
            raise ConfigError(
                "sites, layers or dense_k beside an autoencoder",
                hint="leave --site, --layer and --dense-k out; the autoencoder has its own",
            )
        if not 0 < self.test_share < 1:
            raise ConfigError(
                f"test_share = {self.test_share}", hint="choose a share between 0 and 1"
            )
        few = [n for n in (*self.ks, *self.ns, self.rows) if n < 1]
        if few:
            raise ConfigError(f"{few[0]} features or rows", hint="choose at least 1")
