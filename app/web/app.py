"""The web process: pages, static files, and what wraps them."""

from fastapi import Depends, FastAPI
from fastapi.staticfiles import StaticFiles
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Scope

from app import __version__, api
from app.config import Settings
from app.db import Database
from app.resources import folder
from app.services import people as people_service
from app.web import (
    autofix,
    batches,
    datasets,
    errors,
    experiments,
    exports,
    fine_tunes,
    history,
    imports,
    keys,
    labels,
    overview,
    people,
    review,
    runs,
    scoring,
    versions,
    views,
)
from app.web.deps import current_actor
from app.web.middleware import BodyLimit, Guard

MAX_FORM_BYTES = 4 * 1024**2
PAGES = (
    datasets,
    imports,
    overview,
    review,
    autofix,
    batches,
    exports,
    fine_tunes,
    experiments,
    history,
    versions,
    labels,
    scoring,
    runs,
    keys,
    views,
)


def create_app(settings: Settings, database: Database) -> FastAPI:
    """Build the web app on a database that was migrated."""
    app = FastAPI(
        title="Setright",
        version=__version__,
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        # The body's limit is the only one on a field; confirming an import sends two fields a column.
        form_limits={"max_part_size": MAX_FORM_BYTES, "max_fields": 2 * settings.max_columns + 100},
    )
    app.state.settings, app.state.database = settings, database
    for noun in PAGES:
        # Nobody sees or changes anything without being someone, whatever a route asks for.
        app.include_router(noun.router, include_in_schema=False, dependencies=[Depends(current_actor)])
    app.include_router(people.router, include_in_schema=False)
    app.include_router(api.router)
    app.add_api_route("/healthz", health, include_in_schema=False)
    app.mount("/static", StaticAssets(directory=folder("static")), name="static")
    errors.add_handlers(app)
    app.add_middleware(BodyLimit, max_bytes=MAX_FORM_BYTES)
    app.add_middleware(Guard, allowed_hosts=settings.allowed_hosts)
    return app


def health(request: Request) -> Response:
    """Say that this process answers and reaches its database."""
    database: Database = request.app.state.database
    with database.read() as session:
        people_service.has_logins(session)
    return PlainTextResponse("ok")


class StaticAssets(StaticFiles):
    """Static files; an address that names its version may be kept for ever."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Add how long a browser may keep the file."""
        response = await super().get_response(path, scope)
        is_versioned = b"v=" in scope.get("query_string", b"")
        response.headers["Cache-Control"] = (
            "public, max-age=31536000, immutable" if is_versioned else "no-cache"
        )
        return response
