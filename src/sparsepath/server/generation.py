"""One text that a language model writes for a client, with its records."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any, Final, NamedTuple, TypeVar, final

from sparsepath.audit.policy_rules import Permit
from sparsepath.audit.record import Draft, Receipt
from sparsepath.config import GenerateOptions
from sparsepath.errors import SparsepathError
from sparsepath.runtime.language.engine import Ending, Written
from sparsepath.server.auth import Principal
from sparsepath.server.language import LanguageModel, Steering
from sparsepath.server.models import name_of
from sparsepath.server.openai_schema import Finish, Request
from sparsepath.server.problems import Problem
from sparsepath.server.rollout import Follower
from sparsepath.server.service import Service
from sparsepath.server.serving import key_of
from sparsepath.server.serving_language import COMPARED_TOKENS, ServedLanguage, WrittenText
from sparsepath.server.steering.permission import Wanted, permitted
from sparsepath.server.writing import Writing

_FINISHES: Final[dict[Ending, Finish]] = {
    "end": "stop",
    "stop": "stop",
    "tokens": "length",
    "context": "length",
}


ResultT = TypeVar("ResultT")


class Prompt(NamedTuple):
    """What a text is written after."""

    deciding: list[str]
    """Texts that alone decide which model writes, where a rollout splits requests."""
    written: Callable[[LanguageModel], str]
    """Writes the prompt as a model wants it."""


@final
class Generation:
    """Writes, and records what was asked and what came."""

    def __init__(
        self,
        service: Service,
        asked: Request,
        prompt: Prompt,
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
        self._follower = follower = service.writing
        self._by = follower.own
        known = names_of(follower)
        if asked.model not in known:
            raise Problem(
                404,
                "model_not_found",
                "no such model is served",
                fix=f"ask for {known[0]}; /v1/models lists it",
            )
        self._service, self._prompt, self._id = service, prompt, id_
        self._tokens = tokens
        self._asked, preset = asked.sparsepath, None
        if asked.sparsepath.preset is not None:
            if asked.sparsepath.steer:
                raise Problem(
                    422, "invalid", "`preset` and `steer` at once", fix="give one of them"
                )
            preset = follower.own.model.preset(asked.sparsepath.preset)
        self._wanted = Wanted(preset, (), asked.sparsepath.use)
        self._options = GenerateOptions(
            temperature=asked.temperature,
            top_p=asked.top_p,
            seed=secrets.randbelow(2**31) if asked.seed is None else asked.seed,
            stop=asked.stops,
        )
        self._who = who
        self._permit: Permit | None = None
        self.facts = Written()
        self._read = ""
        """The prompt, as the model got it."""
        self._text: list[str] = []
        self._writing: Writing | None = None
        self._pieces: AsyncIterator[str] | None = None

    @property
    def model(self) -> LanguageModel:
        """The model that writes; it is chosen once."""
        return self._by.model

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

    async def whole(self) -> str:
        """Write a text to its end; the old model writes all of it where the new one fails.

        Raises:
            Problem: if too many wait.
            ConfigError: if the prompt is too long.
            DataError: if it is empty.
        """

        async def write(by: ServedLanguage) -> str:
            first = await self._start(by)
            return first + "".join([piece async for piece in self._rest()])

        return await self._let(write)

    async def begin(self) -> str:
        """Write the first piece, empty if there is none; raises as `whole`.

        The old model writes it where the new one fails; afterwards nothing is changed any more.
        """
        return await self._let(self._start)

    async def rest(self) -> AsyncIterator[str]:
        """Write what follows the first piece."""
        try:
            async for piece in self._rest():
                yield piece
        except SparsepathError:
            raise
        except Exception:
            self._follower.failed(self._by, 1)
            raise

    async def _let(self, work: Callable[[ServedLanguage], Awaitable[ResultT]]) -> ResultT:
        """Let the model write whose turn it is: of steered texts always the one they steer."""
        follower = self._follower
        if self._steering is None:
            _, result = await follower.run(self._prompt.deciding, work)
            return result
        if follower.blocked is not None or key_of(follower.base) != key_of(follower.own):
            raise Problem(
                409,
                "rollout",
                f"{follower.base.model.name} answers now, and steering is of "
                f"{follower.own.model.name}",
                fix="ask who runs this server to start it with the model that answers",
            )
        return await work(follower.own)

    async def _start(self, by: ServedLanguage) -> str:
        """Let a model write its first piece; what comes is remembered for the record."""
        self._by, model = by, by.model
        self._read = self._prompt.written(model)
        is_noted = self._steering is None and self._follower.beside is not None
        self.facts = Written(notes=COMPARED_TOKENS if is_noted else 0)
        room = model.context
        self._options = replace(self._options, tokens=min(self._tokens or room, room))
        steps = model.write(self._read, self._options, self._steering, self.facts)
        self._writing = self._service.writers.begin(by.metered(steps))
        self._pieces = self._writing.read()
        self._text = [await anext(self._pieces, "")]
        return self._text[0]

    async def _rest(self) -> AsyncIterator[str]:
        assert self._pieces is not None
        async for piece in self._pieces:
            self._text.append(piece)
            yield piece
        self._service.metrics.tokens.add(by=float(self.facts.tokens))

    def count(self) -> None:
        """Count a whole text that is on record, and let the new model read it beside."""
        assert self._writing is not None
        n = self.facts.tokens
        self._follower.answered(self._by, 1, 1000 * self._writing.seconds / max(1, n), n)
        if self.facts.noted:
            self._follower.offer(WrittenText(self._read, self.facts.noted))

    def begun(self) -> Draft:
        """Give the record of what was asked."""
        options = self._options
        body: dict[str, Any] = {
            "request": self._id,
            "by": self._who.name,
            "model": name_of(self.model).model_dump(),
            "tokens": options.tokens,
            "temperature": options.temperature,
            "top_p": options.top_p,
            "seed": options.seed,
            "policy": self._policy,
        } | self._wanted.facts
        return Draft(kind="generation.begin", body=body, texts={"prompt": self._read})

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


def names_of(follower: Follower[ServedLanguage]) -> list[str]:
    """Give the names that clients may ask for; the rollout says who answers.

    A client need not be changed while a new model takes over, nor when it is taken back.
    """
    found = [follower.base.model.name, follower.own.model.name]
    rollout = follower.rollout
    if rollout is not None:
        found += [rollout.old.name, *([] if rollout.stage == "shadow" else [rollout.new.name])]
    return list(dict.fromkeys(found))
