"""Requests and answers in the shape of OpenAI's API; what has no effect here is refused.

Source: OpenAI API reference, "Completions" and "Chat completions".
"""

from collections.abc import Callable
from typing import Annotated, Any, Final, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

Finish = Literal["stop", "length"]

MAX_EDITS: Final = 32
"""Edits of one request, at most."""


class Extension(BaseModel):
    """What this server can do beyond that API; `extra_body` of the official client."""

    model_config = ConfigDict(extra="forbid")

    preset: str | None = Field(default=None, description="A steering preset of the model.")
    steer: list[Annotated[str, Field(max_length=200)]] = Field(
        default=[],
        max_length=MAX_EDITS,
        description="Edits that were not saved, such as `L02/117=8`, in place of a preset.",
    )
    dense_sites: bool = Field(
        default=False, description="Whether these may be where a sparse model is dense."
    )
    use: str | None = Field(
        default=None, max_length=64, description="What the text is for, as a policy names it."
    )


class StreamOptions(BaseModel):
    """More about a stream."""

    model_config = ConfigDict(extra="forbid")

    include_usage: bool = False


class Request(BaseModel):
    """What both kinds of request have."""

    model_config = ConfigDict(extra="forbid")

    model: str
    temperature: float = Field(default=1.0, ge=0, le=100)
    top_p: float = Field(default=1.0, gt=0, le=1)
    seed: int | None = Field(default=None, ge=0, lt=2**63)
    stop: str | list[str] | None = Field(default=None)
    stream: bool = False
    stream_options: StreamOptions | None = None
    n: int = Field(default=1, ge=1, le=1)
    frequency_penalty: float = Field(default=0, ge=0, le=0)
    presence_penalty: float = Field(default=0, ge=0, le=0)
    user: str | None = Field(default=None, max_length=512, description="Has no effect.")
    sparsepath: Extension = Extension()

    @property
    def stops(self) -> tuple[str, ...]:
        """The stop texts."""
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())


class CompletionRequest(Request):
    """Write on after a prompt."""

    prompt: str
    max_tokens: int | None = Field(default=16, ge=1)


class TextPart(BaseModel):
    """A part of a message."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["text"]
    text: str


class Message(BaseModel):
    """A message of a conversation."""

    model_config = ConfigDict(extra="forbid")

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[TextPart]
    name: str | None = Field(default=None, max_length=64)

    @property
    def plain(self) -> dict[str, str]:
        """Role and text."""
        content = self.content
        if not isinstance(content, str):
            content = "".join(part.text for part in content)
        return {"role": "system" if self.role == "developer" else self.role, "content": content}


class ChatRequest(Request):
    """Answer a conversation."""

    messages: list[Message] = Field(min_length=1, max_length=1000)
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)


def completion(id_: str, created: int, model: str, **choice: Any) -> dict[str, Any]:
    """Give a completion, or a piece of a stream of one."""
    told = {"index": 0, "logprobs": None, "finish_reason": None} | choice
    return {
        "id": f"cmpl-{id_}", "object": "text_completion", "created": created, "model": model,
        "choices": [told],
    }  # fmt: skip


def chat_completion(id_: str, created: int, model: str, **choice: Any) -> dict[str, Any]:
    """Give an answer to a conversation, or a piece of a stream of one."""
    told = {"index": 0, "logprobs": None, "finish_reason": None} | choice
    kind = "chat.completion.chunk" if "delta" in choice else "chat.completion"
    return {
        "id": f"chatcmpl-{id_}", "object": kind, "created": created, "model": model,
        "choices": [told],
    }  # fmt: skip


def usage(prompt_tokens: int, tokens: int) -> dict[str, int]:
    """Count tokens."""
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": tokens,
        "total_tokens": prompt_tokens + tokens,
    }


class Shape(NamedTuple):
    """How one kind of answer looks."""

    make: Callable[..., dict[str, Any]]
    """Puts a part into an answer, or into a piece of a stream."""
    opening: dict[str, Any] | None
    """First part of a stream; None: there is none before the text."""
    whole: Callable[[str], dict[str, Any]]
    """Gives the part with all of a text."""
    piece: Callable[[str], dict[str, Any]]
    """Gives the part with some of a text; with none of it at the end."""


COMPLETION: Final = Shape(
    completion, None, lambda text: {"text": text}, lambda text: {"text": text}
)

CHAT: Final = Shape(
    chat_completion,
    {"delta": {"role": "assistant", "content": ""}},
    lambda text: {"message": {"role": "assistant", "content": text, "refusal": None}},
    lambda text: {"delta": {"content": text} if text else {}},
)
