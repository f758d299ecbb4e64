"""A language model judged by lm-evaluation-harness, run by our engine.

The harness asks for the probability of continuations; requests that share their beginning with the
one before read only what is new.
"""

import contextlib
import sys
from pathlib import Path
from typing import Any

import datasets
import numpy as np
from lm_eval import evaluator
from lm_eval.api.instance import Instance
from lm_eval.api.model import TemplateLM
from lm_eval.api.task import ConfigurableTask
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window

from sparsepath.artifacts.model_files import locate_language_model
from sparsepath.config import Form, GenerateOptions, SuiteName
from sparsepath.errors import ConfigError
from sparsepath.evaluate.suites import SUITES, Item, SuiteScore, read_items
from sparsepath.runtime.language.engine import Engine
from sparsepath.runtime.language.pieces import Stops, TextStream

Request = tuple[tuple[str, str], list[int], list[int]]


MAX_WRITTEN = 256
"""Tokens that are written where a test says nothing."""

NAMES = {"acc": "accuracy", "acc_norm": "accuracy_by_length", "perplexity": "perplexity"}
"""Names of figures, by those of the harness."""


def evaluate(
    model: Path | str,
    suite: SuiteName,
    data: Path | str,
    *,
    form: Form = "fp32",
    limit: int | None = None,
) -> SuiteScore:
    """Judge a language model by a known test.

    Args:
        model: folder of a model of the Llama kind, or of a training.
        suite: the test.
        data: folder that holds its file.
        form: how weights are stored.
        limit: items at most, evenly spread over the file.

    Raises:
        ConfigError: if the test is not known.
        DataError: if its file is missing or damaged.
        ModelError: if the model cannot be read.
    """
    items = read_items(suite, Path(data))
    if limit is not None and limit < len(items):
        items = [items[number * len(items) // limit] for number in range(limit)]
    engine = Engine(locate_language_model(Path(model)), form=form)
    told = ask(EngineLM(engine), suite, items)
    values = {name: told.get(f"{key},none") for key, name in NAMES.items()}
    errors = {name: told.get(f"{key}_stderr,none") for key, name in NAMES.items()}
    return SuiteScore(
        suite,
        len(items),
        {name: float(value) for name, value in values.items() if value is not None},
        {name: float(value) for name, value in errors.items() if isinstance(value, float)},
    )


def ask(model: Any, suite: SuiteName, items: list[Item]) -> dict[str, Any]:
    """Let the harness judge a model.

    Args:
        model: one of the harness's models.
        suite: the test.
        items: of it.

    Returns:
        Figures by the harness's names, such as `acc,none` and `acc_stderr,none`.
    """
    # Its task manager would read thousands of files of other tasks first.
    tasks = {"tasks": {suite: _task(suite, items)}, "groups": {}, "group_map": {}}
    with contextlib.redirect_stdout(sys.stderr):  # where the harness talks
        found = evaluator.evaluate(model, tasks, bootstrap_iters=1000, log_samples=False)
    assert found is not None
    results: dict[str, Any] = found["results"][suite]
    return results


def _task(suite: SuiteName, items: list[Item]) -> ConfigurableTask:
    """Describe a test to the harness."""
    content = {"test": datasets.Dataset.from_list(items)}
    return ConfigurableTask(
        config={
            "task": suite,
            "custom_dataset": lambda **_: content,
            "test_split": "test",
            "num_fewshot": 0,
            **SUITES[suite].prompt,
        }
    )


class EngineLM(TemplateLM):  # type: ignore[misc]  # the harness has no types
    """What the harness asks, answered by an engine: also its own tests can be given this."""

    def __init__(self, engine: Engine) -> None:
        """Take an engine."""
        super().__init__()
        self._engine = engine
        self._cache = engine.cache(1)
        self._read: list[int] = []

    @property
    def eot_token_id(self) -> int:
        """The token before a text that has nothing before it."""
        shape = self._engine.shape
        return shape.begin_id if shape.begin_id is not None else (*shape.end_ids, 0)[0]

    def tok_encode(
        self, string: str, add_special_tokens: bool | None = None, **_: Any
    ) -> list[int]:
        """Give token ids."""
        is_full = add_special_tokens is not False
        ids: list[int] = self._engine.tokenizer.encode(string, add_special_tokens=is_full).ids
        return ids

    def _loglikelihood_tokens(self, requests: list[Request], **_: Any) -> list[tuple[float, bool]]:
        """Give the logarithm of each continuation's probability; say if it is the likeliest."""
        longest = max(len(before) + len(after) for _, before, after in requests)
        self._cache = self._engine.cache(min(longest, self._engine.shape.context))
        self._read = []
        # Neighbours by their beginning share it.
        order = sorted(range(len(requests)), key=lambda i: (requests[i][1], requests[i][2]))
        found: dict[int, tuple[float, bool]] = {i: self._answer(*requests[i][1:]) for i in order}
        return [found[i] for i in range(len(requests))]

    def _answer(self, before: list[int], after: list[int]) -> tuple[float, bool]:
        """Read what is new of one request."""
        ids = [*before, *after][-(self._engine.shape.context + 1) :][:-1]
        n_known = 0
        for mine, yours in zip(self._read, ids, strict=False):
            if mine != yours:
                break
            n_known += 1
        # What follows each token of the continuation is asked for.
        n_known = min(n_known, len(ids) - len(after))
        self._cache.length = n_known
        logits = self._engine.read(ids[n_known:], self._cache, len(after)).astype(np.float64)
        self._read = ids
        top = logits.max(axis=1)
        shares = logits - (top + np.log(np.exp(logits - top[:, None]).sum(axis=1)))[:, None]
        told = float(shares[np.arange(len(after)), after].sum())
        return told, bool((logits.argmax(axis=1) == after).all())

    def loglikelihood_rolling(
        self, requests: list[Instance], disable_tqdm: bool = False
    ) -> list[float]:
        """Give the logarithm of each text's probability, in windows of the trained length."""
        told = []
        for request in requests:
            windows = get_rolling_token_windows(
                token_list=self.tok_encode(request.args[0]),
                prefix_token=self.eot_token_id,
                max_seq_len=self._engine.shape.context,
                context_len=1,
            )
            pairs: list[Request] = [(("", ""), *make_disjoint_window(pair)) for pair in windows]
            told.append(sum(nats for nats, _ in self._loglikelihood_tokens(pairs)))
        return told

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        """Write on after each text, to the first of its stop texts."""
        return [self._write(*request.args) for request in requests]

    def _write(self, context: str, settings: dict[str, Any]) -> str:
        """Write on after one text, whose first tokens are left out where it is too long."""
        known = {"until", "max_gen_toks", "do_sample", "temperature", "top_p"}
        if strange := sorted(set(settings) - known):
            raise ConfigError(
                f"a test sets {strange[0]} for writing",
                hint=f"known are {', '.join(sorted(known))}",
            )
        stops = settings.get("until") or ()
        sampled = bool(settings.get("do_sample", float(settings.get("temperature", 0)) > 0))
        options = GenerateOptions(
            tokens=int(settings.get("max_gen_toks", MAX_WRITTEN)),
            temperature=float(settings.get("temperature", 1)) if sampled else 0.0,
            top_p=float(settings.get("top_p", 1)),
        )
        room = self._engine.shape.context - options.tokens
        if room < 1:
            raise ConfigError(
                f"a test writes {options.tokens} tokens, the model was trained on "
                f"{self._engine.shape.context}",
                hint="take a model of a longer context, or another test",
            )
        ids = self.tok_encode(context)[-room:]
        stream = TextStream(self._engine.tokenizer, ids)
        stop = Stops([stops] if isinstance(stops, str) else stops)
        text = ""
        for token in self._engine.tokens(ids, options):
            text += stop.push(stream.push(token))
            if stop.has_stopped:
                return text
        return text + stop.push(stream.finish()) + stop.finish()
