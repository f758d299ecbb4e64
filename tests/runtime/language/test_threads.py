"""Any number of threads gives what one gives, to the bit, and none of them stays behind."""

import gc
import multiprocessing
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from sparsepath.cli.main import main
from sparsepath.config import GenerateOptions
from sparsepath.errors import ConfigError
from sparsepath.kernels.native import Level
from sparsepath.models.language import fresh_llama, fresh_topk, train_byte_tokenizer
from sparsepath.runtime.language import engine as engine_file
from sparsepath.runtime.language.cache import Cache
from sparsepath.runtime.language.engine import Engine

N_TOKENS, CONTEXT = 333, 160
SITES = {"attn_in": 60, "attn_out": 50, "mlp_in": 70, "mlp_hidden": 90}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sparse model wide enough to be split, at widths that do not divide evenly."""
    llama = fresh_llama(
        vocabulary=N_TOKENS, length=CONTEXT, d_model=200, n_layers=3, n_heads=5, n_kv_heads=5,
        d_mlp=405, seed=0,
    )  # fmt: skip
    model = fresh_topk(
        llama, topk=SITES, topk_by="value", topk_positive=False, n_always_on=0, n_dense_layers=1,
        straight_through=False,
    )  # fmt: skip
    place = tmp_path_factory.mktemp("threads")
    model.save_pretrained(place)
    train_byte_tokenizer(iter(["one two three"]), size=300).save(str(place / "tokenizer.json"))
    return place


def _ids(n: int) -> list[int]:
    found: list[int] = np.random.default_rng(0).integers(0, N_TOKENS, n).tolist()
    return found


@pytest.mark.parametrize("form", ["fp32", "bf16", "int8", "int4"])
@pytest.mark.parametrize("level", [Level.PLAIN, None])
def test_logits_are_the_same_to_the_bit(folder: Path, form: Any, level: Level | None) -> None:
    alone = Engine(folder, form=form, level=level)
    ids = _ids(140)
    for threads in (2, 5):
        many = Engine(folder, form=form, level=level, threads=threads)
        caches = Cache(alone.shape, 140), Cache(alone.shape, 140)
        # Blocks of a prompt, then single tokens far enough for attention to be shared.
        for part in (ids[:130], *([token] for token in ids[130:])):
            expected, found = (
                engine.read(part, cache, len(part))
                for engine, cache in zip((alone, many), caches, strict=True)
            )
            np.testing.assert_array_equal(found, expected)


def test_threads_wake_up_again_for_hundreds_of_tokens(folder: Path) -> None:
    options = GenerateOptions(tokens=120, temperature=1.0)
    many = Engine(folder, threads=3)
    expected = list(Engine(folder).tokens(_ids(9), options))
    for _ in range(3):
        assert list(many.tokens(_ids(9), options)) == expected


@pytest.mark.skipif(sys.platform != "linux", reason="counts threads as Linux tells them")
def test_threads_end_with_the_engine(folder: Path) -> None:
    def count() -> int:
        return len(list(Path("/proc/self/task").iterdir()))

    gc.collect()
    before = count()
    engine = Engine(folder, threads=4)
    assert count() == before + 3
    list(engine.tokens(_ids(3), GenerateOptions(tokens=3)))
    del engine
    gc.collect()
    assert count() == before


def _answer(engine: Engine, results: Any) -> None:
    results.put(list(engine.tokens(_ids(9), GenerateOptions(tokens=9))))


@pytest.mark.skipif(sys.platform != "linux", reason="only there are processes forked by default")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_process_goes_on_alone(folder: Path) -> None:
    engine = Engine(folder, threads=3)
    forking = multiprocessing.get_context("fork")
    results = forking.Queue()
    child = forking.Process(target=_answer, args=(engine, results))
    child.start()
    assert results.get(timeout=60) == list(engine.tokens(_ids(9), GenerateOptions(tokens=9)))
    child.join(timeout=60)
    assert child.exitcode == 0


def test_without_the_library_threads_change_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_file, "library", lambda: None)
    expected = Engine(folder).logits(_ids(9))
    np.testing.assert_array_equal(Engine(folder, threads=4).logits(_ids(9)), expected)


def test_no_thread_at_all_is_refused(folder: Path) -> None:
    with pytest.raises(ConfigError, match="0 threads"):
        Engine(folder, threads=0)


def test_the_command_says_how_many(folder: Path) -> None:
    said = {
        n: CliRunner().invoke(
            main, ["generate", str(folder), "one", "--tokens", "5", "--threads", n]
        )
        for n in ("1", "3")
    }
    assert {result.exit_code for result in said.values()} == {0}
    assert said["1"].stdout == said["3"].stdout
    assert "one thread;" in said["1"].stderr
    assert "3 threads;" in said["3"].stderr
