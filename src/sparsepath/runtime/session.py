"""Opening a graph in ONNX Runtime, with errors that say what to do."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as states

from sparsepath.errors import ConfigError, ModelError

_FAILURES = (
    states.Fail,
    states.InvalidArgument,
    states.InvalidGraph,
    states.InvalidProtobuf,
    states.NoModel,
    states.NoSuchFile,
    states.NotImplemented,
    states.RuntimeException,
)

SLOW_OPTIMIZERS: Final = ["SkipLayerNormFusion", "EmbedLayerNormFusion"]
"""Fusions whose result is slower on a CPU than its parts (`onnx_writer.py`)."""


def open_session(
    path: Path, *, threads: int, n_labels: int, inputs: Sequence[str], graph: bytes | None = None
) -> Any:
    """Open a graph on the CPU.

    Args:
        path: the `.onnx` file.
        threads: threads of one matrix product; they sleep instead of spinning between calls, so
            that other programs keep their cores.
        n_labels: width that the output `probabilities` must have.
        inputs: names of the inputs that it must take.
        graph: what is run in place of the file.

    Returns:
        An `onnxruntime.InferenceSession`.

    Raises:
        ConfigError: if `threads` is not positive.
        ModelError: if the file is missing, damaged, or not such a graph.
    """
    if threads < 1:
        raise ConfigError(f"{threads} threads", hint="give 1 or more, such as --threads 1")
    if not path.is_file():
        raise ModelError(
            f"no {path.name} in {path.parent}", hint="copy the model folder again, whole"
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    try:
        session = onnxruntime.InferenceSession(
            str(path) if graph is None else graph,
            options,
            providers=["CPUExecutionProvider"],
            disabled_optimizers=SLOW_OPTIMIZERS,
        )
    except _FAILURES as err:
        raise ModelError(
            f"{path} cannot be opened: {_first_line(err)}",
            hint="copy the model folder again, whole, its .onnx.data file included",
        ) from err
    _check(path, session, n_labels, inputs)
    return session


def _check(path: Path, session: Any, n_labels: int, inputs: Sequence[str]) -> None:
    """Refuse a graph that belongs to something else."""
    takes = {value.name for value in session.get_inputs()}
    widths = {value.name: value.shape[-1] for value in session.get_outputs() if value.shape}
    if takes != set(inputs) or widths.get("probabilities") != n_labels:
        raise ModelError(
            f"{path} takes {', '.join(sorted(takes))} and gives "
            f"{widths.get('probabilities', 'no')} probabilities, not those of {n_labels} labels",
            hint="the graph and sparsepath.json do not belong together: copy the folder again",
        )


def _first_line(err: Exception) -> str:
    return str(err).strip().partition("\n")[0]
