"""Providers: which services there are, their keys, the models they list now."""

from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from pydantic import BaseModel, BeforeValidator, SecretStr
from starlette.responses import Response

from app import helper as work
from app.actor import Role
from app.db import now
from app.errors import AppError
from app.languages import _
from app.services.tuning import providers
from app.services.tuning.providers import ServiceDetails
from app.web.deps import (
    CurrentActor,
    CurrentDatabase,
    CurrentHelper,
    CurrentSettings,
    Id,
    ReadSession,
    WriteSession,
)
from app.web.render import go_to, html, url

router = APIRouter()
Price = Annotated[float | None, BeforeValidator(lambda value: None if value == "" else value)]


class ProviderForm(BaseModel):
    """What a person says of a service; an empty key means the one kept, or the environment's."""

    name: str
    base_url: str
    key: SecretStr = SecretStr("")
    concurrency: int = 4
    requests_per_minute: int = 0
    input_price: Price = None
    output_price: Price = None

    def details(self) -> ServiceDetails:
        """Return what the service takes."""
        return ServiceDetails(
            name=self.name,
            base_url=self.base_url,
            key=self.key if self.key.get_secret_value().strip() else None,
            concurrency=self.concurrency,
            requests_per_minute=self.requests_per_minute,
            input_price=self.input_price,
            output_price=self.output_price,
        )


@router.get("/providers", name="providers.index")
def index(request: Request, session: ReadSession, settings: CurrentSettings) -> Response:
    """Show all services."""
    services = providers.list_services(session, settings)
    return html(request, "providers/index.html", services=services, own=settings.openai_api)


@router.post("/providers", name="providers.add")
def add(
    request: Request,
    form: Annotated[ProviderForm, Form()],
    actor: CurrentActor,
    session: WriteSession,
    settings: CurrentSettings,
) -> Response:
    """Keep a service."""
    added = providers.add(session, settings, form.details(), actor=actor)
    return go_to(request, url(request, "providers.index"), flash=_("%(added)s was added.", added=added.name))


@router.get("/providers/{provider_id:int}", name="providers.edit")
def edit(request: Request, provider_id: Id, session: ReadSession, settings: CurrentSettings) -> Response:
    """Show the form that changes a service."""
    service = providers.get_kept(session, settings, provider_id)
    return html(request, "providers/edit.html", service=service)


@router.post("/providers/{provider_id:int}", name="providers.change")
def change(
    request: Request,
    provider_id: Id,
    form: Annotated[ProviderForm, Form()],
    actor: CurrentActor,
    session: WriteSession,
    settings: CurrentSettings,
) -> Response:
    """Change a service."""
    providers.change(session, settings, provider_id, form.details(), actor=actor)
    return go_to(request, url(request, "providers.index"), flash=_("Changed."))


@router.post("/providers/{provider_id:int}/remove", name="providers.remove")
def remove(request: Request, provider_id: Id, actor: CurrentActor, session: WriteSession) -> Response:
    """Forget a service and its key."""
    providers.remove(session, provider_id, actor=actor)
    return go_to(request, url(request, "providers.index"), flash=_("It was removed with its key."))


@router.get("/providers/models", name="providers.models")
def models(
    request: Request,
    provider: Annotated[str, Query(max_length=40)],
    actor: CurrentActor,
    database: CurrentDatabase,
    settings: CurrentSettings,
    helper: CurrentHelper,
) -> Response:
    """Ask a service which models it has now."""
    actor.require_somewhere(Role.LEAD)
    with database.read() as session:  # closed before the service is asked, which may take a while
        service = providers.get(session, settings, provider)
    problem, listed = "", []
    try:
        with database.read() as session:
            key = providers.key_of(session, settings, service.name, base_url=service.base_url)
        listed = helper.ask(work.list_models, settings, key, service.base_url)
    except AppError as error:
        problem = str(error)
    today = now().date().isoformat()
    usable = [one for one in listed if not one["shutdown_date"] or one["shutdown_date"] >= today]
    return html(
        request,
        "providers/_models.html",
        service=service,
        models=usable,
        gone=len(listed) - len(usable),
        problem=problem,
    )
