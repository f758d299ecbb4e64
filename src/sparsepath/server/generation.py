"""One text that a language model writes for a client, with its records."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from typing import Any, Final, final

from sparsepath.audit.policy_rules import Permit
from sparsepath.audit.record import Draft, Receipt
from sparsepath.config import GenerateOptions
from sparsepath.runtime.language.engine import Ending, Written
from sparsepath.server.auth import Principal
from sparsepath.server.language import Steering
from sparsepath.server.models import name_of
from sparsepath.server.openai_schema import Finish, Request
from sparsepath.server.problems import Problem
from sparsepath.server.service import Service
from sparsepath.server.steering.permission import Wanted, permitted
from sparsepath.server.writing import Writing

_FINISHES: Final[dict[Ending, Finish]] = {
    "end": "stop",
    "stop": "stop",
    "tokens": "length",
    "context": "length",
}


@final
class Generation:
    """Writes, and records what was asked and what came."""

    def __init__(
        self,
        service: Service,
        asked: Request,
        prompt: str,
        *,
        tokens: int | None,
        id_: str,
        who: Principal,
    ) -> None:
        """Prepare; nothing is written yet.

        Raises:
            ConfigError: if an option is out of range.
            Problem: if no such model is served, or there is no such preset.
        """
        model = service.language
        if asked.model != model.name:
            raise Problem(
                404,
                "model_not_found",
                "no such model is served",
                fix=f"ask for {model.name}; /v1/models lists it",
            )
        self._service, self._prompt, self._id = service, prompt, id_
        self._asked, preset = asked.sparsepath, None
        if asked.sparsepath.preset is not None:
            if asked.sparsepath.steer:
                raise Problem(
                    422, "invalid", "`preset` and `steer` at once", fix="give one of them"
                )
            preset = model.preset(asked.sparsepath.preset)
        self._wanted = Wanted(preset, (), asked.sparsepath.use)
        self._options = GenerateOptions(
            tokens=min(tokens or model.context, model.context),
            temperature=asked.temperature,
            top_p=asked.top_p,
            seed=secrets.randbelow(2**31) if asked.seed is None else asked.seed,
            stop=asked.stops,
        )
        self._who = who
        self._permit: Permit | None = None
        self.facts = Written()
        self._text: list[str] = []
        self._writing: Writing | None = None

    @property
    def finish(self) -> Finish:
        """Why it ended, in OpenAI's words."""
        return _FINISHES[self.facts.ending]

    @property
    def extension(self) -> dict[str, Any]:
        """What an answer says beyond OpenAI's shape."""
        preset = self._wanted.preset
        edits = self._wanted.edits if preset is None else preset.edits
        return {
            "preset": None if preset is None else preset.name,
            "edits": [str(edit) for edit in edits],
            "policy": self._policy,
        }

    @property
    def _policy(self) -> dict[str, Any] | None:
        """The policy that allowed it, as records have it."""
        return None if self._permit is None else self._permit._asdict()

    async def check_policy(self) -> None:
        """See that the steering fits the model, and that a policy allows it, where one must.

        Raises:
            PolicyError: if none does; that is on record.
            Problem: if it does not fit, or the refusal cannot be recorded.
            RunError: if the database cannot be reached.
        """
        asked, subject = self._asked, self._service.steering.known
        if asked.steer:
            # The first time, the model's usual values are measured.
            edits = await asyncio.to_thread(
                subject.edits, asked.steer, is_dense_allowed=asked.dense_sites
            )
            self._wanted = self._wanted._replace(edits=edits)
        self._permit = await permitted(self._service, self._wanted, self._who, self._id)

    @property
    def _steering(self) -> Steering | None:
        """What steers the text."""
        if (preset := self._wanted.preset) is not None:
            return Steering(preset.edits, preset.is_dense_allowed)
        edits = self._wanted.edits
        return Steering(edits, self._asked.dense_sites) if edits else None

    async def pieces(self) -> AsyncIterator[str]:
        """Write; what comes is remembered for the record.

        Raises:
            Problem: if too many wait.
            ConfigError: if the prompt is too long.
            DataError: if it is empty.
        """
        model = self._service.language
        steps = model.write(self._prompt, self._options, self._steering, self.facts)
        self._writing = self._service.writers.begin(steps)
        async for piece in self._writing.read():
            self._text.append(piece)
            yield piece
        self._service.metrics.tokens.add(by=float(self.facts.tokens))

    def begun(self) -> Draft:
        """Give the record of what was asked."""
        options = self._options
        body: dict[str, Any] = {
            "request": self._id,
            "by": self._who.name,
            "model": name_of(self._service.model).model_dump(),
            "tokens": options.tokens,
            "temperature": options.temperature,
            "top_p": options.top_p,
            "seed": options.seed,
            "policy": self._policy,
        } | self._wanted.facts
        return Draft(kind="generation.begin", body=body, texts={"prompt": self._prompt})

    def ended(self, *, is_whole: bool) -> Draft:
        """Give the record of what came."""
        body: dict[str, Any] = {
            "request": self._id,
            "ending": self.facts.ending if is_whole else "cancelled",
            "prompt_tokens": self.facts.prompt_tokens,
            "tokens": self.facts.tokens,
        }
        return Draft(kind="generation.end", body=body, texts={"answer": "".join(self._text)})

    async def record(self, *drafts: Draft) -> Receipt:
        """Write records, wait for the disk, give the last one's place."""
        return (await self._service.journal.write(drafts))[-1]

    def give_up(self) -> None:
        """Write no more."""
        if self._writing is not None:
            self._writing.is_given_up = True

    def abandon(self) -> None:
        """Give up, and record it; in the background, since the client is gone."""
        self.give_up()
        self._service.spawn(self._service.journal.write([self.ended(is_whole=False)]))
