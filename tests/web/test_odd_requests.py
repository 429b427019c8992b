"""No request, however odd, makes the server stumble: each is refused or answered."""

import json
import random
import re
from collections import Counter as Tally
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts
from pydantic import BaseModel
from starlette.testclient import TestClient

from app.config import Settings
from app.db import Database
from app.services import datasets
from app.web.app import create_app
from tests import factories
from tests.web.conftest import HOST, client_of

TRIES = 3
IDS = ("1", "2", "0", "9223372036854775807", "9223372036854775808", "9" * 30, "１")
TEXTS = (
    "", " ", "1", "-1", "0.5", "nan", "inf", "1e999", "9" * 25, "9" * 5000, "null", "true", "[]", "é😀",
    "\x00", "\x10ffff", "a" * 3000, "0.5:1", "0.5:" + "9" * 25, "both", "train", "all", "csv", "jsonl",
    "override", "accept", "undo", "top", "linear", "local", "issues", "1,2", "../../etc/passwd", "%", "_",
    "\\", "'", '"', "<b>", "text", "label", "Requests",
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    *TEXTS, None, True, False, 0, 1, 2, -1, 10**25, 1.5, 1e308, "\ud800", [], ["\ud800"], [1], [10**25], {},
    float("inf"), float("nan"),
    {"kind": "all"}, {"kind": "top", "value": 10**25}, {"preset": "all"}, {"given": 10**25}, [[]],
    {"\ud800": 1},
)  # fmt: skip
PLAUSIBLE: dict[str, Any] = {
    "version": 1, "verdict": "override", "label_id": 1, "example_id": 1, "decisions": [], "trainer": "linear",
    "seeds": "0", "format": "csv", "variant": "corrected", "split": "train", "dataset_name": "More",
    "embedder": "tfidf", "seed": 0, "folds": 3, "rule": "all", "limit": 5, "cursor": "", "model": "m",
    "provider": "openai", "preset": "all", "name": "A name",
}  # fmt: skip
"""Values that are right in most places, so that an odd one beside them is looked at."""
DELETING = ("api.datasets.delete", "datasets.delete")


@dataclass(frozen=True)
class Place:
    """An operation of the server: where it is, and what it reads."""

    method: str
    path: str
    query: list[str]
    body: list[str]


def places_of(app: FastAPI) -> list[Place]:
    """Return every operation but those that end the trial."""
    found = []
    for context in iter_route_contexts(app.routes):
        route = context.route
        if isinstance(route, APIRoute) and route.name not in DELETING:
            path = getattr(context, "path", None) or route.path
            method = min(route.methods or {"GET"})
            query = list(names_of(route.dependant.query_params))
            found.append(Place(method, path, query, list(names_of(route.dependant.body_params))))
    return found


def names_of(fields: list[Any]) -> Iterator[str]:
    """Yield the names of a route's query or body, those inside its models too."""
    for field in fields:
        model = field.field_info.annotation
        if isinstance(model, type) and issubclass(model, BaseModel):
            yield from model.model_fields
        else:
            yield field.alias


def address(path: str, rng: random.Random) -> str:
    """Return an address of the operation, with numbers of rows that exist in the most cases."""

    def number(_found: re.Match[str]) -> str:
        return "1" if rng.random() < 0.8 else quote(rng.choice(IDS))

    return re.sub(r"\{[^}]*\}", number, path)


def some(names: list[str], rng: random.Random, values: tuple[Any, ...]) -> dict[str, Any]:
    """Return what is usual for the names, but for a few odd values."""
    usual = {name: PLAUSIBLE[name] for name in names if name in PLAUSIBLE and rng.random() < 0.8}
    return usual | {name: rng.choice(values) for name in names if rng.random() < 1.5 / len(names)}


def ask(client: TestClient, place: Place, rng: random.Random) -> tuple[str, int, str]:
    """Send one odd request; return what it was, the status and the answer."""
    path = f"{address(place.path, rng)}?{urlencode(some(place.query, rng, TEXTS))}"
    body: dict[str, Any] = {}
    if place.method != "GET":
        if place.path.startswith("/api/"):
            odd = some(place.body, rng, VALUES) if rng.random() < 0.9 else rng.choice(VALUES)
            body = {"content": json.dumps(odd), "headers": {"content-type": "application/json"}}
        else:
            form = {name: str(value) for name, value in some(place.body, rng, TEXTS).items()}
            body = {"content": urlencode(form)}
            body["headers"] = {"content-type": "application/x-www-form-urlencoded"}
    answer = client.request(place.method, path, follow_redirects=False, **body)
    return f"{place.method} {path[:300]} {str(body)[:600]}", answer.status_code, answer.text[:300]


@pytest.mark.slow
def test_odd_values_in_every_place(any_settings: Settings, any_database: Database) -> None:
    factories.make_dataset(any_database)
    # A stream of counters would not end by itself: without room for one it is refused.
    app = create_app(any_settings.model_copy(update={"live_connections": 0}), any_database)
    broken, seen = [], Tally[int]()
    with client_of(app) as client:
        for place in places_of(app):
            rng = random.Random(f"{place.method} {place.path}")
            for _ in range(TRIES):
                asked, status, said = ask(client, place, rng)
                seen[status] += 1
                if status >= 500 and status != 503:
                    broken.append((asked, status, said))
    assert broken == []
    assert min(seen[200], seen[404], seen[422]) > 10, "odd requests reach every kind of answer"
    with any_database.read() as session:
        assert datasets.get(session, 1).import_seq > 0


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "["},
        {"host": "localhost:port"},
        {"origin": "http://[x"},
        {"origin": "http://localhost:port"},
        {"referer": "http://[x"},
        {"hx-request": "true", "hx-current-url": "http://[x"},
    ],
    ids=str,
)
def test_odd_headers(client: TestClient, dataset_id: int, headers: dict[str, str]) -> None:
    for path in (f"/datasets/{dataset_id}/review/1", f"/api/v1/datasets/{dataset_id}/decisions"):
        answer = client.post(path, headers=headers, data={"version": "77", "verdict": "keep"})
        assert 400 <= answer.status_code < 500, answer.text
    assert client.get(f"{HOST}/", headers={"host": "localhost"}).status_code == 200


@pytest.mark.parametrize("path", ["/datasets/{}", "/api/v1/datasets/{}", "/v1/files/{}", "/static/{}"])
def test_a_number_that_python_cannot_make(client: TestClient, path: str) -> None:
    """Routes read numbers in addresses before anybody is asked who they are."""
    answer = client.get(path.format("9" * 5000))
    assert answer.status_code == 404
