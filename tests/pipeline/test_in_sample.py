import numpy as np
import numpy.typing as npt

from app.pipeline.in_sample import in_sample_warnings

WORDS = {
    0: "parcel late order delivery tracking",
    1: "refund money back charged twice",
    2: "lamp broken dead dark",
}


def texts_and_labels(*, wrong_every: int, count: int = 240) -> tuple[list[str], npt.NDArray[np.int64]]:
    rng = np.random.default_rng(0)
    true = np.arange(count) % 3
    texts = [f"{' '.join(rng.choice(WORDS[int(label)].split(), 4))} {row}" for row, label in enumerate(true)]
    wrong = np.arange(count) % wrong_every == 0
    return texts, np.where(wrong, (true + 1) % 3, true)


def memorised(labels: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    pred_probs: npt.NDArray[np.float64] = np.eye(3)[labels] * 0.97 + 0.01
    return pred_probs


def warnings(
    texts: list[str], labels: npt.NDArray[np.int64], pred_probs: npt.NDArray[np.float64]
) -> tuple[str, ...]:
    return in_sample_warnings(
        labels, pred_probs, lambda rows: [texts[row] for row in rows], what="probabilities"
    )


def test_a_model_that_repeats_wrong_labels_is_doubted() -> None:
    texts, labels = texts_and_labels(wrong_every=5)
    (sentence,) = warnings(texts, labels, memorised(labels))
    assert "the probabilities you brought" in sentence
    assert "100.0% of the rows" in sentence


def test_an_easy_clean_set_is_not() -> None:
    texts, labels = texts_and_labels(wrong_every=10_000)
    assert warnings(texts, labels, memorised(labels)) == ()


def test_a_model_that_disagrees_now_and_then_is_not_even_compared() -> None:
    _, labels = texts_and_labels(wrong_every=5)
    pred_probs = memorised(labels)
    pred_probs[:3] = pred_probs[:3, ::-1][:, [1, 2, 0]]
    asked: list[int] = []

    def texts_of(rows: list[int]) -> list[str]:
        asked.extend(rows)
        return []

    assert (pred_probs.argmax(axis=1) != labels).mean() > 0.005
    assert in_sample_warnings(labels, pred_probs, texts_of, what="probabilities") == ()
    assert asked == []


def test_few_rows_or_one_class_prove_nothing() -> None:
    texts, labels = texts_and_labels(wrong_every=5)
    assert warnings(texts[:40], labels[:40], memorised(labels[:40])) == ()
    same = np.zeros(240, dtype=np.int64)
    assert warnings(texts, same, memorised(same)) == ()
    assert warnings(["one text"] * 240, labels, memorised(labels)) == ()
