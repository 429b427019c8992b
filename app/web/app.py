"""The web process: pages, static files, and what wraps them."""

from fastapi import Depends, FastAPI
from fastapi.staticfiles import StaticFiles
from starlette.responses import Response
from starlette.types import Scope

from app import __version__, api, openai_api
from app.config import Settings
from app.db import Database
from app.helper import Helper
from app.resources import folder
from app.streaming import Writers
from app.web import (
    account,
    annotators,
    autofix,
    batches,
    dataset_people,
    datasets,
    disagreements,
    errors,
    experiments,
    exports,
    filter_columns,
    fine_tunes,
    handing_out,
    help_page,
    hints,
    history,
    imports,
    keys,
    labels,
    languages,
    live,
    model_tests,
    monitoring,
    overview,
    people,
    providers,
    review,
    runs,
    scoring,
    second_opinions,
    signing_in,
    single_sign_on,
    together,
    versions,
    views,
    webhooks,
)
from app.web.attempts import make_attempts
from app.web.deps import current_actor
from app.web.middleware import BodyLimit, Guard, Published
from app.web.places import Places

MAX_FORM_BYTES = 4 * 1024**2
PAGES = (
    datasets,
    imports,
    overview,
    annotators,
    review,
    handing_out,
    second_opinions,
    disagreements,
    together,
    live,
    autofix,
    batches,
    exports,
    fine_tunes,
    model_tests,
    providers,
    experiments,
    history,
    versions,
    labels,
    filter_columns,
    scoring,
    runs,
    account,
    people,
    dataset_people,
    hints,
    help_page,
    keys,
    views,
    webhooks,
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
    app.state.settings, app.state.database, app.state.helper = settings, database, Helper()
    app.state.writers = Writers(settings)
    app.state.places = Places(settings.requests_at_once)
    app.state.path_patterns = {}
    app.state.live = live.Live(app.state, most=settings.live_connections)
    app.state.attempts = make_attempts(settings.sign_in_attempts)
    for noun in PAGES:
        # Nobody sees or changes anything without being someone, whatever a route asks for.
        app.include_router(noun.router, include_in_schema=False, dependencies=[Depends(current_actor)])
    app.include_router(signing_in.router, include_in_schema=False)
    app.include_router(languages.router, include_in_schema=False)
    app.include_router(single_sign_on.router, include_in_schema=False)
    app.include_router(api.router)
    app.include_router(monitoring.router, include_in_schema=False)
    app.mount(openai_api.PREFIX, openai_api.create(app.state))
    app.mount("/static", StaticAssets(directory=folder("static")), name="static")
    errors.add_handlers(app)
    app.add_middleware(BodyLimit, max_bytes=MAX_FORM_BYTES)
    app.add_middleware(Guard, allowed_hosts=settings.hosts)
    app.add_middleware(languages.Spoken)
    app.state.requests = monitoring.Requests()
    app.add_middleware(monitoring.Measured, requests=app.state.requests)
    app.add_middleware(monitoring.Traced)
    if settings.base_url:
        app.add_middleware(Published, base_url=settings.base_url)
    return app


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
