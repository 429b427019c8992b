"""Telling webhooks of events: one attempt a job; the next one is asked for when its time has come."""

import time

import structlog
from dbos import DBOS

from app.errors import AppError
from app.jobs.context import Context, current, is_current
from app.models.events import Event
from app.models.webhooks import Delivery, DeliveryState, Webhook
from app.providers.addresses import Reach
from app.queue import Job
from app.services.operation import vault, webhooks

log = structlog.get_logger(__name__)


def tell_once(context: Context, delivery_id: int) -> None:
    """Tell an event once, and write down how that went."""
    from app.providers.posting import post

    with context.database.read() as session:
        delivery = session.get(Delivery, delivery_id)
        webhook = session.get(Webhook, delivery.webhook_id) if delivery else None
        event = session.get(Event, delivery.event_id) if delivery else None
    if delivery is None or webhook is None or event is None or delivery.state is not DeliveryState.QUEUED:
        return
    name, moment, body = webhooks.message_id(delivery), int(time.time()), webhooks.body_of(event)
    try:
        secret = vault.unseal(context.settings, webhook.sealed_secret)
    except AppError as error:
        _note(context, delivery_id, None, str(error))
        return
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Setright",
        "webhook-id": name,
        "webhook-timestamp": str(moment),
        "webhook-signature": webhooks.sign(secret, name, moment, body),
    }
    posted = post(webhook.url, body, headers, reach=Reach(context.settings.reach))
    _note(context, delivery_id, posted.status, posted.error)


def _note(context: Context, delivery_id: int, status: int | None, error: str | None) -> None:
    with context.database.write() as session:
        webhooks.note_attempt(session, delivery_id, status=status, error=error)


@DBOS.step(name="webhook.attempt", retries_allowed=True, max_attempts=4, interval_seconds=1)
def attempt(delivery_id: int) -> None:
    """Tell an event once; a crash repeats it, and a receiver knows the message by its id."""
    tell_once(current(), delivery_id)


@DBOS.step(name="webhook.give_up", retries_allowed=True, max_attempts=4, interval_seconds=1)
def give_up(delivery_id: int) -> None:
    """Count an attempt that a fault of this program has ended, so that the next one is planned."""
    _note(current(), delivery_id, None, "Something broke that should not have; the worker's log says what.")


@DBOS.workflow(name=str(Job.WEBHOOK))
def deliver(delivery_id: int) -> None:
    """Tell one event to one address."""
    here = current()
    try:
        attempt(delivery_id)
    except Exception:
        if not is_current(here):
            raise SystemExit from None  # the worker is stopping: another goes on, nothing has failed
        log.exception("a delivery failed", delivery_id=delivery_id)
        give_up(delivery_id)


def tell(context: Context) -> None:
    """Make deliveries of what has happened, and ask for the attempts that are due."""
    with context.database.write() as session:
        webhooks.make_deliveries(session)
        webhooks.enqueue_due(session)
