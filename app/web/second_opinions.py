"""Second opinions: one row after another, without what the first person said."""

from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from pydantic import BaseModel
from sqlalchemy.orm import Session
from starlette.responses import Response

from app.actor import Actor
from app.config import Settings
from app.db import Database
from app.languages import _
from app.models.datasets import Dataset
from app.models.review import Verdict
from app.services import datasets
from app.services.reviewing.review import Resolver
from app.services.together import second_opinions
from app.web.deps import ChosenId, CurrentActor, CurrentDatabase, CurrentSettings, Id, ReadSession
from app.web.render import after_write, html, url
from app.web.review_values import blind_page

router = APIRouter(prefix="/datasets/{dataset_id:int}/second-opinions")


class OpinionForm(BaseModel):
    """What somebody thinks of a row; pressing a label's button is an override."""

    verdict: Verdict = Verdict.OVERRIDE
    label_id: ChosenId = None
    note: str = ""


@router.get("", name="second_opinions.index")
def index(
    request: Request, dataset_id: Id, session: ReadSession, actor: CurrentActor, settings: CurrentSettings
) -> Response:
    """Show the row that is open for a second opinion, or a way to open one."""
    dataset = datasets.get(session, dataset_id)
    opened = second_opinions.own_waiting(session, dataset, actor=actor)
    values = _values(session, dataset, settings, opened, starts=opened is None, actor=actor)
    return html(request, "second_opinions/index.html", **values)


@router.post("/open", name="second_opinions.open")
def open_next(
    request: Request,
    dataset_id: Id,
    actor: CurrentActor,
    database: CurrentDatabase,
    settings: CurrentSettings,
) -> Response:
    """Take the first row of which nobody else is giving a second opinion."""
    return _next(request, database, dataset_id, settings, actor=actor)


@router.post("/{example_id:int}", name="second_opinions.give")
def give(
    request: Request,
    dataset_id: Id,
    example_id: Id,
    form: Annotated[OpinionForm, Form()],
    actor: CurrentActor,
    database: CurrentDatabase,
    settings: CurrentSettings,
) -> Response:
    """Write down a second opinion and open the next row."""
    with database.write() as session:
        second_opinions.give(
            session,
            dataset_id,
            example_id,
            form.verdict,
            label_id=form.label_id,
            note=form.note.strip(),
            actor=actor,
        )
    return _next(request, database, dataset_id, settings, flash=_("Your opinion is kept."), actor=actor)


def _next(
    request: Request,
    database: Database,
    dataset_id: int,
    settings: Settings,
    *,
    flash: str = "",
    actor: Actor,
) -> Response:
    with database.write() as session:
        dataset = datasets.get(session, dataset_id)
        opened = second_opinions.next_waiting(session, dataset, minutes=settings.lease_minutes, actor=actor)
    with database.read() as session:
        values = _values(session, dataset, settings, opened, starts=False, actor=actor)
    there = url(request, "second_opinions.index", dataset_id=dataset.id)
    return after_write(request, "second_opinions/_row.html", to=there, flash=flash, quiet=True, **values)


def _values(
    session: Session,
    dataset: Dataset,
    settings: Settings,
    opened: Resolver | None,
    *,
    starts: bool,
    actor: Actor,
) -> dict[str, Any]:
    left = second_opinions.count_waiting(session, dataset, actor=actor)
    page = blind_page(session, dataset, settings, actor=actor)
    return {**page, "resolver": opened, "left": left, "starts": starts and left.rows > 0}
