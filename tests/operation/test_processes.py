"""Setright as a team runs it, without the containers: web processes and workers on one Postgres."""

import hashlib
import json
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import httpx2
import pytest
import sqlalchemy as sa
from alembic.script import ScriptDirectory

from app import migrate
from app.actor import LOCAL
from app.config import Settings
from app.db import Database
from app.models import Dataset
from app.samples import sample_path
from app.services.accounts import people
from app.services.versioning import replay
from tests import factories
from tests.commands.terminal import Terminal
from tests.factories import make_dataset
from tests.operation.running import ROOT, Place, Running, ask, finished

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("processes")]


@pytest.fixture
def place(settings: Settings, pg_url: str, tmp_path: Path) -> Place:
    """Where all processes run: one Postgres, one folder, a password in a file."""
    password = tmp_path / "admin-password"
    password.write_text(f"{factories.PASSWORD}\n", encoding="utf-8")
    environment = {
        "SETRIGHT_HOME": str(settings.home),
        "SETRIGHT_DATABASE_URL": pg_url,
        "SETRIGHT_ADMIN_PASSWORD_FILE": str(password),
        "SETRIGHT_ADMIN_NAME": "ada",
        "SETRIGHT_LOG_JSON": "true",
        "SETRIGHT_LOG_LEVEL": "DEBUG",
        "SETRIGHT_METRICS": "true",
    }
    return Place(tmp_path, environment)


@pytest.fixture
def database(pg_url: str) -> Iterator[Database]:
    opened = Database(pg_url)
    yield opened
    opened.close()


def token_of(database: Database) -> str:
    with database.write() as session:
        secret, _ = people.create_token(session, "ada", "test", days=None, actor=LOCAL)
    return secret


def client_of(address: str, token: str) -> httpx2.Client:
    return httpx2.Client(base_url=address, headers={"Authorization": f"Bearer {token}"}, timeout=60)


def differences(database: Database) -> list[str]:
    with database.read() as session:
        found = [replay.replay(session, dataset) for dataset in session.scalars(sa.select(Dataset))]
    assert found
    return [one for dataset in found for one in dataset.differences]


def decide(client: httpx2.Client, there: str, row: dict[str, Any], verdict: str) -> httpx2.Response:
    body = {"example_id": row["id"], "verdict": verdict, "version": row["version"]}
    return client.post(f"{there}/decisions", json=body)


def logged(running: Running) -> list[dict[str, Any]]:
    """Return the lines of a log, each of which is JSON but for what is said to who started it."""
    lines = running.log.read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines if not line.startswith(("Setright is at", "Worker "))]


def check_pages_go_first(webs: list[Running], workers: list[Running]) -> None:
    here = os.getpriority(os.PRIO_PROCESS, 0)
    web, worker = (
        {os.getpriority(os.PRIO_PROCESS, one.process.pid) for one in kind} for kind in (webs, workers)
    )
    assert web == {here}
    assert worker == {min(here + Settings(_env_file=None).worker_niceness, 19)}


def test_two_web_processes_and_three_workers(place: Place, database: Database) -> None:
    place.run("migrate")
    token = token_of(database)
    with ExitStack() as stack:
        workers = [stack.enter_context(place.process(f"worker-{one}", "worker")) for one in "123"]
        serve = ("serve", "--no-worker", "--port", "0")
        webs = [stack.enter_context(place.process(f"web-{one}", *serve)) for one in "12"]
        for one in workers:
            one.says(r"Worker \S+ is ready")
        check_pages_go_first(webs, workers)
        first, second = (stack.enter_context(client_of(one.address(), token)) for one in webs)
        check_login_in_both(webs[0].address(), webs[1].address())
        assert "setright_workers 3.0" in first.get("/metrics").text
        there = imported(first)
        ask(second, f"{there}/scoring-runs", {"embedder": "tfidf", "folds": 3})
        rows = first.get(f"{there}/examples?limit=8").json()["items"]
        for number, row in enumerate(rows[:-1]):
            assert decide((first, second)[number % 2], there, row, "keep").status_code == 201
        both = [decide(one, there, rows[-1], "keep").status_code for one in (first, second)]
        assert both == [201, 409]
        asked = ask(first, f"{there}/exports", {"format": "csv"})
        file = second.get(f"/api/v1/exports/{asked['id']}/file")
        assert hashlib.sha256(file.content).hexdigest() == asked["sha256"]
        webs[1].says(rf'"request_id": "{file.headers["X-Request-ID"]}"')
        for one in workers:
            assert all(line["level"] not in {"error", "critical"} for line in logged(one))
    assert differences(database) == []


def check_login_in_both(first: str, second: str) -> None:
    """Sign in at one web process as the admin of the file, and be known to the other."""
    sent = {"name": "ada", "password": factories.PASSWORD}
    answer = httpx2.post(f"{first}/sign-in", data=sent, timeout=60)
    assert answer.status_code == 303, answer.text
    cookie = {"setright_session": answer.cookies["setright_session"]}
    assert httpx2.get(f"{second}/people", cookies=cookie, timeout=60).status_code == 200


def imported(client: httpx2.Client) -> str:
    """Import the sample; return the dataset's address."""
    sent = client.post(
        "/api/v1/imports",
        params={"dataset": "Sample", "split_column": "split"},
        files={"file": ("sample.csv", sample_path().read_bytes())},
    )
    return f"/api/v1/datasets/{finished(client, sent.headers['location'])['dataset_id']}"


EXPAND = '''"""Add what the next version needs, and take nothing away"""

import sqlalchemy as sa
from alembic import op

revision = "9000"
down_revision = "{head}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("examples", sa.Column("colour", sa.Text(), nullable=True))
    op.create_table("colours", sa.Column("id", sa.BigInteger(), primary_key=True))


def downgrade() -> None:
    op.drop_table("colours")
    op.drop_column("examples", "colour")
'''


@pytest.fixture
def next_version(place: Place, tmp_path: Path) -> Place:
    """The same place with the next version installed: it has one migration more."""
    checkout = tmp_path / "next"
    for folder in ("app", "templates", "static", "migrations"):
        shutil.copytree(ROOT / folder, checkout / folder, ignore=shutil.ignore_patterns("__pycache__"))
    head = ScriptDirectory.from_config(migrate.config()).get_current_head()
    file = checkout / "migrations" / "versions" / "9000_add_a_colour.py"
    file.write_text(EXPAND.format(head=head), encoding="utf-8")
    return Place(place.folder, place.environment, checkout)


class Busy:
    """Somebody who reads and decides through a web process, whatever happens to the database meanwhile."""

    def __init__(self, client: httpx2.Client, there: str) -> None:
        self.client, self.there = client, there
        self.count, self.failed = 0, list[str]()
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._work, daemon=True)

    def _work(self) -> None:
        while not self.stop.is_set():
            row = self.client.get(f"{self.there}/examples?limit=1").json()["items"][0]
            answer = decide(self.client, self.there, row, "keep")
            if answer.status_code != 201:
                self.failed.append(answer.text)
                return
            self.count += 1

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.thread.join(120)
        assert not self.thread.is_alive()


def test_an_old_web_process_goes_on_while_the_next_version_takes_over(
    place: Place, next_version: Place, database: Database, tmp_path: Path
) -> None:
    dataset_id = make_dataset(database)
    place.run("migrate")
    token, there = token_of(database), f"/api/v1/datasets/{dataset_id}"
    with place.process("old-web", "serve", "--no-worker", "--port", "0") as old:
        with client_of(old.address(), token) as client, Busy(client, there) as busy:
            next_version.run("migrate")
            with database.read() as session:
                assert session.scalar(sa.text("SELECT version_num FROM alembic_version")) == "9000"
            migrated = busy.count
            with next_version.process("new-worker", "worker"):
                asked = ask(client, f"{there}/exports", {"format": "csv"})
                assert asked["state"] == "done"
            assert client.get("/readyz").text == "ready"
        assert (busy.failed, busy.count > migrated) == ([], True)
        terminal = Terminal(Path(place.environment["SETRIGHT_HOME"]), database.url, tmp_path)
        said = terminal.fails("worker")
        assert "9000" in said
        assert "later version" in said
        with (
            next_version.process("new-web", "serve", "--no-worker", "--port", "0") as new,
            client_of(new.address(), token) as client,
        ):
            row = client.get(f"{there}/examples?limit=1").json()["items"][0]
            assert decide(client, there, row, "keep").status_code == 201
    assert differences(database) == []
