"""Several ratings a row: consensus, agreement, and who is to be trusted."""

import csv
import os
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from cleanlab.multiannotator import get_label_quality_multiannotator

from app.science import annotators
from app.science.annotators import Ratings, judge_annotators

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("SETRIGHT_DATA", ROOT / "../shared/data"))
PUBLIC = DATA / "politeness_multiannotator" / "annotations_long.csv"
SKILLS = np.array([0.95, 0.9, 0.85, 0.34])
ROWS = 200


@pytest.fixture(scope="module")
def truth() -> npt.NDArray[np.int64]:
    return np.random.default_rng(0).integers(0, 3, ROWS)


@pytest.fixture(scope="module")
def pred_probs(truth: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    rng = np.random.default_rng(1)
    likeliest = np.where(rng.random(ROWS) < 0.8, truth, rng.integers(0, 3, ROWS))
    probs = np.full((ROWS, 3), 0.15)
    probs[np.arange(ROWS), likeliest] = 0.7
    return probs


@pytest.fixture(scope="module")
def ratings(truth: npt.NDArray[np.int64]) -> Ratings:
    rng = np.random.default_rng(2)
    rows, people = np.repeat(np.arange(ROWS), 4), np.tile(np.arange(4), ROWS)
    right = rng.random(4 * ROWS) < SKILLS[people]
    return Ratings(rows, people, np.where(right, truth[rows], rng.integers(0, 3, 4 * ROWS)))


def test_the_careless_annotator_is_trusted_least_and_the_consensus_is_right(
    ratings: Ratings, truth: npt.NDArray[np.int64], pred_probs: npt.NDArray[np.float64]
) -> None:
    found = judge_annotators(ratings, pred_probs, n_annotators=4)
    assert found is not None
    assert found.quality.argmin() == 3
    assert found.quality[3] < found.quality[:3].min() - 0.1
    majority_of_one = np.mean(ratings.labels == truth[ratings.rows])
    assert np.mean(found.consensus == truth) > 0.95 > majority_of_one
    assert found.rated.tolist() == [ROWS] * 4
    shares = (found.consensus_quality, found.agreement, found.quality, found.agrees)
    assert all((share >= 0).all() and (share <= 1).all() for share in shares)


def test_it_is_what_cleanlab_says(ratings: Ratings, pred_probs: npt.NDArray[np.float64]) -> None:
    table = np.full((ROWS, 4), np.nan)
    table[ratings.rows, ratings.annotators] = ratings.labels
    theirs = get_label_quality_multiannotator(table, pred_probs, verbose=False)
    ours = judge_annotators(ratings, pred_probs, n_annotators=4)
    assert ours is not None
    rows, each = theirs["label_quality"], theirs["annotator_stats"].sort_index()
    assert ours.consensus.tolist() == rows["consensus_label"].tolist()
    assert ours.consensus_quality.tolist() == rows["consensus_quality_score"].tolist()
    assert ours.quality.tolist() == each["annotator_quality"].tolist()
    assert ours.worst_label.tolist() == each["worst_class"].tolist()


def test_rows_and_annotators_without_ratings_are_told_apart(
    ratings: Ratings, pred_probs: npt.NDArray[np.float64]
) -> None:
    kept = (ratings.rows < 150) & (ratings.annotators != 1)
    some = Ratings(ratings.rows[kept], ratings.annotators[kept], ratings.labels[kept])
    found = judge_annotators(some, pred_probs, n_annotators=5)
    assert found is not None
    assert (found.consensus[:150] >= 0).all()
    assert (found.consensus[150:] == -1).all()
    assert np.isnan(found.agreement[150:]).all()
    assert found.rated.tolist() == [150, 0, 150, 150, 0]
    assert np.isnan(found.quality[[1, 4]]).all()
    assert found.worst_label[[1, 4]].tolist() == [-1, -1]


@pytest.mark.parametrize(
    ("rows", "people"),
    [([], []), ([0, 1, 2], [0, 0, 0]), ([0, 1, 2], [0, 1, 0])],
    ids=["none", "one", "apart"],
)
def test_nothing_is_said_where_nothing_can_be_compared(
    rows: list[int], people: list[int], pred_probs: npt.NDArray[np.float64]
) -> None:
    given = Ratings(np.array(rows, int), np.array(people, int), np.zeros(len(rows), int))
    assert judge_annotators(given, pred_probs, n_annotators=2) is None


def test_a_table_that_would_not_fit_is_not_begun(
    ratings: Ratings, pred_probs: npt.NDArray[np.float64], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(annotators, "MOST_CELLS", 4 * ROWS - 1)
    assert judge_annotators(ratings, pred_probs, n_annotators=4) is None


@pytest.mark.skipif(not PUBLIC.exists(), reason="SETRIGHT_DATA names no folder of public datasets")
def test_the_public_ratings_of_politeness() -> None:
    with PUBLIC.open(encoding="utf-8") as file:
        given = list(csv.DictReader(file))
    columns = ([one[name] for one in given] for name in ("id", "annotator", "label"))
    rows, people, labels = (np.unique(column, return_inverse=True)[1] for column in columns)
    found = judge_annotators(
        Ratings(rows, people, labels), np.full((rows.max() + 1, 2), 0.5), n_annotators=people.max() + 1
    )
    assert found is not None
    assert (len(found.consensus), len(found.quality), len(rows)) == (1500, 219, 7500)
    assert 0.7 < found.agreement.mean() < 0.9
