"""JSON Lines: one object a line."""

import json
from collections.abc import Iterator

from app.files.lines import LongLine, physical_lines
from app.files.opening import Source
from app.files.rows import RAW_CHARS, JsonValue, Layout, Limits, Record, Rejected
from app.files.values import DECODER, TooDeepError, check_depth
from app.languages import _


def read_json_lines(source: Source, layout: Layout) -> Iterator[Record | Rejected]:
    """Objects of a JSON Lines file; a line that is none is rejected, blank lines are skipped."""
    limits = source.limits
    for number, line in enumerate(physical_lines(source, layout.encoding or "utf-8"), start=1):
        if type(line) is LongLine:
            reason = _(
                "longer than %(max_line_bytes)s bytes (SETRIGHT_MAX_LINE_BYTES)",
                max_line_bytes=f"{limits.max_line_bytes:,}",
            )
            yield Rejected(number, reason, str(line))
            continue
        line = line.rstrip("\r\n")  # noqa: PLW2901 - the line end is no part of the line
        if not line.strip():
            continue
        found = parse_object(line, limits=limits)
        if isinstance(found, str):
            yield Rejected(number, found, line[:RAW_CHARS])
        else:
            yield Record(number, found)


def parse_object(text: str, *, limits: Limits) -> dict[str, JsonValue] | str:
    """Give the object that a text holds, or the reason why it holds none."""
    try:
        value = DECODER.decode(text)
    except json.JSONDecodeError as error:
        return _(
            "not valid JSON: %(plain_message)s at character %(pos)s",
            plain_message=plain_message(error),
            pos=error.pos + 1,
        )
    except RecursionError:
        return _("nested too deeply")
    return checked_object(value, limits=limits)


def plain_message(error: json.JSONDecodeError) -> str:
    """Give the parser's words without the "at" they end with before a position."""
    return error.msg.lower().removesuffix(" at").removesuffix(" starting")


def checked_object(value: JsonValue, *, limits: Limits) -> dict[str, JsonValue] | str:
    """Give a parsed value back if it is an object within bounds, else the reason why not."""
    if not isinstance(value, dict):
        return _("not a JSON object")
    if len(value) > limits.max_columns:
        return _(
            "%(value)s keys; the limit is %(max_columns)s (SETRIGHT_MAX_COLUMNS)",
            value=f"{len(value):,}",
            max_columns=f"{limits.max_columns:,}",
        )
    try:
        check_depth(value)
    except TooDeepError:
        return _("nested too deeply")
    return value
