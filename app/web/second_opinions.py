"""Second opinions: one row after another, without what the first person said."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from app.languages import _
from app.services.together import second_opinions
from app.web.deps import CurrentActor, CurrentDatabase, CurrentSettings, Id, ReadSession
from app.web.opened import VerdictForm, Walk

router = APIRouter(prefix="/datasets/{dataset_id:int}/second-opinions")
WALK = Walk(
    "second_opinions",
    own=second_opinions.own_waiting,
    hand_out=second_opinions.next_waiting,
    count=second_opinions.count_waiting,
    shown=lambda _session, _dataset, opened: {"resolver": opened},
)


@router.get("", name="second_opinions.index")
def index(
    request: Request, dataset_id: Id, session: ReadSession, actor: CurrentActor, settings: CurrentSettings
) -> Response:
    """Show the row that is open for a second opinion, or a way to open one."""
    return WALK.show(request, session, dataset_id, settings, actor)


@router.post("/open", name="second_opinions.open")
def open_next(
    request: Request,
    dataset_id: Id,
    actor: CurrentActor,
    database: CurrentDatabase,
    settings: CurrentSettings,
) -> Response:
    """Take the first row of which nobody else is giving a second opinion."""
    return WALK.go_on(request, database, dataset_id, settings, actor=actor)


@router.post("/{example_id:int}", name="second_opinions.give")
def give(
    request: Request,
    dataset_id: Id,
    example_id: Id,
    form: Annotated[VerdictForm, Form()],
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
    return WALK.go_on(request, database, dataset_id, settings, flash=_("Your opinion is kept."), actor=actor)
