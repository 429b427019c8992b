"""Logistic regression: what the `linear` trainer of experiments learns."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression

MAX_ITERATIONS = 5_000
# How far float32 unit vectors may be from length 1.
ROUNDING = 1e-5


@dataclass(frozen=True)
class Logistic:
    """A multinomial logistic regression.

    Attributes
    ----------
    coefficients : float64 array (n_seen, n_dimensions)
    intercepts : float64 array (n_seen,)
    seen : int64 array (n_seen,)
        The classes that it was trained on, ascending.
    """

    coefficients: npt.NDArray[np.float64]
    intercepts: npt.NDArray[np.float64]
    seen: npt.NDArray[np.int64]

    def predict(self, vectors: npt.NDArray[np.floating], *, n_classes: int) -> npt.NDArray[np.float64]:
        """Predict rows.

        Parameters
        ----------
        vectors : float array (n_examples, n_dimensions)
        n_classes : int

        Returns
        -------
        float64 array (n_examples, n_classes)
            Rows sum to 1; classes absent from training have probability 0.
        """
        scores = vectors @ self.coefficients.T + self.intercepts
        scores = np.exp(scores - scores.max(axis=1, keepdims=True))
        pred_probs = np.zeros((len(vectors), n_classes))
        pred_probs[:, self.seen] = scores / scores.sum(axis=1, keepdims=True)
        return pred_probs


def fit(vectors: npt.NDArray[np.floating], labels: npt.NDArray[np.int64]) -> Logistic:
    """Train a multinomial L2 logistic regression (C = 1).

    Parameters
    ----------
    vectors : float array (n_examples, n_dimensions)
    labels : int array (n_examples,)
        Classes from 0 up; some may be missing.

    Returns
    -------
    Logistic
        With a single class in training that class has probability 1.
    """
    seen = np.unique(labels).astype(np.int64)
    if len(seen) == 1:
        return Logistic(np.zeros((1, vectors.shape[1])), np.zeros(1), seen)
    model = LogisticRegression(max_iter=MAX_ITERATIONS).fit(vectors, labels)
    coefficients = np.asarray(model.coef_, dtype=np.float64)
    intercepts = np.asarray(model.intercept_, dtype=np.float64)
    if len(coefficients) < len(seen):  # of two classes scikit-learn keeps the second one's score alone
        coefficients = np.concatenate([np.zeros_like(coefficients), coefficients])
        intercepts = np.concatenate([np.zeros_like(intercepts), intercepts])
    return Logistic(coefficients, intercepts, seen)


def typical_length(embeddings: npt.NDArray[np.floating]) -> float:
    """Return the root mean square length of the rows; exactly 1 for unit rows and for zeros.

    Parameters
    ----------
    embeddings : float array (n_examples, n_dimensions)

    Returns
    -------
    float
        Above 0.
    """
    length = float(np.sqrt(np.mean(np.einsum("ij,ij->i", embeddings, embeddings, dtype=np.float64))))
    return 1.0 if length == 0 or abs(length - 1) < ROUNDING else length
