"""Turns: one at a time, in the order of arrival, and nobody waits for ever."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.turns import Turns

PATIENCE = 60


def arrived(turns: Turns, count: int) -> None:
    """Wait until so many stand in line."""
    ready = threading.Event()
    for _ in range(PATIENCE * 100):
        if turns.waiting == count:
            return
        ready.wait(0.01)
    raise AssertionError(f"{turns.waiting} wait instead of {count}")


def test_who_came_first_goes_first() -> None:
    turns, order = Turns(), list[int]()

    def work(number: int) -> None:
        with turns.taken(patience=PATIENCE):
            order.append(number)

    with ThreadPoolExecutor(8) as pool, turns.taken(patience=PATIENCE):
        for number in range(8):
            pool.submit(work, number)
            arrived(turns, number + 1)
        assert order == []
    assert order == list(range(8))


def test_who_has_no_more_patience_goes_on_without_a_turn() -> None:
    turns = Turns()
    with turns.taken(patience=PATIENCE), turns.taken(patience=0):
        assert turns.waiting == 0, "nobody stands in line who has gone on"
    with turns.taken(patience=0), turns.taken(patience=0):
        pass


def test_a_failure_hands_the_turn_on() -> None:
    turns = Turns()
    with pytest.raises(ValueError, match="odd"), turns.taken(patience=PATIENCE):
        raise ValueError("odd")
    with turns.taken(patience=PATIENCE):
        assert turns.waiting == 0
