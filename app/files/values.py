"""Values of JSON: parsing them without surprises and showing them as strings."""

import json
import math
from typing import Any

from app.files.rows import JsonValue

MAX_DEPTH = 100
MAX_INT_DIGITS = 4000  # Python refuses to turn longer ones into numbers


class TooDeepError(ValueError):
    """A value is nested beyond what can be written back safely."""


def _constant(name: str) -> str | None:
    return None if name == "NaN" else name


def _float(digits: str) -> float | str:
    value = float(digits)
    return value if math.isfinite(value) else digits


def _int(digits: str) -> int | str:
    return int(digits) if len(digits) <= MAX_INT_DIGITS else digits


# NaN is what pandas writes for "missing"; the infinities stay readable as strings, so that strict JSON can be
# written from everything that was read.
DECODER = json.JSONDecoder(parse_constant=_constant, parse_float=_float, parse_int=_int)

_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False)


def check_depth(value: JsonValue, *, depth: int = 0) -> None:
    """Raise TooDeepError where lists and objects are nested more than `MAX_DEPTH` levels."""
    if depth > MAX_DEPTH:
        raise TooDeepError
    if isinstance(value, dict):
        for inner in value.values():
            if isinstance(inner, dict | list):
                check_depth(inner, depth=depth + 1)
    elif isinstance(value, list):
        for inner in value:
            if isinstance(inner, dict | list):
                check_depth(inner, depth=depth + 1)


def to_text(value: JsonValue) -> str | None:
    """The string a person would write for a value: 1 → "1", true → "true", an object → its JSON."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    return to_json(value)


def to_json(value: Any) -> str:
    """Strict one-line JSON, readable: only what UTF-8 or JSON cannot hold is escaped."""
    try:
        text = _ENCODER.encode(value)
    except ValueError:
        text = _ENCODER.encode(_finite(value))
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return "".join(f"\\u{ord(char):04x}" if "\ud800" <= char <= "\udfff" else char for char in text)
    return text


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return value
