"""Giving people and programs access from the command line."""

import re
from pathlib import Path

import httpx2
import pytest

from app.actor import Role
from app.db import Database
from app.services.accounts import access, people, sessions
from tests import factories
from tests.commands.terminal import Terminal
from tests.loop.serving import printed

PASSWORD = "correct horse battery\n"


@pytest.mark.slow
def test_the_address_that_is_printed_lets_its_reader_in(terminal: Terminal) -> None:
    with printed(terminal, "serve", "--no-worker", local_access="link") as address:
        start = address[: address.index("/open?key=")]
        assert httpx2.get(f"{start}/api/v1/datasets").status_code == 401
        assert "Open the link" in httpx2.get(start, follow_redirects=True).text
        with httpx2.Client(follow_redirects=True) as browser:
            page = browser.get(address)
            assert (page.status_code, str(page.url)) == (200, f"{start}/")
            assert browser.get(f"{start}/datasets/new").status_code == 200
        assert httpx2.get(address).status_code == 401, "once"
        again = terminal.run("user", "link").strip()
        with httpx2.Client(follow_redirects=True) as browser:
            assert browser.get(f"{start}/open?{again.partition('?')[2]}").status_code == 200


def test_links_for_people(terminal: Terminal) -> None:
    said = terminal.run("user", "link")
    assert re.fullmatch(r"http://127\.0\.0\.1:8321/open\?key=[\w-]{43}\n", said)
    terminal.run("user", "add", "ada", "--role", "admin", "--password-stdin", stdin=PASSWORD)
    assert "say for whom" in terminal.fails("user", "link")
    assert "no user 'bob'" in terminal.fails("user", "link", "bob")
    terminal.run("user", "add", "bob", "--no-password")
    key = terminal.run("user", "link", "bob", "--hours", "1").strip().partition("key=")[2]
    database = Database(f"sqlite:///{terminal.home / 'setright.db'}")
    with database.write() as session:
        assert sessions.follow_link(session, key).name == "bob"
    database.close()


def test_people_are_switched_off_and_on(terminal: Terminal) -> None:
    terminal.run("user", "add", "ada", "--role", "admin", "--password-stdin", stdin=PASSWORD)
    assert "only admin" in terminal.fails("user", "off", "ada")
    terminal.run("user", "add", "gus", "--guest", "--no-password")
    terminal.run("user", "off", "gus")
    assert terminal.run("user", "list") == "ada: admin\ngus: annotator, guest, switched off\n"
    terminal.run("user", "on", "gus")
    assert terminal.run("user", "list") == "ada: admin\ngus: annotator, guest\n"


def test_roles_in_a_dataset_and_tokens_for_one(terminal: Terminal) -> None:
    terminal.run("user", "add", "ada", "--role", "admin", "--password-stdin", stdin=PASSWORD)
    terminal.run("user", "add", "ann", "--no-password")
    database = Database(f"sqlite:///{terminal.home / 'setright.db'}")
    made = factories.make_dataset(database, name="Requests")
    for role, expected in (("lead", "lead"), ("none", None), ("elsewhere", "annotator")):
        assert "ann" in terminal.run("user", "dataset", "ann", "Requests", "--role", role)
        with database.read() as session:
            actor = access.actor_of(session, people.get_user(session, "ann"))
        assert actor.role_in(made) == expected
    assert "no dataset 'Nothing'" in terminal.fails("user", "dataset", "ann", "Nothing", "--role", "lead")
    assert "admins may do everything" in terminal.fails(
        "user", "dataset", "ada", "Requests", "--role", "none"
    )
    said = terminal.run("token", "create", "ci", "--user", "ann", "--scope", "read", "--dataset", "Requests")
    assert terminal.run("token", "list") == f"1: ci, never used, scope read, in dataset {made}\n"
    with database.read() as session:
        use = people.use_token(session, said.split()[-1])
    assert use is not None
    assert use.actor.role_in(made) is Role.VIEWER
    assert use.actor.only == frozenset({made})
    database.close()


def test_the_first_admin_comes_from_a_file(
    terminal: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "admin-password"
    monkeypatch.setenv("SETRIGHT_ADMIN_PASSWORD_FILE", str(file))
    said = terminal.fails("migrate")
    assert said == f"SETRIGHT_ADMIN_PASSWORD_FILE: {file} cannot be read: No such file or directory."
    file.write_text("short\n", encoding="utf-8")
    assert "password" in terminal.fails("migrate").lower()
    file.write_text(PASSWORD, encoding="utf-8")
    terminal.run("migrate")
    assert terminal.run("user", "list") == "admin: admin\n"
    database = Database(f"sqlite:///{terminal.home / 'setright.db'}")
    with database.write() as session:
        assert people.authenticate(session, "admin", PASSWORD.strip()).role is Role.ADMIN
    database.close()
    file.unlink()
    terminal.run("migrate")
