import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.science.probabilities import pack, pack_rows, unpack


@given(st.lists(st.floats(0, 1, width=32), min_size=1, max_size=200))
def test_a_row_comes_back_within_half_precision(values: list[float]) -> None:
    row = np.array(values, dtype=np.float32)
    blob = pack(row)
    assert len(blob) == 2 * len(values)
    again = unpack(blob, len(values))
    assert again.dtype == np.float32
    assert np.allclose(again, row, rtol=5e-4, atol=3e-8)
    assert again.min() >= 0
    assert again.max() <= 1


def test_rows_are_packed_as_one_by_one() -> None:
    matrix = np.random.default_rng(0).dirichlet(np.ones(7), 30).astype(np.float32)
    assert pack_rows(matrix) == [pack(row) for row in matrix]
    assert pack_rows(matrix[::2, ::-1]) == [pack(row) for row in matrix[::2, ::-1]]
    assert pack_rows(matrix[:0]) == []


def test_the_bytes_are_little_endian_everywhere() -> None:
    assert pack(np.array([1.0, 0.5])) == b"\x00\x3c\x00\x38"


def test_the_wrong_number_of_classes_is_refused() -> None:
    with pytest.raises(ValueError, match="6 bytes do not hold 2"):
        unpack(pack(np.array([0.2, 0.3, 0.5])), 2)
