"""The TOML file of a policy, which may be kept under version control."""

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sparsepath.audit.policy import POLICY_SCHEMA, Policy
from sparsepath.errors import ConfigError


def read_policy(path: Path) -> Policy:
    """Read the file of a policy.

    Raises:
        ConfigError: if it cannot be read, or something in it is unknown, missing or contradictory.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as err:
        raise ConfigError(
            f"the policy {path} cannot be read ({err})", hint="give the path of a TOML file"
        ) from err
    return parse_policy(text, str(path))


def parse_policy(text: str, source: str) -> Policy:
    """Read the text of a policy's file; raises as `read_policy`.

    Args:
        text: TOML.
        source: what to call it where it is wrong.
    """
    try:
        content = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as err:
        raise ConfigError(f"{source} is no TOML: {err}", hint="correct that line") from err
    return make_policy(content, source)


def make_policy(content: Mapping[str, Any], source: str) -> Policy:
    """Turn plain values, as TOML or JSON gives them, into a policy; raises as `read_policy`."""
    version = content.get("schema")
    if version != POLICY_SCHEMA:
        raise ConfigError(
            f"{source} has schema {version!r}, this sparsepath reads {POLICY_SCHEMA}",
            hint=f"write schema = {POLICY_SCHEMA} at the top, or update: pip install -U sparsepath",
        )
    try:
        return Policy.model_validate(content)
    except ValidationError as err:
        fault = err.errors()[0]
        where = ".".join(str(part)[:80] for part in fault["loc"]) or "the policy"
        if fault["type"] == "extra_forbidden":
            raise ConfigError(
                f"{source}: the key {where} is not known",
                hint=f"remove it, or correct it; keys are: {', '.join(_keys())}",
            ) from err
        what = fault["msg"].removeprefix("Value error, ")[:300]
        raise ConfigError(
            f"{source}: {where}: {what}",
            hint="`sparsepath policy new` writes a file with every key that is needed",
        ) from err


def policy_text(policy: Policy) -> str:
    """Write a policy as TOML; `make_policy` of it gives the same."""
    content = policy.model_dump(mode="json", by_alias=True, exclude_none=True)
    tables = {key: content.pop(key, None) for key in ("presets", "neurons")}
    approval = content.pop("approval", None)
    lines = [_line(key, value) for key, value in content.items()]
    for name, rows in tables.items():
        for row in rows or ():
            lines += ["", f"[[{name}]]", *(_line(key, value) for key, value in row.items())]
    if approval is not None:
        lines += ["", "[approval]", *(_line(key, value) for key, value in approval.items())]
    return "\n".join(lines) + "\n"


def _line(key: str, value: object) -> str:
    """Write a key; JSON's texts, numbers and lists are TOML's, but for a few characters."""
    return f"{key} = {json.dumps(value, ensure_ascii=False)}"


def _keys() -> list[str]:
    return [field.alias or name for name, field in Policy.model_fields.items()]
