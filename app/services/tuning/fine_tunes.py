"""Fine-tunes: one remote training job per export, asked for once and followed to its end."""

import datetime as dt
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import events, queue
from app.actor import Actor, Role
from app.db import now
from app.errors import Conflict, InvalidInput
from app.languages import _
from app.models.columns import RunState
from app.models.exports import Export
from app.models.fine_tunes import FineTune
from app.services import datasets
from app.services.operation import runs
from app.services.tuning import checks
from app.services.tuning.providers import Service

MAX_SUFFIX_CHARS = 64
MAX_MODEL_CHARS = 200
FORMATS = ("chat-jsonl", "completion-jsonl")
LEAST_ROWS = 10
MOST_BYTES = 512 * 1024**2
CREATING = "creating_the_job"
MOST_LOG = 300
MOST_STEPS = 400
MOST_SHOWN = 1e300
OPENAI_ENDS = dt.date(2027, 1, 6)
"""The last day on which OpenAI itself takes jobs."""

CURVES = {
    "train_loss": "train_loss",
    "training_loss": "train_loss",
    "valid_loss": "valid_loss",
    "validation_loss": "valid_loss",
    "full_valid_loss": "valid_loss",
}
"""What providers call the numbers of a loss curve, the whole of a validation file last."""


@dataclass(frozen=True)
class Progress:
    """What a provider says of a job: its state, its log oldest first, numbers of its steps."""

    job_id: str
    status: str
    model: str | None
    trained_tokens: int | None
    log: Sequence[Mapping[str, Any]]
    steps: Sequence[Mapping[str, Any]]


def request(
    session: Session,
    export_id: int,
    service: Service,
    *,
    model: str,
    suffix: str = "",
    has_test: bool = True,
    ignore_faults: bool = False,
    actor: Actor,
) -> FineTune:
    """Ask for a fine-tune from an export's file; it starts once the file is written.

    A file whose check says that it would be refused is not sent, unless somebody ignores that knowingly.
    """
    export = runs.get(session, Export, export_id)
    dataset = datasets.get(session, export.dataset_id)
    actor.require(Role.LEAD, dataset)
    model, suffix = model.strip(), suffix.strip()
    _check_words(model, suffix)
    if export.format not in FORMATS or export.split != "train":
        raise InvalidInput(_("A fine-tune takes the train split as chat-jsonl or completion-jsonl."))
    check_service(service, today=now().date())
    if export.state is RunState.DONE and not ignore_faults:
        check_file(export)
    fine_tune = FineTune(
        dataset_id=export.dataset_id,
        export_id=export.id,
        provider=service.name,
        base_url=service.base_url,
        model=model,
        suffix=suffix,
        key=secrets.token_hex(12),
        has_test=has_test,
        created_by_id=actor.user_id,
    )
    new = {"provider": service.name, "model": fine_tune.model, "export": export.id}
    return runs.ask(session, fine_tune, new=new, actor=actor)


def _check_words(model: str, suffix: str) -> None:
    if not model:
        raise InvalidInput(_("Say which model to fine-tune."))
    if len(model) > MAX_MODEL_CHARS:
        raise InvalidInput(
            _("A model's name has at most %(max_model_chars)s characters.", max_model_chars=MAX_MODEL_CHARS)
        )
    if len(suffix) > MAX_SUFFIX_CHARS:
        raise InvalidInput(
            _(
                "A suffix has at most %(max_suffix_chars)s characters; this one has %(suffix)s.",
                max_suffix_chars=MAX_SUFFIX_CHARS,
                suffix=len(suffix),
            )
        )
    if not (model + suffix).isprintable():
        raise InvalidInput(_("A model and a suffix are printable characters on one line."))


def check_service(service: Service, *, today: dt.date) -> None:
    """Refuse a service that takes no jobs from anybody any more."""
    if service.is_openai and today > OPENAI_ENDS:
        raise InvalidInput(
            _(
                "OpenAI takes no fine-tuning jobs after %(openai_ends)s: choose another provider, or "
                "the trainers of this machine.",
                openai_ends=f"{OPENAI_ENDS:%Y-%m-%d}",
            )
        )


def check_file(export: Export) -> None:
    """Refuse a file that every such service refuses, or charges for in vain."""
    checks.require_sendable(export)
    if export.rows < LEAST_ROWS:
        raise InvalidInput(
            _(
                "The file has %(rows)s rows; a fine-tune needs at least %(least_rows)s.",
                rows=export.rows,
                least_rows=LEAST_ROWS,
            )
        )
    if export.bytes > MOST_BYTES:
        raise InvalidInput(
            _(
                "The file has %(bytes)s bytes; services take at most %(most_bytes)s (512 MiB).",
                bytes=f"{export.bytes:,}",
                most_bytes=f"{MOST_BYTES:,}",
            )
        )


def check_new_file(fine_tune: FineTune, export: Export) -> None:
    """Refuse a file like `check_file`, where it was not yet written when the fine-tune was asked for."""
    if export.finished_at is not None and export.finished_at > fine_tune.created_at:
        check_file(export)


def check_model(fine_tune: FineTune, listed: Mapping[str, str | None]) -> None:
    """Refuse a model that its provider does not list any more, or has shut down."""
    if listed and fine_tune.model not in listed:
        raise InvalidInput(
            _(
                "The provider %(provider)s does not list the model %(model)s (it lists %(listed)s): "
                "it is gone, or this key may not use it. Nothing was uploaded.",
                provider=fine_tune.provider,
                model=fine_tune.model,
                listed=len(listed),
            )
        )
    ends = listed.get(fine_tune.model)
    if ends and ends < now().date().isoformat():
        raise InvalidInput(
            _(
                "The provider %(provider)s has shut the model %(model)s down on %(ends)s. Nothing "
                "was uploaded.",
                provider=fine_tune.provider,
                model=fine_tune.model,
                ends=ends,
            )
        )


def again(session: Session, fine_tune_id: int, *, actor: Actor) -> FineTune:
    """Go on with a fine-tune that failed: with the file and the job that are there, if they are."""
    fine_tune = get(session, fine_tune_id)
    actor.require(Role.LEAD, datasets.get(session, fine_tune.dataset_id))
    session.refresh(fine_tune, with_for_update=True)
    if fine_tune.state is not RunState.FAILED:
        raise Conflict(_("Only a fine-tune that failed can be tried again."))
    if fine_tune.remote_status == "failed":
        raise Conflict(_("The job itself failed at the provider; start another fine-tune."))
    runs.reopen(fine_tune)
    fine_tune.note = None
    queue.enqueue(session, queue.Job.FINE_TUNE, fine_tune.id, round_=fine_tune.attempt + 2)
    return fine_tune


def wish(session: Session, fine_tune_id: int, wanted: str, *, actor: Actor) -> FineTune:
    """Ask that the job rests (`pause`) or goes on (`resume`); the provider is told soon."""
    fine_tune = get(session, fine_tune_id)
    actor.require(Role.LEAD, datasets.get(session, fine_tune.dataset_id))
    session.refresh(fine_tune, with_for_update=True)
    if not fine_tune.state.is_open or not fine_tune.remote_job_id:
        raise Conflict(_("Only a job that the provider has can be paused or resumed."))
    fine_tune.wish = wanted
    return fine_tune


def get(session: Session, fine_tune_id: int) -> FineTune:
    """Return a fine-tune."""
    return runs.get(session, FineTune, fine_tune_id)


def list_fine_tunes(
    session: Session, dataset_id: int, *, before_id: int | None = None, limit: int = 100
) -> list[FineTune]:
    """Return the fine-tunes of a dataset, newest first; `before_id` continues an earlier page."""
    query = sa.select(FineTune).where(FineTune.dataset_id == dataset_id)
    if before_id is not None:
        query = query.where(FineTune.id < before_id)
    return list(session.scalars(query.order_by(FineTune.id.desc()).limit(limit)))


def note_file(
    session: Session, fine_tune: FineTune, file_id: str, *, validation_id: str | None = None
) -> None:
    """Write down under which ids the service keeps the file, and that of the rows drawn for validation."""
    fresh = runs.guard(session, fine_tune)
    fresh.remote_file_id, fresh.remote_validation_id, fresh.note = file_id, validation_id, None


def note_wait(session: Session, fine_tune: FineTune, sentence: str, *, did_nothing: bool) -> None:
    """Write down that the service has asked to come back later, or that its answer was lost."""
    fresh = runs.guard(session, fine_tune)
    fresh.note = sentence
    if did_nothing or fresh.phase != CREATING:
        fresh.phase = "asked_to_wait"


def note_creating(session: Session, fine_tune: FineTune) -> bool:
    """Write down that the job is asked for now; say whether it was before, without a known answer."""
    fresh = runs.guard(session, fine_tune)
    was_asked = fresh.phase == CREATING
    fresh.phase = CREATING
    return was_asked


def note_refused(session: Session, fine_tune: FineTune) -> None:
    """Write down that the service would not take the job, so that it may be asked anew."""
    runs.guard(session, fine_tune, may_cancel=False).phase = ""


def note_trouble(session: Session, fine_tune: FineTune, sentence: str) -> None:
    """Write down that the service cannot be asked how the job is."""
    runs.guard(session, fine_tune, may_cancel=False).note = sentence


def note_job(session: Session, fine_tune: FineTune, job_id: str, status: str, model: str | None) -> None:
    """Write down what the service says of the job."""
    fresh = runs.guard(session, fine_tune, may_cancel=False)
    fresh.remote_job_id, fresh.remote_status, fresh.fine_tuned_model = job_id, status[:40], model
    fresh.phase, fresh.note = status[:40], None


def note_progress(
    session: Session, fine_tune: FineTune, progress: Progress, *, note: str | None, passed_on: str
) -> None:
    """Write down all that the service says of the job; a log or a curve is never replaced by nothing."""
    note_job(session, fine_tune, progress.job_id, progress.status, progress.model)
    fresh = runs.guard(session, fine_tune, may_cancel=False)
    fresh.trained_tokens, fresh.note = progress.trained_tokens, note
    if fresh.wish == passed_on:
        fresh.wish = ""
    if progress.log:
        fresh.log = [dict(line) for line in progress.log][-MOST_LOG:]
    points = curve_of(progress.steps)
    if points:
        fresh.curve = points


def curve_of(steps: Sequence[Mapping[str, Any]]) -> list[dict[str, float]]:
    """Return the losses by step, first to last; of very many steps evenly chosen ones and the last."""
    points: dict[int, dict[str, float]] = {}
    for said in steps:
        step = said.get("step")
        if not _is_number(step):
            continue
        for theirs, ours in CURVES.items():
            value = said.get(theirs)
            if _is_number(value):
                points.setdefault(int(step), {"step": int(step)})[ours] = float(value)
    found = [points[step] for step in sorted(points)]
    every = -(-len(found) // MOST_STEPS)
    return found if every <= 1 else [*found[:-1:every], found[-1]]


def _is_number(value: Any) -> TypeGuard[int | float]:
    """Say whether a service gave a number that a curve can show: JSON knows integers beyond all floats."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < MOST_SHOWN


def finish(session: Session, fine_tune: FineTune, *, actor: Actor) -> FineTune:
    """Mark a fine-tune as done."""
    fresh = runs.finish(session, fine_tune, may_cancel=False)
    events.record(
        session,
        "fine_tune.finished",
        actor=actor,
        dataset_id=fresh.dataset_id,
        subject_id=fresh.id,
        new=fresh.fine_tuned_model,
    )
    return fresh
