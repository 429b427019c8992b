"""Settings of trainers: named numbers with a usual value and a range."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.errors import InvalidInput


@dataclass(frozen=True)
class Number:
    """A setting: its usual value, its least and its largest; a whole number where the usual value is one."""

    usual: float
    least: float
    most: float


def complete(settings: Mapping[str, Any], known: Mapping[str, Number], *, trainer: str) -> dict[str, Any]:
    """Return all known settings: those given, and the usual value of each that is missing.

    Raises
    ------
    InvalidInput
        When one is unknown, no number of the right kind, or out of range.
    """
    for name in settings:
        if name not in known:
            raise InvalidInput(
                f"The trainer {trainer} has no setting {name!r}; it has {', '.join(known) or 'none'}."
            )
    return {name: _checked(name, settings.get(name, number.usual), number) for name, number in known.items()}


def _checked(name: str, value: Any, number: Number) -> float:
    whole = isinstance(number.usual, int)
    kinds = (int,) if whole else (int, float)
    is_number = isinstance(value, kinds) and not isinstance(value, bool) and math.isfinite(value)
    if not is_number or not number.least <= value <= number.most:
        kind = "a whole number" if whole else "a number"
        raise InvalidInput(f"{name} is {kind} from {number.least:g} to {number.most:g}, not {value!r}.")
    return int(value) if whole else float(value)
