"""A small server on loopback that speaks the files, fine-tunes, models and embeddings of OpenAI's API."""

import base64
import io
import json
import re
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

API_KEY = "test-key-7f3a"
CREATED_AT = 1_790_000_000
AT_ONCE = {"retry-after": "0", "retry-after-ms": "1"}
"""Headers of a server that asks to be asked again now."""
JOB_ACTION = re.compile(r"/v1/fine_tuning/jobs/([^/]+)(?:/(cancel|events|checkpoints|pause|resume))?$")


@dataclass
class Failure:
    """What the next `times` requests get instead of an answer; `only` is the method and path it is for."""

    status: int
    message: str = "The fake was told to fail."
    code: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    content_type: str = "application/json"
    times: int = 1
    only: tuple[str, str] | None = None
    is_lost: bool = False  # the request is carried out, and its answer never arrives


@dataclass
class FakeOpenAI:
    """State of the server, and switches for tests.

    `progress` is what a job's status becomes at each retrieve; the last one stays.
    `knows_metadata_filter` off = a compatible server that lists all jobs whatever is asked.
    """

    url: str = ""
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    contents: dict[str, bytes] = field(default_factory=dict)
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    models: list[dict[str, Any]] = field(default_factory=list)
    progress: list[str] = field(default_factory=lambda: ["queued", "running", "succeeded"])
    knows_metadata_filter: bool = True
    failures: list[Failure] = field(default_factory=list)
    hang_seconds: float = 0.0
    requests: list[tuple[str, str]] = field(default_factory=list)
    embedding_bodies: list[dict[str, Any]] = field(default_factory=list)
    embedded_before_failing: int | None = None
    chats: list[dict[str, Any]] = field(default_factory=list)
    says: Callable[[dict[str, Any]], str] = field(default=lambda body: str(body["messages"][-1]["content"]))
    knows_pause: bool = True
    knows_schemas: bool = True

    def fail_next(self, failure: Failure) -> None:
        self.failures.append(failure)

    def count(self, method: str, path: str) -> int:
        return sum(1 for request in self.requests if request == (method, path))

    def add_file(self, name: str, purpose: str, content: bytes) -> dict[str, Any]:
        file_id = f"file-{len(self.files) + 1}"
        file: dict[str, Any] = {
            "id": file_id,
            "object": "file",
            "bytes": len(content),
            "created_at": CREATED_AT + len(self.files),
            "filename": name,
            "purpose": purpose,
            "status": "processed",
        }
        self.files[file_id] = file
        self.contents[file_id] = content
        return file

    def add_job(self, body: dict[str, Any]) -> dict[str, Any]:
        job = {
            "id": f"ftjob-{len(self.jobs) + 1}",
            "object": "fine_tuning.job",
            "created_at": CREATED_AT + len(self.jobs),
            "error": None,
            "fine_tuned_model": None,
            "finished_at": None,
            "hyperparameters": {"n_epochs": "auto", "batch_size": "auto", "learning_rate_multiplier": "auto"},
            "model": body["model"],
            "organization_id": "org-test",
            "result_files": [],
            "seed": body.get("seed", 0),
            "status": "validating_files",
            "trained_tokens": None,
            "training_file": body["training_file"],
            "validation_file": body.get("validation_file"),
            "method": body.get("method"),
            "metadata": body.get("metadata"),
        }
        self.jobs[job["id"]] = job
        return job

    def embedding(self, text: str) -> list[float]:
        """Return a vector that says something of a text: its length, its letters, its end."""
        return [float(len(text)), *(float(text.count(letter)) for letter in "aeiou"), float(ord(text[-1]))]

    def advance(self, job: dict[str, Any]) -> None:
        if job["status"] in {"succeeded", "failed", "cancelled", "paused"}:
            return
        job["status"] = self.progress.pop(0) if len(self.progress) > 1 else self.progress[0]
        if job["status"] == "succeeded":
            job |= {
                "fine_tuned_model": f"ft:{job['model']}:test",
                "trained_tokens": 1234,
                "finished_at": CREATED_AT + 600,
            }
        if job["status"] == "failed":
            job["error"] = {
                "code": "invalid_training_file",
                "message": "The file is too short.",
                "param": None,
            }


class _Handler(BaseHTTPRequestHandler):
    fake: FakeOpenAI

    def do_GET(self) -> None:
        self._answer("GET")

    def do_POST(self) -> None:
        self._answer("POST")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
        """Stay quiet: tests read the fake's list of requests."""

    def _answer(self, method: str) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path, query = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
        self.fake.requests.append((method, path))
        time.sleep(self.fake.hang_seconds)
        failures = [one for one in self.fake.failures if one.only in {None, (method, path)}]
        if failures and failures[0].is_lost:
            self._lose(failures[0], method, path, query, body)
        elif failures:
            self._fail(failures[0])
        elif self.headers.get("Authorization") != f"Bearer {API_KEY}":
            self._refuse(
                401, f"Incorrect API key provided: {self.headers.get('Authorization')}", "invalid_api_key"
            )
        else:
            self._route(method, path, query, body)

    def _lose(
        self, failure: Failure, method: str, path: str, query: dict[str, list[str]], body: bytes
    ) -> None:
        self.fake.failures.remove(failure)
        self.wfile, real = io.BytesIO(), self.wfile
        self._route(method, path, query, body)
        self.wfile = real
        self.close_connection = True

    def _route(self, method: str, path: str, query: dict[str, list[str]], body: bytes) -> None:
        match = JOB_ACTION.match(path)
        if match:
            self._job(method, match[1], match[2])
        elif (method, path) == ("GET", "/v1/models"):
            self._page(self.fake.models, query)
        elif (method, path) == ("GET", "/v1/files"):
            self._page(list(reversed(self.fake.files.values())), query)
        elif (method, path) == ("GET", "/v1/fine_tuning/jobs"):
            self._page(self._matching_jobs(query), query)
        elif (method, path) == ("POST", "/v1/files"):
            self._upload(body)
        elif (method, path) == ("POST", "/v1/fine_tuning/jobs"):
            self._create(json.loads(body))
        elif (method, path) == ("POST", "/v1/embeddings"):
            self._embed(json.loads(body))
        elif (method, path) == ("POST", "/v1/chat/completions"):
            self._chat(json.loads(body))
        else:
            self._refuse(404, f"Unknown request URL: {method} {path}.", "unknown_url")

    def _matching_jobs(self, query: dict[str, list[str]]) -> list[dict[str, Any]]:
        jobs = list(reversed(self.fake.jobs.values()))
        wanted = {key[9:-1]: values[0] for key, values in query.items() if key.startswith("metadata[")}
        if not self.fake.knows_metadata_filter:
            return jobs
        return [job for job in jobs if wanted.items() <= (job["metadata"] or {}).items()]

    def _job(self, method: str, job_id: str, action: str | None) -> None:
        job = self.fake.jobs.get(job_id)
        if job is None:
            self._refuse(404, f"Could not find fine tune: {job_id}", "fine_tune_not_found")
        elif action == "events":
            message = {"object": "fine_tuning.job.event", "level": "info", "type": "message", "data": {}}
            events = [
                message | {"id": "ftevent-2", "created_at": CREATED_AT + 2, "message": "Started."},
                message | {"id": "ftevent-1", "created_at": CREATED_AT + 1, "message": "Created."},
            ]
            self._send(200, {"object": "list", "data": events, "has_more": False})
        elif action == "cancel" and method == "POST":
            job["status"] = "cancelled"
            self._send(200, job)
        elif action == "checkpoints":
            self._send(200, {"object": "list", "data": self._checkpoints(job), "has_more": False})
        elif action in {"pause", "resume"}:
            self._rest(job, action)
        else:
            self.fake.advance(job)
            self._send(200, job)

    def _rest(self, job: dict[str, Any], action: str) -> None:
        if not self.fake.knows_pause:
            self._refuse(404, "Unknown request URL.", "unknown_url")
            return
        job["status"] = "paused" if action == "pause" else "running"
        self._send(200, job)

    def _checkpoints(self, job: dict[str, Any]) -> list[dict[str, Any]]:
        return [
            {
                "id": f"ftckpt-{step}",
                "object": "fine_tuning.job.checkpoint",
                "created_at": CREATED_AT + step,
                "fine_tuned_model_checkpoint": f"ft:{job['model']}:test:{step}",
                "fine_tuning_job_id": job["id"],
                "metrics": {"step": step, "train_loss": 1 / step, "full_valid_loss": 2 / step},
                "step_number": step,
            }
            for step in (3, 2, 1)
        ]

    def _upload(self, body: bytes) -> None:
        boundary = b"--" + self.headers["Content-Type"].split("boundary=")[1].encode()
        fields: dict[str, bytes] = {}
        name = ""
        for part in body.split(boundary)[1:-1]:
            head, content = part.removeprefix(b"\r\n").removesuffix(b"\r\n").split(b"\r\n\r\n", 1)
            found = re.search(rb'name="([^"]*)"(?:; filename="([^"]*)")?', head)
            assert found, head
            fields[found[1].decode()] = content
            name = found[2].decode() if found[2] else name
        self._send(200, self.fake.add_file(name, fields["purpose"].decode(), fields["file"]))

    def _create(self, body: dict[str, Any]) -> None:
        if body["training_file"] not in self.fake.files:
            self._refuse(400, f"invalid training_file: {body['training_file']}", "invalid_value")
            return
        self._send(200, self.fake.add_job(body))

    def _embed(self, body: dict[str, Any]) -> None:
        fake, texts = self.fake, body["input"]
        fake.embedding_bodies.append(body)
        if not all(texts) or len(texts) > 2048 or sum(len(text) for text in texts) > 300_000:
            self._refuse(400, "'$.input' is invalid.", None)
            return
        if fake.embedded_before_failing is not None:
            if not fake.embedded_before_failing:
                self._refuse(401, "Your key has just been revoked.", "invalid_api_key")
                return
            fake.embedded_before_failing -= 1
        data = []
        for index, text in enumerate(texts):
            numbers = fake.embedding(text)
            packed = base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()
            vector = packed if body.get("encoding_format") == "base64" else numbers
            data.append({"object": "embedding", "index": index, "embedding": vector})
        tokens = sum(len(text.split()) for text in texts)
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        # Any order is allowed: the index counts.
        answer = {"object": "list", "data": data[::-1], "model": body["model"], "usage": usage}
        self._send(200, answer)

    def _chat(self, body: dict[str, Any]) -> None:
        if "response_format" in body and not self.fake.knows_schemas:
            self._refuse(400, "Unknown parameter: 'response_format'.", "unknown_parameter")
            return
        self.fake.chats.append(body)
        said = {"role": "assistant", "content": self.fake.says(body), "refusal": None}
        choice = {"index": 0, "message": said, "finish_reason": "stop", "logprobs": None}
        usage = {"prompt_tokens": 20, "completion_tokens": 2, "total_tokens": 22}
        self._send(
            200,
            {
                "id": f"chatcmpl-{len(self.fake.chats)}",
                "object": "chat.completion",
                "created": CREATED_AT,
                "model": body["model"],
                "choices": [choice],
                "usage": usage,
            },
        )

    def _page(self, items: list[dict[str, Any]], query: dict[str, list[str]]) -> None:
        after = query.get("after", [""])[0]
        start = next((at + 1 for at, item in enumerate(items) if item["id"] == after), 0)
        limit = int(query.get("limit", ["20"])[0])
        page = items[start : start + limit]
        first_id, last_id = (page[0]["id"], page[-1]["id"]) if page else (None, None)
        self._send(
            200,
            {
                "object": "list",
                "data": page,
                "first_id": first_id,
                "last_id": last_id,
                "has_more": start + limit < len(items),
            },
        )

    def _fail(self, failure: Failure) -> None:
        failure.times -= 1
        if not failure.times:
            self.fake.failures.remove(failure)
        if failure.raw is not None:
            self._send_bytes(failure.status, failure.raw, failure.content_type, failure.headers)
        else:
            self._refuse(failure.status, failure.message, failure.code, failure.headers)

    def _refuse(
        self, status: int, message: str, code: str | None, headers: dict[str, str] | None = None
    ) -> None:
        error = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
        self._send(status, {"error": error}, headers)

    def _send(self, status: int, body: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        self._send_bytes(status, json.dumps(body).encode(), "application/json", headers or {})

    def _send_bytes(self, status: int, body: bytes, content_type: str, headers: dict[str, str]) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("x-request-id", f"req-{len(self.fake.requests)}")
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def fake_openai() -> Iterator[FakeOpenAI]:
    """Serve on a free port of 127.0.0.1 while the context is open; `url` is the client's base_url."""
    fake = FakeOpenAI(
        models=[
            {"id": "small-1", "object": "model", "created": CREATED_AT, "owned_by": "fake"},
            {
                "id": "large-1",
                "object": "model",
                "created": CREATED_AT,
                "owned_by": "fake",
                "shutdown_date": "2027-01-06",
            },
        ]
    )
    handler = type("Handler", (_Handler,), {"fake": fake})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    fake.url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
