"""Options of the main job, their defaults and limits: the one home of each.

The command line shows these defaults and forwards the values; nothing else repeats them.
Everything is checked here, before any file is opened or model loaded.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sparsepath.errors import ConfigError

Language = Literal["en", "ja"]
"""Languages of the report."""

TrainingMode = Literal["dense", "ssa"]
"""Ways to fine-tune the full model of a PoC."""

LANGUAGES: tuple[Language, ...] = ("en", "ja")
"""Every `Language`, the default first."""

SMALLEST_MINUTES = 0.5
"""Below this not even one sub-model can be trained, extracted and measured."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PocOptions:
    """What `sparsepath poc` was asked to do; the run folder keeps a copy."""

    data: Path | None
    """Table or folder of labelled texts. None means the built-in demo data."""

    out: Path
    """Run folder. The same options with the same folder go on where they stopped."""

    test: Path | None = None
    """A second table that is the test set. None means a share of `data`."""

    text_column: str | None = None
    """Name of the column with the text. None means: find it."""

    label_column: str | None = None
    """Name of the column with the label. None means: find it."""

    group_column: str | None = None
    """Name of a column whose equal cells keep rows on one side of the split. None: no groups."""

    model: str | None = None
    """Hugging Face id or folder of the encoder. None means the default small one."""

    minutes: float = 15.0
    """Wall time for everything, in minutes."""

    lang: Language = "en"
    """Language of the report."""

    seed: int = 0
    """Seed of the split, of training and of every random control."""

    threads: int = 1
    """Threads of every measured engine. Training always uses all cores."""

    target_latency_ms: float | None = None
    """Recommend only candidates at most this slow per text (median), in milliseconds."""

    target_size_mb: float | None = None
    """Recommend only candidates whose files take at most this much, in 10^6 bytes."""

    min_accuracy: float | None = None
    """Recommend only candidates at least this accurate on validation rows, a share of 1."""

    train: TrainingMode = "dense"
    """How the full model is fine-tuned: `dense`, or `ssa`, with subsampled attention first, which
    adds a self-ensemble to the candidates."""
    allow_custom_code: bool = False
    """Run Python code that comes inside the base model's folder."""

    def __post_init__(self) -> None:
        """Reject impossible values before any work is done."""
        if not (math.isfinite(self.minutes) and self.minutes >= SMALLEST_MINUTES):
            raise ConfigError(
                f"--minutes {self.minutes:g} is too short to train and measure anything",
                hint=f"give at least --minutes {SMALLEST_MINUTES:g}; 15 is the usual choice",
            )
        if self.lang not in LANGUAGES:
            raise ConfigError(
                f"no report language {self.lang!r}", hint=f"use one of {', '.join(LANGUAGES)}"
            )
        if self.threads < 1:
            raise ConfigError(f"--threads {self.threads} is not a count", hint="use --threads 1")
        if not 0 <= self.seed < 2**32:
            raise ConfigError(
                f"--seed {self.seed} is out of range", hint="use a whole number from 0 to 2^32 - 1"
            )
        self._check_targets()

    def _check_targets(self) -> None:
        """Reject constraints that no candidate can meet by their meaning alone."""
        for option, value, unit in (
            ("--target-latency-ms", self.target_latency_ms, "milliseconds"),
            ("--target-size-mb", self.target_size_mb, "megabytes"),
        ):
            if value is not None and not (math.isfinite(value) and value > 0):
                raise ConfigError(
                    f"{option} {value:g} is not a positive number",
                    hint=f"give a number of {unit} above 0, or leave the option out",
                )
        if self.min_accuracy is not None and not 0 < self.min_accuracy <= 1:
            raise ConfigError(
                f"--min-accuracy {self.min_accuracy:g} is not a share between 0 and 1",
                hint="0.93 means 93 % of the test rows right",
            )


def default_run_folder(data: Path | None) -> Path:
    """Name the run folder after the data, so that the same command finds it again.

    Args:
        data: Path of the table, or None for the demo data.

    Returns:
        `runs/<name of the data without its endings>`, relative to the current folder.
    """
    if data is None:
        return Path("runs") / "demo"
    stem = data.resolve().name.split(".")[0]
    return Path("runs") / (stem or "data")


SamplingMode = Literal["uniform", "local", "stratified"]
"""How subsampled attention draws its sources; as in `nn.sampling`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EnsembleOptions:
    """How a model is asked as a self-ensemble."""

    members: int = 16
    """Sub-models."""

    keep: float = 0.5
    """Share of the sources of attention that each keeps, above 0 and up to 1."""

    mode: SamplingMode = "uniform"
    """How sources are drawn."""

    risk: float = 0.05
    """Share of wrong answers that is allowed where the model answers alone, 0 to 1."""

    seed: int = 0
    """Draws rows and sources."""

    def __post_init__(self) -> None:
        """Check the settings.

        Raises:
            ConfigError: if one is out of range.
        """
        if self.members < 1:
            raise ConfigError(f"members = {self.members}", hint="use at least 1")
        for name in ("keep", "risk"):
            value = getattr(self, name)
            if not 0 < value <= 1:
                raise ConfigError(
                    f"{name} = {value}", hint="choose a share above 0 and up to 1, such as 0.05"
                )


Form = Literal["fp32", "bf16", "int8", "int4"]
"""How a language model's weights are stored."""


SuiteName = Literal["arc-easy", "blimp", "hellaswag", "lambada", "piqa", "winogrande"]
"""Known tests of language models."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GenerateOptions:
    """How a language model writes."""

    tokens: int = 128
    """New tokens, at most."""

    temperature: float = 0.0
    """0 takes the likeliest token each time; 1 draws as the model says."""

    top_p: float = 1.0
    """Draw among the likeliest tokens that together have this probability, above 0 and up to 1."""

    seed: int = 0
    """Draws tokens."""

    stop: tuple[str, ...] = ()
    """Texts before which the answer ends."""

    def __post_init__(self) -> None:
        """Check the settings.

        Raises:
            ConfigError: if one is out of range.
        """
        if self.tokens < 1:
            raise ConfigError(f"tokens = {self.tokens}", hint="ask for at least 1")
        if not 0 <= self.temperature < float("inf"):
            raise ConfigError(
                f"temperature = {self.temperature}", hint="choose 0 or more, such as 0.8"
            )
        if not 0 < self.top_p <= 1:
            raise ConfigError(f"top_p = {self.top_p}", hint="choose above 0 and up to 1")
        if "" in self.stop:
            raise ConfigError("a stop text is empty", hint="leave it out, or give its characters")


@dataclass(frozen=True, kw_only=True, slots=True)
class HypothesisOptions:
    """How the claims of the hypothesis are measured."""

    members: int = 32
    """Random sub-models of each share of sources."""

    rows: int = 500
    """Rows of the table that are used, at most; drawn by the seed."""

    seed: int = 0
    """Draws rows, sources and controls."""

    def __post_init__(self) -> None:
        """Check the settings.

        Raises:
            ConfigError: if one is out of range.
        """
        for name, least in (("members", 1), ("rows", 2)):
            if getattr(self, name) < least:
                raise ConfigError(f"{name} = {getattr(self, name)}", hint=f"use at least {least}")


@dataclass(frozen=True, kw_only=True, slots=True)
class SweepOptions:
    """How the strength of steering is searched."""

    operation: Literal["set", "add", "scale"] = "set"
    """What is done to the neurons."""

    strengths: str = "0.5x,1x,2x,3x,4x"
    """Numbers with commas; `2x` is twice the neuron's largest value on ordinary text."""

    positions: str = "all"
    """Where it is done: `all`, `prompt`, `answer`, `last`, or a slice."""

    goal: Literal["more", "less"] = "more"
    """Whether the concept is to come more often, or less."""

    samples: int = 3
    """Outputs for each prompt."""

    tokens: int = 40
    """New tokens of an output, at most."""

    temperature: float = 0.8
    """0 takes the likeliest token each time; 1 draws as the model says."""

    top_p: float = 0.95
    """Draw among the likeliest tokens that together have this probability."""

    seed: int = 0
    """Draws outputs, neurons and directions."""

    neutral: str | None = None
    """Corpus of neutral texts; None: docstrings of the standard library."""

    n_neutral: int = 100
    """Neutral texts, at most."""

    random_neurons: int = 0
    """Baseline: other neurons of the same site, at the same strengths."""

    random_directions: int = 0
    """Baseline: random directions of equal norm."""

    mean_difference: tuple[str, str] | None = None
    """Baseline: the direction between the means of two corpora, with and without the concept."""

    prompt_baseline: str | None = None
    """Baseline: a text before every prompt, without steering."""

    labelled: str | None = None
    """Labelled table, on which accuracy is measured too."""

    scored: bool = False
    """Whether outputs get scores for concept, fluency and relevance, which takes longer."""

    is_dense_allowed: bool = False
    """Also edit what a sparse model leaves dense."""

    unsafe_strength: bool = False
    """Allow strengths beyond a neuron's limit."""

    def __post_init__(self) -> None:
        """Check the settings.

        Raises:
            ConfigError: if one is out of range.
        """
        least = {"samples": 1, "n_neutral": 1, "random_neurons": 0, "random_directions": 0}
        for name, lowest in least.items():
            if getattr(self, name) < lowest:
                raise ConfigError(f"{name} = {getattr(self, name)}", hint=f"use at least {lowest}")
        self.generation(0)

    def generation(self, sample: int) -> GenerateOptions:
        """Give how one of the outputs of a prompt is written; raises as `GenerateOptions`."""
        return GenerateOptions(
            tokens=self.tokens,
            temperature=self.temperature,
            top_p=self.top_p,
            seed=self.seed + sample,
        )
