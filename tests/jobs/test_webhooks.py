"""Webhooks told by a real worker: signed, tried again, and never where requests may not go."""

import base64
import datetime as dt
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from app.actor import LOCAL
from app.config import Settings
from app.db import Database, now
from app.jobs import webhooks as telling
from app.jobs.context import Context
from app.models import Delivery
from app.models.webhooks import DeliveryState
from app.services import datasets
from app.services.operation import webhooks
from tests import factories
from tests.jobs.working import PATIENCE_SECONDS, at_work

Message = tuple[dict[str, str], bytes]


class Receiver(ThreadingHTTPServer):
    """Keeps what is posted to it; answers 500 to the first so many messages."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.messages: list[Message] = []
        self.refuse = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/told"


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.messages.append(({name.lower(): value for name, value in self.headers.items()}, body))
        self.send_response(500 if len(self.server.messages) <= self.server.refuse else 204)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield made
        made.shutdown()
        thread.join(timeout=PATIENCE_SECONDS)


def until(database: Database, state: DeliveryState) -> Delivery:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        with database.read() as session:
            found = session.scalars(sa.select(Delivery)).one_or_none()
        if found is not None and found.state is state:
            return found
        time.sleep(0.02)
    raise AssertionError(f"no delivery is {state}: {found and found.state}")


def test_a_message_is_signed_and_sent_until_it_is_taken(
    settings: Settings, database: Database, receiver: Receiver
) -> None:
    settings = settings.model_copy(update={"worker_beat_seconds": 0.1})
    dataset_id = factories.make_dataset(database)
    receiver.refuse = 1
    with database.write() as session:
        made = webhooks.add(
            session, settings, dataset_id, url=receiver.url, names=["dataset.renamed"], actor=LOCAL
        )
        secret = webhooks.secret_of(session, settings, made.id, actor=LOCAL)
    with at_work(settings, database):
        with database.write() as session:
            datasets.rename(session, dataset_id, "Renamed", actor=LOCAL)
        first = until(database, DeliveryState.WAITING)
        assert (first.attempts, first.status, first.error) == (1, 500, "The answer was 500.")
        with database.write() as session:
            session.get_one(Delivery, first.id).next_at = now() - dt.timedelta(seconds=1)
        done = until(database, DeliveryState.DELIVERED)
    assert (done.attempts, done.status, done.error) == (2, 204, None)
    assert len(receiver.messages) == 2
    (old, body), (new, again) = receiver.messages
    assert old["webhook-id"] == new["webhook-id"] == f"msg_{done.id}"
    assert body == again
    told = json.loads(body)
    assert (told["type"], told["data"]["dataset_id"], told["data"]["new"]) == (
        "dataset.renamed", dataset_id, "Renamed",
    )  # fmt: skip
    signed = f"{new['webhook-id']}.{new['webhook-timestamp']}.".encode() + again
    key = base64.b64decode(secret.removeprefix("whsec_"))
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert new["webhook-signature"] == f"v1,{expected}"
    assert abs(int(new["webhook-timestamp"]) - time.time()) < PATIENCE_SECONDS


def test_a_secret_that_cannot_be_read_fails_the_attempt_alone(
    settings: Settings, database: Database, receiver: Receiver
) -> None:
    dataset_id = factories.make_dataset(database)
    with database.write() as session:
        webhooks.add(session, settings, None, url=receiver.url, actor=LOCAL)
    with database.write() as session:
        datasets.rename(session, dataset_id, "Renamed", actor=LOCAL)
    other = settings.model_copy(update={"secret_key": SecretStr("another")})
    telling.tell(Context(other, database))
    with database.read() as session:
        delivery_id = session.scalars(sa.select(Delivery.id).limit(1)).one()
    telling.tell_once(Context(other, database), delivery_id)
    with database.read() as session:
        found = session.get_one(Delivery, delivery_id)
    assert (found.state, found.attempts) == (DeliveryState.WAITING, 1)
    assert "cannot be decrypted" in (found.error or "")
    assert receiver.messages == []


def test_where_requests_may_not_go_nothing_is_sent(
    settings: Settings, database: Database, receiver: Receiver
) -> None:
    dataset_id = factories.make_dataset(database)
    with database.write() as session:
        webhooks.add(session, settings, dataset_id, url=receiver.url, actor=LOCAL)
    with database.write() as session:
        datasets.rename(session, dataset_id, "Renamed", actor=LOCAL)
    guarded = settings.model_copy(update={"outgoing": "public"})
    telling.tell(Context(guarded, database))
    with database.read() as session:
        delivery_id = session.scalars(sa.select(Delivery.id).limit(1)).one()
    telling.tell_once(Context(guarded, database), delivery_id)
    with database.read() as session:
        found = session.get_one(Delivery, delivery_id)
    assert found.state is DeliveryState.WAITING
    assert found.status is None
    assert "not a public address" in (found.error or "")
    assert receiver.messages == []
