"""The people of one dataset: who may do what in it."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from pydantic import BaseModel
from starlette.responses import Response

from app.actor import Role
from app.services import datasets
from app.services.accounts import access, people
from app.web.deps import CurrentActor, Id, ReadSession, RowId, WriteSession
from app.web.people import change_role
from app.web.render import go_to, html, url

router = APIRouter(prefix="/datasets/{dataset_id:int}/people")


class PersonRoleForm(BaseModel):
    """What somebody may do here."""

    user: RowId
    role: str


@router.get("", name="dataset_people.index")
def index(request: Request, dataset_id: Id, session: ReadSession, actor: CurrentActor) -> Response:
    """Show what everybody may do in this dataset."""
    dataset = datasets.get(session, dataset_id)
    actor.require(Role.LEAD, dataset)
    return html(
        request,
        "people/of_dataset.html",
        dataset=dataset,
        users=[user for user in people.list_users(session) if user.is_active],
        own_roles=access.roles_in(session, dataset),
        roles=list(Role),
    )


@router.post("", name="dataset_people.set_role")
def set_role(
    request: Request,
    dataset_id: Id,
    form: Annotated[PersonRoleForm, Form()],
    session: WriteSession,
    actor: CurrentActor,
) -> Response:
    """Give somebody another role here, or the one they have elsewhere again."""
    actor.require(Role.ADMIN, datasets.get(session, dataset_id))
    user = people.get_by_id(session, form.user)
    said = change_role(session, user, dataset_id, form.role, actor=actor)
    return go_to(request, url(request, "dataset_people.index", dataset_id=dataset_id), flash=said)
