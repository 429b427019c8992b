"""Disagreements: rows on which two people differ, for somebody to settle."""

from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from pydantic import Field
from sqlalchemy.orm import Session
from starlette.responses import Response

from app.languages import _
from app.models.datasets import Dataset
from app.services.reviewing import review
from app.services.together import second_opinions
from app.services.together.second_opinions import Disagreement
from app.web.deps import CurrentActor, CurrentDatabase, CurrentSettings, Id, ReadSession
from app.web.opened import VerdictForm, Walk

router = APIRouter(prefix="/datasets/{dataset_id:int}/disagreements")


class SettlingForm(VerdictForm):
    """The verdict that settles it, on the row as it was seen."""

    version: Annotated[int, Field(ge=1, lt=2**31)]


def _shown(session: Session, dataset: Dataset, opened: Disagreement | None) -> dict[str, Any]:
    choices = review.resolver(session, dataset, opened.row).choices if opened else []
    return {"opened": opened, "choices": choices}


WALK = Walk(
    "disagreements",
    own=second_opinions.own_disagreement,
    hand_out=second_opinions.next_disagreement,
    count=second_opinions.count_disagreed,
    shown=_shown,
)


@router.get("", name="disagreements.index")
def index(
    request: Request, dataset_id: Id, session: ReadSession, actor: CurrentActor, settings: CurrentSettings
) -> Response:
    """Show the disagreement that is open, or a way to open one."""
    return WALK.show(request, session, dataset_id, settings, actor)


@router.post("/open", name="disagreements.open")
def open_next(
    request: Request,
    dataset_id: Id,
    actor: CurrentActor,
    database: CurrentDatabase,
    settings: CurrentSettings,
) -> Response:
    """Take the first disagreement that nobody else is settling."""
    return WALK.go_on(request, database, dataset_id, settings, actor=actor)


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
    return WALK.go_on(request, database, dataset_id, settings, flash=_("Settled."), actor=actor)
