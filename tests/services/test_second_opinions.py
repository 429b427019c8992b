"""Second opinions: who gives them on what, what stays in force, and how differences are settled."""

import pytest
import sqlalchemy as sa

from app.actor import LOCAL, Actor, Role
from app.db import Database
from app.errors import Conflict, Forbidden, InvalidInput, NotFound
from app.models import AssignedRow, Decision, Event, Example, Label, SecondOpinion
from app.models.examples import ExampleState
from app.models.review import Verdict
from app.models.together import OpinionState
from app.services import datasets
from app.services.reviewing import decisions
from app.services.together import agreement, company, opinions, second_opinions
from tests import factories


@pytest.fixture
def dataset_id(any_database: Database) -> int:
    return factories.make_dataset(any_database)


@pytest.fixture
def lead(any_database: Database) -> Actor:
    return factories.make_user(any_database, "Lea", Role.LEAD)


@pytest.fixture
def twice(any_database: Database, dataset_id: int, lead: Actor) -> None:
    with any_database.write() as session:
        second_opinions.plan(session, dataset_id, share=1, seed=7, actor=lead)


def row(database: Database, name: str) -> Example:
    with database.read() as session:
        return session.scalars(sa.select(Example).where(Example.external_id == name)).one()


def label(database: Database, name: str) -> int:
    with database.read() as session:
        return session.scalars(sa.select(Label.id).where(Label.name == name)).one()


def decide(
    database: Database, dataset_id: int, name: str, verdict: Verdict, actor: Actor, to: str | None = None
) -> Decision:
    example = row(database, name)
    with database.write() as session:
        return decisions.decide(
            session, dataset_id, example.id, verdict, version=example.version,
            label_id=label(database, to) if to else None, actor=actor,
        )  # fmt: skip


def give(
    database: Database, dataset_id: int, name: str, verdict: Verdict, actor: Actor, to: str | None = None
) -> SecondOpinion:
    number, label_id = row(database, name).id, label(database, to) if to else None
    with database.write() as session:
        return second_opinions.give(session, dataset_id, number, verdict, label_id=label_id, actor=actor)


def state(database: Database, name: str) -> OpinionState | None:
    with database.read() as session:
        found = session.get(SecondOpinion, row(database, name).id)
        return found.state if found else None


@pytest.mark.usefixtures("twice")
def test_two_who_mean_the_same_class_agree(
    any_database: Database, dataset_id: int, ann: Actor, bob: Actor
) -> None:
    """What the first one chose has been merged into what the second one chooses."""
    decide(any_database, dataset_id, "r1", Verdict.OVERRIDE, ann, "fault")
    with any_database.write() as session:
        fault = session.get_one(Label, label(any_database, "fault"))
        fault.merged_into_id, fault.retired_after = label(any_database, "question"), 0
    assert (
        give(any_database, dataset_id, "r1", Verdict.OVERRIDE, bob, "question").state is OpinionState.AGREED
    )


@pytest.mark.usefixtures("twice")
def test_two_who_agree_and_two_who_differ(
    any_database: Database, dataset_id: int, ann: Actor, bob: Actor
) -> None:
    for name in ("r1", "r2"):
        decide(any_database, dataset_id, name, Verdict.ACCEPT, ann)
        assert state(any_database, name) is OpinionState.WAITING
    assert give(any_database, dataset_id, "r1", Verdict.OVERRIDE, bob, "order").state is OpinionState.AGREED
    assert give(any_database, dataset_id, "r2", Verdict.KEEP, bob).state is OpinionState.DISAGREED
    # What the first has decided stays in force, and the trail of the row knows of no other verdict yet.
    assert row(any_database, "r2").label_id == label(any_database, "refund")
    with any_database.read() as session:
        found = session.scalars(sa.select(Event).where(Event.name == "second_opinion.given"))
        assert [(one.actor_name, (one.new or {})["is"]) for one in found] == [
            ("Bob", "agreed"),
            ("Bob", "disagreed"),
        ]
        tally = second_opinions.tally(session, datasets.get(session, dataset_id))
        assert (tally.waiting, tally.agreed, tally.disagreed) == (0, 1, 1)


@pytest.mark.usefixtures("twice")
def test_nobody_is_asked_about_their_own_row(
    any_database: Database, dataset_id: int, ann: Actor, bob: Actor, viewer: Actor
) -> None:
    decide(any_database, dataset_id, "r1", Verdict.ACCEPT, ann)
    with any_database.write() as session:
        dataset = datasets.get(session, dataset_id)
        assert second_opinions.next_waiting(session, dataset, minutes=5, actor=ann) is None
        assert second_opinions.count_waiting(session, dataset, actor=ann).rows == 0
        found = second_opinions.next_waiting(session, dataset, minutes=5, actor=bob)
        assert found is not None
        assert found.row.example.external_id == "r1"
    with pytest.raises(Forbidden, match="somebody else"):
        give(any_database, dataset_id, "r1", Verdict.KEEP, ann)
    with pytest.raises(Forbidden, match="annotator"):
        give(any_database, dataset_id, "r1", Verdict.KEEP, viewer)
    with pytest.raises(NotFound):
        give(any_database, dataset_id, "r3", Verdict.KEEP, bob)
    give(any_database, dataset_id, "r1", Verdict.KEEP, bob)
    with pytest.raises(Conflict, match="no second opinion any more"):
        give(any_database, dataset_id, "r1", Verdict.KEEP, bob)


@pytest.mark.usefixtures("twice")
def test_an_opinion_on_a_verdict_that_was_taken_back_is_refused_with_the_reason(
    any_database: Database, dataset_id: int, ann: Actor, bob: Actor
) -> None:
    """Bob has the row open while Ann takes her verdict back."""
    decide(any_database, dataset_id, "r1", Verdict.ACCEPT, ann)
    with any_database.write() as session:
        assert second_opinions.next_waiting(session, datasets.get(session, dataset_id), minutes=5, actor=bob)
    with any_database.write() as session:
        decisions.undo(session, dataset_id, actor=ann)
    with pytest.raises(Conflict, match="its first verdict was taken back"):
        give(any_database, dataset_id, "r1", Verdict.KEEP, bob)


@pytest.mark.usefixtures("twice")
def test_two_people_are_asked_about_different_rows(
    any_database: Database, dataset_id: int, lead: Actor, ann: Actor, bob: Actor
) -> None:
    for name in ("r1", "r2"):
        decide(any_database, dataset_id, name, Verdict.ACCEPT, lead)
    seen = []
    for person in (ann, bob):
        with any_database.write() as session:
            dataset = datasets.get(session, dataset_id)
            found = second_opinions.next_waiting(session, dataset, minutes=5, actor=person)
            assert found is not None
            seen.append(found.row.example.external_id)
    assert seen == ["r1", "r2"]
    with pytest.raises(Conflict, match="Bob has this row open"):
        give(any_database, dataset_id, "r2", Verdict.KEEP, ann)


@pytest.mark.usefixtures("twice")
def test_a_third_person_or_a_lead_settles_a_difference(
    any_database: Database, dataset_id: int, lead: Actor, ann: Actor, bob: Actor
) -> None:
    for name in ("r1", "r2"):
        decide(any_database, dataset_id, name, Verdict.ACCEPT, ann)
        give(any_database, dataset_id, name, Verdict.EXCLUDE, bob)
    first = row(any_database, "r1")
    for one_of_the_two in (ann, bob):
        with any_database.write() as session:
            dataset = datasets.get(session, dataset_id)
            assert second_opinions.count_disagreed(session, dataset, actor=one_of_the_two).rows == 0
            with pytest.raises(Forbidden):
                second_opinions.settle(
                    session, dataset_id, first.id, Verdict.KEEP, version=first.version, actor=one_of_the_two
                )
    cas = factories.make_user(any_database, "Cas", Role.ANNOTATOR)
    with any_database.write() as session:
        dataset = datasets.get(session, dataset_id)
        found = second_opinions.next_disagreement(session, dataset, minutes=5, actor=cas)
        assert found is not None
        assert (found.first.name, found.first.label) == ("Ann", "order")
        assert (found.second.name, found.second.state) == ("Bob", ExampleState.EXCLUDED)
        second_opinions.settle(
            session, dataset_id, first.id, Verdict.EXCLUDE, version=first.version, actor=cas
        )
    assert row(any_database, "r1").state is ExampleState.EXCLUDED
    assert state(any_database, "r1") is OpinionState.SETTLED
    with any_database.read() as session:
        event = session.scalars(sa.select(Event).where(Event.name == "second_opinion.settled")).one()
        assert event.old is not None
        assert event.old["second"]["state"] == "excluded"
    with any_database.write() as session:
        decisions.undo(session, dataset_id, actor=cas)
    assert state(any_database, "r1") is OpinionState.DISAGREED
    second = row(any_database, "r2")
    with any_database.write() as session:
        second_opinions.settle(
            session, dataset_id, second.id, Verdict.KEEP, version=second.version, actor=lead
        )
    assert state(any_database, "r2") is OpinionState.SETTLED


@pytest.mark.usefixtures("twice")
def test_a_first_verdict_that_changes_takes_its_second_opinion_along(
    any_database: Database, dataset_id: int, ann: Actor, bob: Actor
) -> None:
    decide(any_database, dataset_id, "r1", Verdict.ACCEPT, ann)
    with any_database.write() as session:
        decisions.undo(session, dataset_id, actor=ann)
    assert state(any_database, "r1") is None
    decide(any_database, dataset_id, "r1", Verdict.ACCEPT, ann)
    decide(any_database, dataset_id, "r1", Verdict.NEEDS_REVIEW, ann)
    assert state(any_database, "r1") is None
    decide(any_database, dataset_id, "r1", Verdict.ACCEPT, ann)
    give(any_database, dataset_id, "r1", Verdict.KEEP, bob)
    decide(any_database, dataset_id, "r1", Verdict.KEEP, ann)
    assert state(any_database, "r1") is OpinionState.AGREED
    with any_database.write() as session:
        decisions.undo(session, dataset_id, actor=ann)
    assert state(any_database, "r1") is OpinionState.WITHDRAWN


@pytest.mark.usefixtures("twice")
def test_rows_that_a_version_brings_back_have_no_second_opinion(
    any_database: Database, dataset_id: int, lead: Actor, ann: Actor, bob: Actor
) -> None:
    for name in ("r1", "r2"):
        decide(any_database, dataset_id, name, Verdict.ACCEPT, ann)
    give(any_database, dataset_id, "r2", Verdict.KEEP, bob)
    with any_database.write() as session:
        number = row(any_database, "r1").id
        session.add(AssignedRow(example_id=number, dataset_id=dataset_id, user_id=ann.user_id, is_done=True))
    with any_database.write() as session:
        rows = session.scalars(sa.select(Example).where(Example.external_id.in_(["r1", "r2"]))).all()
        for one in rows:
            one.state = ExampleState.OPEN
        company.after_restoring(session, {one.id: one.state for one in rows})
    assert state(any_database, "r1") is None
    assert state(any_database, "r2") is OpinionState.WITHDRAWN
    with any_database.read() as session:
        assert not session.get_one(AssignedRow, number).is_done


def test_rows_decided_before_are_drawn_by_a_seed(
    any_database: Database, dataset_id: int, lead: Actor, ann: Actor
) -> None:
    for name in ("r1", "r2", "r3", "r4"):
        decide(any_database, dataset_id, name, Verdict.ACCEPT, ann)
    assert state(any_database, "r1") is None
    with any_database.write() as session:
        assert second_opinions.plan(session, dataset_id, share=0, seed=1, already=3, actor=lead) == 3
    with any_database.write() as session:
        assert second_opinions.plan(session, dataset_id, share=0, seed=1, already=3, actor=lead) == 1
    with any_database.write() as session, pytest.raises(Forbidden):
        second_opinions.plan(session, dataset_id, share=0.1, actor=ann)
    for wrong in ({"share": 1.5}, {"share": 0.1, "already": 100_000}):
        with any_database.write() as session, pytest.raises(InvalidInput):
            second_opinions.plan(session, dataset_id, actor=lead, **wrong)  # type: ignore[arg-type]  # wrong on purpose


def test_a_share_is_drawn_evenly_and_the_same_for_one_seed() -> None:
    drawn = [number for number in range(10_000) if opinions.is_drawn(number, share=0.1, seed=3)]
    again = [number for number in range(10_000) if opinions.is_drawn(number, share=0.1, seed=3)]
    assert drawn == again
    assert 900 < len(drawn) < 1100
    assert not any(opinions.is_drawn(number, share=0, seed=3) for number in range(100))
    assert all(opinions.is_drawn(number, share=1, seed=3) for number in range(100))


@pytest.mark.usefixtures("twice")
def test_agreement_is_measured_for_all_and_for_each_pair(
    any_database: Database, dataset_id: int, ann: Actor, bob: Actor
) -> None:
    with any_database.read() as session:
        nothing = agreement.measure(session, datasets.get(session, dataset_id))
    assert (nothing.rows, nothing.share, nothing.krippendorff_alpha, nothing.pairs) == (0, None, None, [])
    for name, first, second in (
        ("r1", "order", "order"),
        ("r2", "refund", "refund"),
        ("r3", "fault", "order"),
        ("r4", "fault", "fault"),
    ):
        one, other = (ann, bob) if name != "r2" else (bob, ann)
        decide(any_database, dataset_id, name, Verdict.OVERRIDE, one, first)
        give(any_database, dataset_id, name, Verdict.OVERRIDE, other, second)
    with any_database.read() as session:
        found = agreement.measure(session, datasets.get(session, dataset_id))
    assert (found.rows, found.share) == (4, 0.75)
    (pair,) = found.pairs
    assert (pair.first, pair.second, pair.rows, pair.share) == ("Ann", "Bob", 4, 0.75)
    assert pair.kappa == pytest.approx((0.75 - 5 / 16) / (1 - 5 / 16))
    assert found.fleiss_kappa == pytest.approx((0.75 - 22 / 64) / (1 - 22 / 64))
    assert found.krippendorff_alpha == pytest.approx((0.75 - 14 / 56) / (1 - 14 / 56))


def test_without_a_plan_nobody_is_asked_twice(any_database: Database, dataset_id: int) -> None:
    decide(any_database, dataset_id, "r1", Verdict.ACCEPT, LOCAL)
    assert state(any_database, "r1") is None
