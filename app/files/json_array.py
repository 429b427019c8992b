"""A JSON document with a list of objects, read object by object over a sliding buffer."""

import json
from collections.abc import Iterator

from app.errors import InvalidInput
from app.files.json_lines import checked_object, plain_message
from app.files.lines import decoded_text
from app.files.opening import Source
from app.files.rows import RAW_CHARS, JsonValue, Layout, Record, Rejected
from app.files.values import DECODER, to_json
from app.languages import _

ROW_KEYS = ("data", "rows", "examples", "train")
BLANKS = " \t\r\n"


class _Buffer:
    """A window on the text of a document: what was read is dropped, what is needed is added."""

    def __init__(self, source: Source, layout: Layout) -> None:
        self.pieces = decoded_text(source, layout.encoding or "utf-8")
        self.limits = source.limits
        self.name = source.name
        self.text = ""
        self.start = 0
        self.row = 0
        self.ended = False

    def more(self) -> None:
        """Add text, at least as much as is waiting, so that trying again stays cheap."""
        waiting = self.text[self.start :]
        pieces = [waiting]
        size = 0
        while not self.ended and size <= len(waiting):
            piece = next(self.pieces, None)
            self.ended = piece is None
            pieces.append(piece or "")
            size += len(piece or "")
        self.text = "".join(pieces)
        self.start = 0

    def peek(self) -> str:
        """Give the next character that is no blank, "" at the end; it stays where it is."""
        while True:
            while self.start < len(self.text) and self.text[self.start] in BLANKS:
                self.start += 1
            if self.start < len(self.text):
                return self.text[self.start]
            if self.ended:
                return ""
            self.more()

    def take(self, wanted: str) -> None:
        """Step over a character that must come next."""
        if self.peek() != wanted:
            raise self.broken(_('"%(wanted)s" is missing', wanted=wanted))
        self.start += 1

    def value(self) -> JsonValue:
        """Read one whole value."""
        self.peek()
        while True:
            try:
                value, end = DECODER.raw_decode(self.text, self.start)
            except json.JSONDecodeError as error:
                if self.ended:
                    raise self.broken(plain_message(error)) from None
                if len(self.text) - self.start > self.limits.max_line_bytes:
                    raise self.broken(
                        _(
                            "it is not valid or longer than %(max_line_bytes)s bytes",
                            max_line_bytes=f"{self.limits.max_line_bytes:,}",
                        )
                    ) from None
            except RecursionError:
                raise self.broken(_("it is nested too deeply")) from None
            else:
                # A number may go on in the text that is not here yet.
                if end < len(self.text) or self.ended or self.text[end - 1] in '}]"':
                    self.start = end
                    return value  # type: ignore[no-any-return]
            self.more()

    def broken(self, why: str) -> InvalidInput:
        where = _("in row %(row)s", row=self.row) if self.row else _("before its first row")
        return InvalidInput(
            _("The JSON of %(name)s cannot be read %(where)s: %(why)s.", name=self.name, where=where, why=why)
        )


def read_json_array(source: Source, layout: Layout) -> Iterator[Record | Rejected]:
    """Objects of a top-level list, or of one under data, rows, examples or train, numbered by row."""
    buffer = _Buffer(source, layout)
    if buffer.peek() == "{":
        _enter_list(buffer)
    buffer.take("[")
    if buffer.peek() == "]":
        return
    while True:
        buffer.row += 1
        yield _record(buffer)
        if buffer.peek() == "]":
            return
        buffer.take(",")


def _enter_list(buffer: _Buffer) -> None:
    """Go forward to the list of rows in a top-level object."""
    buffer.take("{")
    while buffer.peek() == '"':
        key = buffer.value()
        buffer.take(":")
        if key in ROW_KEYS and buffer.peek() == "[":
            return
        buffer.value()
        if buffer.peek() == ",":
            buffer.take(",")
    raise InvalidInput(
        _(
            "%(buffer)s holds a JSON object without a list of rows; the list must stand under "
            "one of %(row_keys)s.",
            buffer=buffer.name,
            row_keys=", ".join(ROW_KEYS),
        )
    )


def _record(buffer: _Buffer) -> Record | Rejected:
    value = buffer.value()
    found = checked_object(value, limits=buffer.limits)
    if isinstance(found, str):
        return Rejected(buffer.row, found, to_json(value)[:RAW_CHARS])
    return Record(buffer.row, found)
