"""Answers made of templates: the only file that knows Jinja."""

import hashlib
import re
from collections.abc import Mapping
from functools import cache
from typing import Any
from urllib.parse import quote, unquote, urlencode, urlsplit, urlunsplit

import jinja2
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from app.actor import Actor, Role
from app.languages import LANGUAGES, catalogue, chosen, direction
from app.resources import folder
from app.web import access_words, words

FLASH = "setright_flash"
# Texts may hold what no page can: NUL and halves of surrogate pairs.
_UNSENDABLE = re.compile("[\x00\ud800-\udfff]")
_FIRST_TAG = re.compile(r"\s*<([a-z0-9]+)")
MOST_OUT_OF_BAND = 3
ERROR = 400
"""The first status that says so."""
_PLACE = 2**62
"""Numbers from here on stand for parameters in the pattern of a path; no row has one of these."""


def html(request: Request, template: str, *, status_code: int = 200, **values: Any) -> Response:
    """Answer with a page or a partial; a page also shows and forgets what the last write left to say."""
    flash = _read_flash(request)
    # The address of a page that is refused is not repeated: it may hold a secret.
    back_here = _back_here(request) if status_code < ERROR else "/"
    body = _render(request, template, flash=flash, back_here=back_here, **values)
    response = Response(body, status_code=status_code, media_type="text/html")
    if flash and not is_fragment(request):
        response.delete_cookie(FLASH, path=cookie_path(request), httponly=True, samesite="lax")
    return response


def after_write(
    request: Request, first: str, *others: str, to: str, flash: str | None = "", **values: Any
) -> Response:
    """Answer a change: htmx gets partials, a browser without scripts is sent to `to`.

    A page that asks by itself gets no `flash` (None): what it said to its reader stays.

    `others` replace the elements with their ids wherever they stand; at most three with the flash.
    """
    if not is_fragment(request):
        return _redirect(request, to, flash or "")
    parts = [_render(request, first, flash="", **values)]
    parts += [_out_of_band(_render(request, other, flash="", **values)) for other in others]
    if flash is not None:
        # A live region is announced when its content changes, not when it is replaced.
        parts.append(_out_of_band(_render(request, "_flash.html", flash=flash, **values), "innerHTML"))
    if len(parts) - 1 > MOST_OUT_OF_BAND:
        raise ValueError("More than three parts out of band: swap a larger partial instead.")
    return Response("\n".join(parts), media_type="text/html")


def go_to(request: Request, to: str, *, flash: str = "") -> Response:
    """Send the browser to another page after a change, with scripts or without."""
    if not is_fragment(request):
        return _redirect(request, to, flash)
    response = Response(status_code=204, headers={"HX-Redirect": to})
    _leave_flash(request, response, flash)
    return response


def form_again(request: Request, page: str, part: str, *, target: str, **values: Any) -> Response:
    """Show a form as it was sent, with what is wrong with it: its page, or its `part` for htmx."""
    template = part if is_fragment(request) else page
    response = html(request, template, status_code=422, **values)
    response.headers["HX-Retarget"] = target
    response.headers["HX-Reswap"] = "outerHTML"
    return response


def is_fragment(request: Request) -> bool:
    """Say whether htmx asks, so that a part of a page is the answer."""
    return request.headers.get("hx-request") == "true"


def target(request: Request) -> str:
    """Return the id of the element that htmx will replace, or nothing."""
    return request.headers.get("hx-target", "") if is_fragment(request) else ""


def came_from(request: Request) -> str:
    """Return the page that a change was made from, as a path of this site; nothing where that is not told."""
    told = request.headers.get("hx-current-url") or request.headers.get("referer") or ""
    try:
        parts = urlsplit(told)
    except ValueError:
        return ""
    # A path that begins with two slashes would be read as the name of another site.
    is_path = parts.path.startswith("/") and not parts.path.startswith("//")
    is_ours = parts.netloc == request.headers.get("host") and is_path
    return urlunsplit(("", "", parts.path, parts.query, "")) if is_ours else ""


def url(request: Request, name: str, query: Mapping[str, Any] | None = None, **parameters: Any) -> str:
    """Return the path of a route by its name, with a query."""
    path = _path(request.app, name, parameters)
    kept = {key: value for key, value in (query or {}).items() if value not in {None, ""}}
    return f"{request.scope.get('root_path', '')}{path}" + (f"?{urlencode(kept)}" if kept else "")


def cookie_path(request: Request) -> str:
    """Return the path below which cookies are ours: beside us a proxy may serve others by the same name."""
    return request.scope.get("root_path") or "/"


def _path(app: FastAPI, name: str, parameters: Mapping[str, Any]) -> str:
    """Return the path of a route; where only numbers stand in it, without looking through all routes."""
    if not all(type(value) is int and 0 < value < _PLACE for value in parameters.values()):
        return str(app.url_path_for(name, **parameters))
    patterns: dict[tuple[str, ...], str] = app.state.path_patterns
    known = (name, *parameters)
    if known not in patterns:
        patterns[known] = _pattern(app, name, parameters)
    return patterns[known].format_map(parameters)


def _pattern(app: FastAPI, name: str, parameters: Mapping[str, Any]) -> str:
    """Return the path of a route with the names of its parameters, in braces, where they stand."""
    places = {parameter: _PLACE + at for at, parameter in enumerate(parameters)}
    path = str(app.url_path_for(name, **places))
    for parameter, place in places.items():
        path = path.replace(str(place), f"{{{parameter}}}")
    return path


def _redirect(request: Request, to: str, flash: str) -> Response:
    response = RedirectResponse(to, status_code=303)
    _leave_flash(request, response, flash)
    return response


def _leave_flash(request: Request, response: Response, flash: str) -> None:
    if flash:
        response.set_cookie(
            FLASH, quote(flash[:1000], errors="replace"), max_age=60, path=cookie_path(request),
            httponly=True, samesite="lax",
        )  # fmt: skip


def _read_flash(request: Request) -> str:
    return unquote(request.cookies.get(FLASH, ""))


def _out_of_band(part: str, how: str = "true") -> str:
    found = _FIRST_TAG.match(part)
    if found is None:
        raise ValueError("A partial has one root element.")
    part = f'<{found[1]} hx-swap-oob="{how}"{part[found.end() :]}'
    return f"<template>{part}</template>" if found[1] == "tr" else part


def _render(request: Request, template: str, **values: Any) -> str:
    actor: Actor | None = getattr(request.state, "actor", None)

    def url_of(name: str, query: Mapping[str, Any] | None = None, **parameters: Any) -> str:
        return url(request, name, query, **parameters)

    def static(name: str) -> str:
        return f"{request.scope.get('root_path', '')}{_static(name)}"

    def may(role: str) -> bool:
        return actor is not None and actor.may(Role(role), _dataset_id(values))

    shared: dict[str, Any] = {
        "request": request,
        "actor": actor,
        "url": url_of,
        "static": static,
        "may": may,
        "here": request.url.path,
        "language": chosen(),
        "direction": direction(chosen()),
        "languages": LANGUAGES,
    }
    shared["may_manage"] = actor is not None and actor.may(Role.ADMIN)
    return _UNSENDABLE.sub("\ufffd", _environment().get_template(template).render(**shared, **values))


def _back_here(request: Request) -> str:
    """Return the address of a page that can be asked for again."""
    if request.method != "GET":
        return "/"
    query = f"?{request.url.query}" if request.url.query else ""
    return f"{request.url.path}{query}"


def _dataset_id(values: Mapping[str, Any]) -> int | None:
    """Return of which dataset a template speaks: of its own, or of the one whose job it shows."""
    if values.get("dataset") is not None:
        return int(values["dataset"].id)
    return getattr(values.get("run"), "dataset_id", None)


@cache
def _environment() -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder("templates")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        # A line's end stays a space between words, also after a tag; trim_blocks would glue them together.
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    made.policies["ext.i18n.trimmed"] = True
    # The extension adds the method.
    made.install_gettext_callables(  # type: ignore[attr-defined]
        lambda sentence: catalogue(chosen()).gettext(sentence),
        lambda one, many, n: catalogue(chosen()).ngettext(one, many, n),
        newstyle=True,
        pgettext=lambda context, sentence: catalogue(chosen()).pgettext(context, sentence),
        npgettext=lambda context, one, many, n: catalogue(chosen()).npgettext(context, one, many, n),
    )
    made.filters.update({**words.FILTERS, **access_words.FILTERS})
    return made


@cache
def _static(name: str) -> str:
    """Return the address of a static file, with a mark that changes when the file does."""
    digest = hashlib.sha256((folder("static") / name).read_bytes()).hexdigest()[:12]
    return f"/static/{name}?v={digest}"
