"""Every route, for every role, in a dataset of one's own and in one that is hidden: exactly as listed.

The list is `tests/access_matrix.py`; the routes come from the router, so a new one fails until it is listed.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import copyfile
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.actor import LOCAL, Actor, Role
from app.config import Settings
from app.db import Database, now
from app.models import (
    Dataset,
    Example,
    Token,
    User,
)
from app.models.people import SignInMethod
from app.services.accounts import access, people, sessions
from app.web.app import create_app
from app.web.deps import COOKIE
from tests import access_matrix, factories
from tests.access_matrix import (
    ANYBODY,
    CSV,
    DRAFT,
    HERE,
    OTHERS,
    ROUTES,
    SIGNED_IN,
    SOMEWHERE,
    WORKSPACE,
    Needs,
)
from tests.everything import address_of, filled, one_of_everything, routes_of
from tests.web.reading import english_in

NOT_TRANSLATED = ("Where is my parcel", "The three surest are worth it", "openai, other, own")
"""Examples of what to type, the advice of a made-up run, and names of services."""
PERSONS = ("nobody", *Role, "raised", "lowered", "guest")


class Undoing(Database):
    """A database on which nothing lasts: what a request changes is taken back once it is answered."""

    is_undoing = False

    @contextmanager
    def write(self) -> Iterator[Session]:
        with super().write() as session:
            yield session
            if self.is_undoing:
                session.flush()
                session.expunge_all()  # what the answer shows stays as it was
                session.rollback()


@dataclass
class World:
    """Two datasets with one of everything, and people: only admins see the second one."""

    app: Any
    database: Undoing
    ids: dict[str, dict[str, Any]]
    actors: dict[str, Actor]
    cookies: dict[str, str]
    tokens: dict[str, str]
    routes: dict[str, tuple[str, str]]
    client: TestClient


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, migrated_sqlite: Path) -> Iterator[World]:
    home = tmp_path_factory.mktemp("matrix")
    copyfile(migrated_sqlite, home / "setright.db")
    settings = Settings(_env_file=None, home=home, openai_api_key=SecretStr("key"), live_connections=0)
    database = Undoing(settings.url)
    app = create_app(settings, database)
    ids = {name: one_of_everything(database, settings, name) for name in ("own", "other")}
    with TestClient(
        app, base_url="http://localhost", follow_redirects=False, raise_server_exceptions=False
    ) as client:
        made = World(app, database, ids, {}, {}, {}, routes_of(app), client)
        populate(made)
        database.is_undoing = True
        yield made
    database.close()


def populate(world: World) -> None:
    for name in PERSONS[1:]:
        role = {"raised": Role.VIEWER, "lowered": Role.LEAD, "guest": Role.LEAD}.get(name) or Role(name)
        factories.make_user(world.database, name, role)
    factories.make_user(world.database, "somebody", Role.ANNOTATOR)
    with world.database.write() as session:
        own, other = (session.get_one(Dataset, world.ids[name]["dataset"]) for name in ("own", "other"))
        for name in PERSONS[1:]:
            user = people.get_user(session, name)
            if name != Role.ADMIN:
                access.set_role_in(session, other, user, None, actor=LOCAL)
        given = {"raised": Role.LEAD, "lowered": Role.VIEWER, "guest": Role.ANNOTATOR}
        for name, role in given.items():
            access.set_role_in(session, own, people.get_user(session, name), role, actor=LOCAL)
        people.set_role(session, "guest", Role.LEAD, is_guest=True, actor=LOCAL)
        _, token = people.create_token(session, "somebody", "t", days=None, actor=LOCAL)
        somebody = people.get_user(session, "somebody").id
        for ids in world.ids.values():
            ids |= {"token": token.id, "user": somebody, "handle": "0123456789abcdef"}
        for name in PERSONS[1:]:
            let_in(session, world, people.get_user(session, name))


def let_in(session: Session, world: World, user: User) -> None:
    world.actors[user.name] = access.actor_of(session, user)
    world.cookies[user.name] = sessions.open_session(
        session, user, method=SignInMethod.PASSWORD, browser="", hours=1
    )
    secret, token = people.create_token(session, user.name, "t", days=None, actor=LOCAL)
    session.get_one(Token, token.id).last_used_at = now()
    world.tokens[user.name] = secret


def ask(world: World, name: str, person: str, place: str, headers: Mapping[str, str] | None = None) -> Any:
    """Send a route's valid request about one dataset, as one of the people."""
    method, path = world.routes[name]
    needs = ROUTES[name]
    ids = world.ids[place] | needs.path
    if needs.where == DRAFT:
        ids["waiting"].write_bytes(CSV)  # discarding is the one thing that lasts
    address = address_of(path, needs, ids)
    arguments: dict[str, Any] = {"headers": dict(headers or {})}
    if needs.file:
        arguments["files"] = {needs.file: ("x.csv", CSV)}
    if needs.form:
        arguments["data"] = filled(needs.form, ids)
    if needs.json is not None:
        arguments["json"] = filled(needs.json, ids)
    world.client.cookies.clear()
    if name.startswith("api.") and person != "nobody":
        arguments["headers"] = {"Authorization": f"Bearer {world.tokens[person]}"}
    elif person != "nobody":
        world.client.cookies.set(COOKIE, world.cookies[person])
    return world.client.request(method, address, **arguments)


def expected(world: World, needs: Needs, person: str, place: str) -> str:
    """Say what is to come of it: `in`, `sign in`, `forbidden` or `not there`."""
    if needs.role == ANYBODY or (needs.role == SIGNED_IN and person != "nobody"):
        return "in"
    if person == "nobody":
        return "sign in"
    actor, role = world.actors[person], Role(needs.role)
    own = actor.role_in(world.ids[place]["dataset"])
    somewhere = [actor.may(role, there) for there in (None, *actor.dataset_roles)]
    is_in, otherwise = {
        HERE: (own is not None and own.rank >= role.rank, "forbidden" if own else "not there"),
        WORKSPACE: (actor.may(role), "forbidden"),
        SOMEWHERE: (any(somewhere), "forbidden"),
        DRAFT: (actor.may(role), "forbidden" if actor.only is None else "not there"),
        OTHERS: (actor.may(role), "not there"),
    }[needs.where]
    return "in" if is_in else otherwise


def outcome(answer: Any) -> str:
    """Say what has come of it."""
    to_sign_in = answer.headers.get("location", "").startswith("/sign-in?next=")
    if answer.status_code == 401 or (answer.status_code == 303 and to_sign_in):
        return "sign in"
    if answer.status_code in {403, 404}:
        return "forbidden" if answer.status_code == 403 else "not there"
    is_in = answer.status_code < 400 or answer.status_code == 409
    return "in" if is_in else f"{answer.status_code}: {answer.text[:300]}"


def test_every_route_is_listed_and_only_those(world: World) -> None:
    assert set(world.routes) == set(ROUTES), "list what is missing in tests/access_matrix.py"
    assert {needs.where for needs in ROUTES.values()} == {HERE, WORKSPACE, SOMEWHERE, DRAFT, OTHERS}
    assert len(access_matrix.API) > 60


@pytest.mark.parametrize("name", ROUTES)
def test_who_gets_in(world: World, name: str) -> None:
    needs = ROUTES[name]
    has_place = needs.where == HERE and needs.role not in {ANYBODY, SIGNED_IN}
    wrong = {}
    cells = [(person, "own") for person in PERSONS]
    if has_place:
        cells += [(person, "other") for person in (Role.VIEWER, Role.LEAD, Role.ADMIN, "guest")]
    for person, place in cells:
        answer = ask(world, name, person, place)
        came, should = outcome(answer), expected(world, needs, person, place)
        if came != should and not (should == "in" and answer.status_code in needs.also):
            wrong[person, place] = f"{came}, not {should}"
    assert wrong == {}


def test_every_page_speaks_chinese_to_whoever_reads_it(world: World) -> None:
    """But for data: the texts of rows, names that people gave, examples of what to type."""
    with world.database.read() as session:
        texts = [text for (text,) in session.query(Example.text).all()]
    english: dict[str, set[str]] = {}
    pages = 0
    for name, (method, _path) in world.routes.items():
        if method != "GET" or name.startswith("api."):
            continue
        answer = ask(world, name, "admin", "own", {"Accept-Language": "zh-CN,zh;q=0.9,en;q=0.8"})
        if not answer.headers.get("content-type", "").startswith("text/html"):
            continue
        pages += 1
        assert answer.headers["content-language"] == "zh-Hans", name
        assert 'lang="zh-Hans" dir="ltr"' in answer.text or "<html" not in answer.text, name
        if found := english_in(answer.text, data=[*texts, *NOT_TRANSLATED]):
            english[name] = found
    assert pages > 40
    assert english == {}
