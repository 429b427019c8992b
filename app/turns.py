"""Turns: of many threads that wait, the one goes first that came first."""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager


class Turns:
    """One at a time, in the order of arrival; a plain lock may be had by whoever comes last."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._waiting: deque[threading.Lock] = deque()
        self._is_taken = False

    @property
    def waiting(self) -> int:
        """How many stand in line."""
        return len(self._waiting)

    @contextmanager
    def taken(self, *, patience: float) -> Iterator[None]:
        """Wait for one's turn and have it while the block lasts; after `patience` seconds go on without."""
        has_turn = self._take(patience)
        try:
            yield
        finally:
            if has_turn:
                self._hand_on()

    def _take(self, patience: float) -> bool:
        with self._guard:
            if not self._is_taken:
                self._is_taken = True
                return True
            called = threading.Lock()
            called.acquire()
            self._waiting.append(called)
        if called.acquire(timeout=patience):
            return True
        with self._guard:
            if called not in self._waiting:  # called at the last moment
                return True
            self._waiting.remove(called)
            return False

    def _hand_on(self) -> None:
        with self._guard:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._is_taken = False
