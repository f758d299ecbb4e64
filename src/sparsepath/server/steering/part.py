"""What a server's routes share for steering."""

import asyncio
from typing import final

from sparsepath.errors import ModelError, RunError
from sparsepath.server.classifier import Classifier
from sparsepath.server.folder_watch import FolderWatch
from sparsepath.server.language import LanguageModel
from sparsepath.server.problems import Problem, model_changed
from sparsepath.server.steering.subject import Subject, subject_of
from sparsepath.server.steering.trials import Trials


@final
class SteeringPart:
    """The model as it can be steered, or why it cannot."""

    def __init__(self, model: Classifier | LanguageModel) -> None:
        self.subject: Subject | None = None
        self.trouble: ModelError | RunError | None = None
        """Why it cannot be steered; None: it can."""
        self.trials: Trials | None = None
        """Answers steered; None: it is no classifier, or cannot be steered."""
        self.saving = asyncio.Lock()
        """Held while a preset is saved."""
        try:
            self.subject = subject_of(model)
        except (ModelError, RunError) as err:
            self.trouble = err
        if isinstance(model, Classifier) and self.subject is not None:
            self.trials = Trials(model)

    @property
    def known(self) -> Subject:
        """The model.

        Raises:
            Problem: if it cannot be steered.
        """
        if self.subject is not None:
            return self.subject
        assert self.trouble is not None
        raise Problem(
            404,
            "not_served",
            "the model that is served cannot be steered",
            fix="serve a language model, or a sparse classifier with config.json and neurons.json",
        )


async def check_unchanged(watch: FolderWatch) -> None:
    """See that the model's folder still holds what is served.

    Raises:
        Problem: if it does not.
    """
    await watch.look()
    if watch.is_changed:
        raise model_changed()
