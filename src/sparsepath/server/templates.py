"""From a conversation to a prompt, as the model's own template says.

Templates come with models, so they run in Jinja's sandbox. A model without one gets lines such as
`user: Hello`, and an open `assistant:` at the end.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, final

from jinja2 import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import Tokenizer

from sparsepath.errors import DataError, ModelError


@final
class ChatTemplate:
    """Writes prompts."""

    def __init__(self, source: str | None, tokens: Mapping[str, str], prefix: str) -> None:
        """Compile a template.

        Args:
            source: of the template; None: plain lines.
            tokens: texts of special tokens, such as `bos_token`.
            prefix: what the tokenizer puts before every text by itself.

        Raises:
            ModelError: if it is broken.
        """
        self._tokens, self._prefix = dict(tokens), prefix
        environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
        environment.globals["raise_exception"] = _refuse
        try:
            self._template = None if source is None else environment.from_string(source)
        except TemplateError as err:
            raise ModelError(
                f"the model's chat template is broken: {err}",
                hint="mend `chat_template` in its tokenizer_config.json",
            ) from err

    def prompt(self, messages: Sequence[Mapping[str, str]]) -> str:
        """Write the prompt of a conversation.

        Args:
            messages: each with `role` and `content`.

        Raises:
            DataError: if the template refuses them.
        """
        if self._template is None:
            lines = [f"{message['role']}: {message['content']}\n" for message in messages]
            return "".join(lines) + "assistant:"
        try:
            text = self._template.render(
                messages=list(messages), add_generation_prompt=True, **self._tokens
            )
        except (TemplateError, TypeError, ValueError) as err:
            raise DataError(
                f"the model's chat template refuses this conversation: {err}",
                hint="begin with the system's or the user's message, and alternate",
            ) from err
        return text.removeprefix(self._prefix)


def read_template(folder: Path, tokenizer: Tokenizer) -> ChatTemplate:
    """Read the template of a model folder.

    Raises:
        ModelError: if a file is damaged.
    """
    path = folder / "tokenizer_config.json"
    try:
        config: Any = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except (OSError, ValueError) as err:
        raise ModelError(f"{path} is damaged: {err}", hint="copy the model folder again") from err
    found = config.get("chat_template") if isinstance(config, dict) else None
    if isinstance(found, list):
        named = {item.get("name"): item.get("template") for item in found if isinstance(item, dict)}
        found = named.get("default")
    separate = folder / "chat_template.jinja"
    if separate.is_file():
        found = separate.read_text(encoding="utf-8")
    prefix = tokenizer.decode(tokenizer.encode("").ids, skip_special_tokens=False)
    return ChatTemplate(found if isinstance(found, str) else None, _special(config), prefix)


def _special(config: object) -> dict[str, str]:
    """Give the texts of special tokens."""
    told: dict[str, str] = {}
    for name in ("bos_token", "eos_token", "pad_token", "unk_token"):
        value = config.get(name) if isinstance(config, dict) else None
        value = value.get("content") if isinstance(value, dict) else value
        told[name] = value if isinstance(value, str) else ""
    return told


def _refuse(message: str) -> None:
    """Let a template refuse a conversation."""
    raise TemplateError(message)
