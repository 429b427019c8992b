"""Webhooks by programs and by pages."""

import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient

from app import events
from app.actor import LOCAL, Role
from app.db import Database
from app.models import KeptAnswer
from app.services.operation import webhooks
from tests.api.asking import jobs, problem_of, token_for, walk

URL = "http://127.0.0.1:9/told"


def test_a_webhook_from_its_first_to_its_last_day(
    client: TestClient, database: Database, dataset_id: int
) -> None:
    there = f"/api/v1/datasets/{dataset_id}/webhooks"
    body = {"url": URL, "events": ["label.added", "dataset.renamed", "label.added"]}
    made = client.post(there, json=body, headers={"Idempotency-Key": "once"})
    assert made.status_code == 201, made.text
    assert made.json()["events"] == ["dataset.renamed", "label.added"]
    one = made.headers["location"]
    shown = client.get(one)
    assert shown.json() == made.json()
    secret = client.get(f"{one}/secret").json()["secret"]
    assert secret.startswith("whsec_")
    with database.read() as session:
        assert secret not in session.scalars(sa.select(KeptAnswer.body)).one()

    tag = {"If-Match": shown.headers["etag"]}
    changed = client.patch(one, json={"events": []}, headers=tag)
    assert changed.json()["events"] == []
    problem_of(client.patch(one, json={"events": []}, headers=tag), 412)

    with database.write() as session:
        events.record(session, "label.added", actor=LOCAL, dataset_id=dataset_id)
    with database.write() as session:
        assert webhooks.make_deliveries(session) > 0
    deliveries = walk(client, f"{one}/deliveries?limit=1")
    assert deliveries[0]["event_name"] == "label.added"
    assert deliveries[0]["state"] == "queued"
    assert len(jobs(database)) == len(deliveries)
    again = f"/api/v1/webhook-deliveries/{deliveries[0]['id']}/redeliver"
    problem_of(client.post(again), 409)
    with database.write() as session:
        webhooks.note_attempt(session, deliveries[0]["id"], status=500, error="no")
    assert client.post(again).json()["state"] == "queued"

    assert client.delete(one).status_code == 204
    problem_of(client.get(one), 404)
    assert walk(client, there) == []
    told = walk(client, f"/api/v1/datasets/{dataset_id}/events?noun=webhook")
    assert [event["name"] for event in told] == ["webhook.removed", "webhook.changed", "webhook.added"]
    assert "/told" not in str(told)


def test_what_is_refused(client: TestClient, database: Database, dataset_id: int) -> None:
    there = f"/api/v1/datasets/{dataset_id}/webhooks"
    problem_of(client.post(there, json={"url": "gopher://x"}), 422)
    problem_of(client.post(there, json={"url": "http://10.1.2.3/x"}), 422)
    problem_of(client.post(there, json={"url": URL, "events": ["nothing.happened"]}), 422)
    annotator = token_for(database, Role.ANNOTATOR)
    problem_of(client.post(there, json={"url": URL}, headers=annotator), 403)
    problem_of(client.get("/api/v1/webhooks", headers=annotator), 403)


@pytest.mark.parametrize("of", ["all", "one"])
def test_the_pages(client: TestClient, database: Database, dataset_id: int, of: str) -> None:
    is_whole = of == "all"
    there = "/webhooks" if is_whole else f"/datasets/{dataset_id}/webhooks"
    assert "No webhook yet" in client.get(there).text
    assert f'href="{there}"' in client.get("/" if is_whole else f"/datasets/{dataset_id}").text
    form = {"url": URL, "events": "label.added, dataset.renamed"}
    page = client.post(there, data=form)
    assert page.status_code == 200
    assert "whsec_" in page.text
    assert URL in client.get(there).text
    own = str(page.url.path)
    with database.write() as session:
        events.record(session, "label.added", actor=LOCAL, dataset_id=dataset_id)
    with database.write() as session:
        webhooks.make_deliveries(session)
        webhooks.note_attempt(session, 1, status=502, error="The answer was <b>502</b>.")
    shown = client.get(own).text
    assert "&lt;b&gt;502" in shown
    assert "Send again" in shown
    assert "on its way" in client.post("/webhook-deliveries/1/redeliver").text
    assert "paused" in client.post(f"{own}/state", data={"active": "false"}).text
    assert client.post(f"{own}/secret").text != shown
    assert "No webhook yet" in client.post(f"{own}/remove").text
