"""Disagreements: rows on which two people differ, for somebody to settle."""

from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from pydantic import BaseModel, Field
from sqlalchemy.orm import Session
from starlette.responses import Response

from app.actor import Actor
from app.config import Settings
from app.db import Database
from app.languages import _
from app.models.datasets import Dataset
from app.models.review import Verdict
from app.services import datasets
from app.services.reviewing import review
from app.services.together import second_opinions
from app.services.together.second_opinions import Disagreement
from app.web.deps import ChosenId, CurrentActor, CurrentDatabase, CurrentSettings, Id, ReadSession
from app.web.render import after_write, html, url
from app.web.review_values import blind_page

router = APIRouter(prefix="/datasets/{dataset_id:int}/disagreements")


class SettlingForm(BaseModel):
    """The verdict that settles it; pressing a label's button is an override."""

    version: Annotated[int, Field(ge=1, lt=2**31)]
    verdict: Verdict = Verdict.OVERRIDE
    label_id: ChosenId = None
    note: str = ""


@router.get("", name="disagreements.index")
def index(
    request: Request, dataset_id: Id, session: ReadSession, actor: CurrentActor, settings: CurrentSettings
) -> Response:
    """Show the disagreement that is open, or a way to open one."""
    dataset = datasets.get(session, dataset_id)
    opened = second_opinions.own_disagreement(session, dataset, actor=actor)
    values = _values(session, dataset, settings, opened, starts=opened is None, actor=actor)
    return html(request, "disagreements/index.html", **values)


@router.post("/open", name="disagreements.open")
def open_next(
    request: Request,
    dataset_id: Id,
    actor: CurrentActor,
    database: CurrentDatabase,
    settings: CurrentSettings,
) -> Response:
    """Take the first disagreement that nobody else is settling."""
    return _next(request, database, dataset_id, settings, actor=actor)


@router.post("/{example_id:int}", name="disagreements.settle")
def settle(
    request: Request,
    dataset_id: Id,
    example_id: Id,
    form: Annotated[SettlingForm, Form()],
    actor: CurrentActor,
    database: CurrentDatabase,
    settings: CurrentSettings,
) -> Response:
    """Settle a disagreement and open the next one."""
    with database.write() as session:
        second_opinions.settle(
            session,
            dataset_id,
            example_id,
            form.verdict,
            version=form.version,
            label_id=form.label_id,
            note=form.note.strip(),
            actor=actor,
        )
    return _next(request, database, dataset_id, settings, flash=_("Settled."), actor=actor)


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
        opened = second_opinions.next_disagreement(
            session, dataset, minutes=settings.lease_minutes, actor=actor
        )
    with database.read() as session:
        values = _values(session, dataset, settings, opened, starts=False, actor=actor)
    there = url(request, "disagreements.index", dataset_id=dataset.id)
    return after_write(request, "disagreements/_row.html", to=there, flash=flash, quiet=True, **values)


def _values(
    session: Session,
    dataset: Dataset,
    settings: Settings,
    opened: Disagreement | None,
    *,
    starts: bool,
    actor: Actor,
) -> dict[str, Any]:
    left = second_opinions.count_disagreed(session, dataset, actor=actor)
    page = blind_page(session, dataset, settings, actor=actor)
    return {
        **page,
        "choices": review.resolver(session, dataset, opened.row).choices if opened else [],
        "opened": opened,
        "left": left,
        "starts": starts and left.rows > 0,
    }
