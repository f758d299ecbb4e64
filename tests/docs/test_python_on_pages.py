"""The Python on how-to pages that needs nothing of a user's runs as it stands."""

import re
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[2]
PAGES = ["docs/how-to/subsampled-attention.md", "docs/how-to/topk.md"]


@pytest.mark.parametrize("page", PAGES)
def test_the_python_on_a_page_runs(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
    assert blocks
    with torch.random.fork_rng():
        for block in blocks:
            exec(compile(block, page, "exec"), {})
    is_saved = any("save_pretrained" in block for block in blocks)
    assert (tmp_path / "model" / "model.safetensors").exists() == is_saved
