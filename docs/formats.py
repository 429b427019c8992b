"""The page about file formats, from the lists that the program reads by and from what it really writes."""

from collections.abc import Iterable

from app.files.delimiters import DELIMITERS
from app.files.exporting import FIXED_COLUMNS, Evidence, ExportRow, WriteOptions
from app.files.guess import ANNOTATOR_NAMES, ID_NAMES, LABEL_NAMES, SPLIT_NAMES, TEXT_NAMES
from app.files.origins import ORIGINS
from app.files.rows import ENCODINGS, FORMATS
from app.files.writing import EXPORT_FORMATS, REVIEWED_FORMATS, encode_rows, extension, media_type

ROW = ExportRow(
    id="t-17",
    text="Where is my parcel?",
    label="order",
    given_label="refund",
    split="train",
    state="accepted",
    metadata={"channel": "chat"},
    evidence=Evidence(
        self_confidence=0.02, suggested_label="order", suggested_confidence=0.91, is_issue=True
    ),
)
OPTIONS = WriteOptions(metadata_columns=("channel",), labels=("order", "refund"))
BINARY = frozenset({"parquet", "hf-datasets"})
ROLES = (
    ("text", TEXT_NAMES),
    ("label", LABEL_NAMES),
    ("id", ID_NAMES),
    ("split", SPLIT_NAMES),
    ("annotator", ANNOTATOR_NAMES),
)
READ = """## Read

Formats: {formats}. Each may be packed with gzip where it is text. The content
tells which it is, and the name where that does not.

Encodings: {encodings}; guessed unless said. Delimiters that are guessed: {delimiters}; any other can be said.

Files of other tools that are known by their columns: {origins}; see [files in and out](exports.md).

Columns are found by their names, whatever their case, spaces, dashes and underscores, else by what is in
them. All of them can be said.

| role | names, the first that is there |
|---|---|"""
WRITTEN = """
## Written

CSV, JSONL and Parquet have the columns {columns}, then those of the metadata; one
with such a name becomes `metadata_…`.

| format | ending | type | rows |
|---|---|---|---|"""


def formats_page() -> str:
    """Describe what is read and written, with a real line of each format."""
    return "\n".join(["# File formats", "", *_read(), *_written(), *_examples()])


def _read() -> list[str]:
    said = READ.format(
        formats=_codes(FORMATS),
        encodings=_codes(ENCODINGS),
        delimiters=_codes("tab" if one == "\t" else "bar" if one == "|" else one for one in DELIMITERS),
        origins=", ".join(ORIGINS),
    )
    return [said, *(f"| {role} | {', '.join(names)} |" for role, names in ROLES)]


def _written() -> list[str]:
    lines = [WRITTEN.format(columns=_codes(FIXED_COLUMNS))]
    for name in EXPORT_FORMATS:
        rows = "all, with what was decided" if name in REVIEWED_FORMATS else "of the variant and the split"
        lines.append(f"| `{name}` | `{extension(name)}` | `{media_type(name)}` | {rows} |")
    return [*lines, ""]


def _examples() -> list[str]:
    """Show one row in each format that can be shown."""
    lines = ["One row, as each format has it:", ""]
    for name in EXPORT_FORMATS:
        if name not in BINARY:
            written = b"".join(encode_rows([ROW], format=name, options=OPTIONS)).decode()
            lines += [f"### {name}", "", "```", written.strip("\n"), "```", ""]
    return lines


def _codes(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
