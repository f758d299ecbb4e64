"""The teacher answers as the full model does, and in int8 only where that says the same."""

from pathlib import Path

import pytest
import torch
from transformers import BertConfig, BertModel

from sparsepath.models.classifier import PathwayClassifier, from_encoder
from sparsepath.poc import teacher as module
from sparsepath.poc.teacher import Teacher
from sparsepath.train.finetune import predict_logits

ROWS = [[2, *range(5, 5 + n), 3] for n in (1, 9, 4, 2, 17, 4)]


@pytest.fixture(scope="module")
def model() -> PathwayClassifier:
    """A random classifier of five labels whose answers differ from row to row."""
    config = BertConfig(
        vocab_size=40,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=48,
        max_position_embeddings=32,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = BertModel(config, add_pooling_layer=False)
        found = from_encoder(encoder, list("abcde"), max_length=32)
        torch.nn.init.normal_(found.classifier.weight)
    return found.eval()


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


def test_agreement_is_the_share_of_equal_labels(model: PathwayClassifier, tmp_path: Path) -> None:
    teacher = Teacher(model, ROWS, pad_id=0, folder=tmp_path / "teacher")
    assert teacher.agreement * len(ROWS) == pytest.approx(round(teacher.agreement * len(ROWS)))
    assert teacher.agreement > 0.5
