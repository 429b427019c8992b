"""Me: for whom a token acts."""

from starlette.responses import Response

from app.actor import LOCAL, Role
from app.api.answers import Exact, Out, answer
from app.api.deps import CurrentActor, router_of

router = router_of("me")


class MeOut(Out):
    """Who asks."""

    user_id: int
    """Number of the person."""
    name: Exact
    """Name of the person."""
    role: Role
    """What the person may do; each role includes the ones before it."""
    is_local: bool
    """Whether this is the machine's own user, who needs no login while nobody has one."""


@router.get("/me", name="api.me.show", summary="Show who asks", response_model=MeOut)
def show(actor: CurrentActor) -> Response:
    """Say for whom the token acts and what that person may do: a cheap way to try a token."""
    return answer(MeOut(user_id=actor.user_id, name=actor.name, role=actor.role, is_local=actor == LOCAL))
