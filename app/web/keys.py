"""Keys: which key does what, for whoever asks."""

import re
from typing import Annotated, Any

from fastapi import APIRouter, Form, Query, Request
from pydantic import BaseModel
from starlette.responses import Response

from app.errors import InvalidInput
from app.languages import N_, _
from app.services.accounts import keys
from app.services.accounts.keys import Keys
from app.web.deps import CurrentActor, CurrentDatabase, ReadSession, WriteSession
from app.web.render import came_from, form_again, go_to, html, url
from app.web.signing_in import own_path

router = APIRouter(prefix="/keys")

KEYMAP_TITLES = {
    "qwerty": N_("QWERTY: Q keeps, W accepts, Z undoes"),
    "azerty": N_("AZERTY: the same places, A keeps, Z accepts, W undoes"),
    "qwertz": N_("QWERTZ: the same places, Y undoes"),
    "prodigy": N_("Prodigy: A accepts, X keeps, Space sets aside, Backspace undoes"),
}


class KeymapForm(BaseModel):
    """One of the keymaps."""

    keymap: str = ""
    back: str = ""


class KeysForm(BaseModel):
    """A key for each action, in the same order."""

    action: list[str] = []
    key: list[str] = []
    back: str = ""


@router.get("", name="keys.show")
def show(
    request: Request, session: ReadSession, actor: CurrentActor, back: Annotated[str, Query()] = ""
) -> Response:
    """Show one's keys, to be changed, and the way back to the review one came from."""
    # Scripts change the address of the review with each row: where the browser tells it, it is the newer one.
    back = _of_review(came_from(request)) or back
    return html(request, "keys/page.html", **_values(keys.get(session, actor=actor), back))


def _of_review(address: str) -> str:
    return address if own_path(address) == address and re.search(r"/datasets/\d+/review", address) else ""


def _values(
    chosen: Keys, back: str, written: dict[str, str] | None = None, error: str = ""
) -> dict[str, Any]:
    shown = {action: chosen.shown(action) for action in keys.ACTIONS}
    return {
        "chosen": chosen,
        "actions": keys.titles(),
        "written": shown | (written or {}),
        "keymaps": {name: _(title) for name, title in KEYMAP_TITLES.items()},
        "error": error,
        "back": _of_review(back),
    }


@router.post("/keymap", name="keys.choose")
def choose(
    request: Request, form: Annotated[KeymapForm, Form()], actor: CurrentActor, session: WriteSession
) -> Response:
    """Take one of the keymaps."""
    keys.choose(session, form.keymap, actor=actor)
    there = url(request, "keys.show", {"back": _of_review(form.back)})
    return go_to(request, there, flash=_("These are your keys now."))


@router.post("", name="keys.change")
def change(
    request: Request, form: Annotated[KeysForm, Form()], actor: CurrentActor, database: CurrentDatabase
) -> Response:
    """Give actions other keys, or show what was written again with what is wrong with it."""
    written = dict(zip(form.action, form.key, strict=False))
    try:
        with database.write() as session:
            keys.change(session, written, actor=actor)
    except InvalidInput as error:
        with database.read() as session:
            values = _values(keys.get(session, actor=actor), form.back, written, str(error))
        return form_again(request, "keys/page.html", "keys/_form.html", target="#keys-form", **values)
    there = url(request, "keys.show", {"back": _of_review(form.back)})
    return go_to(request, there, flash=_("These are your keys now."))
