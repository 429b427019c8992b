"""The schema programs are made from, and the page that shows it."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.openapi.models import OpenAPI
from pydantic import BaseModel
from starlette.testclient import TestClient

import app.api
from app.actor import Role
from app.api.answers import In
from app.db import Database
from tests import factories
from tests.api.asking import walk

Schema = dict[str, Any]
NOUNS = {
    "together", "second_opinions",
    "annotators",
    "me", "datasets", "labels", "imports", "scoring_runs", "issues", "examples", "decisions", "batches",
    "versions", "exports", "fine_tunes", "experiments", "events", "model_tests", "providers", "overview",
    "predictions",
    "filter_columns", "webhooks",
}  # fmt: skip


@pytest.fixture
def schema(client: TestClient) -> Schema:
    found: Schema = client.get("/api/openapi.json").json()
    return found


def operations(schema: Schema) -> Iterator[tuple[str, str, Schema]]:
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def references(part: object) -> Iterator[str]:
    if isinstance(part, dict):
        for name, value in part.items():
            if name == "$ref":
                yield value
            yield from references(value)
    elif isinstance(part, list):
        for value in part:
            yield from references(value)


def inputs(kind: type[BaseModel] = In) -> Iterator[type[BaseModel]]:
    for below in kind.__subclasses__():
        yield below
        yield from inputs(below)


def test_the_schema_is_valid_and_whole(schema: Schema) -> None:
    OpenAPI.model_validate(schema)
    assert schema["openapi"].startswith("3.1")
    known = {f"#/components/schemas/{name}" for name in schema["components"]["schemas"]}
    assert set(references(schema)) <= known
    assert "HTTPValidationError" not in schema["components"]["schemas"]


def test_every_operation_is_described(schema: Schema) -> None:
    found = list(operations(schema))
    assert {path.split("/")[2] for path, _, _ in found} == {"v1"}
    ids = [operation["operationId"] for _, _, operation in found]
    assert len(ids) == len(set(ids))
    assert {name.partition(".")[0] for name in ids} == NOUNS
    assert all(re.fullmatch(r"[a-z_]+\.[a-z_]+", name) for name in ids)
    for path, method, operation in found:
        assert operation["summary"], path
        assert operation["description"].rstrip().endswith("."), path
        assert operation["security"] == [{"HTTPBearer": []}]
        assert "application/problem+json" in operation["responses"]["default"]["content"]
        expected = {
            "get": {"200"},
            "patch": {"200"},
            "put": {"200", "202"},
            "post": {"201", "202"},
            "delete": {"202", "204"},
        }[method]
        assert set(operation["responses"]) - {"default"} <= expected
        assert set(operation["responses"]) & expected
        assert all(one["description"] for one in operation.get("parameters", []) if one["in"] != "path"), path


def test_every_field_is_described(schema: Schema) -> None:
    silent = [
        f"{name}.{field}"
        for name, part in schema["components"]["schemas"].items()
        for field, value in part.get("properties", {}).items()
        if not value.get("description")
    ]
    assert silent == []


def test_every_body_has_an_example_that_fits() -> None:
    shown = 0
    for model in inputs():
        extra = model.model_config.get("json_schema_extra")
        if isinstance(extra, dict):
            for example in extra["examples"]:  # type: ignore[union-attr]
                assert model.model_validate(example)
                shown += 1
    assert shown >= 9


def test_every_operation_with_a_body_shows_one(schema: Schema) -> None:
    silent = []
    for path, method, operation in operations(schema):
        for kind, media in operation.get("requestBody", {}).get("content", {}).items():
            shown = media["schema"]
            if "$ref" in shown:
                shown = schema["components"]["schemas"][shown["$ref"].rsplit("/", 1)[1]]
            if not shown.get("examples") and "example" not in media:
                silent.append(f"{method} {path} {kind}")
    assert silent == []


def test_every_list_comes_in_parts(schema: Schema) -> None:
    lists = 0
    for path, _, operation in operations(schema):
        content = operation["responses"].get("200", {}).get("content", {}).get("application/json", {})
        if "Listing" not in json.dumps(content.get("schema", {})):
            continue
        names = {one["name"] for one in operation["parameters"]}
        lists += 1
        assert {"cursor", "limit"} <= names, path
    assert lists > 15


def test_lists_hang_together(client: TestClient, database: Database, dataset_id: int) -> None:
    there = f"/api/v1/datasets/{dataset_id}"
    for number in range(2):
        assert client.post(f"{there}/versions", json={"name": str(number)}).is_success
        assert client.post(f"{there}/exports", json={"format": "csv"}).is_success
        factories.make_dataset(database, name=str(number))
    for path in ("/api/v1/datasets", f"{there}/versions", f"{there}/exports", f"{there}/labels"):
        assert walk(client, f"{path}?limit=1") == walk(client, path)
        assert len(walk(client, path)) > 1


def test_the_page_lists_every_operation(client: TestClient, schema: Schema) -> None:
    response = client.get("/api/docs")
    assert response.status_code == 200
    page = response.text
    for path, method, operation in operations(schema):
        assert f'id="{operation["operationId"]}"' in page
        assert path in page
        assert f"<kbd>{method.upper()}</kbd>" in page
    assert "script-src 'self'" in response.headers["content-security-policy"]
    assert not re.search(r"<script(?![^>]*\bsrc=)", page)
    shown = re.sub(r"<pre>.*?</pre>", "", page.partition("<main")[2], flags=re.DOTALL)
    assert "://" not in re.sub(r"http://localhost/api", "", shown)


def test_the_schema_speaks_ascii_json(client: TestClient) -> None:
    response = client.get("/api/openapi.json")
    assert response.headers["content-type"] == "application/json"
    assert json.loads(response.content)["info"]["title"] == "Setright"


def test_each_noun_has_a_file() -> None:
    files = {noun.__name__.rpartition(".")[2] for noun in app.api.NOUNS}
    assert files == NOUNS


def test_the_page_names_who_looks_and_asks_nobody_to_sign_in(client: TestClient, database: Database) -> None:
    assert 'title="Role: admin">local</a>' in client.get("/api/docs").text
    assert 'href="/api/docs"' in client.get("/").text
    factories.make_user(database, "Ann", Role.ADMIN)
    answer = client.get("/api/docs")
    assert answer.status_code == 200
    assert "Role:" not in answer.text
