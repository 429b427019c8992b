"""Exports: choosing a format, seeing the first lines and what is wrong with them, getting the file."""

import json
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Form, Query, Request
from pydantic import BaseModel, Field
from sqlalchemy.orm import Session
from starlette.responses import FileResponse, Response

from app.actor import Actor
from app.config import Settings
from app.errors import Conflict, InvalidInput, NotFound
from app.files.faults import fault_titles
from app.files.writing import EXPORT_FORMATS, extension, media_type
from app.languages import _
from app.models.columns import RunState
from app.models.datasets import Dataset
from app.models.exports import Export, Variant
from app.services import datasets
from app.services.operation import runs
from app.services.together import blind
from app.services.tuning import checks, exports, fine_tunes, providers
from app.services.tuning.exports import CHAT_FORMATS, SPLITS, ExportChoices
from app.services.versioning import versions
from app.web.deps import (
    ChosenId,
    CurrentActor,
    CurrentSettings,
    Id,
    ReadSession,
    WriteSession,
)
from app.web.render import go_to, html, target, url
from app.web.streamed import streamed, warm

router = APIRouter()

SHOWN_FAULTS = 30


class ExportForm(BaseModel):
    """What to write and how."""

    format: str = "chat-jsonl"
    variant: Variant = Variant.CORRECTED
    split: str = "train"
    version_id: ChosenId = None
    system_prompt: str = ""
    template: str = "{text}"
    label_codes: str = ""
    number_labels: bool = False
    validation_percent: int = 0
    seed: int = 0
    epochs: Annotated[int, Field(ge=1, le=checks.MOST_EPOCHS)] = checks.USUAL_EPOCHS
    guard_formulas: bool = False

    def choices(self) -> ExportChoices:
        """Return the choices as the service takes them; no version means the present state."""
        return ExportChoices(
            format=self.format,
            variant=self.variant,
            split=self.split,
            version_id=self.version_id,
            system_prompt=_lines_of(self.system_prompt) or None,
            template=_lines_of(self.template) or "{text}",
            label_codes=_codes(self.label_codes),
            number_labels=self.number_labels,
            validation_percent=self.validation_percent if self.format in CHAT_FORMATS else 0,
            seed=self.seed,
            guard_formulas=self.guard_formulas,
        )


def _lines_of(typed: str) -> str:
    """Return what was typed into a field, with the line ends that browsers change put back."""
    return typed.replace("\r\n", "\n").strip()


def _codes(typed: str) -> dict[str, str]:
    """Return the codes of labels that were typed, one `label = code` a line."""
    found: dict[str, str] = {}
    for line in filter(None, map(str.strip, typed.splitlines())):
        label, sign, code = line.rpartition("=")
        if not sign or not label.strip():
            raise InvalidInput(
                _("Write a code as label = code, one a line; %(line)r is none.", line=line[:100])
            )
        found[label.strip()] = code.strip()
    return found


@router.get("/datasets/{dataset_id:int}/export", name="exports.index")
def index(
    request: Request,
    dataset_id: Id,
    session: ReadSession,
    settings: CurrentSettings,
    actor: CurrentActor,
    form: Annotated[ExportForm, Query()],
) -> Response:
    """Show the form, the first lines it would give, what is wrong with them, and earlier files."""
    dataset = datasets.get(session, dataset_id)
    there = url(
        request, "exports.stream", form.model_dump(mode="json", exclude_defaults=True), dataset_id=dataset_id
    )
    shown = _sample(session, dataset, form, settings, actor=actor) | {"streamed": there}
    if target(request) == "sample":
        return html(request, "exports/_sample.html", **shown)
    warm(request, session, dataset_id)
    return html(
        request,
        "exports/index.html",
        formats=EXPORT_FORMATS,
        variants=list(Variant),
        splits=SPLITS,
        counts=datasets.counts(session, dataset_id),
        versions=versions.list_versions(session, dataset_id)[:50],
        exports=exports.list_exports(session, dataset_id)[:50],
        fine_tunes=fine_tunes.list_fine_tunes(session, dataset_id)[:20],
        **shown,
    )


def _sample(
    session: Session, dataset: Dataset, form: ExportForm, settings: Settings, *, actor: Actor
) -> dict[str, Any]:
    shown: dict[str, Any] = {"dataset": dataset, "form": form, "sample": "", "counted": None, "error": ""}
    table = checks.price_table(settings.prices)
    shown |= {
        "check": None,
        "estimates": (),
        "prices": table,
        "fault_titles": fault_titles(),
    }
    try:
        blind.refuse_export(session, dataset, actor=actor)
        choices = form.choices()
        shown["sample"] = exports.sample_lines(session, dataset, choices)
        shown["counted"] = exports.count_rows(session, dataset, choices)
        shown["check"] = check = checks.preview(session, dataset, choices)
        if check is not None and check.is_whole:
            shown["estimates"] = checks.estimates(table, tokens=check.checked.tokens, epochs=form.epochs)
    except (InvalidInput, Conflict) as error:
        shown["error"] = str(error)
    return shown


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


@router.get("/datasets/{dataset_id:int}/export/file", name="exports.stream")
def stream(
    request: Request,
    dataset_id: Id,
    session: ReadSession,
    actor: CurrentActor,
    form: Annotated[ExportForm, Query()],
) -> Response:
    """Give a file of the present labels at once, written as it is sent; nothing of it is kept."""
    dataset = datasets.get(session, dataset_id)
    choices = form.choices()
    exports.require_streamable(session, dataset, choices, actor=actor)
    name = f"{_plain(dataset.name)}-{choices.variant}-{choices.split}{extension(choices.format)}"
    return streamed(
        request,
        session,
        dataset_id,
        choices,
        media_type=media_type(choices.format),
        headers={"Content-Disposition": f'attachment; filename="{_ascii(name)}"'},
    )


@router.get("/exports/{export_id:int}", name="exports.show")
def show(
    request: Request, export_id: Id, session: ReadSession, settings: CurrentSettings, actor: CurrentActor
) -> Response:
    """Show a file's progress, or the file."""
    export = exports.get(session, export_id)
    dataset = datasets.get(session, export.dataset_id)
    is_kept = blind.has_hidden(session, dataset, actor=actor)
    check = None if is_kept else checks.of_export(export)
    table = checks.price_table(settings.prices)
    return html(
        request,
        "exports/show.html",
        export=export,
        dataset=dataset,
        version=versions.get(session, export.version_id),
        can_fine_tune=export.format in fine_tunes.FORMATS and export.split == "train",
        services=providers.list_services(session, settings),
        check=check,
        faults=checks.list_faults(export, limit=SHOWN_FAULTS) if check else [],
        fault_titles=fault_titles(),
        prices=table,
        estimates=checks.estimates(table, tokens=check["tokens"]) if check else (),
        epochs=checks.USUAL_EPOCHS,
        worker_alive=runs.is_worker_alive(session, stale_seconds=settings.worker_stale_seconds),
    )


@router.get("/exports/{export_id:int}/file", name="exports.file")
def file(export_id: Id, session: ReadSession, actor: CurrentActor) -> Response:
    """Give the file."""
    export = _written(session, export_id, actor=actor)
    return _download(session, export, Path(export.path), extension(export.format))


@router.get("/exports/{export_id:int}/validation", name="exports.validation")
def validation(export_id: Id, session: ReadSession, actor: CurrentActor) -> Response:
    """Give the file of the rows that were drawn for validation."""
    export = _written(session, export_id, actor=actor)
    path = checks.validation_path(export)
    if path is None:
        raise NotFound(_("No rows of export %(export_id)s were drawn for validation.", export_id=export_id))
    return _download(session, export, path, ".validation.jsonl")


@router.get("/exports/{export_id:int}/faults.csv", name="exports.faults")
def faults(export_id: Id, session: ReadSession, actor: CurrentActor) -> Response:
    """Give the list of what a fine-tuning service would refuse or only charge for."""
    export = _written(session, export_id, actor=actor)
    path = checks.faults_path(export)
    if not path.is_file():
        raise NotFound(
            _(
                "The file of export %(export_id)s was not checked: it is not one for fine-tuning.",
                export_id=export_id,
            )
        )
    return FileResponse(path, media_type="text/csv; charset=utf-8", filename=f"export-{export_id}-faults.csv")


@router.get("/exports/{export_id:int}/manifest.json", name="exports.manifest")
def manifest(export_id: Id, session: ReadSession) -> Response:
    """Give the manifest that says where the file's rows come from."""
    export = exports.get(session, export_id)
    if export.state is not RunState.DONE:
        raise NotFound(_("Export %(export_id)s is not written yet.", export_id=export_id))
    return Response(
        json.dumps(export.manifest, indent=2),
        media_type="application/json",
        headers={"Content-Disposition": f'attachment; filename="export-{export_id}-manifest.json"'},
    )


def _written(session: Session, export_id: int, *, actor: Actor) -> Export:
    export = exports.get(session, export_id)
    if export.state is not RunState.DONE or not export.path:
        raise NotFound(_("The file of export %(export_id)s is not there.", export_id=export_id))
    blind.refuse_export(session, datasets.get(session, export.dataset_id), actor=actor)
    return export


def _download(session: Session, export: Export, path: Path, ending: str) -> Response:
    if not path.is_file():
        raise NotFound(_("The file of export %(export)s is not there.", export=export.id))
    dataset = datasets.get(session, export.dataset_id)
    name = f"{_plain(dataset.name)}-{export.variant}-{export.split}{ending}"
    return FileResponse(path, media_type=media_type(export.format), filename=name)


def _plain(name: str) -> str:
    """Return a name that every file system takes."""
    return "".join(char if char.isalnum() or char in "-_" else "_" for char in name)[:80] or "dataset"


def _ascii(name: str) -> str:
    """Return a name that a header can hold."""
    return name.encode("ascii", "replace").decode().replace("?", "_")
