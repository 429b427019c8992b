"""The tokens of a file's rows, counted block by block."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from app.files.tokens import TokenCounter, size_of

COUNTED_ROWS = 50_000
"""Of longer files the tokens of the rest are estimated by their bytes."""
BLOCK_ROWS = 256


@dataclass(frozen=True, slots=True)
class Sized:
    """A row whose tokens are to be counted."""

    file: str
    line: int
    row: str
    contents: tuple[str, ...]
    overhead: int
    is_training: bool


class TokenTally:
    """Adds up tokens, and keeps the rows that have more than `most`.

    A row is counted while it is one of the first `COUNTED_ROWS`, or if its bytes alone leave it open whether
    it is too long: no tokenizer makes more tokens than bytes.
    """

    def __init__(self, counter: TokenCounter, *, most: int, counted_rows: int = COUNTED_ROWS) -> None:
        self.counter, self.most, self.counted_rows = counter, most, counted_rows
        self.longest = 0
        self.too_long: list[tuple[Sized, int]] = []
        self._tokens = 0
        self._bytes = 0
        self._counted_bytes = 0
        self._waiting: list[tuple[Sized, bool]] = []

    def add(self, row: Sized) -> None:
        """Take the next row."""
        size = sum(map(size_of, row.contents)) + row.overhead
        is_counted = row.is_training and row.line <= self.counted_rows
        if row.is_training:
            self._bytes += size
            self._counted_bytes += size if is_counted else 0
        if is_counted or size > self.most:
            self._waiting.append((row, is_counted))
        if len(self._waiting) >= BLOCK_ROWS:
            self._count()

    def total(self) -> tuple[int, bool]:
        """Give the tokens of the training rows, and whether some of them are estimated."""
        self._count()
        if self._bytes > self._counted_bytes > 0:
            return round(self._tokens * self._bytes / self._counted_bytes), True
        return self._tokens, False

    def _count(self) -> None:
        waiting, self._waiting = self._waiting, []
        texts = list(dict.fromkeys(text for row, _ in waiting for text in row.contents))
        found = dict(zip(texts, self._counts(texts), strict=True))
        for row, is_counted in waiting:
            tokens = sum(found[text] for text in row.contents) + row.overhead
            self.longest = max(self.longest, tokens)
            self._tokens += tokens if is_counted else 0
            if tokens > self.most:
                self.too_long.append((replace(row, contents=()), tokens))

    def _counts(self, texts: Sequence[str]) -> list[int]:
        return self.counter.count(texts) if texts else []
