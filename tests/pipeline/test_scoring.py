from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from app.errors import Cancelled, InvalidInput
from app.pipeline.scoring import Progress, score
from tests.pipeline.counting import CountingEmbedder

TOPICS = (
    ["card", "bank", "money", "account"],
    ["rain", "sun", "wind", "cloud"],
    ["goal", "team", "match", "win"],
)


def topics(n: int = 150, *, wrong: int = 6) -> tuple[list[str], npt.NDArray[np.int64], list[int]]:
    """Texts about three topics; the first `wrong` labels are not theirs."""
    rng = np.random.default_rng(0)
    truth = np.arange(n) % 3
    texts = [f"{' '.join(rng.choice(TOPICS[topic], 3))} no{row}" for row, topic in enumerate(truth)]
    labels = truth.copy()
    labels[:wrong] = (truth[:wrong] + 1) % 3
    return texts, labels.astype(np.int64), list(range(wrong))


def test_wrong_labels_come_first(tmp_path: Path) -> None:
    texts, labels, wrong = topics()
    found = score(texts, labels, n_classes=3, embedder=CountingEmbedder(), cache_dir=tmp_path)
    ranked = np.argsort(found.issues.self_confidence)
    assert set(wrong) <= set(ranked[:12])
    assert found.issues.is_issue[wrong].sum() >= 4
    assert (found.embedder, found.embedder_version, found.classifier) == (
        "counting",
        "1",
        "ridge regression",
    )
    assert found.embeddings is not None
    assert found.embeddings.shape == (150, 32)
    assert set(found.seconds) == {"embed", "predict", "issues"}
    assert found.warnings == ()


def test_same_seed_same_bytes_with_and_without_cache(tmp_path: Path) -> None:
    texts, labels, _ = topics()
    runs = [
        score(
            texts, labels, n_classes=3, embedder=CountingEmbedder(), cache_dir=folder, seed=4
        ).pred_probs.tobytes()
        for folder in (None, tmp_path, tmp_path)
    ]
    assert len(set(runs)) == 1


def test_progress_is_told_by_phase_and_cancelling_stops() -> None:
    texts, labels, _ = topics()
    told: list[Progress] = []
    score(texts, labels, n_classes=3, embedder=CountingEmbedder(), folds=5, on_progress=told.append)
    assert list(dict.fromkeys(progress.phase for progress in told)) == ["embed", "predict", "issues"]
    assert told[-1] == Progress("issues", 150, 150)
    assert Progress("predict", 3, 5) in told

    def stop(progress: Progress) -> None:
        if progress.phase == "predict":
            raise Cancelled("Stopped.")

    with pytest.raises(Cancelled):
        score(texts, labels, n_classes=3, embedder=CountingEmbedder(), on_progress=stop)


def test_own_probabilities_need_no_embedder() -> None:
    texts, labels, wrong = topics()
    truth = np.arange(150) % 3
    embedder = CountingEmbedder()
    found = score(texts, labels, n_classes=3, embedder=embedder, pred_probs=np.eye(3)[truth] * 0.94 + 0.02)
    assert embedder.asked == []
    assert np.flatnonzero(found.issues.is_issue).tolist() == wrong
    assert (found.embedder, found.classifier, found.embeddings) == ("file", "file", None)


def test_own_embeddings_are_classified() -> None:
    texts, labels, wrong = topics()
    embedder = CountingEmbedder()
    found = score(texts, labels, n_classes=3, embedder=embedder, embeddings=np.eye(3)[np.arange(150) % 3])
    assert embedder.asked == []
    assert found.issues.is_issue[wrong].all()
    assert (found.embedder, found.classifier) == ("file", "ridge regression")


def test_rare_labels_are_warned_about() -> None:
    texts, labels, _ = topics()
    labels[30] = 3
    found = score(texts, labels, n_classes=6, embedder=CountingEmbedder())
    assert found.warnings == (
        "1 label has a single row: nothing can be learned about it, so it is never suggested.",
        "2 labels have no row: it is never suggested.",
    )


@pytest.mark.parametrize(
    ("texts", "labels", "folds", "words"),
    [
        ([], [], 10, "at least two rows .* there are 0"),
        (["a"], [0], 10, "at least two rows .* there are 1"),
        (["a", "b"], [1, 1], 10, "same label"),
        (["a", "a"], [0, 1], 10, "same text"),
        (["a", "b"], [0, 2], 10, "numbers must be 0 to 1"),
        (["a", "b"], [0], 10, "2 texts but 1 labels"),
        (["a", "b"], [0, 1], 1, "at least 2 folds"),
    ],
)
def test_what_cannot_be_scored_is_refused_in_a_sentence(
    texts: list[str], labels: list[int], folds: int, words: str
) -> None:
    with pytest.raises(InvalidInput, match=words):
        score(texts, np.array(labels, dtype=np.int64), n_classes=2, embedder=CountingEmbedder(), folds=folds)


def test_given_arrays_are_checked() -> None:
    texts, labels, _ = topics()
    with pytest.raises(InvalidInput, match="sum to"):
        score(texts, labels, n_classes=3, embedder=CountingEmbedder(), pred_probs=np.full((150, 3), 0.3))
    with pytest.raises(InvalidInput, match="have 149 rows"):
        score(texts, labels, n_classes=3, embedder=CountingEmbedder(), embeddings=np.ones((149, 2)))


def test_two_rows_can_be_scored() -> None:
    found = score(["a", "b"], np.array([0, 1]), n_classes=2, embedder=CountingEmbedder())
    assert found.pred_probs.shape == (2, 2)
