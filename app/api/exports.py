"""Exports: the file of a version, its manifest, and a fine-tune from that very file."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from fastapi import Query, Request
from pydantic import ConfigDict, Field
from sqlalchemy.orm import Session
from starlette.responses import FileResponse, Response, StreamingResponse

from app.actor import Actor
from app.api.answers import (
    AsciiJSONResponse,
    CurrentPage,
    In,
    Listing,
    RunOut,
    accepted,
    answer,
    listing,
    with_more,
)
from app.api.checks import CheckOut, EstimateOut, FaultOut
from app.api.deps import CurrentActor, in_dataset, router_of
from app.api.fine_tunes import FineTuneIn, FineTuneOut, start
from app.api.streams import NDJSON
from app.errors import InvalidInput, NotFound
from app.files.drawing import MOST_PERCENT
from app.files.writing import EXPORT_FORMATS, media_type
from app.models.columns import RunState
from app.models.exports import Export, Variant
from app.services import datasets
from app.services.operation import runs
from app.services.together import blind
from app.services.tuning import checks, exports
from app.services.tuning.exports import MAX_PROMPT_CHARS, MAX_SEED, SPLITS, ExportChoices
from app.services.versioning import versions
from app.services.versioning.versions import MAX_NAME_CHARS
from app.web.deps import CurrentSettings, Id, ReadSession, WriteSession
from app.web.streamed import streamed

router = router_of("exports")

VersionName = Annotated[str, Field(max_length=MAX_NAME_CHARS)]


class FileIn(In):
    """Which file, and how its rows are written."""

    format: Annotated[str, Field(json_schema_extra={"enum": list(EXPORT_FORMATS)})] = "chat-jsonl"
    """The file's format."""
    variant: Variant = Variant.CORRECTED
    """Which labels and rows: `original`, `dropped` (without flagged rows) or `corrected`."""
    split: Annotated[str, Field(json_schema_extra={"enum": list(SPLITS)})] = "train"
    """The split."""
    version: VersionName | None = None
    """Name of a version that is there; the present state if not said."""
    guard_formulas: bool = False
    """With csv: mark cells that a spreadsheet would run."""
    system_prompt: Annotated[str, Field(max_length=MAX_PROMPT_CHARS)] | None = None
    """With chat-jsonl: the system turn of every row; `{labels}` in it becomes the list of labels."""
    template: Annotated[str, Field(max_length=MAX_PROMPT_CHARS)] = ExportChoices.template
    """For fine-tuning: what is asked; `{text}` is the text, `{column}` a metadata column's value."""
    separator: Annotated[str, Field(max_length=100)] = ExportChoices.separator
    """With completion-jsonl: the end of every prompt."""
    number_labels: bool = False
    """For fine-tuning: numbers stand for all labels that have no code."""

    def choices(self, session: Session, dataset_id: int) -> ExportChoices:
        """Return the choices as the service takes them."""
        named = versions.get_by_name(session, dataset_id, self.version) if self.version is not None else None
        return ExportChoices(
            format=self.format,
            variant=self.variant,
            split=self.split,
            version_id=named.id if named else None,
            guard_formulas=self.guard_formulas,
            system_prompt=self.system_prompt,
            template=self.template,
            separator=self.separator,
            number_labels=self.number_labels,
        )


class CheckIn(FileIn):
    """Which file to check, and what a price is estimated for."""

    epochs: Annotated[int, Field(ge=1, le=checks.MOST_EPOCHS)] = checks.USUAL_EPOCHS
    """How often the service reads the file."""


class ExportIn(FileIn):
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
                    "validation_percent": 10,
                    "fine_tune": {"provider": "openai", "model": "the-provider's-name-of-it"},
                },
            ]
        }
    )

    new_version: VersionName | None = None
    """Name under which the present state is frozen; made up if not said."""
    label_codes: dict[str, str] = Field(default_factory=dict)
    """For fine-tuning: words that stand for labels."""
    validation_percent: Annotated[int, Field(ge=0, le=MOST_PERCENT)] = 0
    """For fine-tuning: share of every class that goes to a second file, for validation."""
    seed: Annotated[int, Field(ge=0, lt=MAX_SEED)] = 0
    """Another seed draws other rows for validation."""
    fine_tune: FineTuneIn | None = None
    """Start a fine-tune from this very file; takes the train split as chat-jsonl or completion-jsonl."""

    def choices(self, session: Session, dataset_id: int) -> ExportChoices:
        """Return the choices as the service takes them."""
        if self.version is not None and self.new_version is not None:
            raise InvalidInput(
                "Say `version` for one that is there or `new_version` for a new one, not both."
            )
        return replace(
            super().choices(session, dataset_id),
            version_name=self.new_version,
            label_codes=self.label_codes,
            validation_percent=self.validation_percent,
            seed=self.seed,
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
def list_exports(request: Request, dataset_id: Id, session: ReadSession, page: CurrentPage) -> Response:
    """List the exports of a dataset, newest first."""
    rows = exports.list_exports(
        session, datasets.get(session, dataset_id).id, before_id=page.cursor, limit=page.limit + 1
    )
    found, more = with_more(rows, page.limit)
    items = [ExportOut.model_validate(export) for export in found]
    return listing(request, items, cursor=found[-1].id if more else None)


@router.get(
    "/datasets/{dataset_id:int}/exports/check",
    name="api.exports.check",
    summary="Check a file for fine-tuning",
    response_model=CheckOut,
)
def check(
    dataset_id: Id,
    session: ReadSession,
    settings: CurrentSettings,
    actor: CurrentActor,
    query: Annotated[CheckIn, Query()],
) -> Response:
    """Say what a fine-tuning service would refuse or charge for; nothing is written or sent."""
    dataset = datasets.get(session, dataset_id)
    blind.refuse_export(session, dataset, actor=actor)
    found = checks.preview(session, dataset, query.choices(session, dataset.id))
    if found is None:
        raise InvalidInput(f"Only {' and '.join(exports.CHAT_FORMATS)} are checked.")
    checked, table = found.checked, checks.price_table(settings.prices)
    estimates = checks.estimates(table, tokens=checked.tokens, epochs=query.epochs) if found.is_whole else ()
    return answer(
        CheckOut(
            rows=checked.rows,
            is_whole=found.is_whole,
            blocking=checked.blocking,
            warnings=checked.warnings,
            counts={kind.value: count for kind, count in checked.counts.items()},
            faults=[FaultOut.model_validate(one) for one in checked.faults],
            tokens=checked.tokens,
            tokenizer=checked.tokenizer,
            is_bound=checked.is_bound,
            estimates=[
                EstimateOut(
                    model=one.price.model,
                    usd=one.usd,
                    usd_per_million_tokens=one.price.usd_per_million_tokens,
                    as_of=one.price.as_of.isoformat(),
                )
                for one in estimates
            ],
        )
    )


@router.get(
    "/datasets/{dataset_id:int}/exports/stream",
    name="api.exports.stream",
    summary="Fetch a file at once",
    response_class=StreamingResponse,
)
def stream(
    request: Request,
    dataset_id: Id,
    session: ReadSession,
    actor: CurrentActor,
    query: Annotated[FileIn, Query()],
) -> Response:
    """Fetch the file as it is read, without a job: nothing is frozen, and there is no manifest or hash.

    Needs the role annotator.
    """
    choices = query.choices(session, datasets.get(session, dataset_id).id)
    exports.require_streamable(session, datasets.get(session, dataset_id), choices, actor=actor)
    is_asked = NDJSON in request.headers.get("accept", "") and choices.format.endswith("jsonl")
    kind = NDJSON if is_asked else media_type(choices.format)
    return streamed(request, session, dataset_id, choices, media_type=kind)


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
def file(export_id: Id, session: ReadSession, actor: CurrentActor) -> Response:
    """Fetch the file. 404 until it is written."""
    export = _written(session, export_id, actor=actor)
    path = Path(export.path)
    if not path.is_file():
        raise NotFound(f"The file of export {export_id} is not there any more.")
    return FileResponse(path, media_type=media_type(export.format), filename=path.name)


@router.get(
    "/exports/{export_id:int}/validation",
    name="api.exports.validation",
    summary="Fetch the validation file",
    response_class=FileResponse,
)
def validation(export_id: Id, session: ReadSession, actor: CurrentActor) -> Response:
    """Fetch the rows that were drawn for validation. 404 where none were."""
    export = _written(session, export_id, actor=actor)
    path = checks.validation_path(export)
    if path is None or not path.is_file():
        raise NotFound(f"No rows of export {export_id} were drawn for validation.")
    return FileResponse(path, media_type=media_type(export.format), filename=path.name)


@router.get(
    "/exports/{export_id:int}/manifest",
    name="api.exports.manifest",
    summary="Fetch the manifest",
    response_model=dict[str, Any],
)
def manifest(export_id: Id, session: ReadSession, actor: CurrentActor) -> Response:
    """Fetch what stands beside the file: where its rows come from, what was decided, its hash."""
    return AsciiJSONResponse(_written(session, export_id, actor=actor).manifest)


@router.post(
    "/exports/{export_id:int}/cancel",
    name="api.exports.cancel",
    summary="Cancel an export",
    status_code=202,
    response_model=ExportOut,
)
def cancel(
    request: Request, export_id: Id, actor: CurrentActor, session: WriteSession, settings: CurrentSettings
) -> Response:
    """Ask an export to stop. Needs the role lead; 409 once it has ended."""
    export = in_dataset(session, exports.get(session, export_id))
    runs.request_cancel(session, export, actor=actor, stale_seconds=settings.worker_stale_seconds)
    return accepted(request, ExportOut.model_validate(export), "api.exports.get", export_id=export_id)


def _written(session: Session, export_id: int, *, actor: Actor) -> Export:
    export = in_dataset(session, exports.get(session, export_id))
    if export.state is not RunState.DONE:
        raise NotFound(f"The file of export {export_id} is not written: its state is {export.state.value}.")
    blind.refuse_export(session, datasets.get(session, export.dataset_id), actor=actor)
    return export
