"""A language model that writes and scores texts on an ordinary CPU, without torch.

Read with: `plain.py` (what is computed), `weights.py` (how weights are stored).
"""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sparsepath.artifacts.concept_names import finder
from sparsepath.artifacts.edit import Edit
from sparsepath.artifacts.edit_text import parse_edit
from sparsepath.artifacts.steering import read_preset
from sparsepath.audit.policy import Standing
from sparsepath.audit.policy_rules import Permit
from sparsepath.config import Form, GenerateOptions
from sparsepath.errors import ConfigError, DataError, ModelError
from sparsepath.kernels.by_input import Floats
from sparsepath.kernels.native import Level, library
from sparsepath.runtime.language.cache import Cache
from sparsepath.runtime.language.native import NativePass
from sparsepath.runtime.language.pieces import Stops, TextStream
from sparsepath.runtime.language.plain import PlainPass
from sparsepath.runtime.language.policed import Policed
from sparsepath.runtime.language.ranges import read_ranges
from sparsepath.runtime.language.sampling import choose
from sparsepath.runtime.language.tracing import Trace
from sparsepath.runtime.language.weights_file import read_weights
from sparsepath.runtime.text import read_tokenizer
from sparsepath.trace.edits import Program, compiled
from sparsepath.trace.ranges import Ranges, check_strengths

SCORED_AT_ONCE = 32
"""Tokens whose logits are held together while a text is scored."""

WITHOUT_LIBRARY = (
    "the native library is missing or does not fit this version: numpy does the work, many times "
    "slower, with the same result; reinstall sparsepath where a C compiler is"
)
"""What a user is told then."""

Ending = Literal["end", "stop", "tokens", "context"]
"""Why a text ended: by the model's own end token, a stop text, the number of tokens, or because the
model was not trained on longer texts."""


class Noted(NamedTuple):
    """A place of an answer."""

    token: int
    """That was written, or ended it."""
    likeliest: int


@dataclass(kw_only=True, slots=True)
class Written:
    """What is known of an answer when it is finished; it fills while the text comes."""

    prompt_tokens: int = 0
    tokens: int = 0
    """New ones."""
    ending: Ending = "tokens"
    prompt_s: float = 0.0
    """Seconds until the prompt was read."""
    decode_s: float = 0.0
    """Seconds of reading the new tokens, without the last one, which nothing follows."""
    bytes_read: int = 0
    """Of weights, for the same tokens; 0 without the native library."""
    notes: int = 0
    """Places that are noted, at most."""
    noted: list[Noted] = field(default_factory=list)
    """The first places of the answer."""

    @property
    def tokens_per_s(self) -> float | None:
        """Speed of writing; None for a single token."""
        return (self.tokens - 1) / self.decode_s if self.tokens > 1 else None

    @property
    def bytes_per_token(self) -> float | None:
        """Weights read for each new token; None for a single one, or without the library."""
        return self.bytes_read / (self.tokens - 1) if self.bytes_read else None


class Score(NamedTuple):
    """How well a model predicts a text."""

    nats: float
    """Sum over the tokens."""
    tokens: int
    """Predicted: all but the first of each stretch."""
    bits_per_byte: float


class Engine:
    """A loaded language model."""

    def __init__(  # noqa: PLR0913 - options
        self,
        folder: Path | str,
        *,
        form: Form = "int8",
        level: Level | None = None,
        threads: int = 1,
        preset: str | None = None,
        policy: Path | str | Standing | None = None,
        use: str | None = None,
    ) -> None:
        """Load a model of the Llama kind, dense or with sparse hidden states.

        Args:
            folder: with config.json, model.safetensors and tokenizer.json.
            form: how weights are stored: fp32, bf16, int8 or int4.
            level: instruction set; None: the best that the processor has.
            threads: of the native code, at least 1; the result is the same, to the bit. Between
                tokens they sleep.
            preset: name of a steering preset in the folder, or its file, that is always on.
            policy: file of an approved policy, or where it stands in a database; then every edit
                must be allowed by it.
            use: what the model writes for, as the policy names it.

        Raises:
            ConfigError: if `form` or `preset` is not known, `threads` is not positive, or the
                preset, or an approved policy, was edited by hand.
            ModelError: if files are missing, damaged or do not fit each other, or the preset
                belongs to another model.
        """
        if threads < 1:
            raise ConfigError(f"{threads} threads", hint="give 1 or more, such as --threads 1")
        self.folder = folder = Path(folder)
        self.weights = read_weights(folder, form)
        self.shape = self.weights.shape
        self.tokenizer = read_tokenizer(folder)
        if (n_tokens := self.tokenizer.get_vocab_size()) > self.shape.vocabulary:
            raise ModelError(
                f"the tokenizer has {n_tokens} tokens, the model {self.shape.vocabulary}",
                hint="put the tokenizer.json of this model into its folder",
            )
        self.notice = None if library() is not None else WITHOUT_LIBRARY
        self._native = None
        if library() is not None:
            self._native = NativePass(self.weights, level=level, threads=threads)
        self._pass = self._native or PlainPass(self.weights)
        self._ranges: Ranges | None = None
        self._steering: Program | None = None
        self._policed = None
        self.permit: Permit | None = None
        """The policy that allowed the newest edits; None: none was asked."""
        if policy is not None:
            self._policed = Policed(policy, folder, self.weights.made_of, use)
        if preset is not None:
            read = read_preset(folder, preset, self.weights.made_of)
            if self._policed is not None:
                self.permit = self._policed.check(preset=read)
            self._steering = compiled(
                read.edits, self.shape.sites, is_dense_allowed=read.is_dense_allowed
            )

    @property
    def edits(self) -> tuple[Edit, ...]:
        """What is steered now."""
        return () if self._steering is None else self._steering.edits

    @property
    def is_dense_allowed(self) -> bool:
        """Whether what a sparse model leaves dense may be steered now."""
        return self._steering is not None and self._steering.is_dense_allowed

    @property
    def ranges(self) -> Ranges:
        """How large values get on ordinary text; measured once a model, which takes seconds."""
        if self._ranges is None:
            self._ranges = read_ranges(self.folder, self.weights, self.tokenizer)
        return self._ranges

    def edit(self, text: str) -> Edit:
        """Read an edit, such as `L02/117=8`; words in its condition become tokens of this model.

        In place of a neuron a label of the catalogue beside the model may stand.
        """
        return parse_edit(
            text,
            lambda word: self.tokenizer.encode(word, add_special_tokens=False).ids,
            finder(self.folder),
        )

    @contextmanager
    def steered(
        self, *edits: str | Edit, is_dense_allowed: bool = False, unsafe_strength: bool = False
    ) -> Iterator[None]:
        """Edit hidden states inside the block, beside what is steered already.

        A text that was begun goes on as it was begun.

        Args:
            edits: such as `L02/117=8`.
            is_dense_allowed: also edit what a sparse model leaves dense.
            unsafe_strength: do not check strengths, which measures the model's usual values.

        Raises:
            ConfigError: if two edits contradict each other, or one is out of range or too strong.
            ModelError: if a sparse model has no such sparse site.
            PolicyError: if the engine has a policy, which does not allow them.
        """
        before = self._steering
        new = [self.edit(edit) if isinstance(edit, str) else edit for edit in edits]
        if self._policed is not None:
            self.permit = self._policed.check(edits=tuple(new)) or self.permit
        is_allowed = is_dense_allowed or self.is_dense_allowed
        program = compiled([*self.edits, *new], self.shape.sites, is_dense_allowed=is_allowed)
        if not unsafe_strength and any(edit.operation != "suppress" for edit in new):
            check_strengths(new, self.ranges)
        self._steering = program if program.edits else None
        try:
            yield
        finally:
            self._steering = before

    def generate(
        self,
        prompt: str,
        options: GenerateOptions | None = None,
        *,
        facts: Written | None = None,
        trace: Trace | None = None,
    ) -> Iterator[str]:
        """Write on after a prompt, piece by piece; the pieces joined are the answer.

        Args:
            prompt: at least one token.
            options: other than the usual ones.
            facts: filled while the text comes.
            trace: notes which neurons fire at each token.

        Raises:
            ConfigError: if the prompt is longer than what the model was trained on.
            DataError: if the prompt has no token.
            ModelError: if the model is not sparse where a trace is wanted.
        """
        options, facts = options or GenerateOptions(), facts or Written()
        ids = self.encode(prompt)
        facts.prompt_tokens = len(ids)
        if not ids:
            raise DataError("the prompt is empty", hint="give at least a word to begin with")
        stops = Stops(options.stop)
        text = TextStream(self.tokenizer, ids)
        for token in self._tokens(ids, options, facts, trace):
            if told := stops.push(text.push(token)):
                yield told
            if stops.has_stopped:
                facts.ending = "stop"
                return
        if told := stops.push(text.finish()) + stops.finish():
            yield told

    def tokens(
        self,
        prompt: list[int],
        options: GenerateOptions | None = None,
        *,
        trace: Trace | None = None,
    ) -> Iterator[int]:
        """Write on after token ids, token by token; the end token is not given.

        Args:
            prompt: at least one id, each below the vocabulary.
            options: other than the usual ones; stop texts have no effect.
            trace: notes which neurons fire at each token.
        """
        yield from self._tokens(prompt, options or GenerateOptions(), Written(), trace)

    def logits(self, tokens: list[int]) -> Floats:
        """Give what a model expects after each token of a text.

        Args:
            tokens: at least one id, each below the vocabulary.

        Returns:
            [tokens, vocabulary].
        """
        return self.read(tokens, self.cache(len(tokens)), len(tokens))

    def cache(
        self, capacity: int, *, n_prompt: int | None = None, trace: Trace | None = None
    ) -> Cache:
        """Make room for one text, which is read as the engine is steered now.

        Args:
            capacity: tokens, at least 1.
            n_prompt: of them in the prompt; None: all.
            trace: notes which neurons fire at each token.

        Raises:
            ConfigError: if the model was not trained on so many.
        """
        return Cache(
            self.shape,
            capacity,
            steering=self._steering,
            n_prompt=n_prompt,
            trace=trace,
            kept="int8" if self.weights.form in ("int8", "int4") else "fp32",
        )

    def read(self, tokens: list[int], cache: Cache, n_logits: int) -> Floats:
        """Read tokens after those in a cache.

        Args:
            tokens: at least one id, each below the vocabulary.
            cache: of keys and values, with room for them; longer by them afterwards.
            n_logits: tokens, the last ones, after each of which expectations are given.

        Returns:
            [n_logits, vocabulary].

        Raises:
            ConfigError: if the cache has no room for them.
            DataError: if there are none, or one is not of the vocabulary.
        """
        if not tokens or min(tokens) < 0 or max(tokens) >= self.shape.vocabulary:
            told = f"tokens from {min(tokens)} to {max(tokens)}" if tokens else "no tokens"
            raise DataError(
                f"{told}; the model knows 0 to {self.shape.vocabulary - 1}",
                hint="encode the text with this model's tokenizer: engine.encode(text)",
            )
        if (length := cache.length + len(tokens)) > cache.capacity:
            raise ConfigError(
                f"{length} tokens in a cache for {cache.capacity}",
                hint="make room for all of them: engine.cache(capacity)",
            )
        return self._pass.run(np.array(tokens, np.int32), cache, n_logits)

    def score(self, text: str, *, length: int | None = None) -> Score:
        """Measure how well the model predicts a text, in stretches of equal length.

        Args:
            text: at least two tokens.
            length: tokens of a stretch, at least 2; None: as many as the model was trained on.

        Raises:
            DataError: if the text is too short.
        """
        ids = np.array(self.tokenizer.encode(text, add_special_tokens=False).ids, np.int32)
        if len(ids) < 2:
            raise DataError(f"the text has {len(ids)} tokens", hint="give at least two")
        length = min(length or self.shape.context, self.shape.context)
        nats, n_predicted = 0.0, 0
        for start in range(0, len(ids) - 1, length):
            stretch = ids[start : start + length + 1]
            nats += self._nats(stretch)
            n_predicted += len(stretch) - 1
        n_bytes = len(text.encode()) * n_predicted / len(ids)
        return Score(nats, n_predicted, nats / math.log(2) / n_bytes)

    def encode(self, text: str) -> list[int]:
        """Give the token ids of a prompt."""
        ids: list[int] = self.tokenizer.encode(text).ids
        return ids

    def _nats(self, stretch: NDArray[np.int32]) -> float:
        """Sum up the surprise at each token but the first."""
        cache = self.cache(len(stretch) - 1)
        total = 0.0
        for start in range(0, len(stretch) - 1, SCORED_AT_ONCE):
            inputs = stretch[start : start + SCORED_AT_ONCE]
            truth = stretch[start + 1 : start + 1 + SCORED_AT_ONCE]
            inputs = inputs[: len(truth)]
            logits = self._pass.run(inputs, cache, len(inputs)).astype(np.float64)
            top = logits.max(axis=1, keepdims=True)
            total += float((np.log(np.exp(logits - top).sum(axis=1)) + top[:, 0]).sum())
            total -= float(logits[np.arange(len(truth)), truth].sum())
        return total

    def _tokens(
        self, prompt: list[int], options: GenerateOptions, facts: Written, trace: Trace | None
    ) -> Iterator[int]:
        """Choose tokens, and keep the time."""
        rng = np.random.default_rng(options.seed)
        room = max(len(prompt), min(self.shape.context, len(prompt) + options.tokens - 1))
        cache = self.cache(room, n_prompt=len(prompt), trace=trace)
        begun = time.perf_counter()
        logits = self._pass.run(np.array(prompt, np.int32), cache, 1)[0]
        facts.prompt_s = time.perf_counter() - begun
        read_before, facts.ending = self._read(), "tokens"
        while True:
            token = choose(logits, rng, temperature=options.temperature, top_p=options.top_p)
            if len(facts.noted) < facts.notes:
                facts.noted.append(Noted(token, int(logits.argmax())))
            if token in self.shape.end_ids:
                facts.ending = "end"
                return
            facts.tokens += 1
            yield token
            if facts.tokens == options.tokens:
                return
            if cache.length == cache.capacity:
                facts.ending = "context"
                return
            begun = time.perf_counter()
            logits = self._pass.run(np.array([token], np.int32), cache, 1)[0]
            facts.decode_s += time.perf_counter() - begun
            facts.bytes_read = self._read() - read_before

    def _read(self) -> int:
        """Give the bytes of weights read so far."""
        return 0 if self._native is None else self._native.bytes_read
