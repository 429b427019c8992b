import datetime as dt
import time

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.actor import LOCAL, Actor, Role
from app.db import Database, now
from app.errors import Conflict, Forbidden, InvalidInput, NotFound, Unauthorized
from app.models import LoginSession, Token, User
from app.models.people import SignInLink, SignInMethod, TokenScope
from app.services.accounts import people, sessions
from tests.factories import PASSWORD, make_user
from tests.services.checking import event_names, last_event
from tests.services.signing_in import actor_of, signed_in


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
        secret = signed_in(session, "Ann")
    with any_database.write() as session:
        assert actor_of(session, secret) == ann
        assert actor_of(session, secret + "x") is None
        kept = session.scalars(sa.select(LoginSession)).one()
        assert secret not in kept.hash
        sessions.sign_out(session, secret)
    with any_database.write() as session:
        sessions.sign_out(session, secret)
    with any_database.read() as session:
        assert actor_of(session, secret) is None
        assert event_names(session)[-2:] == ["user.signed_in", "user.signed_out"]


@pytest.mark.parametrize(
    ("name", "password"), [("Ann", "wrong password"), ("Nobody", PASSWORD), ("local", "")]
)
def test_sign_in_refused(any_database: Database, ann: Actor, name: str, password: str) -> None:
    with any_database.write() as session, pytest.raises(Unauthorized, match="do not belong together"):
        people.authenticate(session, name, password)


def test_a_name_that_nobody_has_takes_no_longer(database: Database) -> None:
    with database.write() as session:
        people.create_user(session, "Ann", Role.ADMIN, PASSWORD, actor=LOCAL)

    def best_of_five(name: str) -> float:
        seconds = []
        for _ in range(5):
            started = time.process_time()
            with database.write() as session, pytest.raises(Unauthorized):
                people.authenticate(session, name, "wrong password")
            seconds.append(time.process_time() - started)
        return min(seconds)

    assert best_of_five("Nobody") < 1.5 * best_of_five("Ann")


def test_logins_end(any_database: Database, ann: Actor) -> None:
    with any_database.write() as session:
        secret = signed_in(session, "Ann")
    with any_database.write() as session:
        session.get_one(User, ann.user_id).is_active = False
    with any_database.write() as session:
        assert actor_of(session, secret) is None
        with pytest.raises(Unauthorized):
            people.authenticate(session, "Ann", PASSWORD)
        session.get_one(User, ann.user_id).is_active = True
    with any_database.write() as session:
        assert actor_of(session, secret) is not None
        session.scalars(sa.select(LoginSession)).one().expires_at = now() - dt.timedelta(seconds=1)
    with any_database.read() as session:
        assert actor_of(session, secret) is None


def test_a_new_password_ends_every_login(any_database: Database, ann: Actor, bob: Actor) -> None:
    with any_database.write() as session:
        secret = signed_in(session, "Ann")
    with any_database.write() as session:
        with pytest.raises(Forbidden):
            people.set_password(session, "Ann", "another password", actor=bob)
        people.set_password(session, "Ann", "another password", actor=ann)
    with any_database.write() as session:
        assert last_event(session).name == "user.password_set"
        assert actor_of(session, secret) is None
        with pytest.raises(Unauthorized):
            people.authenticate(session, "Ann", PASSWORD)
        people.authenticate(session, "Ann", "another password")


def test_roles(any_database: Database, ann: Actor) -> None:
    with any_database.write() as session:
        secret = signed_in(session, "Ann")
        with pytest.raises(Forbidden):
            people.set_role(session, "Ann", Role.ADMIN, actor=ann)
        people.set_role(session, "Ann", Role.VIEWER, actor=LOCAL)
    with any_database.read() as session:
        event = last_event(session)
        assert (event.name, event.old, event.new) == ("user.changed", "annotator", "viewer")
        now_is = actor_of(session, secret)
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
        with pytest.raises(NotFound, match="still works"):
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


def test_the_first_login_is_an_admins_and_ends_what_was_open_without_one(any_database: Database) -> None:
    with any_database.write() as session:
        local = session.get_one(User, LOCAL.user_id)
        key = sessions.make_link(session, local, hours=1, actor=LOCAL)
        assert sessions.follow_link(session, key) is local
        secret = sessions.open_session(session, local, method=SignInMethod.LINK, browser="", hours=1)
        unused = sessions.make_link(session, local, hours=1, actor=LOCAL)
        assert actor_of(session, secret) == LOCAL
    with any_database.write() as session:
        for role, is_guest in ((Role.LEAD, False), (Role.ADMIN, True)):
            with pytest.raises(Conflict, match="first login has to be an admin's"):
                people.create_user(session, "Ann", role, PASSWORD, is_guest=is_guest, actor=LOCAL)
        people.create_user(session, "Ada", Role.ADMIN, PASSWORD, actor=LOCAL)
        people.create_user(session, "Ann", Role.VIEWER, None, actor=LOCAL)
    with any_database.write() as session:
        assert actor_of(session, secret) is None
        with pytest.raises(Unauthorized, match="does not work any more"):
            sessions.follow_link(session, unused)
        with pytest.raises(Unauthorized, match="do not belong together"):
            people.authenticate(session, "Ann", "")


def test_the_only_admin_stays_one(any_database: Database) -> None:
    with any_database.write() as session:
        ada = people.create_user(session, "Ada", Role.ADMIN, PASSWORD, actor=LOCAL)
        for role, is_guest in ((Role.LEAD, False), (Role.ADMIN, True)):
            with pytest.raises(Conflict, match="only admin"):
                people.set_role(session, "Ada", role, is_guest=is_guest, actor=LOCAL)
        with pytest.raises(Conflict, match="only admin"):
            people.set_active(session, ada, is_active=False, actor=LOCAL)
        people.create_user(session, "Eve", Role.ADMIN, PASSWORD, actor=LOCAL)
        people.set_role(session, "Ada", Role.LEAD, actor=LOCAL)
        assert ada.role is Role.LEAD


def test_whoever_is_switched_off_is_out_at_once(any_database: Database, ann: Actor) -> None:
    with any_database.write() as session:
        secret = signed_in(session, "Ann")
        token, _ = people.create_token(session, "Ann", "a script", days=None, actor=LOCAL)
        user = people.get_user(session, "Ann")
        key = sessions.make_link(session, user, hours=1, actor=LOCAL)
        with pytest.raises(Forbidden):
            people.set_active(session, user, is_active=False, actor=ann)
        people.set_active(session, user, is_active=False, actor=LOCAL)
        assert last_event(session).new == "switched off"
    with any_database.write() as session:
        assert actor_of(session, secret) is None
        assert people.use_token(session, token) is None
        with pytest.raises(Unauthorized):
            sessions.follow_link(session, key)
        people.set_active(session, people.get_user(session, "Ann"), is_active=True, actor=LOCAL)
        assert people.use_token(session, token) is not None
        assert actor_of(session, secret) is None


def test_a_link_works_once_and_only_the_newest(any_database: Database, ann: Actor, bob: Actor) -> None:
    with any_database.write() as session:
        user = people.get_user(session, "Ann")
        older = sessions.make_link(session, user, hours=1, actor=LOCAL)
        newer = sessions.make_link(session, user, hours=1, actor=LOCAL)
        with pytest.raises(Forbidden):
            sessions.make_link(session, user, hours=1, actor=bob)
        assert last_event(session).name == "link.created"
        assert newer not in {link.hash for link in session.scalars(sa.select(SignInLink))}
    with any_database.write() as session:
        for wrong in (older, "", "nothing", "\udcff"):
            with pytest.raises(Unauthorized, match="does not work any more"):
                sessions.follow_link(session, wrong)
        assert sessions.follow_link(session, newer).name == "Ann"
        with pytest.raises(Unauthorized):
            sessions.follow_link(session, newer)
        late = sessions.make_link(session, user, hours=1, actor=LOCAL)
        session.scalars(sa.select(SignInLink)).one().expires_at = now()
    with any_database.write() as session, pytest.raises(Unauthorized):
        sessions.follow_link(session, late)


def test_logins_are_listed_and_ended(any_database: Database, ann: Actor, bob: Actor) -> None:
    with any_database.write() as session:
        secrets = [signed_in(session, "Ann") for _ in range(4)]
    with any_database.write() as session:
        logins = sessions.list_open(session, ann.user_id)
        assert len({login.hash for login in logins}) == 4
        handle = sessions.handle_of(logins[0])
        for attempt in (
            lambda: sessions.end(session, ann.user_id, handle, actor=bob),
            lambda: sessions.end_all(session, ann.user_id, actor=bob),
        ):
            with pytest.raises(Forbidden):
                attempt()
        sessions.end(session, ann.user_id, handle, actor=ann)
        assert last_event(session).name == "session.ended"
        for gone in (handle, "", "%"):
            with pytest.raises(NotFound, match="ended already"):
                sessions.end(session, ann.user_id, gone, actor=ann)
    with any_database.write() as session:
        alive = [secret for secret in secrets if actor_of(session, secret)]
        assert len(alive) == 3
        found = sessions.signed_in(session, alive[0])
        assert found is not None
        assert sessions.end_all(session, ann.user_id, but=found.handle, actor=ann) == 2
    with any_database.read() as session:
        assert [secret for secret in secrets if actor_of(session, secret)] == alive[:1]


def test_a_visit_is_noted_now_and_then(any_database: Database, ann: Actor) -> None:
    with any_database.write() as session:
        secret = signed_in(session, "Ann")
    with any_database.write() as session:
        found = sessions.signed_in(session, secret)
        assert found is not None
        assert not found.is_due
        login = session.scalars(sa.select(LoginSession)).one()
        login.last_seen_at = earlier = now() - 2 * sessions.SEEN_EVERY
    with any_database.write() as session:
        found = sessions.signed_in(session, secret)
        assert found is not None
        assert found.is_due
        sessions.note_visit(session, secret)
    with any_database.read() as session:
        seen = session.scalars(sa.select(LoginSession)).one().last_seen_at
        assert seen is not None
        assert seen > earlier


@pytest.mark.parametrize(
    ("scope", "role"),
    [(TokenScope.READ, Role.VIEWER), (TokenScope.DECIDE, Role.ANNOTATOR), (TokenScope.ALL, Role.LEAD)],
)
def test_a_token_acts_within_its_scope(any_database: Database, scope: TokenScope, role: Role) -> None:
    make_user(any_database, "Lea", Role.LEAD)
    with any_database.write() as session:
        secret, _ = people.create_token(session, "Lea", "t", days=1, scope=scope, actor=LOCAL)
        assert use_of(session, secret).actor.role is role


def test_a_token_is_never_more_than_its_person(any_database: Database, viewer: Actor) -> None:
    with any_database.write() as session:
        secret, _ = people.create_token(session, "Vera", "t", days=1, scope=TokenScope.ALL, actor=viewer)
        assert use_of(session, secret).actor.role is Role.VIEWER
        people.set_role(session, "Vera", Role.LEAD, actor=LOCAL)
    with any_database.read() as session:
        assert use_of(session, secret).actor.role is Role.LEAD
