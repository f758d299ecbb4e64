"""An engine that runs layers in stages and stops at the first exit that is sure.

Each stage is a graph of its own, so that layers behind an exit that answers are never run; the
residual stream goes from one to the next.

Source: Teerapittayanon et al. 2016, "BranchyNet"; Xin et al. 2020, "DeeBERT", arXiv 2004.12993.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, final

import numpy as np

from sparsepath.runtime.base import Answers, Engine, FloatArray, Masks, token_batches
from sparsepath.runtime.manifest import Manifest, member
from sparsepath.runtime.session import open_session
from sparsepath.runtime.text import read_text_encoder


@final
class EarlyExitEngine(Engine):
    """Stages of one model; the first whose top probability reaches its threshold answers."""

    def __init__(self, folder: Path, manifest: Manifest, *, threads: int) -> None:
        self.kind = "early-exit"
        self.n_stages = len(manifest.stages)
        self.labels = manifest.labels
        self.encoder = read_text_encoder(folder, manifest.max_length, manifest.pad_id)
        # The last stage always answers.
        self._thresholds = [*manifest.thresholds, 0.0]
        self._masks = Masks()
        self._sessions: list[Any] = [
            open_session(
                member(folder, name),
                threads=threads,
                n_labels=len(self.labels),
                inputs=["hidden" if number else "input_ids", "attention_mask"],
            )
            for number, name in enumerate(manifest.stages)
        ]
        self._outputs = [["probabilities", "hidden_out"]] * (self.n_stages - 1)
        self._outputs.append(["probabilities"])

    def predict_one(self, text: str) -> FloatArray:
        """Return the probabilities of one text, [labels]."""
        ids = self.encoder.encode(text)
        mask = self._masks.of(len(ids))
        feeds = {"input_ids": np.array([ids], np.int64), "attention_mask": mask}
        for session, outputs, threshold in zip(
            self._sessions, self._outputs, self._thresholds, strict=True
        ):
            results = session.run(outputs, feeds)
            row: FloatArray = results[0][0]
            if row.max() >= threshold:
                break
            feeds = {"hidden": results[1], "attention_mask": mask}
        return row

    def answer(self, texts: Sequence[str], batch_size: int = 1) -> Answers:
        """Return the probabilities of texts and the exit that gave them."""
        probabilities = np.empty((len(texts), len(self.labels)), np.float32)
        stages = np.zeros(len(texts), np.int64)
        for batch in token_batches(self.encoder, texts, batch_size):
            rows, mask = batch.rows, batch.attention_mask
            feeds = {"input_ids": batch.input_ids, "attention_mask": mask}
            for stage, threshold in enumerate(self._thresholds):
                results = self._sessions[stage].run(self._outputs[stage], feeds)
                probabilities[rows], stages[rows] = results[0], stage
                unsure = results[0].max(axis=1) < threshold
                if not unsure.any():
                    break
                rows, mask = rows[unsure], mask[unsure]
                feeds = {"hidden": results[1][unsure], "attention_mask": mask}
        return Answers(probabilities, stages)

    def stage_probabilities(self, texts: Sequence[str], batch_size: int = 1) -> FloatArray:
        """Return what every exit says, [stages, texts, labels]."""
        result = np.empty((self.n_stages, len(texts), len(self.labels)), np.float32)
        for batch in token_batches(self.encoder, texts, batch_size):
            feeds = {"input_ids": batch.input_ids, "attention_mask": batch.attention_mask}
            for stage, session in enumerate(self._sessions):
                outputs = session.run(self._outputs[stage], feeds)
                result[stage, batch.rows] = outputs[0]
                if stage + 1 < self.n_stages:
                    feeds = {"hidden": outputs[1], "attention_mask": batch.attention_mask}
        return result
