"""What the API's routes ask for: who acts, and the frame every noun's routes have in common."""

import logging
from typing import Annotated, Any, Protocol, TypeVar

from fastapi import APIRouter, BackgroundTasks, Depends, Request
from fastapi.routing import APIRoute
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy.orm import Session

from app.actor import Actor
from app.api.answers import AsciiJSONResponse
from app.api.once import ApiRoute
from app.api.problems import RESPONSES
from app.db import Database
from app.errors import Unauthorized
from app.services import datasets
from app.services.accounts import people
from app.web.attempts import TOKEN, attempts_of
from app.web.deps import Placed, WholeDatabase, who_asks

NAMES = "api."
"""Begins the names of the API's routes, so that none is taken for a page's."""
_scheme = HTTPBearer(auto_error=False, description="A token, made by `setright token create NAME`.")


class OfDataset(Protocol):
    """A row that belongs to a dataset."""

    @property
    def dataset_id(self) -> Any: ...


Row = TypeVar("Row", bound=OfDataset)
log = logging.getLogger(__name__)


def actor_of_request(
    request: Request,
    database: WholeDatabase,
    after_the_answer: BackgroundTasks,
    _placed: Placed,
    _documented: Annotated[HTTPAuthorizationCredentials | None, Depends(_scheme)],
) -> Actor:
    """Return for whom a token acts; without one the rule of the pages holds."""
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        return who_asks(request, after_the_answer)
    with database.read() as session:
        use = people.use_token(session, secret.strip())
    if use is None:
        # A right one works however many wrong ones came from its address: nobody can guess 256 bits.
        attempts_of(request).check(request, TOKEN)
        attempts_of(request).note_failure(request, TOKEN)
        raise Unauthorized("This token is not valid: it is wrong, expired or revoked.")
    if use.is_due:
        after_the_answer.add_task(_note_use, database, use.token_id)
    request.state.actor = use.actor
    return use.actor


def _note_use(database: Database, token_id: int) -> None:
    try:
        with database.write() as session:
            people.note_token_use(session, token_id)
    except Exception:  # the answer has left already: whatever this is, it is no failure of the request
        log.exception("the use of token %d was not noted", token_id)


CurrentActor = Annotated[Actor, Depends(actor_of_request)]


def router_of(noun: str) -> APIRouter:
    """Return the router of a noun; nobody reaches a route of it without being someone."""
    return APIRouter(
        tags=[noun],
        route_class=ApiRoute,
        dependencies=[Depends(actor_of_request)],
        default_response_class=AsciiJSONResponse,
        generate_unique_id_function=_operation_id,
        responses=RESPONSES,
    )


def _operation_id(route: APIRoute) -> str:
    return route.name.removeprefix(NAMES)


def in_dataset(session: Session, row: Row) -> Row:
    """Return the row if its dataset is there: a deleted one hides what it had at once."""
    datasets.get(session, row.dataset_id)
    return row
