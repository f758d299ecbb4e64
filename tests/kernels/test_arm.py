"""The kernels' instructions for ARM, compiled for it and run by an emulator where there is one.

apt-get install gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user
"""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import sparsepath.kernels.native as native
from sparsepath.kernels import reference
from sparsepath.kernels.by_input import KINDS, Form, stored, written_out
from sparsepath.kernels.native import Level

COMPILER, EMULATOR = shutil.which("aarch64-linux-gnu-gcc"), shutil.which("qemu-aarch64")
SOURCES = Path(native.__file__).parent

pytestmark = pytest.mark.skipif(
    COMPILER is None or EMULATOR is None, reason="needs a compiler and an emulator for ARM"
)


@pytest.fixture(scope="module")
def call(tmp_path_factory: pytest.TempPathFactory) -> Callable[[bytes], bytes]:
    """Calls of kernels on ARM, as `arm/driver.c` reads them."""
    program = tmp_path_factory.mktemp("arm") / "driver"
    sources = [SOURCES / f"{name}.c" for name in ("library", "topk", "gather", "whole", "pool")]
    subprocess.run(
        [str(COMPILER), "-O3", "-Wall", "-Wextra", "-Werror", "-static", f"-I{SOURCES}", "-o",
         str(program), str(Path(__file__).parent / "arm" / "driver.c"), *map(str, sources),
         "-lm", "-lpthread"],
        check=True,
    )  # fmt: skip

    def run(given: bytes) -> bytes:
        done = subprocess.run([str(EMULATOR), str(program)], input=given, capture_output=True,
                              check=True)  # fmt: skip
        return done.stdout

    return run


def _header(*numbers: int) -> bytes:
    return np.array(numbers, np.int64).tobytes()


def _rows(kind: str, width: int) -> np.ndarray:
    """Rows that are easy or hostile."""
    chance = np.random.default_rng(width)
    x = chance.standard_normal((4, width)).astype(np.float32)
    if kind == "rounded":
        x = np.round(x)
    elif kind == "nan":
        x[chance.random(x.shape) < 0.1] = np.nan
    elif kind == "infinite":
        x[chance.random(x.shape) < 0.1] = -np.inf
    elif kind == "zeros":
        x = np.where(chance.random(x.shape) < 0.5, 0.0, -0.0).astype(np.float32)
    return x


@pytest.mark.parametrize("level", [Level.PLAIN, Level.NEON])
def test_the_largest_entries_are_the_definitions(
    call: Callable[[bytes], bytes], level: Level
) -> None:
    cases = [
        (_rows(kind, width), k)
        for kind in ("normal", "rounded", "nan", "infinite", "zeros")
        for width in (1, 3, 4, 5, 16, 17, 31, 100, 257, 1024)
        for k in sorted({1, max(1, width // 16), max(1, width // 3), width})
    ]
    given = b"".join(
        _header(0, 0, x.shape[1], 0, len(x), k, level, 0) + x.tobytes() for x, k in cases
    )
    found = np.frombuffer(call(given), np.float32)
    at = 0
    for x, k in cases:
        n = len(x) * k
        values, indices = reference.largest(torch.from_numpy(x), k)
        np.testing.assert_array_equal(found[at : at + n].reshape(-1, k), values.numpy())
        places = found[at + n : at + 2 * n].view(np.int32).reshape(-1, k)
        np.testing.assert_array_equal(places, indices.numpy())
        at += 2 * n
    assert at == len(found)


@pytest.mark.parametrize("level", [Level.PLAIN, Level.NEON])
@pytest.mark.parametrize("form", ["fp32", "bf16", "int8", "int4"])
def test_products_are_the_definitions(
    call: Callable[[bytes], bytes], form: Form, level: Level
) -> None:
    chance = np.random.default_rng(0)
    given, wanted = b"", []
    for n_in, n_out, k in ((1, 1, 1), (5, 15, 3), (40, 33, 7), (64, 96, 16), (100, 4200, 9)):
        weight = chance.standard_normal((n_in, n_out)).astype(np.float32)
        rows, scales = stored(weight, form)
        values = chance.standard_normal((2, k)).astype(np.float32)
        indices = np.stack([chance.permutation(n_in)[:k] for _ in range(2)]).astype(np.int32)
        bias = chance.standard_normal(n_out).astype(np.float32)
        arrays = [rows, *([] if scales is None else [scales]), values, indices, bias]
        given += _header(1, KINDS[form], n_in, n_out, 2, k, level, rows.strides[0])
        given += b"".join(array.tobytes() for array in arrays)
        dense = np.zeros((2, n_in), np.float32)
        np.put_along_axis(dense, indices.astype(np.int64), values, axis=1)
        wanted.append((dense @ written_out(rows, scales, form, n_out) + bias).ravel())
    found = np.frombuffer(call(given), np.float32)
    most = 5e-4 if form == "int8" else 1e-4  # see `test_whole.py`
    np.testing.assert_allclose(found, np.concatenate(wanted), atol=most, rtol=1e-4)
