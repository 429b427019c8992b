"""Texts and labels → out-of-sample probabilities → label issues → auto-fix advice."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from app.pipeline.arrays import check_embeddings, check_pred_probs
from app.pipeline.cache import embed_cached, hash_texts, text_groups
from app.pipeline.checks import check_scorable, rare_class_warnings
from app.providers.catalogue import FILE
from app.providers.embedders import Embedder
from app.science.autofix import AutofixAdvice, recommend
from app.science.crossval import CLASSIFIER, Classifier, out_of_sample_probabilities
from app.science.label_issues import LabelIssues, find_label_issues

FOLDS = 10


@dataclass(frozen=True)
class Progress:
    """How far a run is: `done` of `total` in the phase `embed`, `predict` or `issues`."""

    phase: str
    done: int
    total: int


@dataclass(frozen=True)
class Scoring:
    """What one scoring run found; arrays have one row a text.

    Attributes
    ----------
    pred_probs : float32 array (n_examples, n_classes)
        Out-of-sample, rows sum to 1.
    issues : LabelIssues
    advice : AutofixAdvice
    embeddings : float32 array (n_examples, n_dimensions) or None
        None when probabilities were given without embeddings.
    embedder, embedder_version, classifier : str
        Where the numbers come from; `file` and an empty version for what the caller brought.
    chosen : Classifier or None
        What predicts further rows; None when probabilities were given.
    warnings : tuple of str
        Sentences for a person.
    seconds : dict of str to float
        Wall seconds of the phases `embed`, `predict`, `issues`.
    """

    pred_probs: npt.NDArray[np.float32]
    issues: LabelIssues
    advice: AutofixAdvice
    embeddings: npt.NDArray[np.float32] | None
    embedder: str
    embedder_version: str
    classifier: str
    chosen: Classifier | None
    warnings: tuple[str, ...]
    seconds: dict[str, float]


OnProgress = Callable[[Progress], None]


def score(
    texts: Sequence[str],
    labels: npt.NDArray[np.int64],
    *,
    n_classes: int,
    embedder: Embedder,
    learned: npt.NDArray[np.int64] | None = None,
    cache_dir: Path | None = None,
    seed: int = 0,
    folds: int = FOLDS,
    pred_probs: npt.NDArray[np.generic] | None = None,
    embeddings: npt.NDArray[np.generic] | None = None,
    on_progress: OnProgress | None = None,
) -> Scoring:
    """Find the label issues of a dataset.

    Parameters
    ----------
    texts : sequence of str
        Equal texts are predicted together, never one by its twin.
    labels : int array (n_texts,)
        Given labels, 0 .. n_classes - 1; every row is labelled.
    n_classes : int
        Classes without rows are allowed.
    learned : int array (n_texts,), optional
        Labels to learn from where a person knows better; the given ones are judged all the same.
    embedder : Embedder
        Not called when pred_probs or embeddings are given.
    cache_dir : Path, optional
        Where vectors are kept between runs.
    seed, folds : int
        Same input, seed and machine, same bytes.
    pred_probs : array (n_texts, n_classes), optional
        The caller's own; must be out-of-sample. Nothing is trained then.
    embeddings : array (n_texts, n_dimensions), optional
        The caller's own.
    on_progress : callable, optional
        Told often; may raise (`Cancelled`) to stop the run.

    Returns
    -------
    Scoring

    Raises
    ------
    InvalidInput
        When the rows cannot be scored or the given arrays do not fit; see `check_scorable`,
        `check_pred_probs`, `check_embeddings`.
    Unavailable
        When the embedder cannot be loaded.
    """
    hashes = hash_texts(texts)
    groups = text_groups(hashes)
    learned = labels if learned is None else learned
    check_scorable(texts, learned, n_classes=n_classes, folds=folds, groups=groups)
    brought_probs = brought_vectors = None
    if pred_probs is not None:
        brought_probs = check_pred_probs(pred_probs, n_examples=len(texts), n_classes=n_classes)
    if embeddings is not None:
        brought_vectors = check_embeddings(embeddings, n_examples=len(texts))
    seconds = {"embed": 0.0, "predict": 0.0, "issues": 0.0}

    vectors, probabilities, chosen = brought_vectors, brought_probs, None
    if probabilities is None:
        if vectors is None:
            with _timed(seconds, "embed"):
                tell = _teller("embed", on_progress)
                vectors = embed_cached(texts, hashes, embedder, cache_dir, on_progress=tell)
        with _timed(seconds, "predict"):
            tell = _teller("predict", on_progress)
            found = out_of_sample_probabilities(
                vectors, learned, n_classes=n_classes, folds=folds, seed=seed, groups=groups, on_fold=tell
            )
            probabilities, chosen = found.pred_probs, found.classifier
    with _timed(seconds, "issues"):
        tell = _teller("issues", on_progress)
        tell(0, len(texts))
        issues = find_label_issues(labels, probabilities)
        advice = recommend(labels, probabilities, issues.is_issue)
        tell(len(texts), len(texts))
    return Scoring(
        pred_probs=probabilities,
        issues=issues,
        advice=advice,
        embeddings=vectors,
        embedder=embedder.name if brought_vectors is None and brought_probs is None else FILE,
        embedder_version=embedder.version if brought_vectors is None and brought_probs is None else "",
        classifier=CLASSIFIER if chosen else FILE,
        chosen=chosen,
        warnings=rare_class_warnings(labels, n_classes=n_classes),
        seconds=seconds,
    )


def _teller(phase: str, on_progress: OnProgress | None) -> Callable[[int, int], None]:
    def tell(done: int, total: int) -> None:
        if on_progress:
            on_progress(Progress(phase, done, total))

    return tell


@contextmanager
def _timed(seconds: dict[str, float], phase: str) -> Iterator[None]:
    started = time.perf_counter()
    yield
    seconds[phase] = time.perf_counter() - started
