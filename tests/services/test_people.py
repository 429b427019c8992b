import datetime as dt
import time

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.actor import LOCAL, Actor, Role
from app.db import Database, now
from app.errors import Conflict, Forbidden, InvalidInput, NotFound, Unauthorized
from app.models import LoginSession, Token, User
from app.services import people
from tests.factories import PASSWORD, make_user
from tests.services.checking import event_names, last_event


def test_logins_are_made_by_admins(any_database: Database) -> None:
    with any_database.read() as session:
        assert not people.has_logins(session)
        assert not people.has_admin(session)
    ann = make_user(any_database, "Ann", Role.LEAD)
    make_user(any_database, "Ada", Role.ADMIN)
    with any_database.write() as session:
        assert people.has_logins(session)
        assert people.has_admin(session)
        assert [user.name for user in people.list_users(session)] == ["Ada", "Ann"]
        assert last_event(session).new == {"name": "Ada", "role": "admin"}
        with pytest.raises(Forbidden):
            people.create_user(session, "Eve", Role.VIEWER, PASSWORD, actor=ann)
        with pytest.raises(Conflict, match="already a user called Ann"):
            people.create_user(session, " Ann ", Role.VIEWER, PASSWORD, actor=LOCAL)
        for name in ("", "a\nb", "x" * 101):
            with pytest.raises(InvalidInput, match="one line of 1 to 100"):
                people.create_user(session, name, Role.VIEWER, PASSWORD, actor=LOCAL)
        for password in ("short", "x" * 501):
            with pytest.raises(InvalidInput, match="10 to 500 characters"):
                people.create_user(session, "Eve", Role.VIEWER, password, actor=LOCAL)
        for name in ("Eve", "local"):
            with pytest.raises(NotFound, match=f"There is no user '{name}'"):
                people.get_user(session, name)


def test_sign_in_and_out(any_database: Database, ann: Actor) -> None:
    with any_database.write() as session:
        secret, user = people.sign_in(session, "Ann", PASSWORD, hours=1)
        assert user.id == ann.user_id
    with any_database.write() as session:
        assert people.actor_of_session(session, secret) == ann
        assert people.actor_of_session(session, secret + "x") is None
        kept = session.scalars(sa.select(LoginSession)).one()
        assert secret not in kept.hash
        people.sign_out(session, secret)
    with any_database.write() as session:
        people.sign_out(session, secret)
    with any_database.read() as session:
        assert people.actor_of_session(session, secret) is None
        assert event_names(session)[-2:] == ["user.signed_in", "user.signed_out"]


@pytest.mark.parametrize(
    ("name", "password"), [("Ann", "wrong password"), ("Nobody", PASSWORD), ("local", "")]
)
def test_sign_in_refused(any_database: Database, ann: Actor, name: str, password: str) -> None:
    with any_database.write() as session, pytest.raises(Unauthorized, match="do not belong together"):
        people.sign_in(session, name, password, hours=1)


def test_a_name_that_nobody_has_takes_no_longer(database: Database) -> None:
    make_user(database, "Ann", Role.VIEWER)

    def best_of_five(name: str) -> float:
        seconds = []
        for _ in range(5):
            started = time.process_time()
            with database.write() as session, pytest.raises(Unauthorized):
                people.sign_in(session, name, "wrong password", hours=1)
            seconds.append(time.process_time() - started)
        return min(seconds)

    assert best_of_five("Nobody") < 1.5 * best_of_five("Ann")


def test_logins_end(any_database: Database, ann: Actor) -> None:
    with any_database.write() as session:
        secret, user = people.sign_in(session, "Ann", PASSWORD, hours=1)
    with any_database.write() as session:
        session.get_one(User, user.id).is_active = False
    with any_database.write() as session:
        assert people.actor_of_session(session, secret) is None
        with pytest.raises(Unauthorized):
            people.sign_in(session, "Ann", PASSWORD, hours=1)
        session.get_one(User, user.id).is_active = True
    with any_database.write() as session:
        assert people.actor_of_session(session, secret) is not None
        session.scalars(sa.select(LoginSession)).one().expires_at = now() - dt.timedelta(seconds=1)
    with any_database.read() as session:
        assert people.actor_of_session(session, secret) is None


def test_a_new_password_ends_every_login(any_database: Database, ann: Actor, bob: Actor) -> None:
    with any_database.write() as session:
        secret, _ = people.sign_in(session, "Ann", PASSWORD, hours=1)
    with any_database.write() as session:
        with pytest.raises(Forbidden):
            people.set_password(session, "Ann", "another password", actor=bob)
        people.set_password(session, "Ann", "another password", actor=ann)
    with any_database.write() as session:
        assert last_event(session).name == "user.password_set"
        assert people.actor_of_session(session, secret) is None
        with pytest.raises(Unauthorized):
            people.sign_in(session, "Ann", PASSWORD, hours=1)
        people.sign_in(session, "Ann", "another password", hours=1)


def test_roles(any_database: Database, ann: Actor) -> None:
    with any_database.write() as session:
        secret, _ = people.sign_in(session, "Ann", PASSWORD, hours=1)
        with pytest.raises(Forbidden):
            people.set_role(session, "Ann", Role.ADMIN, actor=ann)
        people.set_role(session, "Ann", Role.VIEWER, actor=LOCAL)
    with any_database.read() as session:
        event = last_event(session)
        assert (event.name, event.old, event.new) == ("user.changed", "annotator", "viewer")
        now_is = people.actor_of_session(session, secret)
        assert now_is is not None
        assert now_is.role is Role.VIEWER


def test_tokens(any_database: Database, ann: Actor, bob: Actor) -> None:
    with any_database.write() as session:
        secret, token = people.create_token(session, None, " notebook ", days=None, actor=ann)
        assert (token.name, token.expires_at) == ("notebook", None)
        assert secret.startswith("setright_")
        assert last_event(session).name == "token.created"
        with pytest.raises(Forbidden):
            people.create_token(session, "Ann", "mine now", days=None, actor=bob)
        with pytest.raises(InvalidInput, match="at least 1 day"):
            people.create_token(session, None, "short", days=0, actor=ann)
        for_bob, _ = people.create_token(session, "Bob", "", days=1, actor=LOCAL)
    with any_database.write() as session:
        assert use_of(session, secret).actor == ann
        assert use_of(session, for_bob).actor == bob
        assert people.use_token(session, "setright_nothing") is None
        assert [one.name for one in people.list_tokens(session)] == ["notebook", "token"]
        with pytest.raises(Forbidden):
            people.revoke_token(session, token.id, actor=bob)
        people.revoke_token(session, token.id, actor=ann)
        with pytest.raises(NotFound, match="still works"):
            people.revoke_token(session, token.id, actor=ann)
        session.query(Token).filter_by(name="token").one().expires_at = now() - dt.timedelta(seconds=1)
    with any_database.read() as session:
        assert last_event(session).name == "token.revoked"
        assert people.use_token(session, secret) is None
        assert people.use_token(session, for_bob) is None


def use_of(session: Session, secret: str) -> people.TokenUse:
    use = people.use_token(session, secret)
    assert use is not None
    return use


def test_the_use_of_a_token_is_noted_once_a_minute(any_database: Database) -> None:
    with any_database.write() as session:
        secret, token = people.create_token(session, None, "ci", days=None, actor=LOCAL)
    with any_database.write() as session:
        assert use_of(session, secret).is_due
        people.note_token_use(session, token.id)
    with any_database.write() as session:
        first = people.list_tokens(session)[0].last_used_at
        assert first is not None
        assert not use_of(session, secret).is_due
        people.note_token_use(session, token.id)  # two requests at once both found it due
    with any_database.write() as session:
        token = people.list_tokens(session)[0]
        assert token.last_used_at == first
        token.last_used_at = first - people.USE_NOTED_EVERY
    with any_database.write() as session:
        assert use_of(session, secret).is_due
        people.note_token_use(session, token.id)
    with any_database.read() as session:
        later = people.list_tokens(session)[0].last_used_at
        assert later is not None
        assert later >= first
