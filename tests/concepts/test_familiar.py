"""A corpus in another language than the model's is noticed, with figures, before it is read."""

import json
import math
import re
from pathlib import Path

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from sparsepath.artifacts.catalogue import Catalogue
from sparsepath.artifacts.training_record import trained_tokens_per_byte
from sparsepath.concepts.build import build_catalogue
from sparsepath.concepts.familiar import unfamiliar
from sparsepath.concepts.options import CatalogueOptions

ENGLISH = """All human beings are born free and equal in dignity and rights. They are endowed with
reason and conscience and should act towards one another in a spirit of brotherhood. Everyone is
entitled to all the rights and freedoms set forth in this Declaration, without distinction of any
kind, such as race, colour, sex, language, religion, political or other opinion, national or social
origin, property, birth or other status. Everyone has the right to life, liberty and security."""
LATER = """No one shall be held in slavery or servitude. Everyone has the right to recognition
everywhere as a person before the law. All are equal before the law and are entitled without any
distinction to equal protection of the law, and of their rights and freedoms."""
GERMAN = """Alle Menschen sind frei und gleich an Wuerde und Rechten geboren. Sie sind mit Vernunft
und Gewissen begabt und sollen einander im Geist der Bruederlichkeit begegnen. Jeder hat Anspruch
auf die in dieser Erklaerung verkuendeten Rechte und Freiheiten ohne irgendeinen Unterschied."""
JAPANESE = """すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。
人間は、理性と良心とを授けられており、互いに同胞の精神をもって行動しなければならない。"""


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    """A byte-level one that was made on the English text."""
    found = Tokenizer(models.BPE())
    found.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    found.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    found.train_from_iterator([ENGLISH], trainer)
    return found


def told(text: str, tokenizer: Tokenizer, place: Path, trained: float | None) -> str | None:
    """Ask about a text, beside the record of a training if it has so many tokens for a byte."""
    corpus, folder = place / "corpus.txt", place / "run" / "model"
    corpus.write_text(text, encoding="utf-8")
    folder.mkdir(parents=True)
    if trained is not None:
        line = {"kind": "evaluation", "loss_nats": 4 * math.log(2), "bits_per_byte": 4 * trained}
        (place / "run" / "train.jsonl").write_text(json.dumps(line) + "\n")
    return unfamiliar(str(corpus), tokenizer, folder)


@pytest.mark.parametrize("trained", [0.5, None])
def test_text_of_the_same_language_is_no_surprise(
    tokenizer: Tokenizer, tmp_path: Path, trained: float | None
) -> None:
    assert told(LATER, tokenizer, tmp_path, trained) is None


def test_another_language_of_the_same_alphabet_takes_more_tokens_than_in_training(
    tokenizer: Tokenizer, tmp_path: Path
) -> None:
    found = told(GERMAN, tokenizer, tmp_path, 0.5)
    assert found is not None
    assert "tokens for 100 bytes, the text that the model was trained on 50" in found
    assert "fix: " in found


@pytest.mark.parametrize(("trained", "sign"), [(0.5, "trained on 50"), (None, "100% of its tok")])
def test_another_alphabet_is_noticed_also_without_a_record(
    tokenizer: Tokenizer, tmp_path: Path, trained: float | None, sign: str
) -> None:
    found = told(JAPANESE, tokenizer, tmp_path, trained)
    assert found is not None
    assert sign in found


def test_the_last_look_at_held_out_rows_counts(tmp_path: Path) -> None:
    lines = [
        {"kind": "step", "loss_nats": 1.0},
        {"kind": "evaluation", "loss_nats": math.log(2), "bits_per_byte": 0.3},
        {"kind": "evaluation", "loss_nats": 2 * math.log(2), "bits_per_byte": 0.5},
        {"kind": "evaluation", "loss_nats": 3.0, "accuracy": 0.5},
    ]
    text = "\n".join(json.dumps(line) for line in lines)
    (tmp_path / "train.jsonl").write_text(f'{text}\n{{"kind": "eval', encoding="utf-8")
    assert trained_tokens_per_byte(tmp_path) == pytest.approx(0.25)
    assert trained_tokens_per_byte(tmp_path / "nowhere") is None


def test_a_catalogue_keeps_the_warning_and_a_good_one_has_none(
    tmp_path: Path, planted_model: Path
) -> None:
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("\n\n".join([ENGLISH, GERMAN] * 10), encoding="utf-8")
    options = CatalogueOptions(length=16, held_out=0.25, vectors=False)
    said: list[str] = []
    built = build_catalogue(
        planted_model, str(corpus), options, out=tmp_path / "c.sqlite", say=said.append
    )
    assert said[0].startswith("warning: ")
    assert re.search(r"does not know \d\d% of its tokens", said[0])
    assert [f"warning: {text}" for text in built.facts.warnings] == said[:1]
    with Catalogue(planted_model) as catalogue:
        assert catalogue.facts.warnings == []
