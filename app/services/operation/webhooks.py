"""Webhooks: who is told of which events, and how often that was tried.

An event is written in the transaction of what happened, so the table of events is the list of what is to be
told: workers go through it and make deliveries, which nobody who decides has to wait for.
"""

import base64
import datetime as dt
import hashlib
import hmac
import json
import secrets
from collections.abc import Sequence
from urllib.parse import urlsplit

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import events, queue
from app.actor import LOCAL, Actor, Role
from app.config import Settings
from app.db import now
from app.errors import Conflict, InvalidInput, NotFound
from app.languages import _
from app.models.datasets import Dataset
from app.models.events import Event
from app.models.people import User
from app.models.webhooks import Delivery, DeliveryState, Webhook
from app.providers.addresses import Reach, check_url
from app.services import datasets
from app.services.accounts import access
from app.services.operation import vault

MAX_URL_CHARS = 2000
MAX_WEBHOOKS = 50
PAUSES = (10, 60, 300, 1800, 7200, 21_600, 43_200)
"""Seconds between two attempts; after the last one the delivery has failed."""
MOST_AT_ONCE = 200
LATE = dt.timedelta(minutes=15)
LATE_EVENTS = 10_000
"""An event may show up behind later ones: its number is given before its transaction ends."""
PREFIX = "whsec_"


def list_webhooks(session: Session, dataset_id: int | None, *, actor: Actor) -> list[Webhook]:
    """Return the webhooks of a dataset, or those of all datasets, newest first."""
    _require(session, dataset_id, actor=actor)
    of = Webhook.dataset_id.is_(None) if dataset_id is None else Webhook.dataset_id == dataset_id
    return list(session.scalars(sa.select(Webhook).where(of).order_by(Webhook.id.desc())))


def get(session: Session, webhook_id: int, *, actor: Actor) -> Webhook:
    """Return a webhook, to those who may change it."""
    webhook = session.get(Webhook, webhook_id)
    if webhook is None:
        raise NotFound(_("There is no webhook %(webhook_id)s.", webhook_id=webhook_id))
    _require(session, webhook.dataset_id, actor=actor)
    return webhook


def add(
    session: Session,
    settings: Settings,
    dataset_id: int | None,
    *,
    url: str,
    names: Sequence[str] = (),
    actor: Actor,
) -> Webhook:
    """Tell an address of what happens from now on, in one dataset or in all."""
    _require(session, dataset_id, actor=actor)
    if len(list_webhooks(session, dataset_id, actor=actor)) >= MAX_WEBHOOKS:
        raise Conflict(
            _(
                "There are %(max_webhooks)s webhooks here already: remove one first.",
                max_webhooks=MAX_WEBHOOKS,
            )
        )
    last = session.scalar(sa.select(sa.func.max(Event.id))) or 0
    webhook = Webhook(
        dataset_id=dataset_id,
        url=_checked(settings, url),
        events=_known(names),
        sealed_secret=vault.seal(settings, new_secret()),
        first_event_id=last,
        seen_event_id=last,
        created_by_id=actor.user_id,
    )
    session.add(webhook)
    session.flush()
    _record(session, "webhook.added", webhook, actor=actor)
    return webhook


def change(
    session: Session,
    settings: Settings,
    webhook_id: int,
    *,
    url: str | None = None,
    names: Sequence[str] | None = None,
    is_active: bool | None = None,
    renew_secret: bool = False,
    actor: Actor,
) -> Webhook:
    """Change what is said; while it is not active nothing is told, nor later of that time."""
    webhook = get(session, webhook_id, actor=actor)
    if url is not None and url != webhook.url:
        webhook.url = _checked(settings, url)
        renew_secret = True  # whoever had the old address must not be able to sign for the new one
    if names is not None:
        webhook.events = _known(names)
    if is_active is not None and is_active != webhook.is_active:
        webhook.is_active = is_active
        webhook.first_event_id = session.scalar(sa.select(sa.func.max(Event.id))) or 0
        webhook.seen_event_id = webhook.first_event_id
    if renew_secret:
        webhook.sealed_secret = vault.seal(settings, new_secret())
    _record(session, "webhook.changed", webhook, actor=actor)
    return webhook


def remove(session: Session, webhook_id: int, *, actor: Actor) -> Webhook:
    """Forget a webhook with its deliveries."""
    webhook = get(session, webhook_id, actor=actor)
    _record(session, "webhook.removed", webhook, actor=actor)
    session.delete(webhook)
    return webhook


def secret_of(session: Session, settings: Settings, webhook_id: int, *, actor: Actor) -> str:
    """Return the secret with which deliveries are signed."""
    return vault.unseal(settings, get(session, webhook_id, actor=actor).sealed_secret)


def list_deliveries(
    session: Session, webhook: Webhook, *, before_id: int | None = None, limit: int = 100
) -> list[Delivery]:
    """Return a webhook's deliveries, newest first; `before_id` continues an earlier page."""
    query = sa.select(Delivery).where(Delivery.webhook_id == webhook.id)
    if before_id is not None:
        query = query.where(Delivery.id < before_id)
    return list(session.scalars(query.order_by(Delivery.id.desc()).limit(limit)))


def redeliver(session: Session, delivery_id: int, *, actor: Actor) -> Delivery:
    """Tell an event once more, at once; should that fail it is tried as often as the first time."""
    delivery = session.get(Delivery, delivery_id, with_for_update=True)
    if delivery is None:
        raise NotFound(_("There is no delivery %(delivery_id)s.", delivery_id=delivery_id))
    get(session, delivery.webhook_id, actor=actor)
    if delivery.state is DeliveryState.QUEUED:
        raise Conflict(_("This delivery is on its way already."))
    delivery.attempts, delivery.ended_at = 0, None
    _enqueue(session, delivery)
    return delivery


def new_secret() -> str:
    """Return a secret as Standard Webhooks write it."""
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def sign(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """Return the header `webhook-signature` of a message, as Standard Webhooks define it."""
    key = base64.b64decode(secret.removeprefix(PREFIX))
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def message_id(delivery: Delivery) -> str:
    """Return the same id at every attempt, by which a receiver knows what it has had."""
    return f"msg_{delivery.id}"


def body_of(event: Event) -> bytes:
    """Return what is told of an event."""
    data = {
        "id": event.id,
        "dataset_id": event.dataset_id,
        "subject_id": event.subject_id,
        "actor_id": event.actor_id,
        "actor_name": event.actor_name,
        "old": event.old,
        "new": event.new,
    }
    told = {"type": event.name, "timestamp": event.created_at.isoformat(), "data": data}
    return json.dumps(told).encode()


def make_deliveries(session: Session) -> int:
    """Make a delivery of each event that an active webhook is to be told of; return how many were made."""
    made, newest = 0, session.scalar(sa.select(sa.func.max(Event.id))) or 0
    active = sa.select(Webhook).where(Webhook.is_active.is_(True)).with_for_update(skip_locked=True)
    for webhook in session.scalars(active).all():
        if not _may_still(session, webhook):
            webhook.is_active = False
            _record(session, "webhook.changed", webhook, actor=LOCAL)
            continue
        found = _untold(session, webhook)
        for event in found:
            if not webhook.events or event.name in webhook.events:
                delivery = Delivery(webhook_id=webhook.id, event_id=event.id, event_name=event.name)
                session.add(delivery)
                session.flush()
                _enqueue(session, delivery)
                made += 1
        is_whole = len(found) < MOST_AT_ONCE
        webhook.seen_event_id = max(webhook.seen_event_id, newest if is_whole else found[-1].id)
    return made


def _may_still(session: Session, webhook: Webhook) -> bool:
    """Say whether who made a webhook could make it today: nobody goes on listening who has lost the role."""
    maker = session.get_one(User, webhook.created_by_id)
    role = Role.ADMIN if webhook.dataset_id is None else Role.LEAD
    return maker.is_active and access.actor_of(session, maker).may(role, webhook.dataset_id)


def _untold(session: Session, webhook: Webhook) -> Sequence[Event]:
    told = sa.select(Delivery.id).where(Delivery.webhook_id == webhook.id, Delivery.event_id == Event.id)
    is_new = (Event.id > webhook.seen_event_id) | (Event.created_at > now() - LATE)
    after = max(webhook.first_event_id, webhook.seen_event_id - LATE_EVENTS)
    query = sa.select(Event).where(Event.id > after, is_new, ~told.exists())
    if webhook.dataset_id is not None:
        query = query.where(Event.dataset_id == webhook.dataset_id)
    if webhook.events:
        query = query.where(Event.name.in_(webhook.events))
    return session.scalars(query.order_by(Event.id).limit(MOST_AT_ONCE)).all()


def enqueue_due(session: Session) -> int:
    """Ask for the next attempt of deliveries whose time has come; return how many there were."""
    due = session.scalars(
        sa.select(Delivery)
        .where(Delivery.state == DeliveryState.WAITING, Delivery.next_at <= now())
        .order_by(Delivery.next_at)
        .limit(MOST_AT_ONCE)
        .with_for_update(skip_locked=True)
    ).all()
    for delivery in due:
        _enqueue(session, delivery)
    return len(due)


def _enqueue(session: Session, delivery: Delivery) -> None:
    delivery.state, delivery.next_at = DeliveryState.QUEUED, None
    delivery.rounds += 1
    queue.enqueue(session, queue.Job.WEBHOOK, delivery.id, round_=delivery.rounds)


def note_attempt(session: Session, delivery_id: int, *, status: int | None, error: str | None) -> None:
    """Write down how an attempt went; after a failed one the next is planned, as long as there is one."""
    delivery = session.get(Delivery, delivery_id)
    if delivery is None or delivery.state is not DeliveryState.QUEUED:
        return  # removed meanwhile, or noted by an earlier run of this very attempt
    delivery.attempts += 1
    delivery.status, delivery.error = status, error
    if error is None:
        delivery.state, delivery.ended_at = DeliveryState.DELIVERED, now()
    elif delivery.attempts > len(PAUSES):
        delivery.state, delivery.ended_at = DeliveryState.FAILED, now()
    else:
        delivery.state = DeliveryState.WAITING
        delivery.next_at = now() + dt.timedelta(seconds=PAUSES[delivery.attempts - 1])


def forget_old(session: Session, *, before: dt.datetime) -> None:
    """Forget some of the deliveries that ended long ago."""
    old = session.scalars(sa.select(Delivery.id).where(Delivery.ended_at < before).limit(MOST_AT_ONCE)).all()
    session.execute(sa.delete(Delivery).where(Delivery.id.in_(old)))


def _require(session: Session, dataset_id: int | None, *, actor: Actor) -> None:
    if dataset_id is None:
        actor.require(Role.ADMIN)
    else:
        actor.require(Role.LEAD, datasets.get(session, dataset_id))


def _checked(settings: Settings, url: str) -> str:
    if len(url) > MAX_URL_CHARS or not url.isascii() or "\\" in url:
        raise InvalidInput(_("The address of a webhook is plain ASCII, as https://host/path."))
    return check_url(url, Reach(settings.reach))


def _known(names: Sequence[str]) -> list[str]:
    strange = next((name for name in names if name not in events.NAMES), None)
    if strange is not None:
        raise InvalidInput(
            _("There is no event %(strange)r; docs/events.md lists them.", strange=strange[:80])
        )
    return sorted(set(names))


def _record(session: Session, name: str, webhook: Webhook, *, actor: Actor) -> None:
    # The whole address may hold a secret of the receiver: the history is for more people than leads.
    said = {
        "host": urlsplit(webhook.url).hostname,
        "events": webhook.events,
        "is_active": webhook.is_active,
    }
    events.record(session, name, actor=actor, dataset_id=webhook.dataset_id, subject_id=webhook.id, new=said)


def dataset_of(session: Session, webhook: Webhook) -> Dataset | None:
    """Return the dataset whose events are told; nothing where those of all are."""
    return datasets.get(session, webhook.dataset_id) if webhook.dataset_id is not None else None
