"""What resembles each row, and the kinds of issue beside label issues, for a whole dataset."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from app.pipeline import related
from app.pipeline.related import Related
from app.pipeline.texts import TextFacts
from app.science import issue_kinds
from app.science.approximate import Graph
from app.science.issue_kinds import NO_GROUP, Flags
from app.science.neighbours import NOBODY, Neighbours, nearest, nearest_among_themselves
from app.science.threads import blas_threads

K = 10
EXACT_ROWS = 200_000

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Vectors = npt.NDArray[np.floating]
OnProgress = Callable[[int, int], None]


@dataclass(frozen=True)
class KindFound:
    """The flagged rows of one kind, in the order in which people should look at them, split by split.

    Attributes
    ----------
    rows, rank : int64 array (n_flagged,)
        `rank` is 1 for the first row of its split.
    score : float32 array (n_flagged,)
        In [0, 1], low = worst.
    related : Related
        The rows that the issue is about.
    """

    rows: Ints
    rank: Ints
    score: npt.NDArray[np.float32]
    related: Related


@dataclass(frozen=True)
class DatasetEvidence:
    """Everything found, rows numbered as in the dataset.

    Attributes
    ----------
    neighbours : Neighbours or None
        The train rows most like each row; None without vectors.
    kinds : dict of str to KindFound
        By the name of the kind.
    report : dict
        JSON: rows by kind and split, from which similarity on two rows say the same, seconds.
    """

    neighbours: Neighbours | None
    kinds: dict[str, KindFound]
    report: dict[str, Any]


@dataclass(frozen=True)
class _Found:
    """Neighbours of all rows, in either split."""

    in_train: Neighbours  # of train and test rows
    in_own_split: Neighbours
    in_other_split: Neighbours


def find_evidence(
    facts: TextFacts,
    labels: Ints,
    is_train: Bools,
    second: npt.NDArray[np.floating],
    vectors: Vectors | None,
    *,
    exact_rows: int = EXACT_ROWS,
    on_progress: OnProgress | None = None,
) -> DatasetEvidence:
    """Find neighbours and every kind of issue; test rows have no part in what is flagged in train but leaks.

    Parameters
    ----------
    facts : TextFacts
    labels : int array (n_rows,)
        Given labels, -1 for a row without one.
    is_train : bool array (n_rows,)
    second : float array (n_rows,)
        Out-of-sample probability of the second most probable class.
    vectors : float array (n_rows, n_dimensions) or None
        None leaves out neighbours and what needs them: outliers, and all but equal texts among near
        duplicates and leaks.
    exact_rows : int
        Up to so many rows every pair is compared; beyond, most of the nearest are found.
    on_progress : callable, optional
        Called as ``on_progress(done, total)`` during the search; may raise to stop.

    Returns
    -------
    DatasetEvidence
    """
    started = time.perf_counter()
    found = None
    if vectors is not None and is_train.any():
        found = _search(vectors, is_train, exact_rows, on_progress)
    searched = time.perf_counter() - started
    same = issue_kinds.same_similarity(_part(found.in_train, is_train)) if found else 1.0
    split = np.where(is_train, 0, 1)
    # Nobody in the other split has part in a group: groups of equal text are told apart by split.
    group = facts.group * 2 + split
    flags = {
        "conflict": issue_kinds.conflicts(group, labels),
        "near_duplicate": issue_kinds.near_duplicates(
            group, found.in_own_split if found else None, similarity=same
        ),
        "ambiguous": issue_kinds.ambiguous(second),
        "leak": issue_kinds.leaks(_similarity_across(facts.group, split, found), similarity=same),
        "broken": facts.broken,
    }
    if found:
        usual = _part(found.in_train, is_train)
        flags["outlier"] = issue_kinds.outliers(found.in_train, among=usual)
    kinds = {}
    for kind, flagged in flags.items():
        rows, rank = _in_order(flagged, is_train)
        about = _about(kind, rows, facts.group, group, labels, split, found, same)
        kinds[kind] = KindFound(rows, rank, flagged.score[rows], about)
    report = {
        "kinds": {
            kind: {"train": int(is_train[one.rows].sum()), "test": int((~is_train[one.rows]).sum())}
            for kind, one in kinds.items()
        },
        "same_similarity": round(same, 4),
        "long_chars": facts.long_chars,
        "seconds": {
            "neighbours": round(searched, 3),
            "kinds": round(time.perf_counter() - started - searched, 3),
        },
    }
    return DatasetEvidence(found.in_train if found else None, kinds, report)


def _search(vectors: Vectors, is_train: Bools, exact_rows: int, on_progress: OnProgress | None) -> _Found:
    train, test = np.flatnonzero(is_train), np.flatnonzero(~is_train)
    n = len(is_train)
    with threadpool_limits(blas_threads(n), user_api="blas"):
        # Copied only where there are test rows: a memory-mapped file stays one.
        ours = vectors if not len(test) else vectors[train]
        theirs = vectors[test]
        if n > exact_rows:
            graph = Graph(ours, on_progress=on_progress)
            near = graph.nearest(ours, k=K, are_rows=True, on_progress=on_progress)
            near_test = graph.nearest(theirs, k=K)
        else:
            near = nearest_among_themselves(ours, k=K, on_progress=on_progress)
            near_test = nearest(theirs, ours, k=K, on_progress=on_progress)
        in_train = _numbered(near, train, train, n)
        own, other = in_train, _nobody(n)
        if len(test):
            across = _numbered(near_test, test, train, n)
            among_test = _numbered(_themselves(theirs, exact_rows), test, test, n)
            own, in_train = _either(in_train, among_test, is_train), _either(in_train, across, is_train)
            other = _either(related.turned_round(across, similarity=-1), across, is_train)
    return _Found(in_train, own, other)


def _themselves(vectors: Vectors, exact_rows: int) -> Neighbours:
    if len(vectors) > exact_rows:
        return Graph(vectors).nearest(vectors, k=K, are_rows=True)
    return nearest_among_themselves(vectors, k=K)


def _numbered(found: Neighbours, queries: Ints, rows: Ints, n: int) -> Neighbours:
    """Number a search between parts of a dataset as the dataset does."""
    spread = _nobody(n)
    there = found.rows != NOBODY
    spread.rows[queries] = np.where(there, rows[np.where(there, found.rows, 0)], NOBODY)
    spread.similarity[queries] = found.similarity
    return spread


def _nobody(n: int) -> Neighbours:
    return Neighbours(np.full((n, K), NOBODY, np.int64), np.full((n, K), -1, np.float32))


def _either(train: Neighbours, test: Neighbours, is_train: Bools) -> Neighbours:
    choose = is_train[:, None]
    return Neighbours(
        np.where(choose, train.rows, test.rows), np.where(choose, train.similarity, test.similarity)
    )


def _part(found: Neighbours, chosen: Bools) -> Neighbours:
    return Neighbours(found.rows[chosen], found.similarity[chosen])


def _similarity_across(text_group: Ints, split: Ints, found: _Found | None) -> npt.NDArray[np.float32]:
    size = int(text_group.max(initial=0)) + 1
    in_both = (np.bincount(text_group[split == 0], minlength=size) > 0) & (
        np.bincount(text_group[split == 1], minlength=size) > 0
    )
    near = found.in_other_split.similarity[:, 0] if found else np.full(len(split), -1, np.float32)
    return np.where(in_both[text_group], np.float32(1), near)


def _in_order(flags: Flags, is_train: Bools) -> tuple[Ints, Ints]:
    parts = [issue_kinds.ranks(flags, np.flatnonzero(part)) for part in (is_train, ~is_train)]
    return np.concatenate(parts), np.concatenate([np.arange(1, len(part) + 1) for part in parts])


def _about(
    kind: str,
    rows: Ints,
    text_group: Ints,
    group: Ints,
    labels: Ints,
    split: Ints,
    found: _Found | None,
    same: float,
) -> Related:
    if kind == "conflict":
        labelled = np.where(labels >= 0, group, NO_GROUP)
        return related.of_equal_text(rows, labelled, labels)
    if kind == "near_duplicate":
        equal = related.of_equal_text(rows, group, np.arange(len(group)))
        near = found.in_own_split if found else None
        return related.with_near(rows, equal, near, similarity=same, exclude=text_group)
    if kind == "leak":
        equal = related.of_equal_text(rows, text_group, split, only_other_kinds=True)
        near = found.in_other_split if found else None
        return related.with_near(rows, equal, near, similarity=same, exclude=text_group)
    return related.nothing(rows)
