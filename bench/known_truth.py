"""The six datasets whose wrong labels are known: what detection, calibration and auto-fix share."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from threadpoolctl import threadpool_limits

from app.pipeline.cache import hash_texts, text_groups
from app.providers.embedders import DEFAULT_EMBEDDER, get_embedder
from app.science.threads import blas_threads

NOISY = ("politeness", "vader_tweets", "noisy_agnews", "youtube_spam")
FLIPPED = ("banking77", "trec6")
SETS = NOISY + FLIPPED
QUICK_SETS = ("politeness", "youtube_spam", "trec6")
FLIP_SHARE = 0.15
UNDECIDED = -1

Labels = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Known:
    """A dataset with its truth.

    Attributes
    ----------
    vectors : float32 array (n_examples, n_dimensions)
    given, truth : int64 array (n_examples,)
        Truth is UNDECIDED where nobody knows it.
    groups : int64 array (n_examples,)
        Rows of equal text.
    n_classes : int
    """

    name: str
    vectors: npt.NDArray[np.float32]
    given: Labels
    truth: Labels
    groups: Labels
    n_classes: int

    @property
    def decided(self) -> npt.NDArray[np.bool_]:
        decided: npt.NDArray[np.bool_] = self.truth != UNDECIDED
        return decided

    def right_share(self, labels: Labels) -> float:
        """Share of rows, among the decided, that carry their true label."""
        return float((labels == self.truth)[self.decided].mean())


def texts_of(folder: Path) -> list[str]:
    """Read a dataset's texts."""
    return _rows(folder / "train.csv")[0]


def load(folder: Path, *, vectors: npt.NDArray[np.float32] | None = None) -> Known:
    """Read and embed a dataset; where all labels are taken as clean, nothing is wrong yet: see `flipped`.

    `vectors` are those of the texts where they are at hand already.
    """
    texts, labels, ids = _rows(folder / "train.csv")
    names = sorted(set(labels))
    given = np.array([names.index(label) for label in labels], dtype=np.int64)
    truth = given
    if folder.name in NOISY:
        with (folder / "truth.csv").open(encoding="utf-8", newline="") as file:
            true_of = {row["id"]: row["truth"] for row in csv.DictReader(file)}
        truth = np.array([names.index(true_of[one]) if true_of.get(one) else UNDECIDED for one in ids])
    if vectors is None:
        vectors = get_embedder(DEFAULT_EMBEDDER).embed(texts)
    return Known(folder.name, vectors, given, truth, text_groups(hash_texts(texts)), len(names))


def flipped(known: Known, *, seed: int) -> Known:
    """Give FLIP_SHARE of a clean dataset's rows the label of a similar class; leave the others as they are.

    The label j is drawn for a row of class i as often as rows of i lie nearest to the centre of j (their own
    left aside): mistakes that a person might make.
    """
    if known.name not in FLIPPED:
        return known
    rng = np.random.default_rng(seed)
    confusion = _confusion(known)
    given = known.truth.copy()
    for row in rng.permutation(len(given))[: round(FLIP_SHARE * len(given))]:
        given[row] = rng.choice(known.n_classes, p=confusion[known.truth[row]])
    return Known(known.name, known.vectors, given, known.truth, known.groups, known.n_classes)


def classic_probabilities(known: Known) -> npt.NDArray[np.float64]:
    """Return what the classic recipe predicts: ten logistic regressions on the same vectors."""
    model = LogisticRegression(max_iter=200)
    with threadpool_limits(blas_threads(len(known.given)), user_api="blas"):
        pred_probs: npt.NDArray[np.float64] = cross_val_predict(
            model, known.vectors, known.given, cv=10, method="predict_proba"
        )
    return pred_probs


def _rows(path: Path) -> tuple[list[str], list[str], list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [row["text"] for row in rows], [row["label"] for row in rows], [row["id"] for row in rows]


def _confusion(known: Known) -> npt.NDArray[np.float64]:
    classes = range(known.n_classes)
    centres = np.stack([known.vectors[known.truth == label].mean(axis=0) for label in classes])
    closeness = known.vectors @ centres.T - (centres**2).sum(axis=1) / 2
    closeness[np.arange(len(closeness)), known.truth] = -np.inf
    pairs = known.truth * known.n_classes + closeness.argmax(axis=1)
    counts = np.bincount(pairs, minlength=known.n_classes**2).reshape(known.n_classes, -1)
    shares: npt.NDArray[np.float64] = counts / counts.sum(axis=1, keepdims=True)
    return shares
