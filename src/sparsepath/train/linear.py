"""Logistic regression on fixed features: the plain models that a sceptic names first.

Source: scikit-learn's `LogisticRegression` and `TfidfVectorizer`.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

N_ITERATIONS = 300
"""Most iterations of the solver."""

ABSENT_BIAS = -30.0
"""Bias of a class that does not occur."""

MAX_FEATURES, MAX_WEIGHTS = 200_000, 4_000_000
"""Most words and runs of words of TF-IDF, and most weights over all labels: the commonest stay."""


class LinearClassifier(NamedTuple):
    """One linear layer."""

    weight: Float[np.ndarray, "labels features"]
    """Weights, float32."""
    bias: Float[np.ndarray, " labels"]
    """Biases, float32."""


class TextClassifier(NamedTuple):
    """TF-IDF and logistic regression."""

    vectorizer: TfidfVectorizer
    """From texts to sparse features."""
    model: LogisticRegression
    """From features to labels."""
    n_labels: int
    """Labels of the table; the model may have met fewer."""

    def probabilities(self, texts: Sequence[str]) -> Float[np.ndarray, "rows labels"]:
        """Give one distribution a text."""
        found = self.model.predict_proba(self.vectorizer.transform(texts))
        full = np.full((len(texts), self.n_labels), 1e-12)
        full[:, self.model.classes_] = found
        return full

    @property
    def n_parameters(self) -> int:
        """Weights, biases and inverse document frequencies."""
        return int(self.model.coef_.size + self.model.intercept_.size + self.vectorizer.idf_.size)


def fit_linear(
    features: Float[np.ndarray, "rows features"],
    labels: Int[np.ndarray, " rows"],
    n_labels: int,
    *,
    inverse_penalty: float = 10.0,
) -> LinearClassifier:
    """Fit logistic regression on dense features.

    Args:
        features: One row an example.
        labels: Class indices; at least two different ones.
        n_labels: Classes of the table; those that do not occur get `ABSENT_BIAS`.
        inverse_penalty: scikit-learn's `C`, above 0.

    Returns:
        Weights for all `n_labels` classes.
    """
    found = LogisticRegression(C=inverse_penalty, max_iter=N_ITERATIONS).fit(features, labels)
    weight = np.zeros((n_labels, features.shape[1]), dtype=np.float32)
    bias = np.full(n_labels, ABSENT_BIAS, dtype=np.float32)
    if len(found.classes_) == 2:
        weight[found.classes_] = np.stack([-found.coef_[0] / 2, found.coef_[0] / 2])
        bias[found.classes_] = np.stack([-found.intercept_[0] / 2, found.intercept_[0] / 2])
    else:
        weight[found.classes_], bias[found.classes_] = found.coef_, found.intercept_
    return LinearClassifier(weight, bias)


def fit_tfidf(
    texts: Sequence[str],
    labels: Int[np.ndarray, " rows"],
    n_labels: int,
    *,
    longest_word_run: int = 2,
    inverse_penalty: float = 10.0,
) -> TextClassifier:
    """Fit TF-IDF with logistic regression.

    Words where a table has spaces between them; where it has none (Japanese, Chinese, Thai),
    runs of one to three characters.

    Args:
        texts: Training texts.
        labels: Class indices; at least two different ones.
        n_labels: Classes of the table.
        longest_word_run: Longest run of words that is a feature.
        inverse_penalty: scikit-learn's `C`, above 0.
    """
    if has_word_spaces(texts):
        settings = {"ngram_range": (1, longest_word_run), "token_pattern": r"(?u)\b\w+\b"}
    else:
        settings = {"ngram_range": (1, 3), "analyzer": "char"}
    n_features = min(MAX_FEATURES, MAX_WEIGHTS // n_labels)
    vectorizer = TfidfVectorizer(sublinear_tf=True, max_features=n_features, **settings)
    features = vectorizer.fit_transform(texts)
    model = LogisticRegression(C=inverse_penalty, max_iter=N_ITERATIONS).fit(features, labels)
    return TextClassifier(vectorizer, model, n_labels)


def has_word_spaces(texts: Sequence[str]) -> bool:
    """Say whether words seem to be set apart by spaces: a space in each 20 characters or more."""
    sample = "".join(texts[:2000])
    return sample.count(" ") * 20 >= len(sample)
