"""Texts and labels → out-of-sample probabilities → label issues → auto-fix advice."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from app.pipeline.cache import embed_cached, hash_texts
from app.pipeline.checks import check_scorable, rare_class_warnings
from app.pipeline.twins import twin_groups
from app.providers.catalogue import FILE
from app.providers.embedders import Embedder
from app.science.autofix import AutofixAdvice, recommend
from app.science.blocks import Rows
from app.science.crossval import CLASSIFIER, Apply, Classifier, here, out_of_sample_probabilities
from app.science.label_issues import LabelIssues, find_label_issues

FOLDS = 10


@dataclass(frozen=True)
class Progress:
    """How far a run is: `done` of `total` in the phase `embed`, `predict` or `issues`."""

    phase: str
    done: int
    total: int


@dataclass(frozen=True)
class Origin:
    """Where the numbers of a run come from: an embedder and its version, or `file` and an empty one."""

    embedder: str
    version: str


@dataclass(frozen=True)
class Scoring:
    """What one scoring run found; arrays have one row a text.

    Attributes
    ----------
    pred_probs : float32 array (n_examples, n_classes)
        Out-of-sample, rows sum to 1.
    issues : LabelIssues
    advice : AutofixAdvice
    embeddings : float32 rows (n_examples, n_dimensions) or None
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
    embeddings: Rows | None
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
        Near-equal texts are predicted together, never one by its twin.
    labels : int array (n_texts,)
        Given labels, 0 .. n_classes - 1; every row is labelled.
    n_classes : int
        Classes without rows are allowed.
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
    seconds = {"embed": 0.0}
    groups = twin_groups(texts)
    check_scorable(len(texts), labels, n_classes=n_classes, folds=folds, groups=groups)
    origin, vectors, own_probs = Origin(FILE, ""), None, None
    if pred_probs is not None or embeddings is not None:
        own_probs, vectors = check_brought(pred_probs, embeddings, n_examples=len(texts), n_classes=n_classes)
    else:
        origin = Origin(embedder.name, embedder.version)
        with _timed(seconds, "embed"):
            tell = _teller("embed", on_progress)
            vectors = embed_cached(texts, hash_texts(texts), embedder, cache_dir, on_progress=tell)
    scoring = judge(
        vectors,
        labels,
        n_classes=n_classes,
        groups=groups,
        origin=origin,
        seed=seed,
        folds=folds,
        pred_probs=own_probs,
        on_progress=on_progress,
    )
    return replace(scoring, seconds=seconds | scoring.seconds)


def check_brought(
    pred_probs: npt.NDArray[np.generic] | None,
    embeddings: npt.NDArray[np.generic] | None,
    *,
    n_examples: int,
    n_classes: int,
) -> tuple[npt.NDArray[np.float32] | None, npt.NDArray[np.float32] | None]:
    """Check what the caller brought; see `check_pred_probs` and `check_embeddings`."""
    from app.pipeline.arrays import check_embeddings, check_pred_probs  # noqa: PLC0415 — loads pyarrow

    return (
        None
        if pred_probs is None
        else check_pred_probs(pred_probs, n_examples=n_examples, n_classes=n_classes),
        None if embeddings is None else check_embeddings(embeddings, n_examples=n_examples),
    )


def judge(
    vectors: Rows | None,
    labels: npt.NDArray[np.int64],
    *,
    n_classes: int,
    groups: npt.NDArray[np.int64],
    origin: Origin,
    learned: npt.NDArray[np.int64] | None = None,
    seed: int = 0,
    folds: int = FOLDS,
    pred_probs: npt.NDArray[np.float32] | None = None,
    on_progress: OnProgress | None = None,
    apply: Apply = here,
) -> Scoring:
    """Find the label issues of rows that are vectors or probabilities already.

    Parameters
    ----------
    vectors : float32 array (n_examples, n_dimensions) or None
        Read a block at a time, so it may be mapped from a file. None only where probabilities are given.
    labels : int array (n_examples,)
        Given labels, 0 .. n_classes - 1.
    n_classes : int
    groups : int array (n_examples,)
        Rows of near-equal text share a number.
    origin : Origin
        Where vectors or probabilities come from.
    learned : int array (n_examples,), optional
        Labels to learn from where a person knows better; the given ones are judged all the same.
    seed, folds, on_progress
        As for `score`.
    pred_probs : float32 array (n_examples, n_classes), optional
        Checked; nothing is trained then.
    apply : Apply
        Works through the blocks of rows: in this process, or on other machines.

    Returns
    -------
    Scoring

    Raises
    ------
    InvalidInput
        When the rows cannot be scored; see `check_scorable`.
    """
    learned = labels if learned is None else learned
    check_scorable(len(groups), learned, n_classes=n_classes, folds=folds, groups=groups)
    seconds, chosen = {"predict": 0.0, "issues": 0.0}, None
    if pred_probs is None:
        assert vectors is not None  # noqa: S101 — one of the two is given
        with _timed(seconds, "predict"):
            tell = _teller("predict", on_progress)
            found = out_of_sample_probabilities(
                vectors,
                learned,
                n_classes=n_classes,
                folds=folds,
                seed=seed,
                groups=groups,
                on_rows=tell,
                apply=apply,
            )
            pred_probs, chosen = found.pred_probs, found.classifier
    with _timed(seconds, "issues"):
        tell = _teller("issues", on_progress)
        tell(0, len(labels))
        issues = find_label_issues(labels, pred_probs)
        advice = recommend(labels, pred_probs, issues.is_issue)
        tell(len(labels), len(labels))
    return Scoring(
        pred_probs=pred_probs,
        issues=issues,
        advice=advice,
        embeddings=vectors,
        embedder=origin.embedder,
        embedder_version=origin.version,
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
