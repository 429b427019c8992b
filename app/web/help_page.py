"""Help: what each page is for, the keys, and the words that pages use."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.models.evidence import IssueKind
from app.services.accounts import keys
from app.web.deps import CurrentActor, ReadSession
from app.web.render import came_from, html, url

router = APIRouter(prefix="/help")


@router.get("", name="help.show")
def show(request: Request, session: ReadSession, actor: CurrentActor) -> Response:
    """Explain the pages and their words, and lead back to where somebody came from."""
    came = came_from(request)
    is_help = came.partition("?")[0] == url(request, "help.show")
    return html(
        request,
        "help/page.html",
        keys=keys.get(session, actor=actor),
        actions=keys.titles(),
        kinds=list(IssueKind),
        back="" if is_help else came,
    )
