"""The plain models cover all labels, two or more, seen or unseen, with or without word spaces."""

import numpy as np

from sparsepath.train.linear import fit_linear, fit_tfidf, has_word_spaces

RNG = np.random.default_rng(0)


def test_two_labels_become_two_rows_that_agree_with_the_data() -> None:
    features = RNG.normal(size=(200, 3))
    labels = (features[:, 0] > 0).astype(np.int64)
    weight, bias = fit_linear(features, labels, 2)
    assert weight.shape == (2, 3)
    assert float(((features @ weight.T + bias).argmax(axis=1) == labels).mean()) > 0.95


def test_a_label_without_rows_is_never_predicted() -> None:
    features = RNG.normal(size=(300, 4))
    labels = np.array([0, 2, 3])[features[:, :3].argmax(axis=1)]
    weight, bias = fit_linear(features, labels, 5)
    predicted = (features @ weight.T + bias).argmax(axis=1)
    assert set(predicted.tolist()) <= {0, 2, 3}
    assert float((predicted == labels).mean()) > 0.9


def test_tfidf_learns_words() -> None:
    texts = ["card lost today", "card stolen again", "money sent home", "money not here"] * 5
    found = fit_tfidf(texts, np.array([0, 0, 1, 1] * 5), 3)
    probabilities = found.probabilities(["my card", "the money"])
    assert probabilities.argmax(axis=1).tolist() == [0, 1]
    assert probabilities.shape == (2, 3)


def test_tfidf_learns_characters_where_words_have_no_spaces() -> None:
    texts = ["カードを失くしました", "送金が届きません"] * 10
    assert not has_word_spaces(texts)
    found = fit_tfidf(texts, np.array([0, 1] * 10), 2)
    assert found.probabilities(["カードが", "送金は"]).argmax(axis=1).tolist() == [0, 1]
