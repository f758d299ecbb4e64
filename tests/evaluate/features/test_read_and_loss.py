"""Features are read from a running model as they are, and their loss is measured."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import planted
from sparsepath.errors import DataError
from sparsepath.evaluate.features.loss import loss_recovered
from sparsepath.evaluate.features.read import Encoded, Entries, Reader, encode, read_features
from sparsepath.models.language_folder import LoadedLanguageModel, load_language_model
from sparsepath.trace.hidden import sparse_places

TEXTS = [
    f"{planted.LISTS[4][0]} {planted.FILLERS[0]} {planted.LISTS[9][1]}",
    f"{planted.LISTS[9][0]}",
    f"{planted.FILLERS[1]} , {planted.FILLERS[2]} {planted.FILLERS[3]} {planted.LISTS[4][2]} ,",
]
WIDTH = planted.N_LISTS + planted.N_OTHERS
REPEATED = [" ".join([word] * n) for word, n in zip(planted.FILLERS[:6], range(3, 9), strict=True)]
"""What the planted model is good at: it says the token it reads."""


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> LoadedLanguageModel:
    return load_language_model(planted.save_model(tmp_path_factory.mktemp("m") / "m", n_layers=2))


def readers(loaded: LoadedLanguageModel, k: int | None = None) -> list[Reader]:
    return [Reader(place, Entries(WIDTH, k)) for place in sparse_places(loaded.model)]


def test_features_of_a_text_are_means_over_its_tokens(loaded: LoadedLanguageModel) -> None:
    encoded = encode(loaded.tokenizer, TEXTS, 64)
    first, second = read_features(loaded.model, encoded, readers(loaded))
    assert (first.features.name, second.features.name) == ("L00", "L01")
    values = first.features.values.toarray()
    assert values[:, 4] == pytest.approx([2 / 3, 0, 2 / 6])
    assert values[:, 9] == pytest.approx([2 / 3, 2, 0])
    np.testing.assert_allclose(first.features.hidden, values, atol=1e-6)
    assert sum(first.firings.tokens) == 10
    assert first.firings.by_feature[4] == 2
    assert sum(first.firings.fired) == 10 * planted.K


def test_tokens_that_are_no_text_are_read_past(loaded: LoadedLanguageModel) -> None:
    ids = encode(loaded.tokenizer, TEXTS[:1], 64).ids
    encoded = Encoded(ids, [[False, True, True]])
    (read, _) = read_features(loaded.model, encoded, readers(loaded))
    assert read.features.values.toarray()[0, [4, 9]] == pytest.approx([0, 1])
    assert read.firings.tokens == [2]


def test_a_latent_is_read_through_its_dictionary(loaded: LoadedLanguageModel) -> None:
    class Doubled:
        n_features = WIDTH + 1

        def directions(self) -> Tensor:
            return torch.cat([torch.eye(WIDTH) / 2, torch.zeros(1, WIDTH)])

        def encode(self, hidden: Tensor) -> Tensor:
            return torch.cat([2 * hidden, torch.zeros(*hidden.shape[:-1], 1)], dim=-1)

        def said(self, hidden: Tensor) -> Tensor:
            return self.encode(hidden) @ self.directions()

    place = sparse_places(loaded.model)[0]
    encoded = encode(loaded.tokenizer, TEXTS, 64)
    (read,) = read_features(
        loaded.model, encoded, [Reader(place._replace(width=WIDTH + 1), Doubled())]
    )
    assert read.features.values.toarray()[1, 9] == pytest.approx(4)
    without = read.features.changed(np.array([1]), np.array([9]))
    assert without[0, 9] == pytest.approx(0)
    assert read.features.hidden[1, 9] == pytest.approx(2)


def test_what_a_sparse_site_keeps_loses_nothing(loaded: LoadedLanguageModel) -> None:
    encoded = encode(loaded.tokenizer, REPEATED, 64)
    for found in loss_recovered(loaded.model, encoded, readers(loaded)):
        assert found.value == 1.0
        assert found.ci95 == (1.0, 1.0)
        assert found.controls["shuffled"] < 0.8
        assert found.parts["loss"] == found.parts["with features"] < found.parts["with zeros"] + 1


def test_fewer_entries_lose_more_and_none_everything(loaded: LoadedLanguageModel) -> None:
    class Nothing(Entries):
        def said(self, hidden: Tensor) -> Tensor:
            return torch.zeros_like(hidden)

    encoded = encode(loaded.tokenizer, REPEATED, 64)
    place = sparse_places(loaded.model)[1]
    some = [Reader(place, Entries(WIDTH, k)) for k in (4, 2)]
    four, two, none = loss_recovered(loaded.model, encoded, [*some, Reader(place, Nothing(WIDTH))])
    assert four.value == pytest.approx(1.0)
    assert two.value != pytest.approx(1.0, abs=1e-3)
    assert none.value == 0.0


def test_the_loss_is_the_models_own(loaded: LoadedLanguageModel, tmp_path: Path) -> None:
    encoded = encode(loaded.tokenizer, TEXTS[:1], 64)
    (found, _) = loss_recovered(loaded.model, encoded, readers(loaded))
    ids = torch.tensor(encoded.ids)
    with torch.inference_mode():
        truth = loaded.model(input_ids=ids, labels=ids).loss
    assert found.parts["loss"] == pytest.approx(float(truth), rel=1e-5)


def test_texts_without_a_token_are_refused(loaded: LoadedLanguageModel) -> None:
    with pytest.raises(DataError, match="no text has a token"):
        encode(loaded.tokenizer, ["", " "], 64)
