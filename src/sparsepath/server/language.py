"""The language model that is served, and what is known of it."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple, final

import psutil

from sparsepath.artifacts.edit import Edit
from sparsepath.artifacts.model_files import locate_language_model
from sparsepath.artifacts.steering import Preset, preset_names, read_preset
from sparsepath.config import Form, GenerateOptions
from sparsepath.runtime.language.engine import Engine, Written
from sparsepath.server.problems import Problem
from sparsepath.server.templates import ChatTemplate, read_template


class Steering(NamedTuple):
    """What steers a text; it was checked."""

    edits: tuple[Edit, ...]
    is_dense_allowed: bool = False


@final
class LanguageModel:
    """A loaded engine with its name and hash."""

    kind: Final = "language-model"
    n_stages: Final = 1

    def __init__(self, model: Path, *, form: Form, threads: int) -> None:
        """Load a model.

        Args:
            model: its folder, or that of a training.
            form: how weights are stored.
            threads: of the native code.

        Raises:
            ModelError: if it cannot be loaded.
        """
        self.folder = locate_language_model(model)
        self.name = home_of(self.folder).name
        self.precision, self.threads = form, threads
        before = psutil.Process().memory_info().rss
        self.engine = Engine(self.folder, form=form, threads=threads)
        self.loaded_bytes = max(0, psutil.Process().memory_info().rss - before)
        """Memory that loading it added to the process."""
        self.sha256 = self.engine.weights.made_of
        self.template: ChatTemplate = read_template(self.folder, self.engine.tokenizer)
        self.labels: list[str] = []

    @property
    def context(self) -> int:
        """Tokens of prompt and answer together, at most."""
        return self.engine.shape.context

    @property
    def presets(self) -> list[str]:
        """Steering presets in the model's folder."""
        return preset_names(self.folder)

    def preset(self, name: str) -> Preset:
        """Read a preset of the folder; a path is none.

        Raises:
            ConfigError: if it was edited by hand.
            ModelError: if it belongs to other weights.
            Problem: if there is none of that name.
        """
        if name not in self.presets:
            known = ", ".join(self.presets) or "none"
            raise Problem(
                404, "preset_not_found", "there is no such preset", fix=f"choose one of: {known}"
            )
        return read_preset(self.folder, name, self.sha256)

    def write(
        self, prompt: str, options: GenerateOptions, steering: Steering | None, facts: Written
    ) -> Iterator[str]:
        """Write on after a prompt; texts may be taken turn by turn, in one thread.

        Raises:
            ConfigError: if the prompt is too long; when the first piece is asked for.
            DataError: if it is empty; likewise.
        """
        pieces = self.engine.generate(_clean(prompt), options, facts=facts)
        if steering is None:
            yield from pieces
            return
        # A text goes on as it was begun, so the block ends with its first piece.
        with self.engine.steered(
            *steering.edits, is_dense_allowed=steering.is_dense_allowed, unsafe_strength=True
        ):
            first = next(pieces, None)
        if first is not None:
            yield first
            yield from pieces

    def likeliest(self, prompt: str, tokens: Sequence[int]) -> list[int]:
        """Give the likeliest token at each place of an answer that another model wrote.

        Args:
            prompt: at least a token.
            tokens: of the answer, at least one; they are read one by one.

        Raises:
            ConfigError: if the model was not trained on so long a text.
        """
        ids = self.engine.encode(_clean(prompt))
        cache = self.engine.cache(len(ids) + len(tokens) - 1, n_prompt=len(ids))
        rows = [self.engine.read(ids, cache, 1)]
        rows += [self.engine.read([token], cache, 1) for token in tokens[:-1]]
        return [int(row[0].argmax()) for row in rows]


def home_of(folder: Path) -> Path:
    """Give the folder that a model is called by: its own, or that of its training."""
    place = folder.resolve()
    return place.parent if place.name == "model" else place


def _clean(prompt: str) -> str:
    """Write lone surrogates, from broken input, as what has a UTF-8 form."""
    return prompt.encode("utf-8", "replace").decode("utf-8")
