"""Exports: choosing a format, seeing the first lines, getting the file."""

import json
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Form, Query, Request
from pydantic import BaseModel
from sqlalchemy.orm import Session
from starlette.responses import FileResponse, Response

from app.errors import NotFound
from app.files.writing import EXPORT_FORMATS, extension, media_type
from app.models.columns import RunState
from app.models.datasets import Dataset
from app.models.exports import Variant
from app.services import datasets, exports, fine_tunes, providers, runs, versions
from app.services.exports import SPLITS, ExportChoices
from app.web.deps import ChosenId, CurrentActor, CurrentSettings, Id, ReadSession, WriteSession
from app.web.render import go_to, html, target, url

router = APIRouter()


class ExportForm(BaseModel):
    """What to write and how."""

    format: str = "chat-jsonl"
    variant: Variant = Variant.CORRECTED
    split: str = "train"
    version_id: ChosenId = None
    system_prompt: str = ""
    guard_formulas: bool = False

    def choices(self) -> ExportChoices:
        """Return the choices as the service takes them; no version means the present state."""
        return ExportChoices(
            format=self.format,
            variant=self.variant,
            split=self.split,
            version_id=self.version_id,
            system_prompt=self.system_prompt.strip() or None,
            guard_formulas=self.guard_formulas,
        )


@router.get("/datasets/{dataset_id:int}/export", name="exports.index")
def index(
    request: Request,
    dataset_id: Id,
    session: ReadSession,
    form: Annotated[ExportForm, Query()],
) -> Response:
    """Show the form, the first lines it would give, and earlier files."""
    dataset = datasets.get(session, dataset_id)
    if target(request) == "sample":
        return html(request, "exports/_sample.html", **_sample(session, dataset, form))
    return html(
        request,
        "exports/index.html",
        dataset=dataset,
        form=form,
        formats=EXPORT_FORMATS,
        variants=list(Variant),
        splits=SPLITS,
        counts=datasets.counts(session, dataset_id),
        versions=versions.list_versions(session, dataset_id)[:50],
        exports=exports.list_exports(session, dataset_id)[:50],
        fine_tunes=fine_tunes.list_fine_tunes(session, dataset_id)[:20],
        **_sample(session, dataset, form),
    )


def _sample(session: Session, dataset: Dataset, form: ExportForm) -> dict[str, Any]:
    choices = form.choices()
    sample = exports.sample_lines(session, dataset, choices)
    return {"sample": sample, "counted": exports.count_rows(session, dataset, choices)}


@router.post("/datasets/{dataset_id:int}/export", name="exports.request")
def request_export(
    request: Request,
    dataset_id: Id,
    form: Annotated[ExportForm, Form()],
    actor: CurrentActor,
    session: WriteSession,
) -> Response:
    """Ask for a file."""
    export = exports.request(session, dataset_id, form.choices(), actor=actor)
    return go_to(request, url(request, "exports.show", export_id=export.id))


@router.get("/exports/{export_id:int}", name="exports.show")
def show(request: Request, export_id: Id, session: ReadSession, settings: CurrentSettings) -> Response:
    """Show a file's progress, or the file."""
    export = exports.get(session, export_id)
    return html(
        request,
        "exports/show.html",
        export=export,
        dataset=datasets.get(session, export.dataset_id),
        version=versions.get(session, export.version_id),
        can_fine_tune=export.format in fine_tunes.FORMATS and export.split == "train",
        services=providers.list_services(session, settings),
        worker_alive=runs.is_worker_alive(session, stale_seconds=settings.worker_stale_seconds),
    )


@router.get("/exports/{export_id:int}/file", name="exports.file")
def file(export_id: Id, session: ReadSession) -> Response:
    """Give the file."""
    export = exports.get(session, export_id)
    path = Path(export.path) if export.path else None
    if export.state is not RunState.DONE or path is None or not path.is_file():
        raise NotFound(f"The file of export {export_id} is not there.")
    dataset = datasets.get(session, export.dataset_id)
    name = f"{_plain(dataset.name)}-{export.variant}-{export.split}{extension(export.format)}"
    return FileResponse(path, media_type=media_type(export.format), filename=name)


@router.get("/exports/{export_id:int}/manifest.json", name="exports.manifest")
def manifest(export_id: Id, session: ReadSession) -> Response:
    """Give the manifest that says where the file's rows come from."""
    export = exports.get(session, export_id)
    if export.state is not RunState.DONE:
        raise NotFound(f"Export {export_id} is not written yet.")
    return Response(
        json.dumps(export.manifest, indent=2),
        media_type="application/json",
        headers={"Content-Disposition": f'attachment; filename="export-{export_id}-manifest.json"'},
    )


def _plain(name: str) -> str:
    """Return a name that every file system takes."""
    return "".join(char if char.isalnum() or char in "-_" else "_" for char in name)[:80] or "dataset"
