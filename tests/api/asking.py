"""What the tests of the API share: tokens, problems, pages, jobs."""

from typing import Any

import sqlalchemy as sa
from httpx2 import Response
from starlette.testclient import TestClient

from app.actor import LOCAL, Actor, Role
from app.db import Database
from app.services.accounts import people
from tests.factories import make_user


def token_of(database: Database, actor: Actor) -> dict[str, str]:
    """Return the header with which a program acts for somebody."""
    with database.write() as session:
        secret, _ = people.create_token(session, actor.name, "a script", days=1, actor=LOCAL)
    return {"Authorization": f"Bearer {secret}"}


def token_for(database: Database, role: Role) -> dict[str, str]:
    """Make somebody of a role; return the header with which a program acts for them."""
    return token_of(database, make_user(database, f"a {role}", role))


def problem_of(response: Response, status: int) -> dict[str, Any]:
    """Return a problem, after checking that it is one."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    found: dict[str, Any] = response.json()
    assert found["type"] == "about:blank"
    assert found["title"]
    assert found["status"] == status
    assert found["request_id"] == response.headers["x-request-id"]
    assert found["detail"].endswith(".")
    return found


def walk(client: TestClient, path: str) -> list[dict[str, Any]]:
    """Return everything a list holds, part after part."""
    found: list[dict[str, Any]] = []
    while path:
        response = client.get(path)
        assert response.status_code == 200, response.text
        part = response.json()
        found += part["items"]
        path = part["next"]
        assert len(found) < 10_000, "the list never ends"
    return found


def row(client: TestClient, dataset_id: int, external_id: str) -> dict[str, Any]:
    """Return one row by its id in the file."""
    rows = walk(client, f"/api/v1/datasets/{dataset_id}/examples")
    return next(one for one in rows if one["external_id"] == external_id)


def jobs(database: Database) -> list[str]:
    """Return the ids of all jobs that wait for a worker, without the mark that sets each apart."""
    table = "workflow_status" if database.is_sqlite else "dbos.workflow_status"
    with database.read() as session:
        ids = session.scalars(sa.text(f"SELECT workflow_uuid FROM {table} ORDER BY workflow_uuid"))  # noqa: S608 — one of two names
        return [one.partition(".")[0] for one in ids]
