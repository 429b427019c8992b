"""Webhooks: who may have them, which events are told, how often it is tried."""

import datetime as dt
from typing import Any

import pytest
import sqlalchemy as sa

from app import events
from app.actor import LOCAL, Role
from app.config import Settings
from app.db import Database, now
from app.errors import Conflict, Forbidden, InvalidInput, NotFound
from app.models import Delivery, Event, Webhook
from app.models.webhooks import DeliveryState
from app.services.accounts import people
from app.services.operation import webhooks
from tests import factories

URL = "http://127.0.0.1:9/told"


@pytest.fixture
def dataset_id(any_database: Database) -> int:
    return factories.make_dataset(any_database)


def add(database: Database, settings: Settings, dataset_id: int | None, *names: str) -> int:
    with database.write() as session:
        return webhooks.add(session, settings, dataset_id, url=URL, names=names, actor=LOCAL).id


def happen(database: Database, name: str, dataset_id: int | None) -> None:
    with database.write() as session:
        events.record(session, name, actor=LOCAL, dataset_id=dataset_id)


def told(database: Database) -> list[tuple[int, str]]:
    """Go through the events; return what is told to whom by now."""
    with database.write() as session:
        webhooks.make_deliveries(session)
    with database.read() as session:
        found = session.scalars(sa.select(Delivery).order_by(Delivery.webhook_id, Delivery.event_id))
        return [(one.webhook_id, one.event_name) for one in found]


def test_a_signature_is_that_of_the_standard() -> None:
    # The example of the Standard Webhooks specification.
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    body = b'{"test": 2432232314}'
    assert webhooks.sign(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body) == (
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    )


def test_each_is_told_of_its_own_events_and_once(
    any_database: Database, any_settings: Settings, dataset_id: int
) -> None:
    other_id = factories.make_dataset(any_database, name="Other")
    happen(any_database, "dataset.renamed", dataset_id)
    whole = add(any_database, any_settings, None)
    own = add(any_database, any_settings, dataset_id, "label.added", "scoring.finished")
    for name, where in (("label.added", dataset_id), ("label.added", other_id), ("user.created", None)):
        happen(any_database, name, where)
    happen(any_database, "label.deleted", dataset_id)
    expected = [
        (whole, "webhook.added"),
        (whole, "webhook.added"),
        (whole, "label.added"),
        (whole, "label.added"),
        (whole, "user.created"),
        (whole, "label.deleted"),
        (own, "label.added"),
    ]
    assert told(any_database) == expected
    assert told(any_database) == expected


def test_an_event_that_shows_up_late_is_told(
    any_database: Database, any_settings: Settings, dataset_id: int
) -> None:
    hook = add(any_database, any_settings, dataset_id, "label.added")
    happen(any_database, "label.added", dataset_id)
    with any_database.write() as session:  # what a transaction that took long would leave
        late = session.scalars(sa.select(Event).order_by(Event.id.desc()).limit(1)).one()
        late.id += 5
        session.get_one(Webhook, hook).seen_event_id = late.id + 5
    assert told(any_database) == [(hook, "label.added")]


def test_nothing_is_told_of_the_time_of_a_pause(
    any_database: Database, any_settings: Settings, dataset_id: int
) -> None:
    hook = add(any_database, any_settings, dataset_id, "label.added")
    for is_active in (False, True):
        with any_database.write() as session:
            webhooks.change(session, any_settings, hook, is_active=is_active, actor=LOCAL)
        happen(any_database, "label.added", dataset_id)
        told(any_database)
    assert told(any_database) == [(hook, "label.added")]


def test_who_has_lost_the_role_listens_no_more(database: Database, settings: Settings) -> None:
    dataset_id = factories.make_dataset(database)
    lead = factories.make_user(database, "Lea", Role.LEAD)
    with database.write() as session:
        hook = webhooks.add(session, settings, dataset_id, url=URL, names=["label.added"], actor=lead).id
    happen(database, "label.added", dataset_id)
    assert told(database) == [(hook, "label.added")]
    with database.write() as session:
        people.set_role(session, "Lea", Role.ANNOTATOR, actor=LOCAL)
    happen(database, "label.added", dataset_id)
    assert len(told(database)) == 1
    with database.read() as session:
        assert not session.get_one(Webhook, hook).is_active


def note(database: Database, delivery_id: int, error: str | None) -> Delivery:
    with database.write() as session:
        webhooks.note_attempt(session, delivery_id, status=500 if error else 204, error=error)
    with database.read() as session:
        return session.get_one(Delivery, delivery_id)


def test_attempts_end(database: Database, settings: Settings) -> None:
    dataset_id = factories.make_dataset(database)
    add(database, settings, dataset_id, "label.added")
    happen(database, "label.added", dataset_id)
    assert len(told(database)) == 1
    with database.read() as session:
        found = session.scalars(sa.select(Delivery)).one()
    for attempt, pause in enumerate(webhooks.PAUSES, start=1):
        fresh = note(database, found.id, "no")
        assert (fresh.state, fresh.attempts, fresh.status) == (DeliveryState.WAITING, attempt, 500)
        assert fresh.next_at is not None
        assert abs((fresh.next_at - now()).total_seconds() - pause) < 60
        with database.write() as session:
            assert webhooks.enqueue_due(session) == 0
            session.get_one(Delivery, found.id).next_at = now() - dt.timedelta(seconds=1)
        with database.write() as session:
            assert webhooks.enqueue_due(session) == 1
    assert note(database, found.id, "no").state is DeliveryState.FAILED
    with database.write() as session:
        webhooks.redeliver(session, found.id, actor=LOCAL)
    with database.write() as session, pytest.raises(Conflict):
        webhooks.redeliver(session, found.id, actor=LOCAL)
    done = note(database, found.id, None)
    assert (done.state, done.attempts, done.error) == (DeliveryState.DELIVERED, 1, None)
    assert note(database, found.id, "an earlier run of this attempt").state is DeliveryState.DELIVERED
    with database.write() as session:
        webhooks.forget_old(session, before=now() - dt.timedelta(days=1))
        assert session.get(Delivery, found.id) is not None
        webhooks.forget_old(session, before=now() + dt.timedelta(days=1))
    with database.read() as session:
        assert session.get(Delivery, found.id) is None


def test_secrets_are_encrypted_and_renewed(database: Database, settings: Settings) -> None:
    hook = add(database, settings, None)

    def secret() -> str:
        with database.read() as session:
            assert "whsec_" not in session.get_one(Webhook, hook).sealed_secret
            return webhooks.secret_of(session, settings, hook, actor=LOCAL)

    seen = {secret(), secret()}
    assert len(seen) == 1
    for change in ({"renew_secret": True}, {"url": f"{URL}/other"}):
        with database.write() as session:
            webhooks.change(session, settings, hook, actor=LOCAL, **change)
        seen.add(secret())
    assert len(seen) == 3


@pytest.mark.parametrize(
    ("reach", "url"),
    [
        ("public", "http://127.0.0.1/x"),
        ("public", "http://10.0.0.1/x"),
        ("public", "http://169.254.169.254/latest/meta-data"),
        ("local", "http://192.168.0.1/x"),
        ("public", "http://[::1]/x"),
        ("any", "ftp://example.com/x"),
        ("any", "https://user:password@example.com/x"),
        ("any", "https://exämple.com/x"),
        ("any", "https://"),
        ("any", "https://example.com/" + "x" * 2000),
    ],
)
def test_addresses_that_are_refused(database: Database, settings: Settings, reach: Any, url: str) -> None:
    settings = settings.model_copy(update={"outgoing": reach})
    with database.write() as session, pytest.raises(InvalidInput):
        webhooks.add(session, settings, None, url=url, actor=LOCAL)


def test_who_may(database: Database, settings: Settings) -> None:
    dataset_id = factories.make_dataset(database)
    hook = add(database, settings, dataset_id)
    lead = factories.make_user(database, "Lea", Role.LEAD)
    ann = factories.make_user(database, "Ann", Role.ANNOTATOR)
    with database.write() as session:
        assert webhooks.get(session, hook, actor=lead).id == hook
        with pytest.raises(Forbidden):
            webhooks.add(session, settings, None, url=URL, actor=lead)
        for refused in (
            lambda: webhooks.get(session, hook, actor=ann),
            lambda: webhooks.remove(session, hook, actor=ann),
            lambda: webhooks.list_webhooks(session, dataset_id, actor=ann),
        ):
            with pytest.raises(Forbidden):
                refused()
        with pytest.raises(NotFound):
            webhooks.get(session, 99, actor=LOCAL)
        with pytest.raises(InvalidInput, match=r"no\.such"):
            webhooks.add(session, settings, dataset_id, url=URL, names=["no.such"], actor=lead)
