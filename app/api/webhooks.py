"""Webhooks: addresses that are told of events as they happen."""

import datetime as dt
from typing import Annotated

from fastapi import Request
from pydantic import ConfigDict, Field
from sqlalchemy.orm import Session
from starlette.responses import Response

from app.actor import Actor
from app.api.answers import CurrentPage, Exact, In, Listing, Out, PageQuery, answer, listing, with_more
from app.api.deps import CurrentActor, router_of
from app.api.locks import IfMatch, check, lock, with_tag
from app.config import Settings
from app.models.webhooks import DeliveryState, Webhook
from app.services.operation import webhooks
from app.services.operation.webhooks import MAX_URL_CHARS
from app.web.deps import CurrentSettings, Id, ReadSession, WriteSession
from app.web.render import url

router = router_of("webhooks")
Url = Annotated[str, Field(min_length=1, max_length=MAX_URL_CHARS)]


class WebhookIn(In):
    """Who is told of what."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"url": "https://example.com/setright", "events": ["scoring.finished"]}]
        }
    )

    url: Url
    """Where messages are posted."""
    events: Annotated[list[str], Field(max_length=200)] = []  # noqa: RUF012 — pydantic copies it
    """Names of the events to be told of; of every event if none is named."""


class WebhookChangeIn(In):
    """What can be changed; what is not said stays."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"is_active": False}]})

    url: Url | None = None
    """Where messages are posted; another address gets another secret."""
    events: Annotated[list[str], Field(max_length=200)] | None = None
    """Names of the events to be told of."""
    is_active: bool | None = None
    """Whether anything is told; what happens meanwhile is not told later."""
    renew_secret: bool = False
    """Make another secret; the old one signs nothing from then on."""


class WebhookOut(Out):
    """An address, and what it is told of."""

    id: int
    """Number of the webhook."""
    dataset_id: int | None
    """The dataset whose events it is told of; null for those of all datasets, people and services."""
    url: Exact
    """Where messages are posted."""
    events: list[str]
    """Names of the events; none means every event."""
    is_active: bool
    """Whether anything is told."""
    created_by_id: int
    """Who made it."""
    created_at: dt.datetime
    """When, in UTC."""


class SecretOut(Out):
    """What signs messages."""

    secret: str
    """For `webhook-signature`, as Standard Webhooks define it."""


class DeliveryOut(Out):
    """One event told to one address."""

    id: int
    """Number of the delivery; `msg_` and this number is the header `webhook-id` at every attempt."""
    event_id: int
    """The event."""
    event_name: str
    """The event's name."""
    state: DeliveryState
    """`queued`, `waiting` for the next attempt, `delivered` or `failed`."""
    attempts: int
    """How often it was tried."""
    next_at: dt.datetime | None
    """When it is tried again."""
    status: int | None
    """The last answer's status."""
    error: Exact | None
    """What went wrong at the last attempt."""
    created_at: dt.datetime
    """When it was made, in UTC."""
    ended_at: dt.datetime | None
    """When it was taken, or given up."""


@router.get(
    "/webhooks", name="api.webhooks.list", summary="List webhooks", response_model=Listing[WebhookOut]
)
def list_webhooks(request: Request, session: ReadSession, actor: CurrentActor, page: CurrentPage) -> Response:
    """List the webhooks that are told of everything, newest first. Needs the role admin."""
    return _list(request, session, None, page, actor)


@router.get(
    "/datasets/{dataset_id:int}/webhooks",
    name="api.webhooks.list_of_dataset",
    summary="List a dataset's webhooks",
    response_model=Listing[WebhookOut],
)
def list_of_dataset(
    request: Request, dataset_id: Id, session: ReadSession, actor: CurrentActor, page: CurrentPage
) -> Response:
    """List the webhooks that are told of one dataset's events, newest first. Needs the role lead."""
    return _list(request, session, dataset_id, page, actor)


def _list(
    request: Request, session: Session, dataset_id: int | None, page: PageQuery, actor: Actor
) -> Response:
    found = webhooks.list_webhooks(session, dataset_id, actor=actor)
    rest = [one for one in found if page.cursor is None or one.id < page.cursor]
    part, more = with_more(rest, page.limit)
    items = [WebhookOut.model_validate(one) for one in part]
    return listing(request, items, cursor=part[-1].id if more else None)


@router.post(
    "/webhooks",
    name="api.webhooks.create",
    summary="Add a webhook",
    status_code=201,
    response_model=WebhookOut,
)
def create(
    request: Request, body: WebhookIn, actor: CurrentActor, session: WriteSession, settings: CurrentSettings
) -> Response:
    """Tell an address of whatever happens from now on. Needs the role admin."""
    return _create(request, session, settings, None, body, actor)


@router.post(
    "/datasets/{dataset_id:int}/webhooks",
    name="api.webhooks.create_of_dataset",
    summary="Add a webhook to a dataset",
    status_code=201,
    response_model=WebhookOut,
)
def create_of_dataset(
    request: Request,
    dataset_id: Id,
    body: WebhookIn,
    actor: CurrentActor,
    session: WriteSession,
    settings: CurrentSettings,
) -> Response:
    """Tell an address of whatever happens in a dataset from now on. Needs the role lead.

    Messages are signed as Standard Webhooks define it; one that is not answered with a status of 200 to 299
    is sent up to eight times within a day. The secret has an address of its own.
    """
    return _create(request, session, settings, dataset_id, body, actor)


def _create(
    request: Request,
    session: Session,
    settings: Settings,
    dataset_id: int | None,
    body: WebhookIn,
    actor: Actor,
) -> Response:
    made = webhooks.add(session, settings, dataset_id, url=body.url, names=body.events, actor=actor)
    headers = {"Location": url(request, "api.webhooks.get", webhook_id=made.id)}
    return answer(WebhookOut.model_validate(made), status_code=201, headers=headers)


@router.get(
    "/webhooks/{webhook_id:int}",
    name="api.webhooks.get",
    summary="Show a webhook",
    response_model=WebhookOut,
)
def get(webhook_id: Id, session: ReadSession, actor: CurrentActor) -> Response:
    """Show one webhook. Needs the role lead in its dataset, or admin."""
    return _shown(webhooks.get(session, webhook_id, actor=actor))


def _shown(webhook: Webhook) -> Response:
    return with_tag(answer(WebhookOut.model_validate(webhook)), _lock(webhook))


def _lock(webhook: Webhook) -> str:
    return lock(webhook.url, webhook.events, webhook.is_active)


@router.patch(
    "/webhooks/{webhook_id:int}",
    name="api.webhooks.change",
    summary="Change a webhook",
    response_model=WebhookOut,
)
def change(
    webhook_id: Id,
    body: WebhookChangeIn,
    actor: CurrentActor,
    session: WriteSession,
    settings: CurrentSettings,
    if_match: IfMatch = None,
) -> Response:
    """Change its address or events, pause it, or renew its secret. Needs the role lead, or admin."""
    check(if_match, _lock(webhooks.get(session, webhook_id, actor=actor)))
    changed = webhooks.change(
        session,
        settings,
        webhook_id,
        url=body.url,
        names=body.events,
        is_active=body.is_active,
        renew_secret=body.renew_secret,
        actor=actor,
    )
    return _shown(changed)


@router.delete(
    "/webhooks/{webhook_id:int}",
    name="api.webhooks.delete",
    summary="Remove a webhook",
    status_code=204,
)
def delete(webhook_id: Id, actor: CurrentActor, session: WriteSession, if_match: IfMatch = None) -> Response:
    """Forget a webhook with its deliveries. Needs the role lead in its dataset, or admin."""
    check(if_match, _lock(webhooks.get(session, webhook_id, actor=actor)))
    webhooks.remove(session, webhook_id, actor=actor)
    return Response(status_code=204)


@router.get(
    "/webhooks/{webhook_id:int}/secret",
    name="api.webhooks.secret",
    summary="Show a webhook's secret",
    response_model=SecretOut,
)
def secret(webhook_id: Id, session: ReadSession, actor: CurrentActor, settings: CurrentSettings) -> Response:
    """Show what messages are signed with. Needs the role lead in its dataset, or admin."""
    return answer(SecretOut(secret=webhooks.secret_of(session, settings, webhook_id, actor=actor)))


@router.get(
    "/webhooks/{webhook_id:int}/deliveries",
    name="api.webhooks.deliveries",
    summary="List deliveries",
    response_model=Listing[DeliveryOut],
)
def deliveries(
    request: Request, webhook_id: Id, session: ReadSession, actor: CurrentActor, page: CurrentPage
) -> Response:
    """List what a webhook was told, newest first; what has ended is kept for 30 days."""
    webhook = webhooks.get(session, webhook_id, actor=actor)
    rows = webhooks.list_deliveries(session, webhook, before_id=page.cursor, limit=page.limit + 1)
    found, more = with_more(rows, page.limit)
    items = [DeliveryOut.model_validate(one) for one in found]
    return listing(request, items, cursor=found[-1].id if more else None)


@router.post(
    "/webhook-deliveries/{delivery_id:int}/redeliver",
    name="api.webhooks.redeliver",
    summary="Deliver once more",
    status_code=202,
    response_model=DeliveryOut,
)
def redeliver(delivery_id: Id, actor: CurrentActor, session: WriteSession) -> Response:
    """Tell an event once more, under the same `webhook-id`. 409 while it is on its way."""
    again = webhooks.redeliver(session, delivery_id, actor=actor)
    return answer(DeliveryOut.model_validate(again), status_code=202)
