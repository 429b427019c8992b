from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app.errors import InvalidInput, NotFound
from app.pipeline.brought import embeddings_of, pred_probs_of, read_brought

LABELS = ("no", "yes")
IDS = ("r1", "r2", "r3")
PROBS = np.array([[0.25, 0.75], [1, 0], [0.5, 0.5]])
CSV = "id,no,yes\nr1,0.25,0.75\nr2,1,0\nr3,0.5,0.5\n"


def written(folder: Path, content: str, name: str = "probs.csv") -> Path:
    path = folder / name
    path.write_text(content, encoding="utf-8")
    return path


def probabilities(
    path: Path, *, labels: Sequence[str] = LABELS, ids: Sequence[str] = IDS
) -> list[list[float]]:
    found = pred_probs_of(read_brought(path), labels=labels, ids=lambda: ids, n_rows=len(ids))
    assert found.dtype == np.float32
    rows: list[list[float]] = found.tolist()
    return rows


@pytest.mark.parametrize("suffix", [".npy", ".csv", ".parquet"])
def test_each_format_by_order(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"probs{suffix}"
    if suffix == ".npy":
        np.save(path, PROBS)
    elif suffix == ".csv":
        written(tmp_path, "yes,no\n0.75,0.25\n0,1\n0.5,0.5\n")
    else:
        pq.write_table(pa.table({"yes": PROBS[:, 1], "no": PROBS[:, 0]}), path)
    assert probabilities(path) == PROBS.tolist()


def test_rows_are_found_by_their_ids(tmp_path: Path) -> None:
    lines = CSV.splitlines()
    path = written(tmp_path, "\n".join([lines[0], lines[3], "r9,0.1,0.9", lines[1], lines[2]]))
    assert probabilities(path) == PROBS.tolist()
    table = pa.table({"yes": PROBS[::-1, 1], "external_id": [3, 2, 1], "no": PROBS[::-1, 0]})
    pq.write_table(table, tmp_path / "probs.parquet")
    assert probabilities(tmp_path / "probs.parquet", ids=("1", "2", "3")) == PROBS.tolist()


def test_ids_are_read_as_they_are_written(tmp_path: Path) -> None:
    path = written(tmp_path, "id,no,yes\n010,0.25,0.75\n10,1,0\n1e1,0.5,0.5\n")
    assert probabilities(path, ids=("010", "10", "1e1")) == PROBS.tolist()


def test_columns_without_names_go_by_their_order(tmp_path: Path) -> None:
    for header in ("p0,p1", "0,1", "class_1,class_2"):
        path = written(tmp_path, CSV.replace("id,no,yes", f"id,{header}"))
        assert probabilities(path) == PROBS.tolist()
    path = written(tmp_path, CSV.replace("id,no,yes", "id,1,0"))
    assert probabilities(path, labels=("0", "1")) == PROBS[:, ::-1].tolist()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            CSV.replace("yes", "Yes"),
            'The column "Yes" of probs.csv is none of the labels, which are: no, yes.',
        ),
        ("id,no\nr1,1\nr2,1\nr3,1\n", 'lacks a column for the label "yes"'),
        ("id,no,yes,yes\nr1,0,0,1\n", 'has the column "yes" twice'),
        ("id,p0,p1,p2\nr1,0,0,1\n", "has 3 columns of probabilities; the 2 labels need one each"),
        (CSV.replace("r3,", "r4,"), 'lacks 1 of the rows; the first is the one of id "r3"'),
        (CSV.replace("r3,", "r1,"), 'Row 3 of probs.csv has the id "r1", as row 1 has'),
        (CSV.replace("r2,1,0", "r2,1.5,-0.5"), "Row 2 (id r2) holds 1.5"),
        (CSV.replace("r2,1,0", "r2,-0.5,1.5"), "Row 2 (id r2) holds -0.5"),
        (CSV.replace("r3,0.5", "r3,0.4"), "row 3 (id r3) sum to 0.9"),
        (CSV.replace("r2,1,0", "r2,,0"), "Row 2 (id r2) of the probabilities holds a number that is missing"),
        (CSV.replace("r2,1,0", "r2,inf,0"), "Row 2 (id r2)"),
        (CSV.replace("r2,1,0", "r2,high,0"), 'Row 2 (id r2) of probs.csv holds "high" in the column "no"'),
        ("no,yes\n0.25,0.75\n", "probs.csv has 1 rows; the data has 3"),
        ("no,yes\n0.25,0.75\n1,0\n0.4,0.5\n", "probs.csv: The probabilities of row 3 (id r3) sum to 0.9"),
        ("", "probs.csv cannot be read as csv"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, content: str, words: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        probabilities(written(tmp_path, content))
    assert words in str(refused.value)


def test_a_sum_within_a_thousandth_is_one(tmp_path: Path) -> None:
    rows = probabilities(written(tmp_path, CSV.replace("r3,0.5", "r3,0.4995")))
    assert sum(rows[2]) == pytest.approx(1, abs=1e-6)


def test_ids_of_the_file_need_ids_of_the_data(tmp_path: Path) -> None:
    file = read_brought(written(tmp_path, CSV))
    with pytest.raises(InvalidInput, match=r"those of the data have none: say .*--id"):
        pred_probs_of(file, labels=LABELS, ids=list, n_rows=3)


def embeddings(folder: Path, values: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    np.save(folder / "vectors.npy", values)
    file = read_brought(folder / "vectors.npy", name="mine.npy")
    return embeddings_of(file, ids=lambda: IDS, n_rows=3)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.ones((2, 4)), "mine.npy has 2 rows; the data has 3"),
        (np.ones(3), "mine.npy: The embeddings must be a table"),
        (np.ones((3, 0)), "no columns"),
        (np.array([[1.0], [np.nan], [1]]), "mine.npy: Row 2 (id r2) of the embeddings holds"),
        (np.array([[1.0], [1], [1e300]]), "Row 3 (id r3) of the embeddings is too large"),
        (np.array([["a"], ["b"], ["c"]]), "not a number"),
    ],
)
def test_embeddings_are_checked(tmp_path: Path, values: npt.NDArray[np.generic], words: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        embeddings(tmp_path, values)
    assert words in str(refused.value)


def test_embeddings_by_id_and_by_order(tmp_path: Path) -> None:
    assert embeddings(tmp_path, np.arange(6).reshape(3, 2)).tolist() == [[0, 1], [2, 3], [4, 5]]
    path = written(tmp_path, "dim0,id,dim1\n4,r3,5\n0,r1,1\n2,r2,3\n", "vectors.csv")
    file = read_brought(path)
    assert embeddings_of(file, ids=lambda: IDS, n_rows=3).tolist() == [[0, 1], [2, 3], [4, 5]]


def test_what_is_not_there_or_is_no_table(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="There is no file"):
        read_brought(tmp_path / "none.csv")
    for name in ("a.npy", "a.parquet", "a.txt"):
        with pytest.raises(InvalidInput, match="a"):
            read_brought(written(tmp_path, "no table", name))
