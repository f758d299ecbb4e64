"""The int8 graph of a classifier: weights in 8 bits, activations quantised as they come.

Matrix products go through ONNX Runtime's own dynamic quantiser, per output channel and with 7 of
the 8 bits, because on processors without VNNI the 8th overflows a 16-bit sum and silently costs
accuracy. Word embeddings are packed by row (`onnx_writer`), which loses less than one scale for
the whole table.

Source: ONNX Runtime, "Quantize ONNX models", section "When to use reduce-range".
"""

import logging
import tempfile
from pathlib import Path

import onnx
from onnxruntime.quantization import QuantType, quantize_dynamic

from sparsepath.models.weights import EncoderWeights
from sparsepath.runtime.graph import FLOAT, save_model
from sparsepath.runtime.onnx_writer import write_onnx


def write_int8_onnx(weights: EncoderWeights, path: Path) -> None:
    """Write the classifier in int8 to `path` and its large tensors to `path` + ".data"."""
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as name:
        exact, packed = Path(name) / "exact.onnx", Path(name) / "packed.onnx"
        write_onnx(weights, exact, packs_words=True)
        quantize_file(exact, packed)
        save_model(onnx.load(packed), path)


def quantize_file(source: Path, target: Path) -> None:
    """Quantise the matrix products of a graph with ONNX Runtime's dynamic quantiser."""
    # It advises, through the root logger, a preparation that fused operators do not take part in.
    logger = logging.getLogger()
    is_disabled, logger.disabled = logger.disabled, True
    try:
        quantize_dynamic(
            source,
            target,
            op_types_to_quantize=["MatMul", "Attention"],
            per_channel=True,
            reduce_range=True,
            weight_type=QuantType.QInt8,
            extra_options={"DefaultTensorType": FLOAT},
        )
    finally:
        logger.disabled = is_disabled
