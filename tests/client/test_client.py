"""The client: what it sends again, what it tells, how frames become rows."""

from collections.abc import Callable
from typing import Any

import httpx2
import pandas as pd
import pytest

from app import frames
from app.client import ApiError, Client, JobError

Handler = Callable[[httpx2.Request], httpx2.Response]


def client_of(handler: Handler, slept: list[float], **options: Any) -> Client:
    transport = httpx2.MockTransport(handler)
    return Client("http://server", token="t", transport=transport, sleep=slept.append, **options)


def test_a_write_is_sent_again_under_its_key() -> None:
    keys: list[str] = []
    answers = [
        httpx2.Response(502),
        httpx2.Response(429, headers={"Retry-After": "7"}),
        httpx2.Response(503, headers={"Retry-After": "soon"}),
        httpx2.Response(201, json={"id": 1}),
    ]

    def handler(request: httpx2.Request) -> httpx2.Response:
        assert request.headers["authorization"] == "Bearer t"
        keys.append(request.headers["idempotency-key"])
        if len(keys) == 1:
            raise httpx2.ConnectError("no", request=request)
        return answers.pop(0)

    slept: list[float] = []
    with client_of(handler, slept) as client:
        assert client.post("/datasets/1/versions", {}) == {"id": 1}
    assert len(keys) == 5
    assert len(set(keys)) == 1
    assert slept == [0.5, 1.0, 7.0, 4.0]


def test_what_does_not_pass_is_told() -> None:
    problem = {"detail": "No.", "fields": {"a": "b"}, "faults": [{"line": 1}], "request_id": "x"}
    asked: list[str] = []

    def handler(request: httpx2.Request) -> httpx2.Response:
        asked.append(request.url.path)
        return httpx2.Response(409, json=problem) if len(asked) == 1 else httpx2.Response(500, text="<html>")

    with client_of(handler, []) as client:
        with pytest.raises(ApiError, match="No") as caught:
            client.get("/me")
        assert (caught.value.status, caught.value.fields, caught.value.request_id) == (409, {"a": "b"}, "x")
        assert caught.value.faults == [{"line": 1}]
        with pytest.raises(ApiError, match="status 500"):
            client.get("/me")
    assert len(asked) == 2


def test_retries_end() -> None:
    def handler(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("no", request=request)

    slept: list[float] = []
    with client_of(handler, slept, retries=2) as client, pytest.raises(httpx2.ConnectError):
        client.get("/me")
    assert slept == [0.5, 1.0]
    with client_of(lambda _: httpx2.Response(502), slept, retries=1) as client, pytest.raises(ApiError):
        client.get("/me")


@pytest.mark.parametrize(("state", "said"), [("failed", "It broke"), ("cancelled", "was cancelled")])
def test_a_job_that_ends_badly(state: str, said: str) -> None:
    job = {"state": state, "error": "It broke." if state == "failed" else None}
    with client_of(lambda _: httpx2.Response(200, json=job), []) as client:
        with pytest.raises(JobError, match=said) as caught:
            client.wait("/batches/1")
        assert caught.value.job == job


def test_nobody_waits_for_ever() -> None:
    slept: list[float] = []
    job = {"state": "running", "phase": "embedding"}
    client = client_of(lambda _: httpx2.Response(200, json=job), slept, patience=10)
    with client, pytest.raises(TimeoutError, match="embedding"):
        client.wait("/batches/1")
    assert sum(slept) >= 10
    assert max(slept) <= 5


def test_lists_are_walked() -> None:
    def handler(request: httpx2.Request) -> httpx2.Response:
        if "cursor" in request.url.params:
            return httpx2.Response(200, json={"items": [{"name": "b"}], "next": None})
        return httpx2.Response(200, json={"items": [{"name": "a"}], "next": "/api/v1/datasets?cursor=1"})

    with client_of(handler, []) as client:
        assert [one["name"] for one in client.datasets()] == ["a", "b"]
        assert client.dataset("b") == {"name": "b"}
        with pytest.raises(ApiError, match="'c'"):
            client.dataset("c")


def test_frames_become_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = pd.DataFrame(
        {"id": ["a", "b", "c"], "n": [1, 2, 3], "x": [0.5, None, float("nan")], "t": ["\ud800", "é", pd.NA]},
        dtype=object,
    )
    monkeypatch.setattr(frames, "ROWS_A_CALL", 2)
    parts = list(frames.in_parts(frame))
    assert [part.decode() for part in parts] == [
        '{"id": "a", "n": 1, "x": 0.5, "t": "\\ud800"}\n{"id": "b", "n": 2, "t": "\\u00e9"}\n',
        '{"id": "c", "n": 3}\n',
    ]
    dates = pd.DataFrame({"at": pd.to_datetime(["2026-01-02"])})
    assert frames.lines_of(dates) == b'{"at": "2026-01-02 00:00:00"}\n'
    assert list(frames.in_parts([{"id": "a", "label": None}])) == [b'{"id": "a"}\n']
