"""Idempotency keys: a write that is sent twice happens once, and is answered the same."""

import datetime as dt
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.errors import InvalidInput
from app.languages import _
from app.models.answers import KeptAnswer

CLAIM = "setright_claim"
"""Where a session carries the claim of the request that it writes for."""
MOST_AT_ONCE = 1000


@dataclass(frozen=True)
class Claim:
    """That a request is the only one of its person under a key; `request_hash` is what it asks for."""

    user_id: int
    key: str
    request_hash: str


@dataclass(frozen=True)
class Answer:
    """What a write is answered with."""

    status: int
    headers: Mapping[str, str]
    body: str


def find(session: Session, claim: Claim) -> Answer | None:
    """Return what the same request was answered with; whoever sends it at this moment is waited for."""
    _wait_for_others(session, claim)
    kept = session.scalar(
        sa.select(KeptAnswer).where(KeptAnswer.user_id == claim.user_id, KeptAnswer.key == claim.key)
    )
    if kept is None:
        return None
    if kept.request_hash != claim.request_hash:
        raise InvalidInput(_("This idempotency key was used for another request; take a new one for this."))
    return Answer(kept.status, kept.headers, kept.body)


def keep(session: Session, claim: Claim, answer: Answer) -> None:
    """Store an answer together with what it tells of."""
    session.add(
        KeptAnswer(
            user_id=claim.user_id,
            key=claim.key,
            request_hash=claim.request_hash,
            status=answer.status,
            headers=dict(answer.headers),
            body=answer.body,
        )
    )
    session.flush()


def forget_old(session: Session, *, before: dt.datetime) -> bool:
    """Forget some of the answers that are too old; say whether there may be more of them."""
    old = session.scalars(
        sa.select(KeptAnswer.id).where(KeptAnswer.created_at < before).limit(MOST_AT_ONCE)
    ).all()
    if old:
        session.execute(sa.delete(KeptAnswer).where(KeptAnswer.id.in_(old)))
    return len(old) == MOST_AT_ONCE


def _wait_for_others(session: Session, claim: Claim) -> None:
    """Let the same key's requests through one after the other; on SQLite every writer waits anyway."""
    if session.get_bind().dialect.name == "postgresql":
        digest = hashlib.sha256(f"{claim.user_id} {claim.key}".encode()).digest()
        number = int.from_bytes(digest[:8], signed=True)
        session.execute(sa.select(sa.func.pg_advisory_xact_lock(number)))
