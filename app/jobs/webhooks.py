"""Telling webhooks of events: one attempt a job; the next one is asked for when its time has come."""

import time

from dbos import DBOS

from app.jobs.context import Context, current
from app.models.events import Event
from app.models.webhooks import Delivery, DeliveryState, Webhook
from app.providers.addresses import Reach
from app.queue import Job
from app.services import vault, webhooks


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
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Setright",
        "webhook-id": name,
        "webhook-timestamp": str(moment),
        "webhook-signature": webhooks.sign(
            vault.unseal(context.settings, webhook.sealed_secret), name, moment, body
        ),
    }
    posted = post(webhook.url, body, headers, reach=Reach(context.settings.reach))
    with context.database.write() as session:
        webhooks.note_attempt(session, delivery_id, status=posted.status, error=posted.error)


@DBOS.step(name="webhook.attempt", retries_allowed=True, max_attempts=4, interval_seconds=1)
def attempt(delivery_id: int) -> None:
    """Tell an event once; a crash repeats it, and a receiver knows the message by its id."""
    tell_once(current(), delivery_id)


@DBOS.workflow(name=str(Job.WEBHOOK))
def deliver(delivery_id: int) -> None:
    """Tell one event to one address."""
    attempt(delivery_id)


def tell(context: Context) -> None:
    """Make deliveries of what has happened, and ask for the attempts that are due."""
    with context.database.write() as session:
        webhooks.make_deliveries(session)
        webhooks.enqueue_due(session)
