"""Which format a file has, told by its content first and its name second."""

import json
import re

from app.errors import InvalidInput
from app.files.hf_members import is_folder_of_data
from app.files.json_array import ROW_KEYS
from app.files.opening import GZIP_MAGIC, Source, read_head
from app.files.values import DECODER
from app.languages import N_, _

ZIP_MAGIC = b"PK\x03\x04"
PARQUET_MAGIC = b"PAR1"
_KNOWN_BINARIES = (
    (b"\x89PNG", N_("a PNG image")),
    (b"\xff\xd8\xff", N_("a JPEG image")),
    (b"GIF8", N_("a GIF image")),
    (b"%PDF-", N_("a PDF document")),
    (b"\x7fELF", N_("a program")),
    (b"MZ\x90", N_("a program")),
    (b"SQLite format 3\0", N_("an SQLite database")),
    (b"7z\xbc\xaf\x27\x1c", N_("a 7z archive; unpack it first")),
    (b"Rar!", N_("a RAR archive; unpack it first")),
    (b"BZh", N_("a bzip2 file; unpack it first")),
    (b"\xfd7zXZ", N_("an xz file; unpack it first")),
    (b"\x28\xb5\x2f\xfd", N_("a Zstandard file; unpack it first")),
    (b"ARROW1", N_("an Arrow file; save it as Parquet")),
    (b"\x93NUMPY", N_("a NumPy array")),
    (b"\xff\xfe\0\0", N_("text in UTF-32; save it as UTF-8")),
    (b"\0\0\xfe\xff", N_("text in UTF-32; save it as UTF-8")),
    (b"{\\rtf", N_("a rich text document; save it as CSV")),
    (b"\xd0\xcf\x11\xe0", N_("an old or password-protected Excel file; save it as .xlsx without a password")),
)
_MARKUP = re.compile(r"\s*<(!doctype\s+html|html|head|table|\?xml)\b", re.IGNORECASE)
_ROWS_IN_OBJECT = re.compile(rf'\{{\s*"({"|".join(ROW_KEYS)})"\s*:\s*\[\s*\{{')
_CONTROLS = re.compile(rb"[\x00-\x08\x0b\x0e-\x1f\x7f]")
CONTROL_SHARE_OF_TEXT = 0.3
CONTROL_SHARE_OF_BYTES = 0.05
SAMPLED_OBJECTS = 50
LONGEST_LINE_PARSED = 256 * 1024


def binary_format(source: Source) -> str | None:
    """Give "parquet", "xlsx" or "hf-datasets", None for text; refuse other binary files by what they are."""
    with source.path.open("rb") as raw:
        start = raw.read(8)
    if start.startswith(PARQUET_MAGIC):
        return "parquet"
    if start.startswith(ZIP_MAGIC):
        return "hf-datasets" if is_folder_of_data(source.path) else "xlsx"
    if start.startswith((b"PK\x05\x06", b"PK\x07\x08")):
        raise InvalidInput(_("%(source)s is an empty zip archive.", source=source.name))
    head = read_head(source, size=64) if start.startswith(GZIP_MAGIC) else start
    if head.startswith((PARQUET_MAGIC, ZIP_MAGIC)):
        raise InvalidInput(_("%(source)s is compressed twice; unpack it once first.", source=source.name))
    with source.path.open("rb") as raw:
        start = raw.read(32)
    for magic, what in _KNOWN_BINARIES:
        if start.startswith(magic) or head.startswith(magic):
            raise InvalidInput(
                _("%(source)s is not a table of texts but %(what)s.", source=source.name, what=_(what))
            )
    return None


def check_is_text(head: bytes, *, name: str, valid_utf8: bool, utf16: bool) -> None:
    """Refuse bytes that are no text in any encoding."""
    if utf16 or not head:
        return
    share = len(_CONTROLS.findall(head)) / len(head)
    if share > (CONTROL_SHARE_OF_TEXT if valid_utf8 else CONTROL_SHARE_OF_BYTES):
        raise InvalidInput(_("%(name)s is not a text file, nor Parquet or Excel.", name=name))


def text_format(head: str, *, name: str) -> str:
    """Tell CSV, JSON, JSON Lines and the two fine-tuning formats apart."""
    if _MARKUP.match(head):
        raise InvalidInput(
            _("%(name)s is a web page or XML, not a table of texts; save it as CSV or .xlsx.", name=name)
        )
    plain = name.lower().removesuffix(".gz")
    if plain.endswith((".xlsx", ".xlsm", ".xls", ".parquet")):
        ending = plain.rsplit(".", 1)[-1]
        raise InvalidInput(
            _(
                "%(name)s is named .%(ending)s but holds plain text; give it the name of what it is.",
                name=name,
                ending=ending,
            )
        )
    start = head.lstrip("\ufeff \t\r\n")
    if not start:
        raise InvalidInput(_("%(name)s holds nothing but spaces.", name=name))
    lines_by_name = plain.endswith((".jsonl", ".ndjson"))
    if plain.endswith((".csv", ".tsv", ".tab")) and not _first_line_is_object(start):
        return "csv"
    if start[0] == "[" and (plain.endswith(".json") or re.match(r"\[\s*[\]{]", start)):
        return "json"
    if start[0] == "{" and not lines_by_name and _is_document(start, named_json=plain.endswith(".json")):
        return "json"
    if start[0] == "{" or lines_by_name:
        return _json_lines_format(start)
    if plain.endswith(".json"):
        raise InvalidInput(_("%(name)s does not begin like JSON.", name=name))
    return "csv"


def _first_line_is_object(start: str) -> bool:
    first, end, _rest = start.partition("\n")
    if not end and len(first) >= LONGEST_LINE_PARSED:
        return first.startswith('{"')
    return isinstance(_parsed(first), dict)


def _is_document(start: str, *, named_json: bool) -> bool:
    """Whether an object is the whole document with a list of rows, and not the first line of many."""
    first, _end, rest = start.partition("\n")
    if rest.strip():
        return not _first_line_is_object(start)
    return named_json or bool(_ROWS_IN_OBJECT.match(first))


def _json_lines_format(start: str) -> str:
    lines = re.split(r"[\r\n]+", start)[:SAMPLED_OBJECTS]
    objects = [value for line in lines if isinstance(value := _parsed(line), dict)]
    if not objects:
        return "jsonl"
    chats = sum(isinstance(value.get("messages"), list) for value in objects)
    completions = sum("prompt" in value and "completion" in value for value in objects)
    if chats * 2 > len(objects):
        return "chat-jsonl"
    if completions * 2 > len(objects):
        return "completion-jsonl"
    return "jsonl"


def _parsed(text: str) -> object:
    try:
        return DECODER.decode(text)
    except (json.JSONDecodeError, RecursionError):
        return None
