"""Fine-tuning on somebody else's machines: what any provider must offer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

# The states of a remote job; the last three are final. `paused` is what some say of one that rests.
STATUSES = ("validating_files", "queued", "running", "paused", "succeeded", "failed", "cancelled")
FINAL_STATUSES = frozenset({"succeeded", "failed", "cancelled"})


@dataclass(frozen=True)
class RemoteFile:
    """A file at the provider."""

    id: str
    name: str
    bytes: int


@dataclass(frozen=True)
class RemoteModel:
    """A model the provider lists; `shutdown_date` as the provider writes it."""

    id: str
    owned_by: str
    shutdown_date: str | None = None


@dataclass(frozen=True)
class RemoteEvent:
    """A line of a job's log; `data` holds the metrics of a training step where there are any."""

    id: str
    created_at: int
    level: str
    message: str
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class RemoteJob:
    """A fine-tuning job at the provider.

    Attributes
    ----------
    status : str
        One of STATUSES where the provider keeps to them.
    fine_tuned_model : str or None
        The name of the new model once it succeeded.
    error : str or None
        The provider's words about a failure.
    created_at, finished_at : int
        Seconds since 1970.
    """

    id: str
    status: str
    model: str
    training_file: str
    created_at: int
    finished_at: int | None
    fine_tuned_model: str | None
    error: str | None
    trained_tokens: int | None
    metadata: dict[str, str]

    @property
    def is_final(self) -> bool:
        return self.status in FINAL_STATUSES


@dataclass(frozen=True)
class RemoteCheckpoint:
    """How a training stood after a step.

    Attributes
    ----------
    step : int
    metrics : dict
        Numbers by name, such as `train_loss` and `valid_loss`.
    """

    step: int
    metrics: dict[str, float]


@dataclass(frozen=True)
class PlannedCall:
    """A request as it would be sent, without headers and secrets."""

    method: str
    path: str
    body: dict[str, Any]


class FineTuner(Protocol):
    """Talks to one provider.

    All methods raise `ProviderRefused` when the provider says no and `Unavailable` when it cannot be reached
    or asks to come back later.
    """

    def upload(self, path: Path) -> str:
        """Send a training file; the id of an earlier upload of the same name and size is reused."""

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
        """Start a job; one with the same metadata is returned instead of a second one.

        `may_exist`: an earlier answer was lost, so a service that cannot list its jobs is not asked again.
        """

    def retrieve(self, job_id: str) -> RemoteJob: ...

    def cancel(self, job_id: str) -> RemoteJob: ...

    def list_events(self, job_id: str) -> list[RemoteEvent]:
        """Return the job's log, oldest first."""

    def pause(self, job_id: str) -> RemoteJob: ...

    def resume(self, job_id: str) -> RemoteJob: ...

    def list_checkpoints(self, job_id: str) -> list[RemoteCheckpoint]:
        """Return how the training stood, step by step; nothing where a service has no such list."""

    def list_models(self) -> list[RemoteModel]: ...

    def find_file(self, name: str, size: int) -> RemoteFile | None: ...

    def find_job(self, metadata: Mapping[str, str]) -> RemoteJob | None:
        """Return the oldest job that carries this metadata; younger ones, made by mistake, are cancelled."""
