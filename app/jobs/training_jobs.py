"""A training on this machine: read the file, train, keep the model."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from app.files.training import LabelledTexts, UnusableFile, count_tokens, read_training_file
from app.jobs.context import Context, Reporter
from app.jobs.durable import step, workflow
from app.models.columns import RunState
from app.models.openai_api import TrainingJob
from app.queue import Job
from app.services.operation import runs
from app.services.tuning import training_files, training_jobs

if TYPE_CHECKING:
    from app.pipeline.trainers.protocol import Epoch, Examples, Trained

UNUSABLE = ("The training file", "The validation file")


class _Paused(Exception):
    """Somebody wants the training to rest."""


def give_up(context: Context, job_id: int, state: RunState, error: str) -> None:
    """Mark a job as failed or cancelled, and delete what it has learned."""
    with context.database.write() as session:
        if state is RunState.FAILED:
            is_file = error.startswith(UNUSABLE)
            code = "invalid_training_file" if is_file else "training_failed"
            training_jobs.note_failure(session, job_id, error, code=code)
        runs.end(session, TrainingJob, job_id, state=state, error=error)
    shutil.rmtree(_folder(context, job_id), ignore_errors=True)


@workflow(Job.TRAINING_JOB, TrainingJob, give_up=give_up)
def train_model(job_id: int) -> None:
    """Train a model; a job that is paused ends here, and is queued anew when it is resumed."""
    train(job_id)


@step(TrainingJob, "training_job.train")
def train(context: Context, job: TrainingJob) -> None:
    """Train from the last checkpoint on, if there is one."""
    try:
        _train(context, job)
    except _Paused:
        return


def _train(context: Context, job: TrainingJob) -> None:
    _rest_if_paused(context, job)
    report = _Report(context, job)
    report("validating_files", 0, 1)
    training, validation = _read(context, job)
    labels = sorted(set(training.labels))
    folder = _folder(context, job.id)
    model, epochs = _fit(context, job, training, validation, labels, folder, report)
    tokens = sum(map(count_tokens, training.texts)) * epochs
    with context.database.write() as session:
        training_jobs.finish(
            session,
            job,
            folder=str(folder),
            labels=model.label_names,
            trained_tokens=tokens,
            actor=runs.requester(session, job),
        )


def _fit(
    context: Context,
    job: TrainingJob,
    training: LabelledTexts,
    validation: LabelledTexts | None,
    labels: list[str],
    folder: Path,
    report: "_Report",
) -> "tuple[Trained, int]":
    from app.pipeline.local_models import chosen_settings, trainer_of

    trainer = trainer_of(context.settings, job.model)
    texts = [*training.texts, *(validation.texts if validation else [])]
    trainer.prepare(texts, on_progress=lambda done, total: report("embed", done, total))
    seen = 0

    def on_epoch(epoch: "Epoch") -> None:
        nonlocal seen
        seen = epoch.number
        with context.database.write() as session:
            training_jobs.note_epoch(session, job, _metrics(epoch), total=epoch.most)

    model = trainer.train(
        _examples(training, labels),
        label_names=labels,
        settings=chosen_settings(job.model, job.hyperparameters),
        seed=job.seed,
        folder=folder,
        validation=_examples(validation, labels) if validation else None,
        on_progress=lambda done, total: report("train", done, total),
        on_epoch=on_epoch,
    )
    return model, max(seen, 1)


def _metrics(epoch: "Epoch") -> dict[str, float]:
    found = {
        "step": float(epoch.number),
        "train_loss": epoch.train_loss,
        "valid_loss": epoch.valid_loss,
        "valid_mean_token_accuracy": epoch.valid_accuracy,
    }
    return {name: value for name, value in found.items() if value is not None}


def _examples(rows: LabelledTexts, labels: list[str]) -> "Examples":
    from app.pipeline.trainers.protocol import Examples

    number = {label: position for position, label in enumerate(labels)}
    return Examples(rows.texts, np.array([number[label] for label in rows.labels], dtype=np.int64))


def _read(context: Context, job: TrainingJob) -> tuple[LabelledTexts, LabelledTexts | None]:
    training = _read_file(context, job.training_file, "training")
    if job.validation_file is None:
        return training, None
    validation = _read_file(context, job.validation_file, "validation")
    unknown = sorted(set(validation.labels) - set(training.labels))
    if unknown:
        raise UnusableFile(
            f"The validation file has answers that the training file lacks: {', '.join(unknown[:5])}."
        )
    return training, validation


def _read_file(context: Context, name: str, which: str) -> LabelledTexts:
    with context.database.read() as session:
        path = Path(training_files.get(session, name).path)
    try:
        most = context.settings.max_line_bytes
        return read_training_file(path, max_line_bytes=most, for_validation=which == "validation")
    except FileNotFoundError:
        raise UnusableFile(f"The {which} file is not there any more.") from None
    except UnusableFile as error:
        raise UnusableFile(str(error).replace("The file", f"The {which} file", 1)) from None


def _rest_if_paused(context: Context, job: TrainingJob) -> None:
    with context.database.write() as session:
        is_paused = training_jobs.rest_if_paused(session, job)
    if is_paused:
        raise _Paused


class _Report(Reporter):
    """Notices too when the training should rest."""

    def __call__(self, phase: str, done: int, total: int) -> None:
        before = self._last
        super().__call__(phase, done, total)
        if self._last != before:
            _rest_if_paused(self._context, self._run)  # type: ignore[arg-type]  # it was made for a training job


def _folder(context: Context, job_id: int) -> Path:
    return context.settings.training / "models" / str(job_id)
