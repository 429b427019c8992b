"""Providers: services that fine-tune and answer. No answer ever holds a key."""

from typing import Annotated, Literal

from fastapi import Request
from pydantic import ConfigDict, Field, SecretStr
from starlette.responses import Response

from app import helper as work
from app.actor import Role
from app.api.answers import CurrentNamePage, Exact, In, Listing, Out, answer, listing, with_more
from app.api.deps import CurrentActor, router_of
from app.services.tuning import providers
from app.services.tuning.providers import ServiceDetails
from app.web.deps import CurrentDatabase, CurrentHelper, CurrentSettings, Id, ReadSession, WriteSession

router = router_of("providers")


class ProviderIn(In):
    """A service and how to reach it."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "nebius", "base_url": "https://api.example.com/v1"}]}
    )

    name: Annotated[str, Field(min_length=1, max_length=40)]
    """Small letters, digits, dots, dashes and underscores."""
    base_url: Annotated[str, Field(min_length=1, max_length=providers.MAX_URL_CHARS)]
    """Where its API begins."""
    key: SecretStr | None = None
    """Kept encrypted, never shown; without one the key kept or that of the environment counts."""
    concurrency: Annotated[int, Field(ge=1, le=providers.MAX_CONCURRENCY)] = 4
    """Requests for answers under way at once."""
    requests_per_minute: Annotated[int, Field(ge=0)] = 0
    """Most requests for answers a minute; 0 means no limit but the service's own."""
    input_price: Annotated[float | None, Field(ge=0, allow_inf_nan=False)] = None
    """Price of a million tokens of questions."""
    output_price: Annotated[float | None, Field(ge=0, allow_inf_nan=False)] = None
    """Price of a million tokens of answers."""

    def details(self) -> ServiceDetails:
        """Return what the service takes."""
        return ServiceDetails(**{name: getattr(self, name) for name in ProviderIn.model_fields})


class ProviderOut(Out):
    """A service, without its key."""

    id: int | None
    """Its number; null for `openai`, which is the one of the server's settings."""
    name: str
    """What fine-tunes and tests call it."""
    base_url: Exact
    """Where its API begins."""
    key_from: Literal["settings", "here", ""]
    """Where its key is: in the environment, kept here, or nowhere yet."""
    concurrency: int
    """Requests for answers under way at once."""
    requests_per_minute: int
    """Most requests for answers a minute; 0 means no limit but the service's own."""
    input_price: float | None
    """Price of a million tokens of questions."""
    output_price: float | None
    """Price of a million tokens of answers."""


@router.get(
    "/providers", name="api.providers.list", summary="List providers", response_model=Listing[ProviderOut]
)
def list_providers(
    request: Request, session: ReadSession, settings: CurrentSettings, page: CurrentNamePage
) -> Response:
    """List the services that fine-tunes can go to, by name."""
    known = sorted(providers.list_services(session, settings), key=lambda one: one.name)
    found, more = with_more([one for one in known if one.name > (page.cursor or "")], page.limit)
    items = [ProviderOut.model_validate(one) for one in found]
    return listing(request, items, cursor=found[-1].name if more else None)


@router.post(
    "/providers",
    name="api.providers.create",
    summary="Add a provider",
    status_code=201,
    response_model=ProviderOut,
)
def create(
    body: ProviderIn, actor: CurrentActor, session: WriteSession, settings: CurrentSettings
) -> Response:
    """Add a service. Needs the role admin."""
    added = providers.add(session, settings, body.details(), actor=actor)
    return answer(ProviderOut.model_validate(added), status_code=201)


class ModelOut(Out):
    """A model that a service has now."""

    id: Exact
    """What the service calls it."""
    owned_by: Exact
    """Whose it is, as the service says."""
    shutdown_date: Exact | None
    """The day on which the service shuts it down, where it says one."""


@router.get(
    "/providers/{name}/models",
    name="api.providers.models",
    summary="List a provider's models",
    response_model=Listing[ModelOut],
)
def models(
    request: Request,
    name: str,
    actor: CurrentActor,
    database: CurrentDatabase,
    settings: CurrentSettings,
    helper: CurrentHelper,
    page: CurrentNamePage,
) -> Response:
    """Ask a service, by its name, which models it has now. Needs the role lead; 502 where it refuses."""
    actor.require_somewhere(Role.LEAD)
    with database.read() as session:  # closed before the service is asked, which may take a while
        service = providers.get(session, settings, name)
        key = providers.key_of(session, settings, name, base_url=service.base_url)
    known = sorted(
        helper.ask(work.list_models, settings, key, service.base_url), key=lambda one: str(one["id"])
    )
    found, more = with_more([one for one in known if str(one["id"]) > (page.cursor or "")], page.limit)
    items = [ModelOut.model_validate(one) for one in found]
    return listing(request, items, cursor=found[-1]["id"] if more else None)


@router.patch(
    "/providers/{provider_id:int}",
    name="api.providers.change",
    summary="Change a provider",
    response_model=ProviderOut,
)
def change(
    provider_id: Id,
    body: ProviderIn,
    actor: CurrentActor,
    session: WriteSession,
    settings: CurrentSettings,
) -> Response:
    """Change a service; another address needs the key again. Needs the role admin."""
    changed = providers.change(session, settings, provider_id, body.details(), actor=actor)
    return answer(ProviderOut.model_validate(changed))


@router.delete(
    "/providers/{provider_id:int}",
    name="api.providers.delete",
    summary="Remove a provider",
    status_code=204,
)
def delete(provider_id: Id, actor: CurrentActor, session: WriteSession) -> Response:
    """Forget a service and its key. Needs the role admin."""
    providers.remove(session, provider_id, actor=actor)
    return Response(status_code=204)
