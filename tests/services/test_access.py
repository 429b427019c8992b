"""What is there for whom, and what each may do there: the rules under every page and the API."""

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import aliased

from app.actor import LOCAL, NOBODY, Actor, Role
from app.db import Database
from app.errors import Conflict, Forbidden, InvalidInput, NotFound
from app.models import DatasetRole, Event, Example, Import, Label, User
from app.models.people import TokenScope
from app.services import datasets
from app.services.accounts import access, people
from app.services.operation import runs
from tests.factories import make_dataset, make_user
from tests.services.checking import last_event


@pytest.fixture
def own(any_database: Database) -> int:
    return make_dataset(any_database, name="Own")


@pytest.fixture
def other(any_database: Database) -> int:
    return make_dataset(any_database, name="Other")


def actor_named(database: Database, name: str) -> Actor:
    with database.read() as session:
        return access.actor_of(session, people.get_user(session, name))


def give(database: Database, name: str, dataset_id: int, role: Role | None) -> Actor:
    with database.write() as session:
        dataset = datasets.get(session, dataset_id)
        access.set_role_in(session, dataset, people.get_user(session, name), role, actor=LOCAL)
    return actor_named(database, name)


def test_a_dataset_gives_another_role(any_database: Database, ann: Actor, own: int, other: int) -> None:
    lead = give(any_database, "Ann", own, Role.LEAD)
    with any_database.read() as session:
        event = last_event(session)
        assert (event.name, event.dataset_id, event.subject_id) == ("access.changed", own, ann.user_id)
        assert (event.old, event.new) == ("as elsewhere", {"user": "Ann", "role": "lead"})
        here, there = datasets.get(session, own), datasets.get(session, other)
    assert (lead.role, lead.role_in(own), lead.role_in(other)) == (Role.ANNOTATOR, Role.LEAD, Role.ANNOTATOR)
    lead.require(Role.LEAD, here)
    lead.require_somewhere(Role.LEAD)
    for place in (there, None):
        with pytest.raises(Forbidden, match="Ann has the role annotator; this needs the role lead"):
            lead.require(Role.LEAD, place)
    with pytest.raises(Forbidden):
        lead.require_somewhere(Role.ADMIN)


def test_a_dataset_may_give_less(any_database: Database, own: int, other: int) -> None:
    make_user(any_database, "Lea", Role.LEAD)
    lea = give(any_database, "Lea", own, Role.VIEWER)
    assert not lea.may(Role.ANNOTATOR, own)
    assert lea.may(Role.LEAD, other)


def test_what_is_hidden_is_not_there(any_database: Database, ann: Actor, own: int, other: int) -> None:
    actor = give(any_database, "Ann", other, None)
    seen = access.seen_by(any_database, actor)
    with seen.read() as session:
        assert [card.dataset.id for card in datasets.list_datasets(session)] == [own]
        with pytest.raises(NotFound, match=f"There is no dataset {other}"):
            datasets.get(session, other)
        with pytest.raises(NotFound, match="Datasets: Own"):
            datasets.get_by_name(session, "Other")
        for kind in (Example, Label):
            found = set(session.scalars(sa.select(kind.dataset_id).distinct()))
            assert found == {own}
        assert session.scalar(sa.select(sa.func.count()).where(Example.dataset_id == other)) == 0
        one, another = aliased(Label), aliased(Label)
        pairs = sa.select(one.dataset_id).outerjoin(another, another.name == one.name).distinct()
        assert set(session.scalars(pairs)) == {own}, "under any name"
        hidden = session.scalar(sa.select(Event).where(Event.dataset_id == other))
        assert hidden is None, "also what has happened there"
    with seen.write() as session:
        changed = session.scalars(sa.update(Label).values(description="x").returning(Label.dataset_id)).all()
        assert set(changed) == {own}
    with any_database.read() as session:
        assert set(session.scalars(sa.select(Example.dataset_id).distinct())) == {own, other}


def test_a_row_of_a_hidden_dataset_is_not_found_by_its_number(
    any_database: Database, ann: Actor, own: int, other: int
) -> None:
    with any_database.write() as session:
        for dataset_id in (own, other, None):
            session.add(
                Import(dataset_id=dataset_id, dataset_name="x", file_name="x", path="", created_by_id=1)
            )
    with any_database.read() as session:
        mine, hidden, of_none = session.scalars(sa.select(Import.id).order_by(Import.id))
    actor = give(any_database, "Ann", other, None)
    with access.seen_by(any_database, actor).read() as session:
        assert runs.get(session, Import, mine).id == mine
        assert runs.get(session, Import, of_none).id == of_none
        with pytest.raises(NotFound):
            runs.get(session, Import, hidden)


def test_a_guest_sees_only_what_was_opened(any_database: Database, own: int, other: int) -> None:
    make_user(any_database, "Gus", Role.LEAD)
    with any_database.write() as session:
        people.set_role(session, "Gus", Role.LEAD, is_guest=True, actor=LOCAL)
        gus = people.get_user(session, "Gus").id
        for created_by_id in (gus, LOCAL.user_id):
            session.add(Import(dataset_name="x", file_name="x", path="", created_by_id=created_by_id))
    nothing = actor_named(any_database, "Gus")
    assert not nothing.may(Role.ANNOTATOR)
    with access.seen_by(any_database, nothing).read() as session:
        assert datasets.list_datasets(session) == []
    actor = give(any_database, "Gus", own, Role.ANNOTATOR)
    assert actor.may(Role.ANNOTATOR, own)
    assert not actor.may(Role.VIEWER, other)
    make_dataset(any_database, name="Made later")
    with access.seen_by(any_database, actor).read() as session:
        assert [card.dataset.name for card in datasets.list_datasets(session)] == ["Own"]
        uploads = session.scalars(sa.select(Import.created_by_id)).all()
        assert uploads == [gus], "what others have brought and not yet confirmed is theirs"


def test_nobody_sees_nothing(any_database: Database, own: int) -> None:
    with access.seen_by(any_database, NOBODY).read() as session:
        assert datasets.list_datasets(session) == []
    with access.seen_by(any_database, LOCAL).read() as session:
        assert len(datasets.list_datasets(session)) == 1


def test_a_token_of_one_dataset_is_nothing_elsewhere(any_database: Database, own: int, other: int) -> None:
    make_user(any_database, "Ada", Role.ADMIN)
    with any_database.write() as session:
        secret, _ = people.create_token(
            session, "Ada", "t", days=1, scope=TokenScope.DECIDE, dataset_id=own, actor=LOCAL
        )
        with pytest.raises(NotFound):
            people.create_token(session, "Ada", "t", days=1, dataset_id=99, actor=LOCAL)
        use = people.use_token(session, secret)
    assert use is not None
    assert use.actor.role_in(own) is Role.ANNOTATOR
    assert use.actor.role_in(other) is None
    assert use.actor.role is Role.VIEWER
    with access.seen_by(any_database, use.actor).read() as session:
        assert [card.dataset.id for card in datasets.list_datasets(session)] == [own]


def test_a_token_sees_no_more_than_its_person(any_database: Database, ann: Actor, own: int) -> None:
    with any_database.write() as session:
        secret, _ = people.create_token(session, "Ann", "t", days=1, dataset_id=own, actor=ann)
    give(any_database, "Ann", own, None)
    with any_database.read() as session:
        use = people.use_token(session, secret)
    assert use is not None
    with access.seen_by(any_database, use.actor).read() as session:
        assert datasets.list_datasets(session) == []


def test_who_may_change_roles(any_database: Database, ann: Actor, bob: Actor, own: int, other: int) -> None:
    make_user(any_database, "Ada", Role.ADMIN)
    keeper = give(any_database, "Bob", own, Role.ADMIN)
    with any_database.write() as session:
        mine, theirs = datasets.get(session, own), datasets.get(session, other)
        user, ada = people.get_user(session, "Ann"), people.get_user(session, "Ada")
        access.set_role_in(session, mine, user, Role.LEAD, actor=keeper)
        assert access.roles_in(session, mine) == {ann.user_id: Role.LEAD, bob.user_id: Role.ADMIN}
        with pytest.raises(Forbidden):
            access.set_role_in(session, theirs, user, Role.LEAD, actor=keeper)
        with pytest.raises(Forbidden):
            access.forget_role_in(session, mine, user, actor=ann)
        with pytest.raises(Conflict, match="own role"):
            access.set_role_in(session, mine, people.get_user(session, "Bob"), Role.LEAD, actor=keeper)
        for admin in (ada, session.get_one(User, LOCAL.user_id)):
            with pytest.raises(Conflict, match="admins may do everything"):
                access.set_role_in(session, mine, admin, None, actor=keeper)
        access.forget_role_in(session, mine, user, actor=keeper)
        access.forget_role_in(session, mine, user, actor=keeper)
        assert access.roles_in(session, mine) == {bob.user_id: Role.ADMIN}


def test_an_admin_is_one_whatever_a_dataset_said_before(any_database: Database, ann: Actor, own: int) -> None:
    give(any_database, "Ann", own, None)
    with any_database.write() as session:
        people.set_role(session, "Ann", Role.ADMIN, actor=LOCAL)
        assert session.scalars(sa.select(DatasetRole)).all()
    assert actor_named(any_database, "Ann").may(Role.ADMIN, own)


def test_a_job_works_with_the_rights_of_whoever_asked(any_database: Database, ann: Actor, own: int) -> None:
    give(any_database, "Ann", own, Role.LEAD)
    with any_database.write() as session:
        run = Import(dataset_id=own, dataset_name="x", file_name="x", path="", created_by_id=ann.user_id)
        session.add(run)
        session.flush()
        assert runs.requester(session, run).may(Role.LEAD, own)


def test_a_role_nobody_knows(any_database: Database) -> None:
    assert access.role_named("lead") is Role.LEAD
    with pytest.raises(InvalidInput, match="none of the roles viewer, annotator, lead, admin"):
        access.role_named("king")
