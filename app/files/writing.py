"""Rows into files: the export formats, streamed, with a hash over every byte."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from app.errors import InvalidInput
from app.files.exchange_out import argilla_lines, label_issue_lines, label_studio_lines, studio_lines
from app.files.exporting import (
    ExportRow,
    WriteOptions,
    csv_lines,
    json_lines,
)
from app.files.hf_out import hf_blocks
from app.files.parquet_out import parquet_blocks
from app.files.prompts import chat_lines, completion_lines
from app.languages import _

__all__ = [
    "EXPORT_FORMATS",
    "REVIEWED_FORMATS",
    "ExportRow",
    "WriteOptions",
    "Written",
    "encode_rows",
    "extension",
    "media_type",
    "write_rows",
]

EXPORT_FORMATS = (
    "chat-jsonl",
    "completion-jsonl",
    "jsonl",
    "csv",
    "parquet",
    "hf-datasets",
    "studio-csv",
    "cleanlab-csv",
    "label-studio",
    "argilla",
)
REVIEWED_FORMATS = ("studio-csv", "cleanlab-csv", "label-studio", "argilla")
"""These hold every row, with the given label, the one it has now, and what was decided."""
BLOCK_CHARS = 64 * 1024

Encoder = Callable[[Iterable[ExportRow], WriteOptions], Iterator[str]]
_ENCODERS: dict[str, Encoder] = {
    "chat-jsonl": chat_lines,
    "completion-jsonl": completion_lines,
    "jsonl": json_lines,
    "csv": csv_lines,
    "studio-csv": studio_lines,
    "cleanlab-csv": label_issue_lines,
    "label-studio": label_studio_lines,
    "argilla": argilla_lines,
}
_BINARY: dict[str, Callable[[Iterable[ExportRow], WriteOptions], Iterator[bytes]]] = {
    "parquet": parquet_blocks,
    "hf-datasets": hf_blocks,
}
_MEDIA_TYPES = {
    "chat-jsonl": "application/jsonl",
    "completion-jsonl": "application/jsonl",
    "jsonl": "application/jsonl",
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
    "hf-datasets": "application/zip",
    "studio-csv": "text/csv; charset=utf-8",
    "cleanlab-csv": "text/csv; charset=utf-8",
    "label-studio": "application/json",
    "argilla": "application/json",
}
_ENDINGS = {
    "csv": ".csv",
    "parquet": ".parquet",
    "hf-datasets": ".zip",
    "studio-csv": ".csv",
    "cleanlab-csv": ".csv",
    "label-studio": ".json",
    "argilla": ".json",
}


@dataclass(frozen=True)
class Written:
    """What was written: the number of rows and bytes, and the SHA-256 of the bytes in hex."""

    rows: int
    bytes: int
    sha256: str


def write_rows(rows: Iterable[ExportRow], out: BinaryIO, *, format: str, options: WriteOptions) -> Written:  # noqa: A002 - the product's word for it
    """Write rows as a stream and count and hash what was written; the same rows give the same bytes.

    Raises
    ------
    InvalidInput
        If a row cannot stand in this format; the sentence names its id.
    """
    counted = 0

    def counting() -> Iterator[ExportRow]:
        nonlocal counted
        for row in rows:
            counted += 1
            yield row

    digest = hashlib.sha256()
    size = 0
    for chunk in encode_rows(counting(), format=format, options=options):
        out.write(chunk)
        digest.update(chunk)
        size += len(chunk)
    return Written(rows=counted, bytes=size, sha256=digest.hexdigest())


def encode_rows(rows: Iterable[ExportRow], *, format: str, options: WriteOptions) -> Iterator[bytes]:  # noqa: A002 - the product's word for it
    """Give the same bytes as `write_rows`, in chunks."""
    _check_format(format)
    if format in _BINARY:
        return _BINARY[format](rows, options)
    return _blocks(_ENCODERS[format](rows, options))


def media_type(format: str) -> str:  # noqa: A002 - the product's word for it
    """Give the Content-Type of an export format."""
    _check_format(format)
    return _MEDIA_TYPES[format]


def extension(format: str) -> str:  # noqa: A002 - the product's word for it
    """Give the file name's ending, with its dot."""
    _check_format(format)
    return _ENDINGS.get(format, ".jsonl")


def _check_format(name: str) -> None:
    if name not in EXPORT_FORMATS:
        raise InvalidInput(
            _(
                "There is no export format %(name)s; choose one of %(export_formats)s.",
                name=name,
                export_formats=", ".join(EXPORT_FORMATS),
            )
        )


def _blocks(lines: Iterable[str]) -> Iterator[bytes]:
    waiting: list[str] = []
    size = 0
    for line in lines:
        waiting.append(line)
        size += len(line)
        if size >= BLOCK_CHARS:
            yield "".join(waiting).encode()
            waiting, size = [], 0
    if waiting:
        yield "".join(waiting).encode()
