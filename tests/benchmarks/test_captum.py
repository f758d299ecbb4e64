"""Our integrated gradients in `bench next_token` are those of captum, where it is installed."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from sparsepath.models.language import fresh_llama, fresh_topk
from sparsepath.models.language_folder import LoadedLanguageModel
from sparsepath.pathways.next_token import Asked, question_of

pytest.importorskip("captum")

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "next_token.py"


def _benchmark() -> ModuleType:
    spec = importlib.util.spec_from_file_location("next_token_benchmark", BENCHMARK)
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


@pytest.mark.filterwarnings("ignore")  # of captum's own imports
def test_they_are_the_same_numbers() -> None:
    bench = _benchmark()
    model = fresh_topk(
        fresh_llama(
            vocabulary=9, length=16, d_model=12, n_layers=3, n_heads=2, n_kv_heads=2, d_mlp=8,
            seed=0,
        ),
        topk={"block_out": 4}, topk_by="value", topk_positive=False, n_always_on=0,
        n_dense_layers=1, straight_through=False,
    ).eval()  # fmt: skip
    tokenizer = Tokenizer(WordLevel({str(i): i for i in range(9)}, unk_token="0"))
    decided = question_of(LoadedLanguageModel(model, tokenizer), [1, 2, 3, 4], Asked())
    ours, theirs = bench.integrated(decided), bench.by_captum(decided)
    assert ours.abs().max() > 1e-4
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)
