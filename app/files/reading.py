"""Reading any file that is offered: first a look at its head, then all of it as a stream."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice, tee
from pathlib import Path

from app.errors import InvalidInput
from app.files.argilla import looks_like_records, read_argilla
from app.files.building import build_rows, check_columns
from app.files.chat import CHAT_COLUMNS, COMPLETION_COLUMNS, detect_ends, read_chats, read_completions
from app.files.delimited import read_delimited, read_header
from app.files.delimiters import check_character, detect_dialect
from app.files.detecting import binary_format, check_is_text, text_format
from app.files.encodings import check_encoding, decodes, detect_encoding
from app.files.guess import guess_columns
from app.files.json_array import read_json_array
from app.files.json_lines import read_json_lines
from app.files.label_studio import looks_like_tasks, read_label_studio
from app.files.lines import BOM, decoder_for
from app.files.opening import HEAD, HeadEnded, OnBytes, Source, check_size, read_head
from app.files.origins import recognise
from app.files.rows import FORMATS, Columns, JsonValue, Layout, Limits, Preview, Record, Rejected, Row
from app.files.values import to_text
from app.languages import _

SAMPLED = 200
SAMPLED_OBJECTS = 20
PREVIEWED_LINES = 4
"""A look at a file reads at most as many bytes as this many lines may have."""
SAME_COLUMNS = frozenset({"csv", "parquet", "xlsx"})
_READERS: dict[str, Callable[[Source, Layout], Iterator[Record | Rejected]]] = {
    "csv": read_delimited,
    "jsonl": read_json_lines,
    "json": read_json_array,
    "chat-jsonl": read_chats,
    "completion-jsonl": read_completions,
    "label-studio": read_label_studio,
    "argilla": read_argilla,
}


def preview(
    path: Path,
    *,
    name: str,
    limits: Limits,
    layout: Layout | None = None,
    columns: Columns | None = None,
    rows: int = 20,
) -> Preview:
    """Look at the head of a file and propose how to read it.

    Parameters
    ----------
    path : Path
        The file.
    name : str
        What to call it in sentences; its ending is a hint.
    limits : Limits
        The bounds.
    layout : Layout, optional
        What the caller fixes; an empty `format` and every None are detected.
    columns : Columns, optional
        Roles that the caller fixes: they are checked, returned as the guess, and rows that they make unusable
        are among the rejected ones.
    rows : int
        How many rows to show.

    Returns
    -------
    Preview
        The full layout, the columns, their proposed roles and the first rows as strings.

    Raises
    ------
    InvalidInput, TooLarge, NotFound
        With one sentence about what is wrong with the file.
    """
    source = Source(path, name, limits, most_bytes=max(HEAD, PREVIEWED_LINES * limits.max_line_bytes))
    check_size(source)
    found = detect_layout(source, layout)
    sample = _sample(source, found, SAMPLED + rows)
    records = [one for one in sample if isinstance(one, Record)]
    rejected = [one for one in sample if isinstance(one, Rejected)]
    names = _column_names(source, found, records)
    if not sample:
        raise InvalidInput(_no_rows(name, found, is_told=layout is not None and layout.encoding is not None))
    if columns is not None:
        check_columns(columns, names)
        built = _build(iter(records), found, columns, limits=limits, allow_unlabelled=columns.label is None)
        rejected.extend(one for one in built if isinstance(one, Rejected))
    return Preview(
        layout=found,
        columns=names,
        guess=columns or guess_columns(names, [record.values for record in records]),
        recognised=recognise(found, names, [record.values for record in records]),
        rows=tuple(_shown(record.values, names) for record in records[:rows]),
        rejected=tuple(sorted(rejected, key=lambda one: one.line)),
        warnings=_warnings(found, records),
    )


def _sample(source: Source, layout: Layout, count: int) -> list[Record | Rejected]:
    """Give the first records; a first one that does not end within the head is rejected as too long."""
    found: list[Record | Rejected] = []
    try:
        found.extend(islice(records_of(source, layout), count))
    except HeadEnded:
        if not found:
            limit = source.limits.max_line_bytes
            line = 2 if layout.format == "csv" else 1
            return [
                Rejected(
                    line, _("longer than %(limit)s bytes (SETRIGHT_MAX_LINE_BYTES)", limit=f"{limit:,}"), ""
                )
            ]
    return found


def read_records(
    path: Path, layout: Layout, *, limits: Limits, on_bytes: OnBytes | None = None, name: str | None = None
) -> Iterator[Record | Rejected]:
    """Every record of a file, in order, as a stream.

    Parameters
    ----------
    path : Path
        The file.
    layout : Layout
        A full layout, as `preview` returns it.
    limits : Limits
        The bounds.
    on_bytes : callable, optional
        Called with the approximate number of bytes read so far.
    name : str, optional
        What to call the file in sentences; its own name by default.

    Raises
    ------
    InvalidInput, TooLarge, NotFound
        Where the file cannot be read, or not beyond some line; records before it were given.
    """
    source = Source(path, name or path.name, limits, on_bytes)
    check_size(source)
    return records_of(source, layout)


def read_rows(
    path: Path,
    layout: Layout,
    columns: Columns,
    *,
    limits: Limits,
    allow_unlabelled: bool = False,
    on_bytes: OnBytes | None = None,
    name: str | None = None,
) -> Iterator[Row | Rejected]:
    """Every row of a file, in order: its records with the roles of the columns applied.

    Takes what `read_records` takes, and `allow_unlabelled` to keep rows without a label.
    """
    records = read_records(path, layout, limits=limits, on_bytes=on_bytes, name=name)
    return _build(records, layout, columns, limits=limits, allow_unlabelled=allow_unlabelled)


def read_records_and_rows(
    path: Path, layout: Layout, columns: Columns, *, limits: Limits
) -> Iterator[tuple[Record | Rejected, Row | Rejected]]:
    """Every record of a file together with the row it makes; the file is read once."""
    records, again = tee(read_records(path, layout, limits=limits))
    return zip(records, _build(again, layout, columns, limits=limits, allow_unlabelled=False), strict=True)


def detect_layout(source: Source, partial: Layout | None) -> Layout:
    """Fill in what the caller left open."""
    given = partial or Layout(format="")
    _check_given(given)
    found = given.format or binary_format(source)
    if found in {"parquet", "hf-datasets"}:
        return replace(given, format=found)
    if found == "xlsx":
        from app.files.xlsx import xlsx_sheet  # noqa: PLC0415 — see _reader

        return replace(given, format=found, sheet=xlsx_sheet(source, given.sheet))
    return _text_layout(source, given)


def _check_given(given: Layout) -> None:
    if given.format and given.format not in FORMATS:
        raise InvalidInput(
            _(
                "There is no format %(format)s; choose one of %(formats)s.",
                format=given.format,
                formats=", ".join(FORMATS),
            )
        )
    if given.encoding is not None:
        check_encoding(given.encoding)
    check_character(given.delimiter, what="delimiter")
    check_character(given.quotechar, what=_("quote character"), empty=True)
    if given.delimiter is not None and given.delimiter == given.quotechar:
        raise InvalidInput(_("The delimiter and the quote character must differ."))


def _text_layout(source: Source, given: Layout) -> Layout:
    head = read_head(source)
    whole = len(head) < HEAD
    encoding = given.encoding or detect_encoding(head, whole=whole)
    valid = decodes(head, "utf-8", whole=whole)
    check_is_text(head, name=source.name, valid_utf8=valid, utf16=encoding == "utf-16")
    text = _decoded_head(head, encoding)
    found = given.format or text_format(text, name=source.name)
    layout = replace(given, format=found, encoding=encoding)
    if found == "csv":
        delimiter, quotechar = detect_dialect(
            text, whole=whole, name=source.name, delimiter=given.delimiter, quotechar=given.quotechar
        )
        return replace(layout, delimiter=delimiter, quotechar=quotechar)
    if found in {"json", "jsonl"} and not given.format:
        return replace(layout, format=_annotated_format(source, layout))
    if found == "completion-jsonl":
        lines = _sample(source, replace(layout, format="jsonl"), SAMPLED)
        return detect_ends(layout, [one.values for one in lines if isinstance(one, Record)])
    return layout


def _annotated_format(source: Source, layout: Layout) -> str:
    """Tell the tasks and records of annotation tools from plain objects."""
    objects = [one.values for one in _sample(source, layout, SAMPLED_OBJECTS) if isinstance(one, Record)]
    if looks_like_tasks(objects):
        return "label-studio"
    return "argilla" if looks_like_records(objects) else layout.format


def _decoded_head(head: bytes, encoding: str) -> str:
    try:
        return decoder_for(encoding, head).decode(head, False).lstrip(BOM)
    except UnicodeDecodeError as error:
        return decoder_for(encoding, head).decode(error.object[: error.start], False).lstrip(BOM)


def records_of(source: Source, layout: Layout) -> Iterator[Record | Rejected]:
    """Every record of an open source."""
    return _reader(layout.format)(source, layout)


def _reader(name: str) -> Callable[[Source, Layout], Iterator[Record | Rejected]]:
    # pyarrow and openpyxl take half a second to load: only for the files that need them.
    if name == "parquet":
        from app.files.parquet_in import read_parquet  # noqa: PLC0415 — see above

        return read_parquet
    if name == "xlsx":
        from app.files.xlsx import read_xlsx  # noqa: PLC0415 — see above

        return read_xlsx
    if name == "hf-datasets":
        from app.files.hf_in import read_hf  # noqa: PLC0415 — see above

        return read_hf
    if name not in _READERS:
        raise InvalidInput(
            _(
                "There is no format %(name)s; choose one of %(formats)s.",
                name=name,
                formats=", ".join(FORMATS),
            )
        )
    return _READERS[name]


def _build(
    records: Iterator[Record | Rejected],
    layout: Layout,
    columns: Columns,
    *,
    limits: Limits,
    allow_unlabelled: bool,
) -> Iterator[Row | Rejected]:
    return build_rows(
        records,
        columns,
        limits=limits,
        allow_unlabelled=allow_unlabelled,
        same_columns=layout.format in SAME_COLUMNS,
        with_context=layout.format == "chat-jsonl",
    )


def _column_names(source: Source, layout: Layout, records: list[Record]) -> tuple[str, ...]:
    match layout.format:
        case "csv":
            return _header(source, layout)
        case "parquet":
            from app.files.parquet_in import parquet_columns  # noqa: PLC0415 — see _reader

            return parquet_columns(source)
        case "xlsx":
            from app.files.xlsx import xlsx_columns  # noqa: PLC0415 — see _reader

            return xlsx_columns(source, layout)
        case "chat-jsonl":
            return CHAT_COLUMNS
    first = COMPLETION_COLUMNS if layout.format == "completion-jsonl" else ()
    names = dict.fromkeys((*first, *(key for record in records for key in record.values)))
    return tuple(names)[: source.limits.max_columns]


def _header(source: Source, layout: Layout) -> tuple[str, ...]:
    try:
        return read_header(source, layout)
    except HeadEnded:
        limit = source.limits.max_line_bytes
        raise InvalidInput(
            _(
                "The header of %(source)s is longer than %(limit)s bytes (SETRIGHT_MAX_LINE_BYTES).",
                source=source.name,
                limit=f"{limit:,}",
            )
        ) from None


def _shown(values: dict[str, JsonValue], names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(to_text(values.get(name)) or "" for name in names)


def _no_rows(name: str, layout: Layout, *, is_told: bool) -> str:
    if is_told and layout.encoding:
        return _("Read as %(encoding)s, %(name)s has no rows.", encoding=layout.encoding, name=name)
    return (
        _("%(name)s has a header but no rows.", name=name)
        if layout.format in SAME_COLUMNS
        else _("%(name)s holds no rows.", name=name)
    )


def _warnings(layout: Layout, records: list[Record]) -> tuple[str, ...]:
    if layout.format == "csv" and records and len(records[0].values) == 1:
        return (_("The file has only one column; if that is wrong, choose another delimiter."),)
    return ()
