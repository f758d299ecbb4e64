"""Costs are measured in turn, in a fresh process, and counted from shapes."""

import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from tests.runtime.conftest import LABELS, TEXTS, VOCABULARY, word_tokenizer
from transformers import AutoModel, BertConfig

from sparsepath.errors import ConfigError, ModelError
from sparsepath.evaluate.cost import (
    BLOCK,
    Latency,
    flops_per_example,
    measure_latency,
    peak_rss_bytes,
    size_bytes,
    speedup,
    throughput,
    tokenize_ms,
)
from sparsepath.models.classifier import from_encoder
from sparsepath.models.describe import describe
from sparsepath.runtime.build import add_graphs, save_cascade
from sparsepath.runtime.engine import load_engine
from sparsepath.runtime.latency_model import cut_to_shape

WIDE = 256


def make_models(root: Path) -> None:
    """Write a wide model of two layers, and one without layers."""
    config = BertConfig(
        vocab_size=len(VOCABULARY),
        hidden_size=WIDE,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=1024,
        max_position_embeddings=64,
    )
    weights = describe(from_encoder(AutoModel.from_config(config), LABELS, max_length=24))
    for name, shape in (("heavy", weights.shape), ("light", [])):
        folder = root / name
        folder.mkdir()
        add_graphs(folder, cut_to_shape(weights, shape), labels=LABELS, pad_id=0)
        word_tokenizer().save(str(folder / "tokenizer.json"))


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    root = tmp_path_factory.mktemp("models")
    make_models(root)
    yield root
    shutil.rmtree(root)


def latency(samples: Sequence[Sequence[float]]) -> Latency:
    return Latency(0.0, 0.0, 0.0, 0.0, np.array(samples))


def test_a_lighter_model_is_measured_to_be_faster(models: Path) -> None:
    engines = {name: load_engine(models / name) for name in ("heavy", "light")}
    found = measure_latency(engines, TEXTS, rounds=8)
    heavy, light = found["heavy"], found["light"]
    assert heavy.samples_ms.shape == light.samples_ms.shape == (len(TEXTS), BLOCK)
    assert 0 < light.tokenize_p50_ms < light.p50_ms < heavy.p50_ms < 1000
    assert heavy.p50_ms <= heavy.p95_ms
    times = speedup(heavy, light)
    assert 1.0 < times.ci95[0] <= times.ratio <= times.ci95[1]
    assert times.n == heavy.samples_ms.size


def test_a_time_limit_still_gives_a_block(models: Path) -> None:
    found = measure_latency({"light": load_engine(models / "light")}, TEXTS, rounds=50, max_s=0.0)
    assert found["light"].samples_ms.shape == (1, BLOCK)


@pytest.mark.parametrize(("texts", "rounds"), [([], 1), (TEXTS, 0)])
def test_nothing_to_measure_is_refused(models: Path, texts: list[str], rounds: int) -> None:
    with pytest.raises(ConfigError, match="to measure"):
        measure_latency({"light": load_engine(models / "light")}, texts, rounds=rounds)


def test_speedup_is_the_ratio_of_medians_with_an_interval_around_it() -> None:
    rng = np.random.default_rng(0)
    slow = latency(4.0 + 0.1 * rng.standard_normal((30, 8)))
    fast = latency(2.0 + 0.1 * rng.standard_normal((30, 8)))
    found = speedup(slow, fast)
    assert found.ratio == pytest.approx(2.0, rel=0.02)
    assert found.ci95[0] < found.ratio < found.ci95[1]
    assert found.ci95[1] - found.ci95[0] < 0.1


def test_speedup_against_itself_is_exactly_one() -> None:
    same = latency(np.random.default_rng(0).random((10, 8)).tolist())
    assert speedup(same, same)[:2] == (1.0, (1.0, 1.0))


def test_throughput_counts_texts_per_second(models: Path) -> None:
    light = throughput(load_engine(models / "light"), TEXTS * 20, min_s=0.05)
    heavy = throughput(load_engine(models / "heavy"), TEXTS * 20, min_s=0.05)
    assert light > heavy > 1


def test_tokenizing_takes_some_microseconds(models: Path) -> None:
    assert 0.0 < tokenize_ms(load_engine(models / "light"), TEXTS) < 1.0


def test_memory_of_a_fresh_process_grows_with_the_model(models: Path) -> None:
    light, heavy = (peak_rss_bytes(models / name, TEXTS) for name in ("light", "heavy"))
    weights = size_bytes(models / "heavy") - size_bytes(models / "light")
    assert 20e6 < light < 150e6
    assert light + weights / 2 < heavy < light + 6 * weights


def test_a_model_that_cannot_run_is_named(models: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no model folder"):
        peak_rss_bytes(tmp_path / "nowhere", TEXTS)


def test_the_measuring_process_stays_small() -> None:
    heavy = ["torch", "transformers", "onnx", "pydantic", "click", "rich", "jaxtyping"]
    code = f"import sys, sparsepath.evaluate.rss; print([n for n in {heavy!r} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_size_counts_every_file_that_running_reads(models: Path, tmp_path: Path) -> None:
    folder = tmp_path / "m"
    shutil.copytree(models / "light", folder)
    want = sum(path.stat().st_size for path in folder.iterdir())
    (folder / "README.md").write_text("not counted")
    assert size_bytes(folder) == want
    with pytest.raises(ModelError, match="has no int8 graph"):
        size_bytes(folder, "int8")


def test_size_of_a_cascade_is_that_of_its_models(models: Path) -> None:
    save_cascade(models / "both", [models / "light", models / "heavy"], [0.5])
    both = size_bytes(models / "both")
    assert both == size_bytes(models / "light") + size_bytes(models / "heavy")
    shutil.rmtree(models / "both")


def test_flops_follow_the_formula() -> None:
    sizes = {"width": 384, "head_dim": 32, "n_labels": 77, "n_tokens": 16}
    empty = 2 * 16 * 384 + 2 * 384 * 77
    assert flops_per_example([], **sizes) == empty
    projections, mlp = 4 * 2 * 16 * 384 * 384, 2 * 2 * 16 * 384 * 1536
    attention = 2 * 2 * 16 * 16 * 384
    assert flops_per_example([(12, 1536)], **sizes) == empty + projections + attention + mlp
    assert flops_per_example([(0, 1536)], **sizes, is_glu=True) == empty + mlp * 3 // 2
