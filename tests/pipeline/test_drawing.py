import numpy as np

from app.pipeline.drawing import Row, choose
from app.science.neighbours import pack_ids


def test_equal_near_equal_and_alike_rows_stay_together() -> None:
    rows = [
        Row(10 + at, f"text {at // 2}" if at % 2 else f"TEXT  {at // 2}!", at // 2 % 2) for at in range(80)
    ]
    alike = [(10, pack_ids(np.array([14, 18]))), (12, pack_ids(np.array([999])))]
    drawn = set(choose(rows, alike, share=0.25, seed=1))
    assert 18 <= len(drawn) <= 24  # as near to a quarter of each class as whole groups come
    for at in range(0, 80, 2):
        assert (10 + at in drawn) is (11 + at in drawn)
    assert len({one in drawn for one in (10, 11, 14, 15, 18, 19)}) == 1
    assert choose(rows, alike, share=0.25, seed=1) == sorted(drawn)
    assert choose(rows, alike, share=0.25, seed=2) != sorted(drawn)


def test_nothing_can_be_drawn_from_nothing() -> None:
    assert choose([], [], share=0.2, seed=0) == []
    assert choose([Row(1, "a", 1), Row(2, "b", None)], [], share=0.2, seed=0) == []
