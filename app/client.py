"""A client of the API for scripts and notebooks: data frames in and out, waiting for jobs, safe retries.

from app.client import Client

client = Client("http://127.0.0.1:8321", token="setright_…")
client.upload(frame, "requests")
client.score("requests")
print(client.issues("requests"))
"""

import io
import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx2
import pandas as pd

from app.frames import Rows, in_parts, lines_of

API = "/api/v1"
NDJSON = "application/x-ndjson"
ACCEPTED = 202
ENDED = frozenset({"done", "failed", "cancelled"})
PASSING = frozenset({429, 502, 504})
"""Statuses that pass by themselves: the same request is sent again, under the same key."""
UNAVAILABLE = 503
LONGEST_WAIT = 60.0

Json = dict[str, Any]


class ApiError(Exception):
    """The server has refused a request; the text is its sentence.

    Attributes
    ----------
    status : int
        The HTTP status: 401 no valid token, 403 not allowed, 404 not there, 409 somebody was first, 422 what
        was sent cannot be used.
    fields : dict
        What is wrong with which field.
    faults : list of dict
        For many rows, `line` and `reason` of the first that cannot be used.
    request_id : str
        What the server's log calls the request.
    """

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        super().__init__(str(problem.get("detail") or f"The server answered with status {status}."))
        self.status = status
        self.fields: dict[str, str] = dict(problem.get("fields", {}))
        self.faults: list[Json] = list(problem.get("faults", []))
        self.request_id: str = problem.get("request_id", "")


class JobError(Exception):
    """A job has failed or was cancelled; `job` is its last state."""

    def __init__(self, job: Json) -> None:
        super().__init__(job.get("error") or f"The job was {job['state']}.")
        self.job = job


class Client:
    """Asks one server, for one person.

    Parameters
    ----------
    url : str
        Where the server is.
    token : str, optional
        Made by `setright token create NAME`; not needed on the server's own machine while nobody has a login
        and SETRIGHT_LOCAL_ACCESS is `open`.
    retries : int
        How often a request is sent again that did not arrive or met a passing trouble. Writes carry an
        idempotency key, so that none of them happens twice.
    patience : float
        Seconds for which a job is waited for.
    transport : httpx2.BaseTransport, optional
        What carries the requests; the network if not said.
    sleep : callable
        Waits for so many seconds.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8321",
        token: str | None = None,
        *,
        retries: int = 5,
        patience: float = 3600,
        transport: httpx2.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._http = httpx2.Client(base_url=url.rstrip("/"), headers=headers, timeout=60, transport=transport)
        self._retries, self._patience, self._sleep = retries, patience, sleep

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def request(self, method: str, path: str, **options: Any) -> httpx2.Response:
        """Send a request, again where it makes sense, and return the answer.

        Raises
        ------
        ApiError
            The server refuses it.
        httpx2.TransportError
            The server cannot be reached.
        """
        if method != "GET":
            options["headers"] = {"Idempotency-Key": uuid.uuid4().hex, **options.get("headers", {})}
        for attempt in range(self._retries + 1):
            is_last = attempt == self._retries
            try:
                response = self._http.request(method, path, **options)
            except httpx2.TransportError:
                if is_last:
                    raise
                self._sleep(_pause(attempt))
                continue
            if is_last or not _passes(response):
                break
            self._sleep(_pause(attempt, response.headers.get("retry-after")))
        if response.is_error:
            raise ApiError(response.status_code, _problem(response))
        return response

    def get(self, path: str, **query: Any) -> Json:
        """Return one thing."""
        return _json(self.request("GET", API + path, params=_said(query)))

    def post(self, path: str, body: Any = None, **query: Any) -> Json:
        """Write something."""
        return _json(self.request("POST", API + path, json=body, params=_said(query)))

    def pages(self, path: str, **query: Any) -> Iterator[Json]:
        """Yield everything that a list holds, part after part."""
        address: str | None = API + path
        params: Json | None = _said(query)
        while address:
            part = _json(self.request("GET", address, params=params))
            yield from part["items"]
            address, params = part["next"], None

    def wait(self, path: str, *, every: float = 0.1) -> Json:
        """Wait for a job, as `/imports/7`, and return its last state.

        Raises
        ------
        JobError
            It has failed or was cancelled.
        TimeoutError
            It has not ended within the client's patience.
        """
        waited = 0.0
        while True:
            job = self.get(path)
            if job["state"] in ENDED:
                break
            if waited >= self._patience:
                raise TimeoutError(
                    f"{path} has not ended within {self._patience:.0f} seconds: {job['phase']}"
                )
            self._sleep(every)
            waited += every
            every = min(every * 1.2, 2.0)
        if job["state"] != "done":
            raise JobError(job)
        return job

    def datasets(self) -> list[Json]:
        """Return the datasets, newest first."""
        return list(self.pages("/datasets"))

    def dataset(self, name: str | int) -> Json:
        """Return a dataset by its name or its number."""
        if isinstance(name, int):
            return self.get(f"/datasets/{name}")
        for found in self.pages("/datasets"):
            if found["name"] == name:
                return found
        raise ApiError(404, {"detail": f"There is no dataset {name!r}."})

    def labels(self, dataset: str | int) -> list[str]:
        """Return the labels of a dataset in their order, that of probabilities."""
        return [label["name"] for label in self.pages(f"{self._path(dataset)}/labels")]

    def upload(self, data: pd.DataFrame | Path | str, dataset: str, **columns: Any) -> Json:
        """Import a data frame or a file, and wait until its rows are in.

        Parameters
        ----------
        data : DataFrame, Path or str
            Rows, or the path of a file in any format the server reads.
        dataset : str
            Name of the dataset; made if there is none.
        **columns
            What the API's import takes: `text`, `label`, `id`, `split_column` name columns; `split` is
            `train` or `test`; `update`, `allow_unlabelled`, `metadata`, `filterable` as there.
        """
        query = _said({"dataset": dataset, **columns})
        if isinstance(data, pd.DataFrame):
            content = lines_of(data)
            headers = {"Content-Type": NDJSON}
            made = self.request("POST", f"{API}/imports", content=content, headers=headers, params=query)
        else:
            file = Path(data)
            files = {"file": (file.name, file.read_bytes())}
            made = self.request("POST", f"{API}/imports", files=files, params=query)
        return self.wait(f"/imports/{_json(made)['id']}")

    def score(
        self, dataset: str | int, *, pred_probs: pd.DataFrame | None = None, wait: bool = True, **how: Any
    ) -> Json:
        """Find label issues; `pred_probs`, indexed by the rows' ids, has a column for each label.

        `how` may name `embedder`, `seed` and `folds`.
        """
        path = self._path(dataset)
        if pred_probs is not None:
            self._send_probabilities(path, pred_probs)
            run = self.post(f"{path}/predictions/score", how)
        else:
            run = self.post(f"{path}/scoring-runs", how)
        return self.wait(f"/scoring-runs/{run['id']}") if wait else run

    def issues(self, dataset: str | int, *, split: str = "train", kind: str | None = None) -> pd.DataFrame:
        """Return the flagged rows, the worst first; `kind` names another kind than label issues."""
        found = self.pages(f"{self._path(dataset)}/issues", split=split, kind=kind, limit=1000)
        columns = (
            "rank", "id", "split", "text", "given_label", "suggested_label", "self_confidence",
            "suggested_confidence", "state",
        )  # fmt: skip
        return pd.DataFrame(list(found), columns=None if kind else list(columns))

    def examples(self, dataset: str | int, **wanted: Any) -> pd.DataFrame:
        """Return rows in the queue's order, filtered as the API's list of rows is."""
        found = self.pages(f"{self._path(dataset)}/examples", **{"limit": 200, **wanted})
        return pd.DataFrame(list(found))

    def filter_columns(self, dataset: str | int, names: Sequence[str] | None = None) -> list[str]:
        """Return the columns of metadata that rows can be filtered by; `names`, if given, become these."""
        path = f"{self._path(dataset)}/filter-columns"
        if names is not None:
            chosen = self.request("PUT", API + path, json={"names": list(names)})
            if chosen.status_code == ACCEPTED:
                self.wait(f"/column-changes/{_json(chosen)['id']}")
        return [column["name"] for column in self.get(path)["columns"] if column["state"] == "whole"]

    def decide(
        self, dataset: str | int, row: str, verdict: str, *, label: str | None = None, **more: Any
    ) -> Json:
        """Give a verdict on a row by its id; `more` may be `version` and `note`."""
        wish = {"id": row, "verdict": verdict, "label": label, **more}
        return self.decide_many(dataset, [wish])

    def decide_many(self, dataset: str | int, rows: Rows, *, on_conflict: str = "refuse") -> Json:
        """Give a verdict on each row: columns or keys `id`, `verdict`, `label`, `version`, `note`.

        Each 50,000 rows are one call, all or none of which is written. Returns how many were `decided`, how
        many `skipped`, and which were the `first_skipped`.
        """
        path = f"{API}{self._path(dataset)}/decisions/bulk"
        total: Json = {"decided": 0, "skipped": 0, "first_skipped": []}
        for lines in in_parts(rows):
            sent = self.request(
                "POST",
                path,
                content=lines,
                headers={"Content-Type": NDJSON},
                params={"on_conflict": on_conflict},
            )
            total = {name: value + _json(sent)[name] for name, value in total.items()}
        return total

    def undo(self, dataset: str | int) -> Json:
        """Take back your own last verdict."""
        return self.post(f"{self._path(dataset)}/decisions/undo")

    def autofix_preview(
        self, dataset: str | int, rule: str = "recommended", value: float | None = None, **wanted: Any
    ) -> Json:
        """Say what an auto-fix would change, before it changes anything."""
        return self.get(f"{self._path(dataset)}/batches/preview", rule=rule, value=value, **wanted)

    def autofix(
        self, dataset: str | int, rule: str = "recommended", value: float | None = None, **wanted: Any
    ) -> Json:
        """Replace labels by the suggested ones within a rule, and wait for it; `undo_batch` takes it back."""
        body = {"rule": {"kind": rule, "value": value}, "filter": wanted}
        batch = self.post(f"{self._path(dataset)}/batches", body)
        return self.wait(f"/batches/{batch['id']}")

    def undo_batch(self, batch_id: int) -> Json:
        """Take a batch back as one, and wait for it."""
        self.post(f"/batches/{batch_id}/undo")
        return self.wait(f"/batches/{batch_id}")

    def export(
        self, dataset: str | int, *, variant: str = "corrected", split: str = "train", **how: Any
    ) -> pd.DataFrame:
        """Return the rows of a variant: `id`, `text`, `label`, `given_label`, `split`, `state`, metadata."""
        query = {"format": "jsonl", "variant": variant, "split": split, **how}
        path = f"{API}{self._path(dataset)}/exports/stream"
        found = self.request("GET", path, params=_said(query), headers={"Accept": NDJSON})
        with closing(io.StringIO(found.text)) as lines:
            return pd.DataFrame([json.loads(line) for line in lines if line.strip()])

    def experiment(self, dataset: str | int, **wanted: Any) -> Json:
        """Train on several variants, judge all by the test split, and wait for the results.

        `wanted` may be `trainer`, `seeds`, `variants` and the rest that the API takes.
        """
        experiment = self.post(f"{self._path(dataset)}/experiments", wanted)
        return self.wait(f"/experiments/{experiment['id']}")

    def _path(self, dataset: str | int) -> str:
        number = dataset if isinstance(dataset, int) else self.dataset(dataset)["id"]
        return f"/datasets/{number}"

    def _send_probabilities(self, path: str, pred_probs: pd.DataFrame) -> None:
        names = [str(name) for name in pred_probs.columns]
        self.request("DELETE", f"{API}{path}/predictions")
        rows = [
            {"id": str(row), "probabilities": dict(zip(names, values, strict=True))}
            for row, values in zip(pred_probs.index, pred_probs.to_numpy(dtype=float).tolist(), strict=True)
        ]
        for lines in in_parts(rows):
            headers = {"Content-Type": NDJSON}
            self.request("POST", f"{API}{path}/predictions", content=lines, headers=headers)


def _said(query: Mapping[str, Any]) -> Json:
    return {
        name: str(value).lower() if isinstance(value, bool) else value
        for name, value in query.items()
        if value is not None
    }


def _json(response: httpx2.Response) -> Json:
    found: Json = response.json() if response.content else {}
    return found


def _problem(response: httpx2.Response) -> Json:
    try:
        found = response.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _passes(response: httpx2.Response) -> bool:
    is_asked_back = response.status_code == UNAVAILABLE and "retry-after" in response.headers
    return response.status_code in PASSING or is_asked_back


def _pause(attempt: int, asked: str | None = None) -> float:
    if asked is not None and asked.isdecimal():
        return min(float(asked), LONGEST_WAIT)
    return float(min(0.5 * 2**attempt, LONGEST_WAIT))
