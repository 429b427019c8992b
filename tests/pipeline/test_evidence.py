"""Kinds of issue over a whole dataset: which rows, about which others, and that test rows stay out of it."""

import numpy as np
import numpy.typing as npt
import pytest

from app.errors import Cancelled
from app.pipeline.evidence import DatasetEvidence, find_evidence
from app.pipeline.texts import text_facts

TEXTS = [
    "Hello  World", "hello world", "other", "ＨＥＬＬＯ world", "", "", "foo bar", "foo bar baz", "x y z",
    "hello world", "unique thing",
]  # fmt: skip
IS_TRAIN = np.array([True] * 9 + [False] * 2)
LABELS = np.array([0, 1, 0, 0, 0, 1, 1, 1, -1, 1, 0])
SECOND = np.array([0.45] + [0.1] * 10, np.float32)


def evidence(vectors: npt.NDArray[np.floating] | None, rows: slice = slice(None)) -> DatasetEvidence:
    facts = text_facts(zip(TEXTS[rows], IS_TRAIN[rows].tolist(), strict=True))
    chosen = None if vectors is None else vectors[rows]
    return find_evidence(facts, LABELS[rows], IS_TRAIN[rows], SECOND[rows], chosen)


def vectors() -> npt.NDArray[np.float64]:
    made = np.random.default_rng(0).standard_normal((11, 8))
    made[7], made[10] = made[6] * 1.001, made[2] + 1e-3
    return made


def test_each_kind_and_what_it_is_about() -> None:
    found = evidence(vectors())
    conflict = found.kinds["conflict"]
    assert (conflict.rows.tolist(), conflict.rank.tolist()) == ([1, 0, 3], [1, 2, 3])
    assert [rows.tolist() for rows in conflict.related.rows] == [[0, 3], [1, 3], [1, 0]]
    same = found.kinds["near_duplicate"]
    assert same.rows.tolist() == [0, 1, 3, 6, 7]
    assert [rows.tolist() for rows in same.related.rows] == [[1, 3], [3, 0], [0, 1], [7], [6]]
    leak = found.kinds["leak"]
    assert (leak.rows.tolist(), leak.rank.tolist()) == ([0, 1, 3, 2, 9, 10], [1, 2, 3, 4, 1, 2])
    assert [rows.tolist() for rows in leak.related.rows] == [[9], [9], [9], [10], [0, 1, 3], [2]]
    assert leak.related.count.tolist() == [1, 1, 1, 1, 3, 1]
    assert found.kinds["broken"].rows.tolist() == [4, 5]
    assert found.kinds["ambiguous"].rows.tolist() == [0]
    assert found.report["kinds"]["leak"] == {"train": 4, "test": 2}


def test_without_vectors_equal_texts_are_still_found() -> None:
    found = evidence(None)
    assert found.neighbours is None
    assert "outlier" not in found.kinds
    assert found.kinds["near_duplicate"].rows.tolist() == [0, 1, 3]
    assert found.kinds["leak"].rows.tolist() == [0, 1, 3, 9]
    assert found.kinds["conflict"].rows.tolist() == [1, 0, 3]


def test_test_rows_have_no_part_in_what_is_found_in_train_but_leaks() -> None:
    together, alone = evidence(vectors()), evidence(vectors(), slice(0, 9))
    assert together.neighbours is not None
    assert alone.neighbours is not None
    assert np.array_equal(together.neighbours.rows[:9], alone.neighbours.rows)
    assert set(together.neighbours.rows[9:].ravel().tolist()) <= {*range(9), -1}
    for kind, found in alone.kinds.items():
        if kind == "leak":
            assert not len(found.rows)
            continue
        both = together.kinds[kind]
        train = IS_TRAIN[both.rows]
        assert both.rows[train].tolist() == found.rows.tolist(), kind
        assert both.score[train].tolist() == found.score.tolist(), kind
        assert both.rank[train].tolist() == found.rank.tolist(), kind


def test_a_text_that_is_everywhere_is_listed_in_bounds() -> None:
    texts = ["ok"] * 300 + ["else", "more"]
    labels = np.array([0] * 299 + [1] + [0, 1])
    is_train = np.ones(302, bool)
    facts = text_facts(zip(texts, is_train.tolist(), strict=True))
    found = find_evidence(facts, labels, is_train, np.zeros(302, np.float32), None).kinds["conflict"]
    assert found.rows.tolist()[:2] == [299, 0]
    assert found.related.count.tolist() == [299] * 300
    assert all(len(rows) == 8 for rows in found.related.rows)
    assert found.related.rows[1][0] == 299, "the other label comes first"


def test_very_many_rows_are_compared_by_a_graph() -> None:
    facts = text_facts(zip(TEXTS, IS_TRAIN.tolist(), strict=True))
    exact, graph = (
        find_evidence(facts, LABELS, IS_TRAIN, SECOND, vectors(), exact_rows=most) for most in (100, 1)
    )
    for kind, found in exact.kinds.items():
        assert graph.kinds[kind].rows.tolist() == found.rows.tolist(), kind


def test_it_can_be_stopped() -> None:
    def stop(_done: int, _total: int) -> None:
        raise Cancelled("Stopped.")

    facts = text_facts(zip(TEXTS, IS_TRAIN.tolist(), strict=True))
    with pytest.raises(Cancelled):
        find_evidence(facts, LABELS, IS_TRAIN, SECOND, vectors(), on_progress=stop)
