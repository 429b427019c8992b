"""Who may ask: tokens, cookies, this machine; and what every failure looks like."""

import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient

from app.actor import LOCAL, Role
from app.config import Settings
from app.db import Database
from app.models.people import SignInMethod
from app.services.accounts import people, sessions
from app.web.deps import COOKIE
from tests.api.asking import problem_of, token_for, token_of
from tests.api.conftest import client_of
from tests.conftest import QueryRecorder
from tests.factories import make_user

READS = [
    "/me",
    "/datasets",
    "/datasets/1",
    "/datasets/1/overview",
    "/datasets/1/labels",
    "/datasets/1/labels/1",
    "/datasets/1/labels/1/merge?into_id=2",
    "/datasets/1/labels/split?label_id=1",
    "/datasets/1/imports",
    "/datasets/1/scoring-runs/latest",
    "/scoring-runs/1",
    "/datasets/1/issues",
    "/datasets/1/examples",
    "/datasets/1/examples/1",
    "/datasets/1/examples/1/decisions",
    "/datasets/1/batches",
    "/datasets/1/batches/preview",
    "/datasets/1/versions",
    "/datasets/1/exports",
    "/datasets/1/fine-tunes",
    "/datasets/1/model-tests",
    "/providers",
    "/datasets/1/experiments",
    "/datasets/1/test-split",
    "/datasets/1/events",
]
WRITES = [
    ("PATCH", "/datasets/1", {"name": "Other"}),
    ("DELETE", "/datasets/1", None),
    ("POST", "/imports", None),
    ("POST", "/datasets/1/scoring-runs", {}),
    ("POST", "/scoring-runs/1/cancel", None),
    ("POST", "/datasets/1/decisions", {"example_id": 1, "verdict": "keep", "version": 1}),
    ("POST", "/datasets/1/decisions/undo", None),
    ("POST", "/datasets/1/batches", {}),
    ("POST", "/datasets/1/samples", {}),
    ("POST", "/datasets/1/versions", {}),
    ("POST", "/datasets/1/labels", {"name": "new"}),
    ("PATCH", "/datasets/1/labels/1", {"name": "new"}),
    ("DELETE", "/datasets/1/labels/1", None),
    ("POST", "/datasets/1/labels/1/merge", {"into_id": 2}),
    ("POST", "/datasets/1/labels/split", {"label_id": 1, "into_id": 2}),
    ("POST", "/datasets/1/exports", {"format": "csv"}),
    ("POST", "/datasets/1/experiments", {}),
    ("POST", "/providers", {"name": "other", "base_url": "https://127.0.0.1/v1"}),
    ("DELETE", "/providers/1", None),
    ("POST", "/datasets/1/test-split", {}),
]
GONE = [
    ("GET", "/datasets/99"),
    ("PATCH", "/datasets/99"),
    ("DELETE", "/datasets/99"),
    ("GET", "/datasets/99/labels"),
    ("POST", "/datasets/99/labels"),
    ("GET", "/datasets/1/labels/99"),
    ("PATCH", "/datasets/1/labels/99"),
    ("DELETE", "/datasets/1/labels/99"),
    ("GET", "/datasets/1/labels/99/merge?into_id=2"),
    ("POST", "/datasets/1/labels/99/merge"),
    ("POST", "/datasets/99/labels/split"),
    ("GET", "/datasets/99/imports"),
    ("GET", "/datasets/99/scoring-runs/latest"),
    ("POST", "/datasets/99/scoring-runs"),
    ("GET", "/datasets/99/issues"),
    ("GET", "/datasets/99/examples"),
    ("GET", "/datasets/1/examples/99"),
    ("POST", "/datasets/99/decisions/undo"),
    ("GET", "/datasets/99/batches"),
    ("GET", "/datasets/99/overview"),
    ("GET", "/datasets/99/batches/preview"),
    ("POST", "/datasets/99/batches"),
    ("GET", "/datasets/99/versions"),
    ("POST", "/datasets/99/versions"),
    ("GET", "/datasets/99/exports"),
    ("POST", "/datasets/99/exports"),
    ("GET", "/datasets/99/fine-tunes"),
    ("GET", "/datasets/99/experiments"),
    ("POST", "/datasets/99/experiments"),
    ("GET", "/datasets/99/events"),
    ("GET", "/imports/99"),
    ("DELETE", "/imports/99"),
    ("GET", "/imports/99/preview"),
    ("POST", "/imports/99/confirm"),
    ("POST", "/imports/99/cancel"),
    ("GET", "/imports/99/rejected"),
    ("GET", "/scoring-runs/99"),
    ("POST", "/scoring-runs/99/cancel"),
    ("GET", "/batches/99"),
    ("POST", "/batches/99/cancel"),
    ("POST", "/batches/99/undo"),
    ("GET", "/versions/99"),
    ("GET", "/versions/99/restore"),
    ("POST", "/versions/99/restore"),
    ("GET", "/datasets/1/versions/compare?old_id=99"),
    ("GET", "/datasets/1/versions/changes?old_id=99"),
    ("GET", "/batches/99/left"),
    ("GET", "/datasets/1/examples/99/decisions"),
    ("GET", "/exports/99"),
    ("POST", "/exports/99/cancel"),
    ("GET", "/exports/99/file"),
    ("GET", "/exports/99/manifest"),
    ("POST", "/exports/99/fine-tunes"),
    ("GET", "/fine-tunes/99"),
    ("POST", "/fine-tunes/99/cancel"),
    ("POST", "/fine-tunes/99/pause"),
    ("POST", "/fine-tunes/99/resume"),
    ("POST", "/fine-tunes/99/again"),
    ("GET", "/datasets/99/model-tests"),
    ("GET", "/model-tests/99"),
    ("POST", "/model-tests/99/cancel"),
    ("POST", "/model-tests/99/again"),
    ("DELETE", "/providers/99"),
    ("GET", "/datasets/99/test-split"),
    ("POST", "/datasets/99/test-split"),
    ("GET", "/experiments/99"),
    ("GET", "/experiments/99/report"),
    ("POST", "/experiments/99/repeat"),
    ("POST", "/experiments/99/cancel"),
    ("GET", "/nothing"),
    ("GET", "/datasets/abc"),
    ("GET", "/datasets/0"),
    ("GET", f"/datasets/{2**70}"),
]
BODIES = {"PATCH": {"name": "Other"}, "POST": {"model": "some-model"}}


@pytest.mark.parametrize("path", READS)
def test_reading_works(client: TestClient, dataset_id: int, path: str) -> None:
    response = client.get(f"/api/v1{path}")
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", READS)
def test_without_a_token_nothing_is_read_once_somebody_has_a_login(
    client: TestClient, database: Database, dataset_id: int, path: str
) -> None:
    make_user(database, "Ann", Role.VIEWER)
    response = client.get(f"/api/v1{path}")
    assert "token" in problem_of(response, 401)["detail"]
    assert response.headers["www-authenticate"] == 'Bearer realm="Setright"'


@pytest.mark.parametrize(("method", "path", "body"), WRITES)
def test_without_a_token_nothing_is_changed(
    client: TestClient, database: Database, dataset_id: int, method: str, path: str, body: object
) -> None:
    make_user(database, "Ann", Role.ADMIN)
    problem_of(client.request(method, f"/api/v1{path}", json=body), 401)


@pytest.mark.parametrize("header", ["Bearer wrong", "bearer wrong", "Bearer ", "Bearer", "Bearer wr\xe4ng"])
def test_a_wrong_token_is_refused_where_none_would_be_needed(
    client: TestClient, dataset_id: int, header: str
) -> None:
    sent = {"Authorization": header.encode("latin-1")}
    response = client.get("/api/v1/datasets", headers=sent)  # type: ignore[arg-type]
    assert "not valid" in problem_of(response, 401)["detail"]
    assert response.headers["www-authenticate"].startswith("Bearer")


def test_a_token_acts_for_its_person(client: TestClient, database: Database) -> None:
    ann = make_user(database, "Ann", Role.LEAD)
    me = client.get("/api/v1/me", headers=token_of(database, ann)).json()
    assert me == {"user_id": ann.user_id, "name": "Ann", "role": "lead", "is_local": False}


def test_the_use_of_a_token_is_noted_after_the_answer(
    client: TestClient, database: Database, queries: QueryRecorder
) -> None:
    header = token_for(database, Role.VIEWER)
    with queries(database) as statements:
        assert client.get("/api/v1/datasets", headers=header).status_code == 200
    assert ["UPDATE tokens" in statement for statement in statements].index(True) == len(statements) - 1
    with database.read() as session:
        assert people.list_tokens(session)[0].last_used_at is not None
    with queries(database) as statements:
        assert client.get("/api/v1/datasets", headers=header).status_code == 200
    assert not any(statement.startswith("UPDATE") for statement in statements)


def test_a_token_works_where_its_use_cannot_be_noted(
    client: TestClient, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    header = token_for(database, Role.VIEWER)
    with database.write() as session:
        session.execute(
            sa.text(
                "CREATE TRIGGER full BEFORE UPDATE ON tokens BEGIN SELECT RAISE(ABORT, 'no more room'); END"
            )
        )
    assert client.get("/api/v1/datasets", headers=header).status_code == 200
    assert "was not noted" in caplog.text


def test_a_token_stops_when_it_is_revoked(client: TestClient, database: Database) -> None:
    ann = make_user(database, "Ann", Role.LEAD)
    header = token_of(database, ann)
    with database.write() as session:
        token = people.list_tokens(session)[0]
        people.revoke_token(session, token.id, actor=LOCAL)
    problem_of(client.get("/api/v1/me", headers=header), 401)


def test_this_machine_needs_no_token_while_nobody_has_a_login(client: TestClient) -> None:
    assert client.get("/api/v1/me").json()["is_local"] is True


def test_other_machines_need_one(settings: Settings, database: Database) -> None:
    with client_of(settings, database, address="192.0.2.7") as far:
        problem_of(far.get("/api/v1/datasets"), 403)
        ann = token_for(database, Role.ADMIN)
        assert far.get("/api/v1/datasets", headers=ann).status_code == 200


def test_a_page_of_this_site_may_use_its_cookie(client: TestClient, database: Database) -> None:
    make_user(database, "Ann", Role.LEAD)
    with database.write() as session:
        secret = sessions.open_session(
            session, people.get_user(session, "Ann"), method=SignInMethod.PASSWORD, browser="", hours=1
        )
    client.cookies.set(COOKIE, secret)
    assert client.get("/api/v1/me").json()["name"] == "Ann"


def test_a_page_of_another_site_may_not(client: TestClient, dataset_id: int) -> None:
    path = f"/api/v1/datasets/{dataset_id}/versions"
    problem_of(client.post(path, json={}, headers={"Sec-Fetch-Site": "cross-site"}), 403)
    problem_of(client.post(path, json={}, headers={"Origin": "https://elsewhere.example"}), 403)
    assert client.get(path).json()["items"] == []


def test_a_program_with_a_token_is_not_held_up(
    client: TestClient, database: Database, dataset_id: int
) -> None:
    lead = token_for(database, Role.LEAD)
    response = client.post(f"/api/v1/datasets/{dataset_id}/versions", json={}, headers=lead)
    assert response.status_code == 201


@pytest.mark.parametrize(("method", "path", "body"), WRITES)
def test_a_viewer_changes_nothing(
    client: TestClient, database: Database, dataset_id: int, method: str, path: str, body: object
) -> None:
    viewer = token_for(database, Role.VIEWER)
    detail = problem_of(client.request(method, f"/api/v1{path}", json=body, headers=viewer), 403)["detail"]
    assert "viewer" in detail
    assert client.get("/api/v1/datasets/1/events", headers=viewer).json()["items"] == []


def test_a_viewer_may_read(client: TestClient, database: Database, dataset_id: int) -> None:
    viewer = token_for(database, Role.VIEWER)
    for path in READS:
        assert client.get(f"/api/v1{path}", headers=viewer).status_code == 200


@pytest.mark.parametrize(("method", "path"), GONE)
def test_what_is_not_there(client: TestClient, dataset_id: int, method: str, path: str) -> None:
    body = (
        {}
        if path.endswith(("versions", "exports", "experiments", "batches", "-runs", "-split", "repeat"))
        else BODIES.get(method)
    )
    body = {"dataset": "New"} if path.endswith("confirm") else body
    body = {"name": "new"} if path.endswith("/labels") else body
    if path.endswith(("/merge", "/split")):
        problem_of(client.request(method, f"/api/v1{path}", json={"into_id": 2}), 404)
        return
    problem_of(client.request(method, f"/api/v1{path}", json=body), 404)


@pytest.mark.parametrize("path", ["/api", "/api/", "/api/v1", "/api/v2/datasets"])
def test_unknown_addresses(client: TestClient, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 404
    if path != "/api":
        assert "/api/docs" in problem_of(response, 404)["detail"]


def test_a_wrong_method_says_which_are_right(client: TestClient, dataset_id: int) -> None:
    response = client.put(f"/api/v1/datasets/{dataset_id}", json={})
    problem_of(response, 405)
    assert {"GET", "PATCH", "DELETE"} & set(response.headers["allow"].replace(" ", "").split(","))


def test_a_wrong_host_is_a_problem_too(client: TestClient) -> None:
    problem_of(client.get("/api/v1/me", headers={"Host": "elsewhere.example"}), 422)


def test_too_large_a_body(client: TestClient, dataset_id: int) -> None:
    path = f"/api/v1/datasets/{dataset_id}/decisions"
    problem_of(client.post(path, content=b"x" * 5_000_000), 413)
    problem_of(client.post(path, content=(b"x" * 1_000_000 for _ in range(5))), 413)


def test_a_failure_nobody_expected(settings: Settings, database: Database, tmp_path: object) -> None:
    with client_of(settings, Database(f"sqlite:///{tmp_path}/empty.db")) as broken:
        assert "request id" in problem_of(broken.get("/api/v1/me"), 500)["detail"]
