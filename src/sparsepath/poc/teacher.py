"""What the full model answers to many rows of tokens, as what sub-models learn from.

Its int8 graph answers several times faster than training code does, so that far more made-up texts
can be learnt from in the same minutes. Where rounding changes what the model says, as it does for
some encoders, the exact graph answers instead.
"""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from sparsepath.models.classifier import PathwayClassifier
from sparsepath.models.describe import describe
from sparsepath.runtime.onnx_writer import write_onnx
from sparsepath.runtime.quantize import write_int8_onnx
from sparsepath.runtime.session import open_session
from sparsepath.trace.batches import bucketed_batches

LEAST_AGREEMENT = 0.97
"""Share of probing rows on which the int8 graph must give the same label as the exact one."""

BATCH = 32
"""Rows that go through a graph together."""


class Teacher:
    """The full model as two graphs; answers with the lighter one where that says the same."""

    def __init__(
        self,
        model: PathwayClassifier,
        probe: Sequence[Sequence[int]],
        *,
        pad_id: int,
        folder: Path,
        threads: int | None = None,
    ) -> None:
        """Write and open the graphs, and compare them on some rows.

        Args:
            model: the full model.
            probe: rows of token ids on which the graphs are compared, at least one.
            pad_id: token that fills short rows.
            folder: made for the graphs while they are opened, and removed; what a killed run left
                there goes first.
            threads: threads of one matrix product; all processors if None.
        """
        self._pad_id = pad_id
        self._n_labels = model.classifier.out_features
        threads = threads or os.cpu_count() or 1
        weights = describe(model)
        sessions: dict[str, Any] = {}
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for precision, write in {"fp32": write_onnx, "int8": write_int8_onnx}.items():
            path = folder / f"{precision}.onnx"
            write(weights, path)
            sessions[precision] = open_session(
                path,
                threads=threads,
                n_labels=self._n_labels,
                inputs=["input_ids", "attention_mask"],
            )
        shutil.rmtree(folder, ignore_errors=True)
        said = {name: self._run(session, probe) for name, session in sessions.items()}
        same = said["fp32"].argmax(dim=-1) == said["int8"].argmax(dim=-1)
        self.agreement = float(same.double().mean())
        """Share of the probing rows on which both graphs give the same label."""
        self.precision = "int8" if self.agreement >= LEAST_AGREEMENT else "fp32"
        """Graph that answers."""
        self._session = sessions[self.precision]

    def answer(self, encoded: Sequence[Sequence[int]]) -> Float[Tensor, "rows labels"]:
        """Return the logits of every row, in row order."""
        return self._run(self._session, encoded)

    def _run(self, session: Any, encoded: Sequence[Sequence[int]]) -> Float[Tensor, "rows labels"]:
        """Run all rows in batches of similar length."""
        logits = torch.empty(len(encoded), self._n_labels)
        for batch in bucketed_batches(encoded, None, BATCH, pad_id=self._pad_id):
            feeds = {
                "input_ids": batch.input_ids.numpy().astype(np.int64),
                "attention_mask": batch.attention_mask.numpy().astype(np.int64),
            }
            logits[batch.rows] = torch.from_numpy(session.run(["logits"], feeds)[0])
        return logits
