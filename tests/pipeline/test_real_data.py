"""Scoring of datasets whose true labels are known; see the README of the data folder."""

import csv
import os
from pathlib import Path

import numpy as np
import pytest
from cleanlab.filter import find_label_issues as cleanlab_issues
from sklearn.metrics import average_precision_score

from app.pipeline.scoring import score
from app.providers.embedders import get_embedder

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("SETRIGHT_DATA", ROOT / "../shared/data"))
UNDECIDED = -1

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not DATA.is_dir(), reason=f"the folder of real datasets is missing: {DATA}"),
]


@pytest.mark.parametrize(
    ("name", "precision", "top"), [("politeness", 0.5, 0.65), ("youtube_spam", 0.55, 0.4)]
)
def test_wrong_labels_are_ranked_first_and_the_advice_does_no_harm(
    name: str, precision: float, top: float
) -> None:
    with (DATA / name / "train.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    with (DATA / name / "truth.csv").open(encoding="utf-8", newline="") as file:
        truth_of = {row["id"]: row["truth"] for row in csv.DictReader(file)}
    names = sorted({row["label"] for row in rows})
    labels = np.array([names.index(row["label"]) for row in rows])
    truth = np.array(
        [names.index(truth_of[row["id"]]) if truth_of.get(row["id"]) else UNDECIDED for row in rows]
    )
    found = score([row["text"] for row in rows], labels, n_classes=len(names), embedder=get_embedder("use"))
    by_cleanlab = cleanlab_issues(labels, found.pred_probs, n_jobs=1)
    assert (found.issues.is_issue == by_cleanlab).all()
    known = truth != UNDECIDED
    wrong, confidence = (labels != truth)[known], found.issues.self_confidence[known]
    assert average_precision_score(wrong, -confidence) > precision
    assert wrong[np.argsort(confidence, kind="stable")[:100]].mean() >= top
    fixed = np.where(found.advice.mask, found.issues.suggested, labels)
    assert (fixed == truth)[known].mean() >= (labels == truth)[known].mean()
