"""Rows into Parquet, one row group at a time."""

from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from app.files.exporting import FIXED_COLUMNS, ExportRow, WriteOptions, check_unicode, metadata_names
from app.files.values import to_text

GROUP_ROWS = 20_000
GROUP_CHARS = 16 * 1024**2


class Sink:
    """A file that keeps what is written to it until it is taken."""

    closed = False

    def __init__(self) -> None:
        self.waiting: list[bytes] = []

    def write(self, data: Any) -> int:
        self.waiting.append(bytes(data))
        return len(self.waiting[-1])

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """The writer calls it after the footer."""

    def take(self) -> bytes:
        data = b"".join(self.waiting)
        self.waiting = []
        return data


def parquet_blocks(rows: Iterable[ExportRow], options: WriteOptions) -> Iterator[bytes]:
    """Bytes of a Parquet file whose columns are all strings; nested metadata is JSON."""
    names = [*FIXED_COLUMNS, *metadata_names(options.metadata_columns)]
    schema = pa.schema([pa.field(name, pa.string()) for name in names])
    sink = Sink()
    with pq.ParquetWriter(pa.PythonFile(sink, mode="w"), schema, compression="zstd") as writer:
        for group in _groups(rows, options):
            columns = [pa.array(column, pa.string()) for column in zip(*group, strict=True)]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))
            yield sink.take()
    yield sink.take()


def _groups(rows: Iterable[ExportRow], options: WriteOptions) -> Iterator[list[list[str | None]]]:
    group: list[list[str | None]] = []
    size = 0
    for row in rows:
        cells = [row.id, row.text, row.label, row.given_label, row.split, row.state]
        cells.extend(to_text(row.metadata.get(column)) for column in options.metadata_columns)
        for cell in cells:
            if cell:
                check_unicode(cell, row=row, format_name="Parquet")
                size += len(cell)
        group.append(cells)
        if len(group) >= GROUP_ROWS or size >= GROUP_CHARS:
            yield group
            group, size = [], 0
    if group:
        yield group
