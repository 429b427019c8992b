"""Hints for the first time: each stays until it is closed in this browser, then never comes back."""

import re
from typing import Annotated

from fastapi import APIRouter, Form, Request
from pydantic import BaseModel, Field
from starlette.responses import RedirectResponse, Response

from app.web.render import cookie_path, is_fragment, url

router = APIRouter(prefix="/hints")

COOKIE = "setright_hints"
HINTS = ("overview", "auto-fix")
OURS = re.compile(r"(?:/[a-z0-9-]+)+", re.ASCII)
"""Addresses of pages with hints: nothing that leads elsewhere."""
FIVE_YEARS = 5 * 365 * 86_400


class CloseForm(BaseModel):
    """Which hint, and the page it stood on."""

    hint: Annotated[str, Field(max_length=40)]
    back: Annotated[str, Field(max_length=2000)] = ""


def open_hints(request: Request) -> set[str]:
    """Return the hints that this browser has not closed."""
    closed = request.cookies.get(COOKIE, "").split(".")
    return {hint for hint in HINTS if hint not in closed}


@router.post("/close", name="hints.close")
def close(request: Request, form: Annotated[CloseForm, Form()]) -> Response:
    """Close a hint for good; htmx takes it off the page, a browser without scripts comes back to the page."""
    left = open_hints(request) - {form.hint}
    closed = [hint for hint in HINTS if hint not in left]
    there = form.back if OURS.fullmatch(form.back) else url(request, "datasets.index")
    response = Response() if is_fragment(request) else RedirectResponse(there, status_code=303)
    response.set_cookie(
        COOKIE, ".".join(closed), max_age=FIVE_YEARS, path=cookie_path(request), httponly=True, samesite="lax"
    )
    return response
