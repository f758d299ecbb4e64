"""Models and rules of tests."""

from typing import Any

from sparsepath.audit.database import Database
from sparsepath.audit.rollout.model import ModelRef
from sparsepath.audit.rollout.rules import Rules
from sparsepath.audit.rollout.state import Rollout, start


def ref(name: str, **more: Any) -> ModelRef:
    facts: dict[str, Any] = {"folder": f"/models/{name}", "precision": "fp32", "sha256": name * 8}
    return ModelRef(name=name, **(facts | {"labels": ["left", "right"]} | more))


def begun(database: Database, **rules: Any) -> Rollout:
    return start(database, ref("a"), ref("b"), Rules.model_validate(rules), by="tests")
