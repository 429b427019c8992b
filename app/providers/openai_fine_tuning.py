"""Fine-tuning by any server that speaks OpenAI's API."""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from itertools import islice
from pathlib import Path
from typing import Any, Final, TypeVar

import openai
from openai.pagination import SyncCursorPage, SyncPage
from openai.types import FileObject, Model
from openai.types.fine_tuning import FineTuningJob, FineTuningJobEvent
from openai.types.fine_tuning.jobs import FineTuningJobCheckpoint

from app.errors import InvalidInput, NotFound, Unavailable
from app.providers.addresses import Reach
from app.providers.errors import ProviderRefused
from app.providers.fine_tuning import (
    PlannedCall,
    RemoteCheckpoint,
    RemoteEvent,
    RemoteFile,
    RemoteJob,
    RemoteModel,
)
from app.providers.openai_answers import count_of, id_of, seconds_of, translated, words_of
from app.providers.outward import client_for

PURPOSE: Final = "fine-tune"
METHOD = "supervised"
MAX_SUFFIX = 64
TIMEOUT_SECONDS = 60.0
UPLOAD_TIMEOUT_SECONDS = 1_800.0
MAX_RETRIES = 2
DIGEST_CHARACTERS = 16
LARGEST_PAGE = 100
MOST_EVENTS = 2_000
MOST_ITEMS = 100_000
MOST_LOSS = 1e300
NOT_OFFERED = frozenset({404, 405, 501})
UNKNOWN_OUTCOME = (
    "The answer to the request for a job was lost, and this provider does not list its jobs: "
    "look there whether there is one, and start another fine-tune only if there is none."
)

Item = TypeVar("Item")


def remote_name(path: Path) -> str:
    """Return a file's name at the provider: it holds the content's hash, so equal names mean equal files."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return f"{path.stem}-{digest[:DIGEST_CHARACTERS]}{path.suffix}"


def planned_calls(
    path: Path,
    model: str,
    *,
    suffix: str | None = None,
    seed: int | None = None,
    metadata: Mapping[str, str] | None = None,
) -> list[PlannedCall]:
    """Return what `upload` and `create` would send, for a dry run: nothing is sent and no secret is in it."""
    upload = {"purpose": PURPOSE, "file": remote_name(path), "bytes": path.stat().st_size}
    create = _create_body("(id of the uploaded file)", model, suffix=suffix, seed=seed, metadata=metadata)
    return [PlannedCall("POST", "/files", upload), PlannedCall("POST", "/fine_tuning/jobs", create)]


class OpenAIFineTuner:
    """A `FineTuner` over the `openai` client.

    Parameters
    ----------
    api_key : str
        Sent as bearer token; never part of an error.
    base_url : str, optional
        Another server that speaks the same API; OpenAI's own by default.
    reach : Reach
        Where its address may lead.
    timeout : float
        Seconds until a request counts as failed; uploads get longer.
    max_retries : int
        How often a request that only reads is repeated after 429, 5xx and lost connections.
    """

    def __init__(
        self,
        api_key: str,
        *,
        base_url: str | None = None,
        reach: Reach = Reach.LOCAL,
        timeout: float = TIMEOUT_SECONDS,
        max_retries: int = MAX_RETRIES,
    ) -> None:
        if not api_key:
            raise Unavailable("There is no API key for this provider.")
        self._api_key = api_key
        self._reading = openai.OpenAI(
            api_key=api_key,
            base_url=base_url,
            timeout=timeout,
            max_retries=max_retries,
            http_client=client_for(reach),
            # Questions are seconds apart, and nobody closes a client: no connection is to be left over.
            default_headers={"Connection": "close"},
        )
        # A request that creates something is never repeated by itself: the first may have arrived.
        self._writing = self._reading.with_options(max_retries=0)

    def upload(self, path: Path) -> str:
        """Send a training file unless one of the same name (content hash) and size is there already."""
        if not path.is_file():
            raise NotFound(f"There is no file {path}.")
        name = remote_name(path)
        try:
            known = self.find_file(name, path.stat().st_size)
        except ProviderRefused as refused:
            if refused.status_there not in NOT_OFFERED:
                raise
            known = None  # a compatible service that lists no files
        if known:
            return known.id
        with self._translated(), path.open("rb") as file:
            sent = self._writing.files.create(
                file=(name, file), purpose=PURPOSE, timeout=UPLOAD_TIMEOUT_SECONDS
            )
            return _file(sent).id

    def create(
        self,
        file_id: str,
        model: str,
        *,
        validation_file: str | None = None,
        suffix: str | None = None,
        seed: int | None = None,
        metadata: Mapping[str, str] | None = None,
        may_exist: bool = False,
    ) -> RemoteJob:
        """Start a job unless one with this metadata is there already; see `FineTuner.create`."""
        body = _create_body(file_id, model, suffix=suffix, seed=seed, metadata=metadata)
        if validation_file:
            body["validation_file"] = validation_file
        try:
            known = self.find_job(metadata or {})
        except ProviderRefused as refused:
            if refused.status_there not in NOT_OFFERED:
                raise
            if may_exist:
                raise ProviderRefused(UNKNOWN_OUTCOME) from None
            known = None
        if known:
            return known
        with self._translated():
            return _job(self._writing.fine_tuning.jobs.create(**body))

    def retrieve(self, job_id: str) -> RemoteJob:
        with self._translated():
            return _job(self._reading.fine_tuning.jobs.retrieve(job_id))

    def cancel(self, job_id: str) -> RemoteJob:
        with self._translated():
            return _job(self._writing.fine_tuning.jobs.cancel(job_id))

    def pause(self, job_id: str) -> RemoteJob:
        with self._translated():
            return _job(self._writing.fine_tuning.jobs.pause(job_id))

    def resume(self, job_id: str) -> RemoteJob:
        with self._translated():
            return _job(self._writing.fine_tuning.jobs.resume(job_id))

    def list_checkpoints(self, job_id: str) -> list[RemoteCheckpoint]:
        """Return how the training stood, step by step; nothing where a service has no such list."""
        try:
            with self._translated():
                page = self._reading.fine_tuning.jobs.checkpoints.list(job_id, limit=LARGEST_PAGE)
                found = [_checkpoint(one) for one in _items(page)]
        except ProviderRefused as refused:
            if refused.status_there in NOT_OFFERED:
                return []
            raise
        return sorted(found, key=lambda one: one.step)

    def list_events(self, job_id: str) -> list[RemoteEvent]:
        """Return the job's log, oldest first; of a very long one the newest lines."""
        with self._translated():
            page = self._reading.fine_tuning.jobs.list_events(job_id, limit=LARGEST_PAGE)
            events = [_event(event) for event in islice(_items(page), MOST_EVENTS)]
        return sorted(events, key=lambda event: event.created_at)

    def list_models(self) -> list[RemoteModel]:
        """Return the models of the provider by name."""
        with self._translated():
            models = [_model(model) for model in _items(self._reading.models.list())]
        return sorted(models, key=lambda model: model.id)

    def find_file(self, name: str, size: int) -> RemoteFile | None:
        """Return an uploaded training file by name and size in bytes."""
        with self._translated():
            files = (_file(file) for file in _items(self._reading.files.list(purpose=PURPOSE)))
            return next((file for file in files if (file.name, file.bytes) == (name, size)), None)

    def find_job(self, metadata: Mapping[str, str]) -> RemoteJob | None:
        """Return the oldest job that carries all of this metadata; None for empty metadata.

        Two may be there where an answer was lost and the first job was listed too late: the younger ones are
        cancelled, so that one is paid for.
        """
        wanted = dict(metadata)
        if not wanted:
            return None
        with self._translated():
            jobs = (_job(job) for job in _items(self._reading.fine_tuning.jobs.list(metadata=wanted)))
            # Servers that do not know the filter list every job.
            found = [job for job in jobs if wanted.items() <= job.metadata.items()]
        found.sort(key=lambda job: (job.status in {"failed", "cancelled"}, job.created_at, job.id))
        for surplus in found[1:]:
            if not surplus.is_final:
                self.cancel(surplus.id)
        return found[0] if found else None

    def _translated(self) -> AbstractContextManager[None]:
        return translated(self._reading.base_url.host, self._api_key)


def _create_body(
    file_id: str, model: str, *, suffix: str | None, seed: int | None, metadata: Mapping[str, str] | None
) -> dict[str, Any]:
    if suffix and len(suffix) > MAX_SUFFIX:
        raise InvalidInput(f"The suffix has {len(suffix)} characters; the limit is {MAX_SUFFIX}.")
    body: dict[str, Any] = {"training_file": file_id, "model": model, "method": {"type": METHOD}}
    if suffix:
        body["suffix"] = suffix
    if seed is not None:
        body["seed"] = seed
    if metadata:
        body["metadata"] = dict(metadata)
    return body


def _items(page: SyncCursorPage[Item] | SyncPage[Item]) -> Iterator[Item]:
    """Go through all pages; an answer without a list is no empty list, or jobs would be made twice.

    A server that repeats itself, whatever page it is asked for, has no more to tell.
    """
    if not isinstance(page.data, list):
        raise TypeError("the answer holds no list")
    return _different(page)


def _different(page: SyncCursorPage[Item] | SyncPage[Item]) -> Iterator[Item]:
    seen: set[str] = set()
    for item in page:
        name = id_of(getattr(item, "id", None))
        if name in seen or len(seen) == MOST_ITEMS:
            return
        seen.add(name)
        yield item


def _file(file: FileObject) -> RemoteFile:
    return RemoteFile(id=id_of(file.id), name=file.filename, bytes=file.bytes)


def _model(model: Model) -> RemoteModel:
    return RemoteModel(
        id=id_of(model.id),
        owned_by=words_of(getattr(model, "owned_by", "")),
        shutdown_date=words_of(getattr(model, "shutdown_date", None)) or None,
    )


def _event(event: FineTuningJobEvent) -> RemoteEvent:
    data = getattr(event, "data", None)
    return RemoteEvent(
        id=id_of(event.id),
        created_at=seconds_of(event.created_at),
        level=words_of(event.level),
        message=words_of(event.message),
        data=dict(data) if isinstance(data, dict) else {},
    )


def _checkpoint(checkpoint: FineTuningJobCheckpoint) -> RemoteCheckpoint:
    metrics = checkpoint.metrics.model_dump() if checkpoint.metrics else {}
    return RemoteCheckpoint(step=count_of(checkpoint.step_number) or 0, metrics=numbers(metrics))


def numbers(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Return what is a finite number among metrics."""
    return {
        name: float(value)
        for name, value in metrics.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < MOST_LOSS
    }


def _job(job: FineTuningJob) -> RemoteJob:
    error = job.error.message if getattr(job, "error", None) and job.error else None
    model = getattr(job, "fine_tuned_model", None)
    return RemoteJob(
        id=id_of(job.id),
        status=id_of(job.status),
        model=job.model,
        training_file=job.training_file,
        created_at=seconds_of(job.created_at),
        finished_at=getattr(job, "finished_at", None),
        fine_tuned_model=id_of(model) if model else None,
        error=words_of(error) or None,
        trained_tokens=count_of(getattr(job, "trained_tokens", None)),
        metadata=dict(getattr(job, "metadata", None) or {}),
    )
