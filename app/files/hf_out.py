"""Rows into the folder of a Hugging Face dataset, zipped: Parquet files for each split and a README."""

import json
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from app.errors import InvalidInput
from app.files.exporting import ExportRow, WriteOptions, check_unicode, metadata_names
from app.files.parquet_out import GROUP_CHARS, GROUP_ROWS, Sink
from app.files.values import to_text
from app.languages import _

COLUMNS = ("id", "text", "label", "given_label", "state")
FIRST_DAY = (1980, 1, 1, 0, 0, 0)
"""The only time that a zip archive can hold and that is the same every time."""


def hf_blocks(rows: Iterable[ExportRow], options: WriteOptions) -> Iterator[bytes]:
    """Bytes of the archive; unpacked, `datasets.load_dataset` reads its folder with the classes by name."""
    sink = Sink()
    features = _features(options)
    schema = _schema(features)
    counts: dict[str, int] = {}
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        for split, group in _groups(rows, options):
            name = f"data/{split}-{counts.get(split, 0):05d}.parquet"
            counts[split] = counts.get(split, 0) + 1
            _add(archive, name, _parquet(group, schema))
            yield sink.take()
        _add(archive, "README.md", _readme(features, sorted(counts, reverse=True)).encode("utf-8", "replace"))
    yield sink.take()


def _add(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    archive.writestr(zipfile.ZipInfo(name, FIRST_DAY), data)


def _features(options: WriteOptions) -> dict[str, dict[str, Any]]:
    names = [*COLUMNS, *_metadata(options)]
    text = {"dtype": "string", "_type": "Value"}
    return {
        name: {"names": list(options.labels), "_type": "ClassLabel"} if name == "label" else text
        for name in names
    }


def _metadata(options: WriteOptions) -> list[str]:
    return list(metadata_names(options.metadata_columns))


def _schema(features: Mapping[str, Any]) -> Any:
    kinds = [pa.field(name, pa.int64() if name == "label" else pa.string()) for name in features]
    info = json.dumps({"info": {"features": features}})
    return pa.schema(kinds, metadata={"huggingface": info})


def _parquet(group: list[list[str | int | None]], schema: Any) -> bytes:
    columns = [
        pa.array(column, field.type) for column, field in zip(zip(*group, strict=True), schema, strict=True)
    ]
    out = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_arrays(columns, schema=schema), out, compression="zstd")
    return bytes(out.getvalue())


def _groups(
    rows: Iterable[ExportRow], options: WriteOptions
) -> Iterator[tuple[str, list[list[str | int | None]]]]:
    numbers = {label: number for number, label in enumerate(options.labels)}
    waiting: dict[str, list[list[str | int | None]]] = {}
    size: dict[str, int] = {}
    for row in rows:
        cells = _cells(row, options, numbers)
        waiting.setdefault(row.split, []).append(cells)
        size[row.split] = size.get(row.split, 0) + sum(len(cell) for cell in cells if isinstance(cell, str))
        if len(waiting[row.split]) >= GROUP_ROWS or size[row.split] >= GROUP_CHARS:
            yield row.split, waiting.pop(row.split)
            size[row.split] = 0
    yield from waiting.items()


def _cells(row: ExportRow, options: WriteOptions, numbers: Mapping[str, int]) -> list[str | int | None]:
    if row.label is not None and row.label not in numbers:
        raise InvalidInput(
            _(
                "Row %(row)s has the label %(label)r, which is none of the dataset's.",
                row=ascii(row.id),
                label=row.label,
            )
        )
    label = None if row.label is None else numbers[row.label]
    cells: list[str | int | None] = [row.id, row.text, label, row.given_label, row.state]
    cells.extend(to_text(row.metadata.get(column)) for column in options.metadata_columns)
    for cell in cells:
        if isinstance(cell, str):
            check_unicode(cell, row=row, format_name="Parquet")
    return cells


def _readme(features: Mapping[str, Any], splits: list[str]) -> str:
    """Say where the splits are and what the columns hold, as `datasets` reads it: JSON is YAML too."""
    files = [{"split": split, "path": f"data/{split}-*.parquet"} for split in splits]
    listed = [
        {"name": name, "dtype": {"class_label": {"names": dict(enumerate(feature["names"]))}}}
        if name == "label"
        else {"name": name, "dtype": "string"}
        for name, feature in features.items()
    ]
    head = {
        "configs": [{"config_name": "default", "data_files": files}],
        "dataset_info": {"features": listed},
    }
    lines = "\n".join(f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in head.items())
    return (
        f"---\n{lines}\n---\n\nUnpack this archive into a folder and read it with"
        ' `datasets.load_dataset("FOLDER")`.\n'
    )
