import datetime as dt
import decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app.errors import InvalidInput, TooLarge
from app.files.reading import read_records
from app.files.rows import Layout, Limits, Record
from tests.files.given import LIMITS, read_path


def written(folder: Path, table: pa.Table, **options: object) -> Path:
    path = folder / "a.parquet"
    pq.write_table(table, path, **options)
    return path


def test_types_become_strings_and_metadata_json(tmp_path: Path) -> None:
    table = pa.table(
        {
            "text": pa.array(["a", "b"]).dictionary_encode(),
            "label": [1, 0],
            "ok": [True, False],
            "score": [0.5, float("nan")],
            "tags": [["x"], []],
            "who": [{"name": "A", "age": 3}, None],
            "day": [dt.date(2026, 1, 2), None],
            "price": [decimal.Decimal("1.50"), None],
            "raw": [b"ok", b"\xff"],
        }
    )
    rows = read_path(written(tmp_path, table)).rows
    assert [(row.line, row.text, row.label) for row in rows] == [(1, "a", "1"), (2, "b", "0")]
    assert rows[0].metadata == {
        "ok": True,
        "score": 0.5,
        "tags": ["x"],
        "who": {"name": "A", "age": 3},
        "day": "2026-01-02",
        "price": "1.50",
        "raw": "ok",
    }
    assert rows[1].metadata["score"] is None
    assert rows[1].metadata["raw"] == "\\xff"


@pytest.mark.parametrize("value", [True, 1.0])
def test_labels_of_other_types_are_strings(tmp_path: Path, value: object) -> None:
    table = pa.table({"text": ["a"], "label": [value]})
    assert read_path(written(tmp_path, table)).labels == ["true" if value is True else "1.0"]


def test_many_row_groups_come_in_order_with_progress(tmp_path: Path) -> None:
    table = pa.table({"text": [f"t{n}" for n in range(5000)], "label": ["x"] * 5000})
    path = written(tmp_path, table, row_group_size=700)
    seen: list[int] = []
    records = list(read_records(path, Layout("parquet"), limits=LIMITS, on_bytes=seen.append))
    assert records[4321] == Record(4322, {"text": "t4321", "label": "x"})
    assert [one.line for one in records] == list(range(1, 5001))
    assert (seen, seen[-1]) == (sorted(seen), path.stat().st_size)


@pytest.mark.parametrize("end", [-1, -20, 100])
def test_a_broken_file_is_named(tmp_path: Path, end: int) -> None:
    path = written(tmp_path, pa.table({"text": ["a"] * 1000, "label": ["b"] * 1000}))
    path.write_bytes(path.read_bytes()[:end])
    with pytest.raises(InvalidInput, match=r"a\.parquet is not a readable Parquet file"):
        read_path(path)


def test_equal_names_and_no_rows_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match='both called "text"'):
        read_path(written(tmp_path, pa.table([["a"], ["b"]], names=["text", "text"])))
    empty = pa.table({"text": pa.array([], pa.string())})
    with pytest.raises(InvalidInput, match=r"a\.parquet has a header but no rows\."):
        read_path(written(tmp_path, empty))


def test_bombs_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path, pa.table({"text": ["x" * 5000], "label": ["y"]}))
    with pytest.raises(TooLarge, match="holds a value of 5,000 bytes; the limit is 1,000"):
        read_path(path, limits=Limits(max_line_bytes=1000))
    path = written(tmp_path, pa.table({"text": pa.nulls(100_000), "label": pa.nulls(100_000)}))
    with pytest.raises(TooLarge, match="unpacks to more than 1,000,000 bytes"):
        read_path(path, limits=Limits(max_unzipped_bytes=1_000_000))
