from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app.errors import InvalidInput, NotFound
from app.pipeline.arrays import check_embeddings, check_pred_probs, check_rows, load_array

PROBS = np.array([[0.25, 0.75], [1, 0], [0.5, 0.5]])


@pytest.mark.parametrize("suffix", [".npy", ".csv", ".parquet"])
def test_arrays_are_read_from_each_format(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"probs{suffix}"
    if suffix == ".npy":
        np.save(path, PROBS)
    elif suffix == ".csv":
        path.write_text("a,b\n0.25,0.75\n1,0\n0.5,0.5\n")
    else:
        pq.write_table(pa.table({"a": PROBS[:, 0], "b": PROBS[:, 1]}), path)
    assert load_array(path).tolist() == PROBS.tolist()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.npy", b"no array"),
        ("a.npy", b""),
        ("a.csv", b""),
        ("a.csv", b"a,b\n1\n"),
        ("a.parquet", b"PAR1"),
        ("a.txt", b"1 2"),
    ],
)
def test_what_is_no_array_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidInput, match=name):
        load_array(tmp_path / name)


def test_pickled_objects_are_never_loaded(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(InvalidInput, match="cannot be read"):
        load_array(tmp_path / "a.npy")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"no file .*none\.npy"):
        load_array(tmp_path / "none.npy")


def test_good_probabilities_come_back_as_float32_that_sum_to_one() -> None:
    checked = check_pred_probs(PROBS * 0.9995, n_examples=3, n_classes=2)
    assert checked.dtype == np.float32
    assert np.allclose(checked, PROBS, atol=1e-6)


def changed(row: int, value: Any) -> npt.NDArray[Any]:
    probs = PROBS.astype(object if isinstance(value, str) else float)
    probs[row, 0] = value
    return probs


@pytest.mark.parametrize(
    ("probs", "words"),
    [
        (PROBS[0], "1-dimensional"),
        (PROBS[:2], "have 2 rows; the data has 3"),
        (np.ones((3, 3)) / 3, "have 3 columns; the 2 labels"),
        (changed(1, np.nan), "Row 2 of the probabilities holds a number that is missing"),
        (changed(2, np.inf), "Row 3 of the probabilities"),
        (changed(0, -0.25), "Row 1 holds -0.25"),
        (changed(1, 1.5), "Row 2 holds 1.5"),
        (changed(2, 0.4), "row 3 sum to 0.9"),
        (changed(2, "high"), "not a number"),
    ],
)
def test_bad_probabilities_are_refused_by_row(probs: npt.NDArray[Any], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        check_pred_probs(probs, n_examples=3, n_classes=2)


@pytest.mark.parametrize(
    ("embeddings", "words"),
    [
        (np.ones((2, 4)), "have 2 rows"),
        (np.ones((3, 0)), "no columns"),
        (np.array([[1.0], [np.nan], [1]]), "Row 2 of the embeddings"),
        (np.array([[1.0], [1], [1e300]]), "Row 3 of the embeddings is too large"),
    ],
)
def test_bad_embeddings_are_refused_by_row(embeddings: npt.NDArray[Any], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        check_embeddings(embeddings, n_examples=3)


def test_rows_may_be_those_of_the_file_or_the_used_ones() -> None:
    check_rows(PROBS, allowed={3, 5}, name="p.npy")
    with pytest.raises(InvalidInput, match=r"p\.npy has 3 rows; the data has 4 or 5"):
        check_rows(PROBS, allowed={5, 4}, name="p.npy")
    with pytest.raises(InvalidInput, match="has 0 rows"):
        check_rows(np.array(1.0), allowed={3}, name="p.npy")
