"""Webhooks: who is told of events, and how that went; of one dataset, or of all."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from pydantic import BaseModel
from sqlalchemy.orm import Session
from starlette.responses import Response

from app import events
from app.languages import _
from app.models.webhooks import Webhook
from app.services import datasets
from app.services.operation import webhooks
from app.web.deps import CurrentActor, CurrentSettings, Id, ReadSession, WriteSession
from app.web.render import go_to, html, url

router = APIRouter()
SHOWN = 100


class WebhookForm(BaseModel):
    """Who is told of what."""

    url: str = ""
    events: str = ""
    """Names, one a line or with spaces or commas between them; none means every event."""

    def names(self) -> list[str]:
        """Return the events' names."""
        return self.events.replace(",", " ").split()


class StateForm(BaseModel):
    """Whether anything is told."""

    active: bool


@router.get("/webhooks", name="webhooks.index")
def index(request: Request, session: ReadSession, actor: CurrentActor) -> Response:
    """Show the webhooks that are told of everything."""
    found = webhooks.list_webhooks(session, None, actor=actor)
    return html(request, "webhooks/index.html", webhooks=found, dataset=None, names=list(events.NAMES))


@router.post("/webhooks", name="webhooks.add")
def add(
    request: Request,
    form: Annotated[WebhookForm, Form()],
    session: WriteSession,
    actor: CurrentActor,
    settings: CurrentSettings,
) -> Response:
    """Tell an address of everything from now on."""
    made = webhooks.add(session, settings, None, url=form.url.strip(), names=form.names(), actor=actor)
    return _to(request, made, _("The webhook was added. Take its secret along."))


@router.get("/datasets/{dataset_id:int}/webhooks", name="webhooks.of_dataset")
def of_dataset(request: Request, dataset_id: Id, session: ReadSession, actor: CurrentActor) -> Response:
    """Show the webhooks of a dataset."""
    dataset = datasets.get(session, dataset_id)
    found = webhooks.list_webhooks(session, dataset_id, actor=actor)
    return html(request, "webhooks/index.html", webhooks=found, dataset=dataset, names=list(events.NAMES))


@router.post("/datasets/{dataset_id:int}/webhooks", name="webhooks.add_to_dataset")
def add_to_dataset(
    request: Request,
    dataset_id: Id,
    form: Annotated[WebhookForm, Form()],
    session: WriteSession,
    actor: CurrentActor,
    settings: CurrentSettings,
) -> Response:
    """Tell an address of what happens in a dataset from now on."""
    made = webhooks.add(session, settings, dataset_id, url=form.url.strip(), names=form.names(), actor=actor)
    return _to(request, made, _("The webhook was added. Take its secret along."))


@router.get("/webhooks/{webhook_id:int}", name="webhooks.show")
def show(
    request: Request, webhook_id: Id, session: ReadSession, actor: CurrentActor, settings: CurrentSettings
) -> Response:
    """Show a webhook, its secret and what it was told."""
    webhook = webhooks.get(session, webhook_id, actor=actor)
    return html(
        request,
        "webhooks/show.html",
        webhook=webhook,
        dataset=webhooks.dataset_of(session, webhook),
        secret=webhooks.secret_of(session, settings, webhook_id, actor=actor),
        deliveries=webhooks.list_deliveries(session, webhook, limit=SHOWN),
        back=_index(request, webhook.dataset_id),
    )


@router.post("/webhooks/{webhook_id:int}/state", name="webhooks.set_state")
def set_state(
    request: Request,
    webhook_id: Id,
    form: Annotated[StateForm, Form()],
    session: WriteSession,
    actor: CurrentActor,
    settings: CurrentSettings,
) -> Response:
    """Pause a webhook, or let it go on."""
    changed = webhooks.change(session, settings, webhook_id, is_active=form.active, actor=actor)
    return _to(request, changed, _("It is told of events again.") if form.active else _("It is paused."))


@router.post("/webhooks/{webhook_id:int}/secret", name="webhooks.renew_secret")
def renew_secret(
    request: Request, webhook_id: Id, session: WriteSession, actor: CurrentActor, settings: CurrentSettings
) -> Response:
    """Make another secret."""
    changed = webhooks.change(session, settings, webhook_id, renew_secret=True, actor=actor)
    return _to(request, changed, _("There is another secret; the old one signs nothing any more."))


@router.post("/webhooks/{webhook_id:int}/remove", name="webhooks.remove")
def remove(request: Request, webhook_id: Id, session: WriteSession, actor: CurrentActor) -> Response:
    """Forget a webhook."""
    gone = webhooks.remove(session, webhook_id, actor=actor)
    return go_to(request, _index(request, gone.dataset_id), flash=_("The webhook was removed."))


@router.post("/webhook-deliveries/{delivery_id:int}/redeliver", name="webhooks.redeliver")
def redeliver(request: Request, delivery_id: Id, session: WriteSession, actor: CurrentActor) -> Response:
    """Tell an event once more."""
    again = webhooks.redeliver(session, delivery_id, actor=actor)
    return _to(request, _webhook(session, again.webhook_id), _("It is on its way once more."))


def _webhook(session: Session, webhook_id: int) -> Webhook:
    return session.get_one(Webhook, webhook_id)


def _to(request: Request, webhook: Webhook, flash: str) -> Response:
    return go_to(request, url(request, "webhooks.show", webhook_id=webhook.id), flash=flash)


def _index(request: Request, dataset_id: int | None) -> str:
    if dataset_id is None:
        return url(request, "webhooks.index")
    return url(request, "webhooks.of_dataset", dataset_id=dataset_id)
