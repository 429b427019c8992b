"""Files of probabilities or embeddings that people bring: whose row is whose, which column is which label."""

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from app.errors import InvalidInput, NotFound
from app.pipeline.arrays import check_embeddings, check_pred_probs, check_rows, load_array

ID_COLUMNS = ("id", "external_id")
# Names that say nothing but the position: p0, class_1, 2.
NUMBERED = re.compile(r"[A-Za-z]{0,10}[ _-]?\d+")
ROW = re.compile(r"\b[Rr]ow (\d+)")

Array = npt.NDArray[np.generic]
Ids = Callable[[], Sequence[str]]


@dataclass(frozen=True)
class Brought:
    """A file as it lies there.

    Attributes
    ----------
    name : str
        For sentences.
    values : array (n_rows, n_columns)
        In the order of the file.
    columns : tuple of str or None
        What the columns are called; None where the format has no names.
    ids : list of str or None
        One a row; None where the file has no such column.
    """

    name: str
    values: Array
    columns: tuple[str, ...] | None
    ids: list[str] | None


def read_brought(path: Path, *, name: str = "", id_columns: Collection[str] = ID_COLUMNS) -> Brought:
    """Read a `.npy`, `.csv` (with a header line) or `.parquet` file.

    Parameters
    ----------
    path : Path
    name : str
        What its owner calls it; the name of `path` where not said.
    id_columns : collection of str
        The first of the file's columns with such a name tells whose row it is.

    Raises
    ------
    NotFound
        When there is no such file.
    InvalidInput
        When it cannot be read, a column is there twice, or a cell is no number: the sentence names its row
        and column.
    """
    name = name or path.name
    if not path.is_file():
        raise NotFound(f"There is no file {path}.")
    if path.suffix not in {".csv", ".parquet"}:
        return Brought(name, load_array(path), None, None)
    table = _table(path, name, id_columns)
    names = table.column_names
    twice = next((one for one in names if names.count(one) > 1), None)
    if twice is not None:
        raise InvalidInput(f'{name} has the column "{twice}" twice.')
    id_column = next((one for one in names if one in id_columns), None)
    ids = None if id_column is None else [_as_id(value) for value in table.column(id_column).to_pylist()]
    columns = tuple(one for one in names if one != id_column)
    matrix = np.empty((table.num_rows, len(columns)), dtype=np.float64)
    for at, column in enumerate(columns):
        matrix[:, at] = _numbers(table.column(column), name=name, column_name=column, ids=ids)
    return Brought(name, matrix, columns, ids)


def pred_probs_of(
    brought: Brought, *, labels: Sequence[str], ids: Ids, n_rows: int, places: Sequence[int] | None = None
) -> Array:
    """Return a file's probabilities in the order of rows and labels.

    Parameters
    ----------
    brought : Brought
        Columns that carry the names of labels may come in any order.
    labels : sequence of str
        The labels in column order.
    ids : callable
        Gives the ids of the data's rows; asked only where the file has ids, or to name a bad row.
    n_rows : int
        Rows of the data.
    places : sequence of int, optional
        Which rows of a file without ids these are, counted from 0; all of them where not said.

    Returns
    -------
    float32 array (n_rows, n_labels)

    Raises
    ------
    InvalidInput
        When a label has no column or a column no label, a row is missing, or `check_pred_probs` finds
        something; the sentence names the first bad row of the file, counted from 1, and its id.
    """
    values = brought.values
    if values.ndim == 2 and brought.columns is not None:  # noqa: PLR2004 — a matrix
        values = values[:, _label_order(brought, labels)]

    def check(rows: Array) -> Array:
        return check_pred_probs(rows, n_examples=len(rows), n_classes=len(labels))

    return _in_order(brought, values, check, ids=ids, n_rows=n_rows, places=places)


def embeddings_of(brought: Brought, *, ids: Ids, n_rows: int, places: Sequence[int] | None = None) -> Array:
    """Return a file's embeddings, float32 (n_rows, n_columns), in the order of the rows.

    Raises
    ------
    InvalidInput
        When a row is missing or `check_embeddings` finds something; the sentence names the first bad row of
        the file, counted from 1, and its id.
    """

    def check(rows: Array) -> Array:
        return check_embeddings(rows, n_examples=len(rows))

    return _in_order(brought, brought.values, check, ids=ids, n_rows=n_rows, places=places)


def _table(path: Path, name: str, id_columns: Collection[str]) -> pa.Table:
    try:
        if path.suffix == ".parquet":
            return pyarrow.parquet.read_table(path)
        as_text = pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(id_columns, pa.string()))
        return pyarrow.csv.read_csv(path, convert_options=as_text)
    except (OSError, ValueError, pa.lib.ArrowException):
        raise InvalidInput(f"{name} cannot be read as {path.suffix[1:]}.") from None


def _as_id(value: object) -> str:
    return "" if value is None else str(value)


def _numbers(
    column: pa.ChunkedArray, *, name: str, column_name: str, ids: list[str] | None
) -> npt.NDArray[np.float64]:
    kind = column.type
    if pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        return np.asarray(column.cast(pa.float64()).to_numpy(), dtype=np.float64)
    if pa.types.is_null(kind):
        return np.full(len(column), np.nan)
    for row, value in enumerate(column.to_pylist()):
        if not _is_number(value):
            where = f"Row {row + 1}{_id(ids, row)}"
            raise InvalidInput(f'{where} of {name} holds "{value}" in the column "{column_name}": no number.')
    return np.array([float(value) for value in column.to_pylist()])


def _is_number(value: object) -> bool:
    try:
        float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False
    return True


def _id(ids: Sequence[str] | None, row: int) -> str:
    return f" (id {ids[row]})" if ids is not None and row < len(ids) else ""


def _label_order(brought: Brought, labels: Sequence[str]) -> list[int]:
    columns = brought.columns or ()
    if not set(columns) & set(labels) and all(NUMBERED.fullmatch(one) for one in columns):
        if len(columns) != len(labels):
            raise InvalidInput(
                f"{brought.name} has {len(columns)} columns of probabilities; "
                f"the {len(labels)} labels need one each."
            )
        return list(range(len(labels)))
    for column in columns:
        if column not in labels:
            known = ", ".join(labels[:10]) + (", …" if len(labels) > 10 else "")  # noqa: PLR2004 — a sentence's length
            raise InvalidInput(
                f'The column "{column}" of {brought.name} is none of the labels, which are: {known}.'
            )
    for label in labels:
        if label not in columns:
            raise InvalidInput(f'{brought.name} lacks a column for the label "{label}".')
    return [columns.index(label) for label in labels]


def _in_order(
    brought: Brought,
    values: Array,
    check: Callable[[Array], Array],
    *,
    ids: Ids,
    n_rows: int,
    places: Sequence[int] | None,
) -> Array:
    """Take the wanted rows and check them; what is said of one names its place in the file, and its id."""
    order: Sequence[int] | npt.NDArray[np.int64] = range(n_rows) if places is None else places
    if brought.ids is None:
        if places is None:
            check_rows(values, allowed={n_rows}, name=brought.name)
        else:
            values = values[places]
    else:
        wanted = ids()
        if len(wanted) != n_rows:
            raise InvalidInput(
                f"The rows of {brought.name} have ids, those of the data have none: say which column holds "
                "them (--id), or leave the ids out to go by the order of the rows."
            )
        order = _rows_by_id(brought, brought.ids, wanted)
        values = values[order]

    def place(found: re.Match[str]) -> str:
        row = int(found[1]) - 1
        return f"{found[0].split()[0]} {order[row] + 1}{_id(ids(), row)}"

    try:
        return check(values)
    except InvalidInput as problem:
        raise InvalidInput(f"{brought.name}: {ROW.sub(place, str(problem), count=1)}") from None


def _rows_by_id(brought: Brought, given: list[str], wanted: Sequence[str]) -> npt.NDArray[np.int64]:
    row_of: dict[str, int] = {}
    for row, one in enumerate(given):
        if one in row_of:
            raise InvalidInput(
                f'Row {row + 1} of {brought.name} has the id "{one}", as row {row_of[one] + 1} has.'
            )
        row_of[one] = row
    missing = next((one for one in wanted if one not in row_of), None)
    if missing is not None:
        count = sum(one not in row_of for one in wanted)
        raise InvalidInput(
            f'{brought.name} lacks {count:,} of the rows; the first is the one of id "{missing}".'
        )
    return np.fromiter((row_of[one] for one in wanted), np.int64, len(wanted))
