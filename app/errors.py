"""What can go wrong in a way a person can do something about. The sentence is what they read."""

import errno
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from app.languages import _

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})
_POSTGRES_DISK_FULL = "53100"


class AppError(Exception):
    """An expected failure; its text is shown to the user as it is."""

    status = 400


class InvalidInput(AppError):
    """What was sent cannot be used: the sentence says what and where."""

    status = 422


class RowsRefused(InvalidInput):
    """Some of many rows cannot be used, so that none of them was; `faults` tells of the first ones."""

    def __init__(self, sentence: str, faults: Sequence[Mapping[str, Any]]) -> None:
        super().__init__(sentence)
        self.faults = faults


class NotFound(AppError):
    """There is no such thing."""

    status = 404


class Conflict(AppError):
    """Somebody or something else was first."""

    status = 409


class Outdated(AppError):
    """It is not any more as it was when the actor saw it."""

    status = 412


class Forbidden(AppError):
    """The actor's role does not allow this."""

    status = 403


class Unauthorized(AppError):
    """Nobody is signed in, or the token is not valid."""

    status = 401


class TooLarge(AppError):
    """A limit of the settings is exceeded: the sentence names the setting."""

    status = 413


class TooMany(AppError):
    """Somebody tried too often: after some time they may try again."""

    status = 429

    def __init__(self, sentence: str, *, seconds: int) -> None:
        super().__init__(sentence)
        self.seconds = seconds


class Unavailable(AppError):
    """Something this needs is not there now: a key, a worker, a remote service."""

    status = 503


class Busy(Unavailable):
    """Too much is going on, or the database is away for a moment: the same will do a few seconds later."""

    def __init__(self, sentence: str, *, seconds: int = 5) -> None:
        super().__init__(sentence)
        self.seconds = seconds


class DiskFull(AppError):
    """There is no room for what has to be kept."""

    status = 507

    def __init__(self, place: object) -> None:
        super().__init__(
            _("The disk that holds %(place)s is full: make room there, then try again.", place=place)
        )


def is_disk_full(error: BaseException) -> bool:
    """Say whether the system, SQLite or Postgres failed for want of room."""
    cause = getattr(error, "orig", None) or error  # SQLAlchemy wraps what the database's driver raised
    return (
        (isinstance(cause, OSError) and cause.errno in _NO_ROOM)
        or getattr(cause, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
        or getattr(cause, "sqlstate", None) == _POSTGRES_DISK_FULL
    )


def plain_sentence(error: Exception) -> str | None:
    """Return what to tell of a failure of the system or the database; nothing for a fault of this program."""
    if isinstance(error, AppError):
        return str(error)
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}." if error.filename else f"{error}."
    if any(kind.__module__ == "sqlalchemy.exc" for kind in type(error).__mro__):  # told without loading it
        said = str(getattr(error, "orig", None) or error).strip().splitlines()
        return f"The database cannot be used: {said[0] if said else type(error).__name__}"
    return None


class Cancelled(AppError):
    """A person asked the run to stop."""

    status = 409
