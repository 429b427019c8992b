"""Our rows in the shapes of OpenAI's API."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

from app.models.columns import RunState
from app.models.openai_api import ApiFile, TrainedModel, TrainingJob
from app.services.tuning.training_files import PURPOSE

OWNER = "setright"
STATUSES = {
    RunState.DRAFT: "queued",  # paused: the API's list of states has no word for that
    RunState.QUEUED: "queued",
    RunState.RUNNING: "running",
    RunState.DONE: "succeeded",
    RunState.FAILED: "failed",
    RunState.CANCELLED: "cancelled",
}
AUTO = {"n_epochs": "auto", "batch_size": "auto", "learning_rate_multiplier": "auto"}


def seconds(moment: dt.datetime) -> int:
    """Write a point in time as the API does."""
    return int(moment.timestamp())


def file_of(file: ApiFile) -> dict[str, Any]:
    """Return a file object."""
    return {
        "id": file.name,
        "object": "file",
        "bytes": file.bytes,
        "created_at": seconds(file.created_at),
        "filename": file.file_name,
        "purpose": PURPOSE,
        "status": "processed",
    }


def job_of(job: TrainingJob) -> dict[str, Any]:
    """Return a fine-tuning job object."""
    is_validating = job.state is RunState.RUNNING and job.phase == "validating_files"
    hyperparameters = {**AUTO, **job.hyperparameters}
    return {
        "id": job.name,
        "object": "fine_tuning.job",
        "created_at": seconds(job.created_at),
        "error": _error(job),
        "fine_tuned_model": job.fine_tuned_model,
        "finished_at": seconds(job.finished_at) if job.finished_at else None,
        "hyperparameters": hyperparameters,
        "model": job.model,
        "organization_id": OWNER,
        "result_files": [],
        "seed": job.seed,
        "status": "validating_files" if is_validating else STATUSES[job.state],
        "trained_tokens": job.trained_tokens,
        "training_file": job.training_file,
        "validation_file": job.validation_file,
        "estimated_finish": None,
        "integrations": [],
        "method": {"type": "supervised", "supervised": {"hyperparameters": hyperparameters}},
        "metadata": job.marks,
    }


def _error(job: TrainingJob) -> dict[str, Any] | None:
    if job.state is not RunState.FAILED:
        return None
    param = "training_file" if job.error_code == "invalid_training_file" else None
    return {"code": job.error_code or "training_failed", "message": job.error or "", "param": param}


def event_of(job: TrainingJob, line: dict[str, Any]) -> dict[str, Any]:
    """Return a line of a job's log."""
    return {
        "id": f"ftevent-{job.name.removeprefix('ftjob-')}-{line['number']}",
        "object": "fine_tuning.job.event",
        "created_at": line["at"],
        "level": line["level"],
        "message": line["message"],
        "type": "metrics" if line["data"] else "message",
        "data": line["data"],
    }


def checkpoint_of(job: TrainingJob, checkpoint: dict[str, Any]) -> dict[str, Any]:
    """Return a checkpoint object; the last one's model is the job's."""
    number = checkpoint["number"]
    model = job.fine_tuned_model or f"ft:{job.model}:{OWNER}:{job.suffix}:{job.name[6:14]}"
    is_last = number == len(job.checkpoints)
    return {
        "id": f"ftckpt-{job.name.removeprefix('ftjob-')}-{number}",
        "object": "fine_tuning.job.checkpoint",
        "created_at": checkpoint["at"],
        "fine_tuned_model_checkpoint": model if is_last else f"{model}:ckpt-step-{checkpoint['step']}",
        "fine_tuning_job_id": job.name,
        "metrics": checkpoint["metrics"],
        "step_number": checkpoint["step"],
    }


def base_model_of(name: str) -> dict[str, Any]:
    """Return the model object of what comes with the program."""
    return {"id": name, "object": "model", "created": 0, "owned_by": OWNER}


def model_of(model: TrainedModel) -> dict[str, Any]:
    """Return the model object of what was trained here."""
    created = seconds(model.created_at)
    return {"id": model.name, "object": "model", "created": created, "owned_by": OWNER}


def page_of(items: Sequence[dict[str, Any]], *, has_more: bool) -> dict[str, Any]:
    """Return a part of a list; an empty one has empty ends."""
    return {
        "object": "list",
        "data": list(items),
        "first_id": items[0]["id"] if items else "",
        "last_id": items[-1]["id"] if items else "",
        "has_more": has_more,
    }
