"""The teacher answers as the full model does, and in int8 only where that says the same."""

from pathlib import Path

import pytest
import torch

from sparsepath.models.classifier import PathwayClassifier
from sparsepath.models.save import load_classifier
from sparsepath.poc import teacher as module
from sparsepath.poc.teacher import Teacher
from sparsepath.train.finetune import predict_logits

ROWS = [[2, *(4 + (k * n) % 7 for k in range(n)), 3] for n in (1, 9, 4, 2, 17, 5, 6, 3)]


@pytest.fixture(scope="module")
def model(model_folder: Path) -> PathwayClassifier:
    """A random classifier of two labels."""
    return load_classifier(model_folder).model


@pytest.mark.parametrize(("least", "precision", "gap"), [(0.0, "int8", 0.2), (1.1, "fp32", 1e-4)])
def test_answers_are_those_of_the_model(
    model: PathwayClassifier,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    least: float,
    precision: str,
    gap: float,
) -> None:
    monkeypatch.setattr(module, "LEAST_AGREEMENT", least)
    folder = tmp_path / "teacher"
    folder.mkdir()
    (folder / "left-by-a-killed-run").touch()
    teacher = Teacher(model, ROWS, pad_id=0, folder=folder)
    assert teacher.precision == precision
    assert not folder.exists()
    expected = predict_logits(model, ROWS, 0)
    torch.testing.assert_close(teacher.answer(ROWS), expected, atol=gap, rtol=gap)


def test_agreement_is_the_share_of_rows_with_equal_labels(
    model: PathwayClassifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = {}
    for least, precision in ((0.0, "int8"), (1.1, "fp32")):
        monkeypatch.setattr(module, "LEAST_AGREEMENT", least)
        teacher = Teacher(model, ROWS, pad_id=0, folder=tmp_path / "teacher")
        labels[precision] = teacher.answer(ROWS).argmax(dim=-1)
    expected = (labels["int8"] == labels["fp32"]).double().mean()
    assert teacher.agreement == pytest.approx(float(expected))
