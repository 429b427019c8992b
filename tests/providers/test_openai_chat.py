import pytest

from app.providers.openai_chat import label_of

WORDS = {"refund": 1, "refund late": 2, "Order!": 3, "été": 4}


@pytest.mark.parametrize(
    ("answer", "number"),
    [
        ("refund", 1),
        (" Refund. ", 1),
        ('"refund"', 1),
        ("**refund**", 1),
        ('{"label": "refund late"}', 2),
        ('{"label": "refund", "why": "money"}', None),
        ("refund late", 2),
        ("refund late, I think", 2),
        ("refund: money back", 1),
        ("refunds", None),
        ("order", 3),
        ("ÉTÉ", 4),
        ("It is a refund", None),
        ("", None),
        ("{", None),
    ],
)
def test_which_label_an_answer_is(answer: str, number: int | None) -> None:
    assert label_of(answer, WORDS) == number


def test_labels_that_differ_by_capitals_alone_need_the_exact_word() -> None:
    words = {"A": 1, "a": 2}
    assert [label_of(said, words) for said in ("A", "a", "a.")] == [1, 2, None]
