"""What is wrong with a screen: faults that axe finds, and parts that are wider than it."""

from pathlib import Path
from typing import Any

import pytest

AXE = Path(__file__).parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"
TOO_WIDE = """[...document.querySelectorAll('main *')].filter((one) => {
    const box = one.getBoundingClientRect();
    const unseen = one.closest('.unseen, .cards-when-narrow thead, figure');
    return !unseen && box.width > 0 && (box.right > innerWidth + 1 || box.left < -1);
}).map((one) => one.outerHTML.slice(0, 150))"""


def serious_faults(page: Any) -> list[tuple[str, list[str]]]:
    """Give what axe calls serious or critical; nothing where axe is not installed."""
    if not AXE.is_file():
        pytest.skip("needs axe-core: npm --prefix web ci")
    page.evaluate(AXE.read_text(encoding="utf-8") + ";0")
    found = page.evaluate("axe.run()")
    assert len(found["passes"]) > 15
    return [
        (one["id"], [node["html"][:200] for node in one["nodes"]])
        for one in found["violations"]
        if one["impact"] in {"serious", "critical"}
    ]
