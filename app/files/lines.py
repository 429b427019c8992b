"""Physical lines of a text file: decoded strictly, of bounded length, with their line ends."""

import codecs
import io
from collections.abc import Iterator

from app.errors import InvalidInput
from app.files.opening import BLOCK, Source, open_blocks
from app.files.rows import RAW_CHARS
from app.languages import _

BOM = "\ufeff"
CP932_EXTRAS = "setright.cp932"


def _cp932_extras(error: UnicodeError) -> tuple[str, int]:
    """Read what Windows added to Shift-JIS (① ㈱ 髙) instead of failing on it."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    letter = error.object[error.start : error.start + 2].decode("cp932", "ignore")
    if len(letter) != 1 or error.start + 2 > len(error.object):
        raise error
    return letter, error.start + 2


codecs.register_error(CP932_EXTRAS, _cp932_extras)


class LongLine(str):
    """The head of a line beyond the limit; `quotes` counts the quote characters in all of it."""

    __slots__ = ("quotes",)
    quotes: int


def decoder_for(encoding: str, head: bytes) -> codecs.IncrementalDecoder:
    """Give a strict decoder; UTF-16 without a byte order mark is read by where its zero bytes stand."""
    if encoding == "shift_jis":
        return codecs.getincrementaldecoder(encoding)(CP932_EXTRAS)
    return codecs.getincrementaldecoder(_codec(encoding, head))("strict")


def _codec(encoding: str, head: bytes) -> str:
    if encoding != "utf-16":
        return encoding
    if head.startswith(codecs.BOM_UTF16_BE):
        return "utf-16-be"
    if head.startswith(codecs.BOM_UTF16_LE):
        return "utf-16-le"
    sample = head[:4096]
    return "utf-16-be" if sample[0::2].count(0) > sample[1::2].count(0) else "utf-16-le"


def physical_lines(source: Source, encoding: str, *, quotechar: str | None = None) -> Iterator[str]:
    r"""Lines with their ends (``\n``, ``\r\n`` or ``\r``), without a leading byte order mark.

    A line longer than ``max_line_bytes`` characters comes as a LongLine and is never held as a whole.

    Raises
    ------
    InvalidInput
        At the first line that is not valid in `encoding`, after all lines before it were given.
    """
    number = 0
    pending = ""
    long_line: LongLine | None = None
    limit = source.limits.max_line_bytes
    for text, broken in _decoded(source, encoding):
        lines = io.StringIO(pending + text, newline="").readlines()
        # A final \r may be the first half of \r\n, so only \n ends a line for certain.
        pending = lines.pop() if lines and not lines[-1].endswith("\n") else ""
        if long_line is not None and lines:
            lines[0], long_line = _extended(long_line, lines[0], quotechar), None
        if lines and max(map(len, lines)) > limit:
            lines = [_shortened(line, limit, quotechar) for line in lines]
        yield from lines
        number += len(lines)
        if broken:
            raise InvalidInput(_not_valid(number + 1, encoding))
        if long_line is not None or len(pending) > limit:
            long_line = _extended(long_line or _begun(), pending, quotechar)
            pending = "\r" if pending.endswith("\r") else ""
    if long_line is not None:
        yield long_line
    elif pending:
        yield _shortened(pending, limit, quotechar)


def decoded_text(source: Source, encoding: str) -> Iterator[str]:
    """Pieces of the text of a file, without a leading byte order mark.

    Raises
    ------
    InvalidInput
        Where the bytes are not valid in `encoding`.
    """
    number = 1
    for text, broken in _decoded(source, encoding):
        yield text
        number += text.count("\n")
        if broken:
            raise InvalidInput(_not_valid(number, encoding))


def _decoded(source: Source, encoding: str) -> Iterator[tuple[str, bool]]:
    """Pieces of text; the last one is marked where the bytes after it are not valid."""
    with open_blocks(source, block=BLOCK) as blocks:
        first = next(blocks, b"")
        decoder = decoder_for(encoding, first)
        started = False
        block, final = first, not first
        while True:
            try:
                text = decoder.decode(block, final)
            except UnicodeDecodeError as error:
                yield _valid_part(error, encoding, first), True
                return
            if text and not started:
                text, started = text.lstrip(BOM), True
            yield text, False
            if final:
                return
            block = next(blocks, b"")
            final = not block


def _valid_part(error: UnicodeDecodeError, encoding: str, head: bytes) -> str:
    return decoder_for(encoding, head).decode(error.object[: error.start]).lstrip(BOM)


def _not_valid(line: int, encoding: str) -> str:
    other = "cp1252" if encoding.startswith("utf") else "utf-8"
    if encoding == "cp1252":
        other = "latin-1"
    return _(
        "Line %(line)s is not valid %(encoding)s; choose another encoding, for example %(other)s.",
        line=line,
        encoding=encoding,
        other=other,
    )


def _begun() -> LongLine:
    line = LongLine()
    line.quotes = 0
    return line


def _extended(line: LongLine, text: str, quotechar: str | None) -> LongLine:
    longer = LongLine((line + text)[:RAW_CHARS])
    longer.quotes = line.quotes + (text.count(quotechar) if quotechar else 0)
    return longer


def _shortened(line: str, limit: int, quotechar: str | None) -> str:
    return _extended(_begun(), line, quotechar) if len(line) > limit else line
