"""A Hugging Face dataset, its folder zipped, as records: Parquet, Arrow, JSON lines or CSV for each split."""

import json
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from app.errors import InvalidInput
from app.files.hf_members import BROKEN_ZIP, data_members, split_of
from app.files.opening import Source
from app.files.parquet_in import arrow_records, read_parquet
from app.files.rows import JsonValue, Layout, Record, Rejected
from app.languages import _

FEATURES = b"huggingface"
BLOCK = 1024**2
PACKED = frozenset({"hf-datasets", "xlsx"})
Classes = Mapping[str, list[str]]


def read_hf(source: Source, _layout: Layout) -> Iterator[Record | Rejected]:
    """Rows of all files, one split after the other, with the classes' names for their numbers.

    `line` counts on from file to file; the column `split` is added where the rows have none.
    """
    line = done = 0
    with _unpacking(source) as (archive, folder):
        for member in data_members(source, archive):
            path = _unpacked(source, archive, member, folder)
            for record in _records(source, path, member.filename):
                line += 1
                yield _numbered(record, line, split_of(member.filename))
            path.unlink()
            done += member.compress_size
            if source.on_bytes:
                source.on_bytes(done)


class _Unpacking:
    """An open archive and a folder for one of its files at a time."""

    def __init__(self, source: Source) -> None:
        self.source = source

    def __enter__(self) -> tuple[zipfile.ZipFile, Path]:
        try:
            self.archive = zipfile.ZipFile(self.source.path)
        except BROKEN_ZIP:
            raise InvalidInput(_("%(source)s is a damaged zip archive.", source=self.source.name)) from None
        self.folder = tempfile.TemporaryDirectory(prefix="setright-", dir=self.source.path.parent)
        return self.archive, Path(self.folder.name)

    def __exit__(self, *_details: object) -> None:
        self.archive.close()
        self.folder.cleanup()


def _unpacking(source: Source) -> _Unpacking:
    return _Unpacking(source)


def _unpacked(source: Source, archive: zipfile.ZipFile, member: zipfile.ZipInfo, folder: Path) -> Path:
    """Write one file out, never more of it than the archive says it has."""
    path = folder / f"member{Path(member.filename).suffix.lower()}"
    try:
        with archive.open(member) as packed, path.open("wb") as out:
            shutil.copyfileobj(packed, out, BLOCK)
    except (*BROKEN_ZIP, zlib.error):
        raise InvalidInput(
            _(
                "%(filename)s in %(source)s is damaged or encrypted.",
                filename=member.filename,
                source=source.name,
            )
        ) from None
    return path


def _records(source: Source, path: Path, name: str) -> Iterator[Record | Rejected]:
    inner = replace(source, path=path, name=f"{name} in {source.name}", on_bytes=None, most_bytes=None)
    if path.suffix in {".parquet", ".arrow"}:
        is_arrow = path.suffix == ".arrow"
        classes = _classes_of(_arrow_metadata(inner) if is_arrow else _parquet_metadata(inner))
        read = read_arrow if is_arrow else _read_parquet
        return (_named(record, classes) for record in read(inner))
    from app.files.reading import detect_layout, records_of  # noqa: PLC0415 — it imports this file

    layout = detect_layout(inner, None)
    if layout.format in PACKED:
        raise InvalidInput(_("%(inner)s is an archive itself; unpack it first.", inner=inner.name))
    return records_of(inner, layout)


def _read_parquet(source: Source) -> Iterator[Record]:
    return read_parquet(source, Layout("parquet"))


def read_arrow(source: Source) -> Iterator[Record]:
    """Rows of an Arrow file, as `save_to_disk` writes it."""
    with _arrow(source) as stream:
        yield from arrow_records(source, stream.schema.names, _batches(source, stream))


def _batches(source: Source, stream: Any) -> Iterator[Any]:
    try:
        yield from stream
    except (pa.ArrowException, OSError, ValueError, UnicodeDecodeError) as error:
        raise _unreadable(source) from error


def _arrow(source: Source) -> Any:
    try:
        return pa.ipc.open_stream(pa.OSFile(str(source.path)))
    except (pa.ArrowException, OSError, ValueError):
        pass
    try:  # the other of Arrow's two formats has its index at the end
        return _FileBatches(pa.ipc.open_file(pa.OSFile(str(source.path))))
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _unreadable(source) from error


class _FileBatches:
    """An Arrow file read like a stream."""

    def __init__(self, file: Any) -> None:
        self.file, self.schema = file, file.schema

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_details: object) -> None:
        """Nothing is held open."""

    def __iter__(self) -> Iterator[Any]:
        return (self.file.get_batch(number) for number in range(self.file.num_record_batches))


def _unreadable(source: Source) -> InvalidInput:
    return InvalidInput(
        _("%(source)s is not a readable Arrow file; it may be damaged or cut off.", source=source.name)
    )


def _arrow_metadata(source: Source) -> Mapping[bytes, bytes] | None:
    with _arrow(source) as stream:
        return stream.schema.metadata  # type: ignore[no-any-return]


def _parquet_metadata(source: Source) -> Mapping[bytes, bytes] | None:
    try:
        return pq.read_schema(source.path).metadata  # type: ignore[no-any-return]
    except (pa.ArrowException, OSError, ValueError):
        return None  # reading the rows says what is wrong


def _classes_of(metadata: Mapping[bytes, bytes] | None) -> Classes:
    """Give the names of the classes of every column that holds their numbers."""
    try:
        info = json.loads((metadata or {}).get(FEATURES, b"{}"))
        features = info["info"]["features"]
        return {
            name: [str(one) for one in feature["names"]]
            for name, feature in features.items()
            if isinstance(feature, dict) and feature.get("_type") == "ClassLabel" and feature.get("names")
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def _named(record: Record, classes: Classes) -> Record:
    for name, names in classes.items():
        number = record.values.get(name)
        if isinstance(number, int):
            record.values[name] = names[number] if 0 <= number < len(names) else None
    return record


def _numbered(record: Record | Rejected, line: int, split: str) -> Record | Rejected:
    if isinstance(record, Rejected):
        return replace(record, line=line)
    values: dict[str, JsonValue] = {**record.values}
    values.setdefault("split", split)
    return Record(line, values)
