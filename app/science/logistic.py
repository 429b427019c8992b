"""Logistic regression: what the `linear` trainer of experiments learns."""

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression

MAX_ITERATIONS = 5_000
# How far float32 unit vectors may be from length 1.
ROUNDING = 1e-5


def fit_predict(
    train_vectors: npt.NDArray[np.float32],
    train_labels: npt.NDArray[np.int64],
    test_vectors: npt.NDArray[np.float32],
    *,
    n_classes: int,
) -> npt.NDArray[np.float64]:
    """Train a multinomial L2 logistic regression (C = 1) and predict other rows.

    Parameters
    ----------
    train_vectors, test_vectors : float32 array (n_train, n_dimensions), (n_test, n_dimensions)
    train_labels : int array (n_train,)
        0 .. n_classes - 1; classes may be missing.
    n_classes : int

    Returns
    -------
    float64 array (n_test, n_classes)
        Rows sum to 1; classes absent from training have probability 0. With a single class in training that
        class has probability 1.
    """
    pred_probs = np.zeros((len(test_vectors), n_classes))
    seen = np.unique(train_labels)
    if len(seen) == 1:
        pred_probs[:, seen] = 1
        return pred_probs
    model = LogisticRegression(max_iter=MAX_ITERATIONS).fit(train_vectors, train_labels)
    pred_probs[:, model.classes_] = model.predict_proba(test_vectors)
    return pred_probs


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
