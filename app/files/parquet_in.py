"""Parquet as records, in small batches."""

import datetime as dt
import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from app.errors import InvalidInput, TooLarge
from app.files.delimited import check_header
from app.files.opening import Source
from app.files.rows import JsonValue, Layout, Record
from app.languages import _

BATCH_ROWS = 1024
NESTED_BATCH_ROWS = 64
BATCH_CHARS = 64 * 1024**2
VALUE_BYTES = 8
_PLAIN = frozenset({str, int, bool, type(None)})


def parquet_columns(source: Source) -> tuple[str, ...]:
    """Give the names of the top-level columns, checked."""
    with _opened(source) as table:
        return _checked_names(source, table)


def read_parquet(source: Source, _layout: Layout) -> Iterator[Record]:
    """Rows of a Parquet file; `line` is the row number."""
    size = source.path.stat().st_size
    with _opened(source) as table:
        names = _checked_names(source, table)
        _check_bounds(source, table.metadata)
        total = max(1, table.metadata.num_rows)
        batches = table.iter_batches(batch_size=_batch_rows(table.schema_arrow), use_threads=False)
        for record in arrow_records(source, names, batches):
            yield record
            if source.on_bytes and record.line % BATCH_ROWS == 0:
                source.on_bytes(min(size, size * record.line // total))
        if source.on_bytes:
            source.on_bytes(size)


def arrow_records(source: Source, names: Sequence[str], batches: Iterable[Any]) -> Iterator[Record]:
    """Rows of Arrow batches; `line` is the row number."""
    check_header(names, name=source.name, limits=source.limits)
    number = 0
    for batch in batches:
        for part in _parts(source, batch):
            columns = [column.to_pylist() for column in part.columns]
            for cells in zip(*columns, strict=True):
                number += 1
                yield _record(number, names, cells)


@contextmanager
def _opened(source: Source) -> Iterator[Any]:
    """Give the open file; whatever Arrow says about broken bytes becomes one sentence."""
    try:
        with pq.ParquetFile(source.path) as table:
            strings = [field.name for field in table.schema_arrow if _is_text(field.type)]
        with pq.ParquetFile(source.path, read_dictionary=strings) as table:
            yield table
    except (pa.ArrowException, OSError, UnicodeDecodeError, OverflowError, ValueError, KeyError) as error:
        raise InvalidInput(
            _("%(source)s is not a readable Parquet file; it may be damaged or cut off.", source=source.name)
        ) from error


def _checked_names(source: Source, table: Any) -> tuple[str, ...]:
    names = tuple(table.schema_arrow.names)
    check_header(names, name=source.name, limits=source.limits)
    return names


def _check_bounds(source: Source, metadata: Any) -> None:
    """Refuse a file that unpacks beyond the limits, by what it declares."""
    unpacked = 0
    for group in range(metadata.num_row_groups):
        for column in range(metadata.num_columns):
            chunk = metadata.row_group(group).column(column)
            unpacked += max(chunk.total_uncompressed_size, 0) + chunk.num_values * VALUE_BYTES
    if unpacked > source.limits.max_unzipped_bytes:
        raise TooLarge(
            _(
                "%(source)s unpacks to more than %(max_unzipped_bytes)s bytes (SETRIGHT_MAX_UNZIPPED_BYTES).",
                source=source.name,
                max_unzipped_bytes=f"{source.limits.max_unzipped_bytes:,}",
            )
        )


def _is_text(kind: Any) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_binary(kind))


def _batch_rows(schema: Any) -> int:
    nested = any(pa.types.is_nested(field.type) for field in schema)
    return NESTED_BATCH_ROWS if nested else BATCH_ROWS


def _parts(source: Source, batch: Any) -> Iterator[Any]:
    """Slices of a batch in which repeated long strings stay within bounds once they are spelt out."""
    longest = 1
    for column in batch.columns:
        if (
            pa.types.is_dictionary(column.type)
            and _is_text(column.type.value_type)
            and len(column.dictionary)
        ):
            longest = max(longest, pc.max(pc.binary_length(column.dictionary)).as_py() or 0)
    if longest > source.limits.max_line_bytes:
        raise TooLarge(
            _(
                "%(source)s holds a value of %(longest)s bytes; the limit is %(max_line_bytes)s "
                "(SETRIGHT_MAX_LINE_BYTES).",
                source=source.name,
                longest=f"{longest:,}",
                max_line_bytes=f"{source.limits.max_line_bytes:,}",
            )
        )
    rows = max(1, BATCH_CHARS // (longest * max(1, batch.num_columns)))
    for start in range(0, batch.num_rows, rows):
        yield _spelt_out(batch.slice(start, rows))


def _spelt_out(batch: Any) -> Any:
    columns = [
        column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
        for column in batch.columns
    ]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def _record(number: int, names: Sequence[str], cells: tuple[Any, ...]) -> Record:
    return Record(
        number,
        {
            name: cell if type(cell) in _PLAIN else _json(cell)
            for name, cell in zip(names, cells, strict=True)
        },
    )


def _json(value: Any) -> JsonValue:
    """A value of Arrow as JSON holds it."""
    if isinstance(value, dict):
        return {str(key): _json(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_json(inner) for inner in value]
    if type(value) in _PLAIN or (isinstance(value, float) and math.isfinite(value)):
        return value  # type: ignore[no-any-return]
    return _shown(value)


def _shown(value: Any) -> str | None:
    if isinstance(value, float):
        return None if math.isnan(value) else str(value)
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode(errors="backslashreplace")
    return str(value)
