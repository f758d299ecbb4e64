"""The model in native code: structures of `kernels/native/decode.c`, and the call."""

import ctypes
import weakref
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsepath.kernels.by_input import KINDS, Floats
from sparsepath.kernels.native import NO_MEMORY, Level, best_level, library
from sparsepath.runtime.language.cache import Cache
from sparsepath.runtime.language.native_edits import NO_EDITS, NativeEdits
from sparsepath.runtime.language.shape import SITES, rotations
from sparsepath.runtime.language.weights import Matrix, Weights

_Pointer, _Int, _Double = ctypes.c_void_p, ctypes.c_int64, ctypes.c_double


class _Matrix(ctypes.Structure):
    _fields_ = (
        ("rows", _Pointer),
        ("scales", _Pointer),
        ("bias", _Pointer),
        ("n_in", _Int),
        ("n_out", _Int),
        ("row_bytes", _Int),
        ("kind", _Int),
        ("doubled", _Pointer),
        ("n_doubled", _Int),
    )


class _Layer(ctypes.Structure):
    _fields_ = (
        ("attn_norm", _Pointer),
        ("mlp_norm", _Pointer),
        ("qkv", _Matrix),
        ("out", _Matrix),
        ("gate_up", _Matrix),
        ("down", _Matrix),
        *((f"k_{site}", _Int) for site in SITES),
    )


SIZES = (
    "n_layers",
    "d_model",
    "n_heads",
    "n_kv_heads",
    "head_dim",
    "d_mlp",
    "vocabulary",
    "window",
    "by_magnitude",
    "is_positive",
    "n_always_on",
)
"""Integers of a `Shape`, in the order of the native code."""

ADDRESSES = (
    *("final_norm", "cosines", "sines", "layers"),
    *("keys", "values", "key_scales", "value_scales"),
    *("scratch", "pool"),
)
"""In its order."""


class _Decoder(ctypes.Structure):
    _fields_ = (
        *((name, _Int) for name in (*SIZES, "capacity", "level")),
        ("eps", _Double),
        ("embedding", _Matrix),
        ("head", _Matrix),
        *((name, _Pointer) for name in ADDRESSES),
        ("bytes_read", _Int),
        ("edits", _Pointer),
        ("edit_starts", _Pointer),
        ("n_slots", _Int),
        ("trace_starts", _Pointer),
        ("trace_width", _Int),
        ("trace_indices", _Pointer),
        ("trace_values", _Pointer),
        ("trace_counts", _Pointer),
    )


class NativePass:
    """Runs a model by the C library."""

    def __init__(self, weights: Weights, *, level: Level | None = None, threads: int = 1) -> None:
        """Describe the model to the library, which must be there.

        Args:
            weights: kept alive by this object.
            level: instruction set; None: the best that the processor has.
            threads: that share the outputs of a product, at least 1; the result is the same, to
                the bit. They live as long as this object.
        """
        self._weights = weights
        self._held: list[NDArray[Any]] = []
        shape = weights.shape
        layers = [self._layer(number) for number in range(shape.n_layers)]
        self._layers = (_Layer * len(layers))(*layers)
        decoder = _Decoder(**{name: getattr(shape, name) for name in (*SIZES, "eps")})
        decoder.level = int((best_level() if level is None else level) or 0)
        decoder.embedding = self._matrix(weights.embedding)
        decoder.head = self._matrix(weights.head)
        decoder.final_norm = self._address(weights.final_norm)
        decoder.layers = ctypes.addressof(self._layers)
        decoder.pool = self._pool(threads)
        self._decoder = decoder
        self._edits = NO_EDITS
        self._scratch = np.zeros(0, np.float32)
        self._turned: tuple[Floats, Floats] = (np.zeros((0, 0), np.float32),) * 2

    @property
    def bytes_read(self) -> int:
        """Bytes of weights read so far."""
        return int(self._decoder.bytes_read)

    def run(self, tokens: NDArray[np.int32], cache: Cache, n_logits: int) -> Floats:
        """Read tokens after those in the cache; as `PlainPass.run`."""
        native, shape = library(), self._weights.shape
        assert native is not None, "no native library"
        if len(self._turned[0]) < cache.capacity:
            first, second = rotations(shape, cache.capacity)
            self._turned = np.ascontiguousarray(first), np.ascontiguousarray(second)
        decoder = self._decoder
        decoder.capacity = cache.capacity
        if not self._edits.are_of(cache.steering, cache.n_prompt):
            self._edits = NativeEdits(cache.steering, cache.n_prompt, shape.n_layers)
            decoder.edits, decoder.edit_starts = self._edits.addresses
            decoder.n_slots = self._edits.n_slots
        room = native.sp_decoder_room
        room.restype = _Int
        if len(self._scratch) < (needed := room(ctypes.byref(decoder))):
            self._scratch = np.zeros(needed, np.float32)
        for name, array in (
            ("cosines", self._turned[0]),
            ("sines", self._turned[1]),
            ("keys", cache.keys),
            ("values", cache.values),
            ("scratch", self._scratch),
        ):
            setattr(decoder, name, array.ctypes.data)
        scales = (None, None) if cache.scales is None else [s.ctypes.data for s in cache.scales]
        decoder.key_scales, decoder.value_scales = scales
        self._trace(cache)
        ids = np.ascontiguousarray(tokens, dtype=np.int32)
        logits = np.empty((n_logits, shape.vocabulary), np.float32)
        status = native.sp_decode(
            ctypes.byref(decoder),
            _Pointer(ids.ctypes.data),
            _Int(len(ids)),
            _Int(cache.length),
            _Int(n_logits),
            _Pointer(logits.ctypes.data),
        )
        if status == NO_MEMORY:
            raise MemoryError("the native decoder ran out of memory")
        assert status == 0, f"the native decoder ended with {status}"
        cache.advance(ids)
        return logits

    def _trace(self, cache: Cache) -> None:
        """Say where to note what is kept, beginning at the next position."""
        decoder = self._decoder
        if cache.trace is None:
            decoder.trace_starts = None
            return
        places = cache.trace.addresses
        row = 4 * cache.length * places.width
        decoder.trace_starts = places.starts
        decoder.trace_width = places.width
        decoder.trace_indices = places.indices + row
        decoder.trace_values = places.values + row
        decoder.trace_counts = places.counts + 4 * cache.length * places.n_spots

    def _pool(self, threads: int) -> int | None:
        """Start threads that end with this object; None for a single one."""
        native = library()
        assert native is not None, "no native library"
        start, stop = native.sp_pool_start, native.sp_pool_stop
        start.restype, stop.restype = _Pointer, None
        pool: int | None = start(_Int(threads))
        if pool is not None:
            weakref.finalize(self, stop, _Pointer(pool))
        return pool

    def _layer(self, number: int) -> _Layer:
        """Describe a block."""
        layer, shape = self._weights.layers[number], self._weights.shape
        return _Layer(
            self._address(layer.attn_norm),
            self._address(layer.mlp_norm),
            *(self._matrix(m) for m in (layer.qkv, layer.out, layer.gate_up, layer.down)),
            *(shape.kept(site, number) for site in SITES),
        )

    def _matrix(self, matrix: Matrix) -> _Matrix:
        """Describe a matrix."""
        rows = np.ascontiguousarray(matrix.rows)
        return _Matrix(
            self._address(rows),
            None if matrix.scales is None else self._address(matrix.scales),
            None if matrix.bias is None else self._address(matrix.bias),
            rows.shape[0],
            matrix.n_outputs,
            rows.strides[0],
            KINDS[matrix.form],
            None if matrix.doubled is None else self._address(matrix.doubled),
            0 if matrix.doubled is None else len(matrix.doubled),
        )

    def _address(self, array: NDArray[Any]) -> int:
        """Give where an array's data is, and keep it there."""
        whole = np.ascontiguousarray(array)
        self._held.append(whole)
        return int(whole.ctypes.data)
