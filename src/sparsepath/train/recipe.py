"""A recipe: a TOML file that describes one training completely.

Every key has its home here, with its default and its limits. `--set part.key=value` on the command
line, read as TOML, changes one key.
"""

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sparsepath.artifacts.neuron import Site
from sparsepath.errors import ConfigError
from sparsepath.nn.sampling import Mode
from sparsepath.nn.topk import Annealing, By, KSchedule
from sparsepath.train.schedule import KeepSchedule, RateSchedule, Shape

Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]


TaskName = Literal[
    "language-model", "image-classification", "text-classification", "molecule-regression"
]
"""What can be learnt."""

FRESH: tuple[TaskName, ...] = ("language-model", "image-classification", "molecule-regression")
"""Tasks whose model has fresh weights."""

SPLIT: tuple[TaskName, ...] = ("image-classification", "molecule-regression")
"""Tasks whose rows are split by numbers of rows."""

ONLY_FOR: dict[str, tuple[TaskName, ...]] = {
    "data.length": ("language-model", "text-classification"),
    "data.test": ("text-classification",),
    "data.text_column": ("text-classification",),
    "data.label_column": ("text-classification",),
    "model.is_classifier": ("text-classification",),
    "model.base": ("text-classification", "language-model"),
    "model.d_model": FRESH,
    "model.n_layers": FRESH,
    "model.n_heads": FRESH,
    "model.d_mlp": FRESH,
    "data.held_out": ("language-model",),
    "data.column": ("language-model",),
    "data.subset": ("language-model",),
    "data.split": ("language-model",),
    "data.train_rows": SPLIT,
    "data.held_out_rows": SPLIT,
    "data.augment": ("image-classification",),
    "tokenizer.file": ("language-model",),
    "tokenizer.size": ("language-model",),
    "model.n_kv_heads": ("language-model",),
    "topk.sites": ("language-model", "text-classification"),
    "topk.dense_first": ("text-classification",),
    "topk.positive": ("language-model",),
    "topk.always_on": ("language-model",),
    "topk.straight_through": ("language-model",),
    "model.patch": ("image-classification",),
    "model.dropout": SPLIT,
    "model.d_edge": ("molecule-regression",),
    "train.evaluate_rows": ("language-model",),
    "train.distil": ("language-model", "text-classification"),
    "train.rank": ("language-model",),
}
"""Keys that have an effect in some tasks only; elsewhere they are refused."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class DataPart(_Part):
    """What is read."""

    source: str = "stdlib"
    """For a language model `stdlib`, the path of a text file, a JSON-lines file, a parquet file or
    a folder of them, or `datasets:` and the id of a dataset of the hub (or a folder of one), which
    is streamed; for images `digits`, or the path of an .npz file with arrays `images` and
    `labels`; for texts `stdlib` (its docstrings, by area), or the path of a labelled table; for
    molecules `nci`, or the path of a csv file of SMILES and numbers."""

    column: str = "text"
    """Language model: key or column of the text in JSON lines, parquet files and datasets."""

    subset: str | None = None
    """Language model: of a dataset, such as `20231101.en`."""

    split: str = "train"
    """Language model: part of a dataset that is read."""

    test: Path | None = None
    """Texts: a second table that is the test set. Left out: a share of `source`."""

    text_column: str | None = None
    """Texts: column of the texts. Left out: found."""

    label_column: str | None = None
    """Texts: column of the labels. Left out: found."""

    length: Annotated[int, Field(ge=2)] = 256
    """Tokens of a row of a language model; of a text that is labelled, at most."""

    held_out: Annotated[float, Field(gt=0, lt=1)] = 0.02
    """Language model: share of the documents that is only evaluated on."""

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
    weights."""

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
    """Sparse hidden states of a language model, or of a classifier that is gone on from."""

    sites: dict[Site, Count] = {}
    """Entries that are kept, by site: `block_out`, `attn_in`, `attn_out`, `mlp_in` and
    `mlp_hidden`; a text classifier has `block_out` and `mlp_hidden`."""

    by: By = "value"
    """What is largest: the `value`, or its `magnitude`."""

    positive: bool = False
    """Language model: whether kept entries below zero become zero."""

    always_on: Annotated[int, Field(ge=0)] = 0
    """Language model: first entries of each hidden state, kept beside the others."""

    dense_layers: Annotated[int, Field(ge=0)] = 1
    """Last layers without any sparse site."""

    dense_first: Annotated[int, Field(ge=0)] = 0
    """Texts: first layers without any sparse site."""

    straight_through: bool = False
    """Language model: whether gradients pass to entries that were dropped."""

    revive: Annotated[float, Field(ge=0)] = 0.0
    """Weight of an additional loss: what entries that no row of a step keeps lack to be kept. Above
    0 it brings dead neurons back; 0.03 is a beginning."""

    shape: Annealing = "linear"
    """How the number of kept entries falls from all of them: `linear`, `cosine`, or `none`."""

    share: Share = 0.3
    """Share of the steps over which it falls."""

    @property
    def schedule(self) -> KSchedule:
        """The number of kept entries over the steps."""
        return KSchedule(shape=self.shape, share=self.share)


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
    """Language model: held-out rows of a look, at most."""

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
    train: TrainPart = TrainPart()


def read_recipe(path: Path, changes: Sequence[str] = ()) -> Recipe:
    """Read and check a recipe.

    Args:
        path: a TOML file.
        changes: `part.key=value` each, the value as in TOML; a bare word counts as text.

    Raises:
        ConfigError: if the file cannot be read, or a key or value is not known.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as err:
        raise ConfigError(
            f"the recipe {path} cannot be read ({err})", hint="give the path of a TOML file"
        ) from err
    except tomllib.TOMLDecodeError as err:
        raise ConfigError(f"{path} is no TOML: {err}", hint="correct that line") from err
    for change in changes:
        change_content(content, change)
    return check_recipe(content, str(path))


def check_recipe(content: dict[str, Any], name: str) -> Recipe:
    """Turn plain values into a recipe.

    Args:
        content: as TOML or JSON gives it.
        name: of its source, for messages.

    Raises:
        ConfigError: if a key or value is not known, or out of range.
    """
    try:
        recipe = Recipe.model_validate(content)
    except ValidationError as err:
        problem = err.errors()[0]
        where = ".".join(str(part) for part in problem["loc"])
        raise ConfigError(
            f"{name}: {where or 'the recipe'}: {problem['msg']} (met {problem.get('input')!r})",
            hint="see the keys of a recipe in the reference, docs/reference/recipe.md",
        ) from err
    _ = recipe.subsampling.schedule, recipe.train.schedule  # they check their shares
    for key, tasks in ONLY_FOR.items():
        part, field = key.split(".")
        if field in getattr(recipe, part).model_fields_set and recipe.task not in tasks:
            raise ConfigError(
                f"{name}: {key} has no effect on {recipe.task}", hint=f"leave {key} out"
            )
    if recipe.train.sharding == "full" and recipe.train.optimizer == "muon":
        raise ConfigError(
            f"{name}: train.sharding = 'full' with train.optimizer = 'muon', which needs whole "
            "matrices",
            hint="use adamw, or leave sharding out",
        )
    if recipe.task == "language-model":
        _check_base(recipe, name)
    if recipe.task == "text-classification":
        _check_classifier(recipe, name)
    if recipe.train.batch_size % recipe.train.accumulate:
        raise ConfigError(
            f"train.batch_size = {recipe.train.batch_size} with train.accumulate = "
            f"{recipe.train.accumulate}",
            hint="let accumulate divide batch_size",
        )
    return recipe


SHAPE = ("d_model", "n_layers", "n_heads", "n_kv_heads", "d_mlp")
"""Keys that say nothing where `model.base` does."""


def _check_base(recipe: Recipe, name: str) -> None:
    """See that a language model is either fresh or another one's, not both.

    Raises:
        ConfigError: if keys contradict each other.
    """
    if recipe.model.base is None:
        if recipe.train.distil or recipe.train.rank:
            key = "distil" if recipe.train.distil else "rank"
            raise ConfigError(f"{name}: train.{key} without model.base", hint="name the model")
        return
    given = [key for key in SHAPE if key in recipe.model.model_fields_set]
    if given:
        raise ConfigError(
            f"{name}: model.{given[0]} has no effect beside model.base",
            hint=f"leave model.{given[0]} out",
        )


def _check_classifier(recipe: Recipe, name: str) -> None:
    """See that only a classifier that is gone on from becomes sparse or has a teacher.

    Raises:
        ConfigError: if a key needs one and there is none.
    """
    if recipe.model.is_classifier:
        if recipe.model.base is None:
            raise ConfigError(
                f"{name}: model.is_classifier without model.base", hint="name the classifier"
            )
        return
    for key, is_set in (("topk.sites", recipe.topk.sites), ("train.distil", recipe.train.distil)):
        if is_set:
            raise ConfigError(
                f"{name}: {key} needs a classifier that is gone on from",
                hint="name one by model.base and set model.is_classifier = true",
            )


def change_content(content: dict[str, Any], change: str) -> None:
    """Set one key of nested tables.

    Args:
        content: changed in place.
        change: `part.key=value`, the value as in TOML; a bare word counts as text.

    Raises:
        ConfigError: if `change` has another form.
    """
    name, sign, text = change.partition("=")
    if not sign or not name.strip():
        raise ConfigError(f"--set {change}", hint="write it as part.key=value")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    *parts, key = name.strip().split(".")
    table = content
    for part in parts:
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            raise ConfigError(f"--set {change}: {part} is no table", hint="see the recipe's parts")
    table[key] = value
