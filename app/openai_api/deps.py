"""What the routes ask for: that this server is open to clients at all, who acts, where in a list."""

from collections.abc import Sequence
from typing import Annotated, TypeVar

from fastapi import Depends, Query
from starlette.exceptions import HTTPException

from app.actor import Actor
from app.api.deps import actor_of_request
from app.web.deps import CurrentSettings

Item = TypeVar("Item")
NOT_FOUND = 404


def require_open(settings: CurrentSettings) -> None:
    """Answer as if there was nothing, unless SETRIGHT_OPENAI_API is on."""
    if not settings.openai_api:
        raise HTTPException(NOT_FOUND)


actor = actor_of_request
CurrentActor = Annotated[Actor, Depends(actor_of_request)]
After = Annotated[str | None, Query(max_length=200)]
Limit = Annotated[int, Query(ge=1, le=1000)]


def with_more(items: Sequence[Item], limit: int) -> tuple[Sequence[Item], bool]:
    """Split one item more than asked for into those asked for and whether there are more."""
    return items[:limit], len(items) > limit
