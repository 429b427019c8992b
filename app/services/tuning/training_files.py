"""Files that clients of our own server of OpenAI's API have sent."""

import json
import secrets
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import events
from app.actor import Actor, Role
from app.errors import InvalidInput, NotFound
from app.models.openai_api import ApiFile

PURPOSE = "fine-tune"
MAX_LINE_BYTES = 8 * 1024**2
LOOKED_AT = 50
"""So many lines are looked at when a file arrives; all of them when a job begins."""


@dataclass(frozen=True)
class Arrived:
    """A file that lies in its place, not yet known to anybody."""

    path: Path
    file_name: str
    bytes: int
    sha256: str


def check(arrived: Arrived, purpose: str) -> None:
    """Refuse what no training can use: another purpose, nothing in it, lines that are no JSON objects."""
    if purpose != PURPOSE:
        raise InvalidInput(f"Files are taken for the purpose {PURPOSE!r} alone, not {purpose!r}.")
    if not arrived.bytes:
        raise InvalidInput("The file is empty.")
    with arrived.path.open("rb") as file:
        for number in range(1, LOOKED_AT + 1):
            line = file.readline(MAX_LINE_BYTES + 1)
            if len(line) > MAX_LINE_BYTES:
                raise InvalidInput(f"Line {number} is longer than {MAX_LINE_BYTES:,} bytes.")
            if line.strip():
                _check_line(line, number)


def _check_line(line: bytes, number: int) -> None:
    try:
        value = json.loads(line.decode("utf-8-sig" if number == 1 else "utf-8"))
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise InvalidInput(f"Line {number} is no JSON object in UTF-8; the file is to be JSONL.")


def keep(session: Session, arrived: Arrived, purpose: str, *, actor: Actor) -> ApiFile:
    """Take a file in; it was checked."""
    actor.require(Role.LEAD)
    kept = ApiFile(
        name=f"file-{secrets.token_hex(12)}",
        file_name=arrived.file_name,
        purpose=purpose,
        path=str(arrived.path),
        bytes=arrived.bytes,
        sha256=arrived.sha256,
        created_by_id=actor.user_id,
    )
    session.add(kept)
    session.flush()
    events.record(
        session,
        "training_file.uploaded",
        actor=actor,
        subject_id=kept.id,
        new={"name": kept.name, "bytes": kept.bytes, "sha256": kept.sha256},
    )
    return kept


def get(session: Session, name: str) -> ApiFile:
    """Return a file by its name, as `file-…`."""
    found = session.scalar(sa.select(ApiFile).where(ApiFile.name == name))
    if found is None:
        raise NotFound(f"There is no file {name!r}.")
    return found


def list_files(
    session: Session, *, purpose: str | None, after: str | None, limit: int, newest_first: bool
) -> list[ApiFile]:
    """Return the files that follow one in their order; one more than asked for says that there are more."""
    query = sa.select(ApiFile)
    if purpose is not None:
        query = query.where(ApiFile.purpose == purpose)
    if after is not None:
        start = get(session, after).id
        query = query.where(ApiFile.id < start if newest_first else ApiFile.id > start)
    order = ApiFile.id.desc() if newest_first else ApiFile.id.asc()
    return list(session.scalars(query.order_by(order).limit(limit + 1)))


def delete(session: Session, name: str, *, actor: Actor) -> Path:
    """Forget a file; return where it lies, for the caller to delete after the commit."""
    actor.require(Role.LEAD)
    found = get(session, name)
    events.record(session, "training_file.deleted", actor=actor, subject_id=found.id, old=found.name)
    session.delete(found)
    return Path(found.path)
