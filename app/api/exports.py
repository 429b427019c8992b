"""Exports: the file of a version, its manifest, and a fine-tune from that very file."""

from pathlib import Path
from typing import Annotated, Any

from fastapi import Request
from pydantic import ConfigDict, Field
from sqlalchemy.orm import Session
from starlette.responses import FileResponse, Response

from app.api.answers import AsciiJSONResponse, In, Listing, RunOut, accepted, answer, listing
from app.api.deps import CurrentActor, in_dataset, router_of
from app.api.fine_tunes import FineTuneIn, FineTuneOut, start
from app.errors import InvalidInput, NotFound
from app.files.writing import EXPORT_FORMATS, media_type
from app.models.columns import RunState
from app.models.exports import Export, Variant
from app.services import datasets, exports, runs, versions
from app.services.exports import SPLITS, ExportChoices
from app.services.versions import MAX_NAME_CHARS
from app.web.deps import CurrentSettings, Id, ReadSession, WriteSession

router = router_of("exports")

VersionName = Annotated[str, Field(max_length=MAX_NAME_CHARS)]


class ExportIn(In):
    """Which file to write."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "format": "csv",
                    "variant": "corrected",
                    "split": "all",
                    "version": "after the first review",
                },
                {
                    "format": "chat-jsonl",
                    "variant": "corrected",
                    "new_version": "sent to training",
                    "fine_tune": {"provider": "openai", "model": "the-provider's-name-of-it"},
                },
            ]
        }
    )

    format: Annotated[str, Field(json_schema_extra={"enum": list(EXPORT_FORMATS)})] = "chat-jsonl"
    """The file's format."""
    variant: Variant = Variant.CORRECTED
    """Which labels and rows: `original`, `dropped` (without flagged rows) or `corrected`."""
    split: Annotated[str, Field(json_schema_extra={"enum": list(SPLITS)})] = "train"
    """The split."""
    version: VersionName | None = None
    """Name of a version that is there; the present state is frozen if not said."""
    new_version: VersionName | None = None
    """Name under which the present state is frozen; made up if not said."""
    guard_formulas: bool = False
    """With csv: mark cells that a spreadsheet would run."""
    system_prompt: Annotated[str, Field(max_length=100_000)] | None = None
    """With chat-jsonl: the system turn of every row."""
    separator: Annotated[str, Field(max_length=100)] = ExportChoices.separator
    """With completion-jsonl: the end of every prompt."""
    fine_tune: FineTuneIn | None = None
    """Start a fine-tune from this very file; takes the train split as chat-jsonl or completion-jsonl."""

    def choices(self, session: Session, dataset_id: int) -> ExportChoices:
        """Return the choices as the service takes them."""
        if self.version is not None and self.new_version is not None:
            raise InvalidInput(
                "Say `version` for one that is there or `new_version` for a new one, not both."
            )
        named = versions.get_by_name(session, dataset_id, self.version) if self.version is not None else None
        return ExportChoices(
            format=self.format,
            variant=self.variant,
            split=self.split,
            version_id=named.id if named else None,
            version_name=self.new_version,
            guard_formulas=self.guard_formulas,
            system_prompt=self.system_prompt,
            separator=self.separator,
        )


class ExportOut(RunOut):
    """A file of one version."""

    version_id: int
    """The version whose rows it holds."""
    format: str
    """The file's format."""
    variant: Variant
    """Which labels and rows."""
    split: str
    """The split."""
    options: Any
    """How rows are written."""
    rows: int
    """Rows in the file."""
    bytes: int
    """Size of the file."""
    sha256: str
    """SHA-256 of the file, in hex."""


class StartedExportOut(ExportOut):
    """A file on its way, and the fine-tune that waits for it."""

    fine_tune: FineTuneOut | None
    """The fine-tune, if one was asked for."""


@router.post(
    "/datasets/{dataset_id:int}/exports",
    name="api.exports.create",
    summary="Export a file, and fine-tune from it",
    status_code=202,
    response_model=StartedExportOut,
)
def create(
    request: Request,
    dataset_id: Id,
    body: ExportIn,
    actor: CurrentActor,
    session: WriteSession,
    settings: CurrentSettings,
) -> Response:
    """Write the file of a version and, with `fine_tune`, train on that very file: both or neither.

    What the file will hold is frozen now, whenever it is written. An export needs the role annotator, a
    fine-tune the role lead and, on the server, a key for the service (503 without one).
    """
    choices = body.choices(session, datasets.get(session, dataset_id).id)
    export = exports.request(session, dataset_id, choices, actor=actor)
    tuned = (
        start(session, export.id, body.fine_tune, settings=settings, actor=actor) if body.fine_tune else None
    )
    content = StartedExportOut(
        **dict(ExportOut.model_validate(export)),
        fine_tune=FineTuneOut.model_validate(tuned) if tuned else None,
    )
    return accepted(request, content, "api.exports.get", export_id=export.id)


@router.get(
    "/datasets/{dataset_id:int}/exports",
    name="api.exports.list",
    summary="List exports",
    response_model=Listing[ExportOut],
)
def list_exports(request: Request, dataset_id: Id, session: ReadSession) -> Response:
    """List the newest 100 exports of a dataset, newest first."""
    found = exports.list_exports(session, datasets.get(session, dataset_id).id)
    return listing(request, [ExportOut.model_validate(export) for export in found])


@router.get(
    "/exports/{export_id:int}", name="api.exports.get", summary="Show an export", response_model=ExportOut
)
def get(export_id: Id, session: ReadSession) -> Response:
    """Show how far a file is; once `state` is `done` it can be fetched."""
    return answer(ExportOut.model_validate(in_dataset(session, exports.get(session, export_id))))


@router.get(
    "/exports/{export_id:int}/file",
    name="api.exports.file",
    summary="Fetch the file",
    response_class=FileResponse,
)
def file(export_id: Id, session: ReadSession) -> Response:
    """Fetch the file. 404 until it is written."""
    export = _written(session, export_id)
    path = Path(export.path)
    if not path.is_file():
        raise NotFound(f"The file of export {export_id} is not there any more.")
    return FileResponse(path, media_type=media_type(export.format), filename=path.name)


@router.get(
    "/exports/{export_id:int}/manifest",
    name="api.exports.manifest",
    summary="Fetch the manifest",
    response_model=dict[str, Any],
)
def manifest(export_id: Id, session: ReadSession) -> Response:
    """Fetch what stands beside the file: where its rows come from, what was decided, its hash."""
    return AsciiJSONResponse(_written(session, export_id).manifest)


@router.post(
    "/exports/{export_id:int}/cancel",
    name="api.exports.cancel",
    summary="Cancel an export",
    status_code=202,
    response_model=ExportOut,
)
def cancel(request: Request, export_id: Id, actor: CurrentActor, session: WriteSession) -> Response:
    """Ask an export to stop. Needs the role lead; 409 once it has ended."""
    export = in_dataset(session, exports.get(session, export_id))
    runs.request_cancel(session, export, actor=actor)
    return accepted(request, ExportOut.model_validate(export), "api.exports.get", export_id=export_id)


def _written(session: Session, export_id: int) -> Export:
    export = in_dataset(session, exports.get(session, export_id))
    if export.state is not RunState.DONE:
        raise NotFound(f"The file of export {export_id} is not written: its state is {export.state.value}.")
    return export
