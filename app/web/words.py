"""How numbers, times and states are written on a page."""

import datetime as dt

from app.db import now
from app.models.columns import RunState
from app.models.examples import ExampleState

STATES = {
    ExampleState.OPEN: "open",
    ExampleState.KEPT: "kept",
    ExampleState.ACCEPTED: "accepted",
    ExampleState.OVERRIDDEN: "relabelled",
    ExampleState.EXCLUDED: "excluded",
    ExampleState.NEEDS_REVIEW: "needs review",
    ExampleState.AUTO_FIXED: "auto-fixed",
}
RUN_STATES = {
    RunState.DRAFT: "to be confirmed",
    RunState.QUEUED: "waiting",
    RunState.RUNNING: "running",
    RunState.DONE: "done",
    RunState.FAILED: "failed",
    RunState.CANCELLED: "cancelled",
}
PHASES = {
    "embed": "Reading the texts",
    "predict": "Predicting rows from the others",
    "issues": "Finding label issues",
    "save": "Saving the scores",
    "asked_to_wait": "The provider asks to wait",
}
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_NEARLY_NOW = 10
_KIB = 1024
_NARROW_SPACE = "\u202f"


def number(value: float) -> str:
    """Group digits by threes: 12 345."""
    return f"{value:,}".replace(",", _NARROW_SPACE)


def percent(value: float | None, digits: int = 0) -> str:
    """Write a share as a percentage; a dash where there is none."""
    if value is None:
        return "–"
    shown = f"{value * 100:.{digits}f}"
    return f"{shown}{_NARROW_SPACE}%"


def confidence(value: float | None) -> str:
    """Write a probability with three digits; a dash where there is none."""
    return "–" if value is None else f"{value:.3f}"


def size(count: int) -> str:
    """Write a number of bytes in the largest unit that keeps it above one."""
    amount = float(count)
    for unit in ("bytes", "KiB", "MiB"):
        if amount < _KIB:
            return (
                f"{amount:.0f}{_NARROW_SPACE}{unit}"
                if unit == "bytes"
                else f"{amount:.1f}{_NARROW_SPACE}{unit}"
            )
        amount /= _KIB
    return f"{amount:.1f}{_NARROW_SPACE}GiB"


def duration(seconds: float) -> str:
    """Write a length of time to the precision that a waiting person needs."""
    if seconds < _MINUTE:
        return f"{max(1, round(seconds))}{_NARROW_SPACE}s"
    if seconds < _HOUR:
        return f"{round(seconds / _MINUTE)}{_NARROW_SPACE}min"
    hours, rest = divmod(seconds, _HOUR)
    return f"{int(hours)}{_NARROW_SPACE}h {int(rest / _MINUTE)}{_NARROW_SPACE}min"


def ago(moment: dt.datetime) -> str:
    """Say how long ago something was."""
    seconds = (now() - moment).total_seconds()
    if seconds < _NEARLY_NOW:
        return "just now"
    if seconds < _DAY:
        return f"{duration(seconds)} ago"
    days = int(seconds / _DAY)
    return "yesterday" if days == 1 else f"{days} days ago"


def moment(value: dt.datetime) -> str:
    """Write a point in time in full."""
    return value.strftime("%Y-%m-%d %H:%M:%S UTC")


def plural(count: int, one: str, many: str = "") -> str:
    """Write a count with its noun: 1 row, 2 rows."""
    return f"{number(count)} {one if count == 1 else many or one + 's'}"


def state_name(state: ExampleState) -> str:
    """Write what was decided about a row."""
    return STATES[state]


def run_state(state: RunState) -> str:
    """Write where a job stands."""
    return RUN_STATES[state]


def phase_name(phase: str) -> str:
    """Write what a job is at."""
    return PHASES.get(phase, phase.replace("_", " ").capitalize())


FILTERS = {
    "phase_name": phase_name,
    "number": number,
    "percent": percent,
    "confidence": confidence,
    "size": size,
    "duration": duration,
    "ago": ago,
    "moment": moment,
    "plural": plural,
    "state_name": state_name,
    "run_state": run_state,
}
"""What templates may call on a value."""
