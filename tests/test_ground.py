"""The test ground itself: a check that cannot fail is worth nothing."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from playwright.sync_api import Page, Route

from app.config import Settings
from app.db import Database
from tests.conftest import QueryRecorder
from tests.postgres import Server, shared_server, stop_shared

HERE = "http://127.0.0.1:9/"


def test_databases_come_with_the_tables_of_the_job_queue(any_database: Database) -> None:
    tables = sa.inspect(any_database.engine)
    assert "datasets" in tables.get_table_names()
    assert "workflow_status" in tables.get_table_names(schema=None if any_database.is_sqlite else "dbos")


def test_the_recorder_counts_statements_but_no_transactions(
    any_database: Database, queries: QueryRecorder
) -> None:
    with queries(any_database) as statements, any_database.read() as session:
        session.execute(sa.text("SELECT 1"))
        session.execute(sa.text("SELECT 2"))
    assert statements == ["SELECT 1", "SELECT 2"]


def test_settings_of_the_machine_do_not_reach_a_test(settings: Settings, tmp_path: Path) -> None:
    assert settings.openai_api_key is None
    assert Settings(_env_file=None).home == settings.home == tmp_path / "home"


def test_postgres_sorts_as_a_person_would_where_it_can(postgres: Server) -> None:
    with psycopg.connect(host=postgres.folder, user="postgres", dbname="postgres") as connection:
        provider = connection.execute("SELECT datlocprovider FROM pg_database WHERE datname = 'postgres'")
        is_icu = provider.fetchone() == ("i",)
        names = connection.execute("SELECT v FROM (VALUES ('b'), ('B'), ('a')) AS t(v) ORDER BY v").fetchall()
    assert [name for (name,) in names] == (["a", "b", "B"] if is_icu else ["B", "a", "b"])


def test_postgres_ends_with_the_run(tmp_path: Path, postgres: Server) -> None:
    server = shared_server(tmp_path, watch=os.getpid())
    assert server != postgres
    assert shared_server(tmp_path, watch=os.getpid()) == server
    stop_shared(tmp_path)
    assert not Path(server.folder).exists()


def test_postgres_ends_when_the_run_is_killed(tmp_path: Path, postgres: Server) -> None:
    watched = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    server = shared_server(tmp_path, watch=watched.pid)
    watched.send_signal(signal.SIGKILL)
    watched.communicate()
    deadline = time.monotonic() + 180
    while Path(server.folder).exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    stop_shared(tmp_path)


def serve(page: Page, body: str) -> None:
    def answer(route: Route) -> None:
        route.fulfill(
            body=body, content_type="text/html", headers={"content-security-policy": "script-src 'self'"}
        )

    page.route("**/*", answer)
    page.goto(HERE)


def test_a_good_page_has_no_problem(page: Page, browser_problems: list[str]) -> None:
    serve(page, "<h1>Good</h1>")
    assert page.get_by_role("heading").inner_text() == "Good"
    assert browser_problems == []


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("<script>1</script>", "Content Security Policy"),
        ("<img src='http://cdn.example.com/logo.png'>", "request to another host"),
    ],
)
def test_a_bad_page_is_noticed(page: Page, browser_problems: list[str], body: str, problem: str) -> None:
    serve(page, body)
    page.wait_for_load_state("networkidle")
    assert any(problem in noticed for noticed in browser_problems)
    browser_problems.clear()


def test_a_script_that_throws_is_noticed(page: Page, browser_problems: list[str]) -> None:
    serve(page, "<h1>Good</h1>")
    with page.context.expect_event("weberror"):
        page.evaluate("() => { setTimeout(() => { throw new Error('Broken') }, 0) }")
    assert any("Broken" in noticed for noticed in browser_problems)
    browser_problems.clear()
