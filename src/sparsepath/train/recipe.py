"""A recipe: a TOML file that describes one training completely.

Every key has its home here, with its default and its limits. Read with: `recipe_file.py` (reading
and checking one).
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sparsepath.artifacts.neuron import Site
from sparsepath.nn.sampling import Mode
from sparsepath.nn.topk import Annealing, By, KSchedule
from sparsepath.train.schedule import KeepSchedule, RateSchedule, Shape

Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]


TaskName = Literal[
    "language-model",
    "image-classification",
    "text-classification",
    "molecule-regression",
    "sparse-autoencoder",
]
"""What can be learnt."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class DataPart(_Part):
    """What is read."""

    source: str = "stdlib"
    """For a language model, or an autoencoder over one, `stdlib`, the path of a text file, a
    JSON-lines file, a parquet file or a folder of them, or `datasets:` and the id of a dataset of
    the hub (or a folder of one), which is streamed; for images `digits`, or the path of an .npz
    file with arrays `images` and `labels`; for texts `stdlib` (its docstrings, by area), or the
    path of a labelled table; for molecules `nci`, or the path of a csv file of SMILES and
    numbers."""

    column: str = "text"
    """Of a corpus: key or column of the text in JSON lines, parquet files and datasets."""

    subset: str | None = None
    """Of a corpus: of a dataset, such as `20231101.en`."""

    split: str = "train"
    """Of a corpus: part of a dataset that is read."""

    test: Path | None = None
    """Texts: a second table that is the test set. Left out: a share of `source`."""

    text_column: str | None = None
    """Texts: column of the texts. Left out: found."""

    label_column: str | None = None
    """Texts: column of the labels. Left out: found."""

    length: Annotated[int, Field(ge=2)] = 256
    """Tokens of a row of a language model; of a text that is labelled, at most."""

    held_out: Annotated[float, Field(gt=0, lt=1)] = 0.02
    """Of a corpus: share of the documents that is only evaluated on."""

    train_rows: Count = 500
    """Images and molecules: rows that weights are fitted on."""

    held_out_rows: Count = 300
    """Images and molecules: rows that choices may look at; all others are test rows."""

    augment: Literal["none", "shift", "shift-flip"] = "none"
    """Images: whether training images move by up to an eighth, and are mirrored."""


class TokenizerPart(_Part):
    """How text becomes tokens."""

    file: Path | None = None
    """A `tokenizer.json`. Left out: a byte-level BPE is made from the corpus."""

    size: Count = 4096
    """Tokens of one that is made."""


class ModelPart(_Part):
    """The model to train: with fresh weights, but for texts, where an encoder is fine-tuned."""

    base: str | None = None
    """Texts: id or folder of the encoder. Left out: the default small one. Language model: id or
    folder of a model of the Llama kind to go on from, with its tokenizer; left out: fresh
    weights. Sparse autoencoder: id or folder of the language model, or the folder of its training;
    needed."""

    is_classifier: bool = False
    """Texts: whether `base` labels texts already and is gone on from, with its head and labels.
    Otherwise it is an encoder that gets a fresh classifier."""

    d_model: Count = 256
    """Width of the residual stream."""

    n_layers: Count = 4
    """Layers."""

    n_heads: Count = 4
    """Query heads."""

    n_kv_heads: Count = 4
    """Language model: key and value heads."""

    d_mlp: Count = 704
    """Neurons of each MLP."""

    patch: Count = 2
    """Images: side of a patch, in pixels."""

    dropout: Share = 0.0
    """Images and molecules: share of the entries of hidden states that training drops."""

    d_edge: Count = 16
    """Molecules: width of the channels of a pair of atoms."""


class SubsamplingPart(_Part):
    """Subsampled attention. `keep = 1.0` is a dense training."""

    keep: float = 1.0
    """Share of the sources that attention keeps, above 0 and up to 1."""

    keep_last: float | None = None
    """Share at the end of the subsampled steps, reached along a straight line. Left out: `keep`."""

    dense: Share = 0.15
    """Share of the steps, the last ones, that are dense."""

    mode: Mode = "uniform"
    """How sources are drawn: `uniform`, `local` or `stratified`."""

    spread: float | None = None
    """For `local`: how far sources move, in positions. Left out: half a window."""

    per_example: bool = True
    """Whether each row has a set of its own."""

    per_head: bool = False
    """Whether each key head has a set of its own."""

    @property
    def schedule(self) -> KeepSchedule:
        """The share over the steps."""
        return KeepSchedule(keep=self.keep, keep_last=self.keep_last, dense=self.dense)


class TopKPart(_Part):
    """Sparse hidden states; in texts only of a classifier that is gone on from."""

    sites: dict[Site, Count] = {}
    """Entries that are kept, by site: `block_out`, `attn_in`, `attn_out`, `mlp_in` and
    `mlp_hidden`; models of texts, images and molecules have `block_out` and `mlp_hidden`."""

    by: By | dict[Site, By] = "value"
    """What is largest: the `value`, or its `magnitude`; for all sites, or by site."""

    positive: bool = False
    """All but texts: whether kept entries below zero become zero."""

    always_on: Annotated[int, Field(ge=0)] = 0
    """All but texts: first entries of each hidden state, kept beside the others."""

    dense_layers: Annotated[int, Field(ge=0)] = 1
    """Last layers without any sparse site."""

    dense_first: Annotated[int, Field(ge=0)] = 0
    """Texts: first layers without any sparse site."""

    straight_through: bool = False
    """All but texts: whether gradients pass to entries that were dropped."""

    revive: Annotated[float, Field(ge=0)] = 0.0
    """Weight of an additional loss: what entries that no row of a step keeps lack to be kept. Above
    0 it brings dead neurons back; 0.03 is a beginning."""

    shape: Annealing = "linear"
    """How the number of kept entries falls from all of them: `linear`, `cosine`, or `none`."""

    share: Share = 0.3
    """Share of the steps over which it falls."""

    def by_of(self, site: Site) -> By:
        """Give what is largest at a site."""
        return self.by if isinstance(self.by, str) else self.by.get(site, "value")

    @model_validator(mode="after")
    def _rules_have_sites(self) -> "TopKPart":
        ruled = set() if isinstance(self.by, str) else set(self.by)
        if dense := sorted(ruled - set(self.sites)):
            raise ValueError(f"`topk.by` names {dense[0]}, which `topk.sites` does not")
        return self

    @property
    def schedule(self) -> KSchedule:
        """The number of kept entries over the steps."""
        return KSchedule(shape=self.shape, share=self.share)

    @property
    def keywords(self) -> dict[str, Any]:
        """What a sparse model's configuration is told; nothing for a dense model."""
        if not self.sites:
            return {}
        return {
            "topk": dict(self.sites),
            "topk_by": self.by if isinstance(self.by, str) else dict(self.by),
            "topk_positive": self.positive,
            "n_always_on": self.always_on,
            "n_dense_layers": self.dense_layers,
            "straight_through": self.straight_through,
        }


class AutoencoderPart(_Part):
    """A sparse autoencoder over one site of a language model, `model.base`, which stays."""

    layer: Annotated[int, Field(ge=0)] | None = None
    """Layer of the site, from 0. Left out: the middle one."""

    site: Site = "block_out"
    """The site; the names are those of `topk.sites`."""

    latents: Count = 1024
    """Directions that are learnt."""

    k: Count = 32
    """Latents that a token keeps."""

    revive: Annotated[float, Field(ge=0)] = 0.03125
    """Weight of an additional loss (AuxK): how badly dead latents explain what is left over. 0
    leaves dead latents dead."""

    revive_k: Count | None = None
    """Dead latents that may explain it together. Left out: half as many as the site has entries."""

    dead_after: Count = 250_000
    """Tokens without firing after which a latent counts as dead in training."""


class TrainPart(_Part):
    """How weights are moved, and what is kept of it."""

    steps: Count = 1000
    """Steps of the optimiser."""

    batch_size: Count = 16
    """Rows of a step, over all processes and accumulated parts."""

    accumulate: Count = 1
    """Parts into which a step's rows are cut; less memory, the same result."""

    optimizer: Literal["adamw", "muon"] = "adamw"
    """`muon` moves the matrices of the layers; what is left is AdamW's."""

    rate: Positive = 1e-3
    """Highest learning rate of AdamW."""

    muon_rate: Positive = 0.02
    """Highest learning rate of Muon."""

    shape: Shape = "cosine"
    """How the rate falls: `cosine`, `wsd` or `constant`."""

    warmup: Share = 0.05
    """Share of the steps over which the rate rises."""

    decay: Share = 0.2
    """For `wsd`: share of the steps, the last ones, over which the rate falls."""

    last: Share = 0.1
    """Where the rate ends, as a share of the highest."""

    weight_decay: Annotated[float, Field(ge=0)] = 0.1
    """Decoupled weight decay of matrices; vectors have none."""

    clip_norm: Positive = 1.0
    """Largest norm of the gradient."""

    distil: Share = 0.0
    """Share of the loss that is the distance to what `model.base` says, a language model or a
    classifier that is gone on from; the rest is that to the text, or to the labels."""

    rank: Annotated[int, Field(ge=0)] = 0
    """Language model: above 0, the maps of `model.base` change by so low a rank and all else stays
    (LoRA)."""

    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """`auto` is bf16 where an accelerator has it, else fp32."""

    sharding: Literal["none", "full"] = "none"
    """`full` spreads weights, gradients and moments over the processes (FSDP2), for models that do
    not fit into one; with `adamw` only."""

    checkpoint_activations: bool = False
    """Compute activations again in the backward pass instead of keeping them."""

    checkpoint_every: Count = 200
    """Steps between two checkpoints."""

    keep_checkpoints: Count = 2
    """Checkpoints that stay; older ones are deleted."""

    evaluate_every: Count = 200
    """Steps between two looks at held-out rows, which are dense."""

    evaluate_rows: Count = 64
    """Of a corpus: held-out rows of a look, at most."""

    tensorboard: bool = False
    """Whether the numbers of `train.jsonl` are also written for TensorBoard, which the extra
    `tensorboard` installs."""

    diverged: Positive = 3.0
    """Nats by which the loss may rise above its lowest running mean before the training stops."""

    @property
    def schedule(self) -> RateSchedule:
        """The rate over the steps."""
        return RateSchedule(shape=self.shape, warmup=self.warmup, decay=self.decay, last=self.last)


class Recipe(_Part):
    """One training."""

    task: TaskName
    """What is learnt."""

    seed: int = 0
    """Of weights, rows and sources."""

    data: DataPart = DataPart()
    tokenizer: TokenizerPart = TokenizerPart()
    model: ModelPart = ModelPart()
    subsampling: SubsamplingPart = SubsamplingPart()
    topk: TopKPart = TopKPart()
    autoencoder: AutoencoderPart = AutoencoderPart()
    train: TrainPart = TrainPart()
