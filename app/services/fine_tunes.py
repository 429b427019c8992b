"""Fine-tunes: one remote training job per export, asked for once and followed to its end."""

import secrets

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import events, queue
from app.actor import Actor, Role
from app.errors import InvalidInput
from app.models.columns import RunState
from app.models.exports import Export
from app.models.fine_tunes import FineTune
from app.services import datasets, runs

PROVIDERS = ("openai",)
MAX_SUFFIX_CHARS = 64
FORMATS = ("chat-jsonl", "completion-jsonl")


def request(
    session: Session,
    export_id: int,
    *,
    provider: str,
    base_url: str,
    model: str,
    suffix: str = "",
    actor: Actor,
) -> FineTune:
    """Ask for a fine-tune from an export's file; it starts once the file is written."""
    export = runs.get(session, Export, export_id)
    dataset = datasets.get(session, export.dataset_id)
    actor.require(Role.LEAD, dataset)
    if provider not in PROVIDERS:
        raise InvalidInput(f"{provider!r} is no provider; there is {', '.join(PROVIDERS)}.")
    if not model.strip():
        raise InvalidInput("Say which model to fine-tune.")
    if len(suffix) > MAX_SUFFIX_CHARS:
        raise InvalidInput(f"A suffix has at most {MAX_SUFFIX_CHARS} characters; this one has {len(suffix)}.")
    if not (model + suffix).isprintable():
        raise InvalidInput("A model and a suffix are printable characters on one line.")
    if export.format not in FORMATS or export.split != "train":
        raise InvalidInput("A fine-tune takes the train split as chat-jsonl or completion-jsonl.")
    fine_tune = FineTune(
        dataset_id=export.dataset_id,
        export_id=export.id,
        provider=provider,
        base_url=base_url,
        model=model.strip(),
        suffix=suffix.strip(),
        key=secrets.token_hex(12),
        created_by_id=actor.user_id,
    )
    session.add(fine_tune)
    session.flush()
    events.record(
        session,
        "fine_tune.requested",
        actor=actor,
        dataset_id=export.dataset_id,
        subject_id=fine_tune.id,
        new={"provider": provider, "model": fine_tune.model, "export": export.id},
    )
    queue.enqueue(session, queue.Job.FINE_TUNE, fine_tune.id)
    return fine_tune


def get(session: Session, fine_tune_id: int) -> FineTune:
    """Return a fine-tune."""
    return runs.get(session, FineTune, fine_tune_id)


def list_fine_tunes(session: Session, dataset_id: int) -> list[FineTune]:
    """Return the fine-tunes of a dataset, newest first."""
    return list(
        session.scalars(
            sa.select(FineTune)
            .where(FineTune.dataset_id == dataset_id)
            .order_by(FineTune.id.desc())
            .limit(100)
        )
    )


def note_file(session: Session, fine_tune: FineTune, file_id: str) -> None:
    """Write down under which id the service keeps the file."""
    runs.guard(session, fine_tune).remote_file_id = file_id


def note_wait(session: Session, fine_tune: FineTune) -> None:
    """Write down that the service has asked to come back later."""
    runs.guard(session, fine_tune).phase = "asked_to_wait"


def note_job(session: Session, fine_tune: FineTune, job_id: str, status: str, model: str | None) -> None:
    """Write down what the service says of the job."""
    fresh = runs.guard(session, fine_tune, may_cancel=False)
    fresh.remote_job_id, fresh.remote_status, fresh.fine_tuned_model = job_id, status, model
    fresh.phase = status[:40]


def finish(session: Session, fine_tune: FineTune, *, actor: Actor) -> None:
    """Mark a fine-tune as done."""
    fresh = runs.finish(session, fine_tune, may_cancel=False)
    fresh.state = RunState.DONE
    events.record(
        session,
        "fine_tune.finished",
        actor=actor,
        dataset_id=fresh.dataset_id,
        subject_id=fresh.id,
        new=fresh.fine_tuned_model,
    )
