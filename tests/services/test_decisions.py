from collections.abc import Callable
from functools import partial

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.actor import LOCAL, Actor
from app.db import Database
from app.errors import Conflict, Forbidden, InvalidInput, NotFound
from app.models import Dataset, Decision, Example
from app.models.examples import ExampleState
from app.models.review import Verdict
from app.services import datasets
from app.services.reviewing import decisions, review
from tests.factories import Row, make_dataset
from tests.services.checking import assert_counters, check, example_of, label_of, last_event

ROWS = (Row("one", "a", "b", 0.1), Row("two", "a"), Row("three", "b"), Row("four", None, "a"))


@pytest.fixture
def dataset_id(any_database: Database) -> int:
    return make_dataset(any_database, rows=ROWS)


def decide(
    database: Database,
    dataset_id: int,
    name: str,
    verdict: Verdict,
    *,
    actor: Actor = LOCAL,
    label: str | None = None,
    note: str = "",
) -> int:
    """Give a verdict on the row as it is now; return the decision's id."""
    with database.write() as session:
        row = example_of(session, dataset_id, name)
        label_id = label_of(session, dataset_id, label).id if label else None
        made = decisions.decide(
            session, dataset_id, row.id, verdict,
            version=row.version, label_id=label_id, note=note, actor=actor,
        )  # fmt: skip
        return made.id


def standing(session: Session, dataset_id: int, name: str) -> tuple[ExampleState, str | None, int]:
    row = example_of(session, dataset_id, name)
    labels = datasets.labels(session, session.get_one(Dataset, dataset_id))
    return row.state, {label.id: label.name for label in labels}.get(row.label_id or 0), row.version


@pytest.mark.parametrize(
    ("verdict", "label", "state", "now"),
    [
        (Verdict.KEEP, None, ExampleState.KEPT, "a"),
        (Verdict.ACCEPT, None, ExampleState.ACCEPTED, "b"),
        (Verdict.OVERRIDE, "b", ExampleState.OVERRIDDEN, "b"),
        (Verdict.EXCLUDE, None, ExampleState.EXCLUDED, "a"),
        (Verdict.NEEDS_REVIEW, None, ExampleState.NEEDS_REVIEW, "a"),
    ],
)
def test_each_verdict_and_its_undo(
    any_database: Database,
    dataset_id: int,
    ann: Actor,
    verdict: Verdict,
    label: str | None,
    state: ExampleState,
    now: str,
) -> None:
    decide(any_database, dataset_id, "r1", verdict, actor=ann, label=label, note="looks so")
    with any_database.read() as session:
        assert_counters(session, dataset_id)
        assert standing(session, dataset_id, "r1") == (state, now, 2)
        row = example_of(session, dataset_id, "r1")
        assert (row.decided_by_id, row.note) == (ann.user_id, "looks so")
        event = last_event(session)
        assert (event.name, event.actor_name, event.subject_id) == ("review.decided", "Ann", row.id)
        assert event.old == {"state": "open", "label_id": label_of(session, dataset_id, "a").id}
        assert event.new is not None
        assert (event.new["state"], event.new["verdict"]) == (state, verdict)
    with any_database.write() as session:
        decisions.undo(session, dataset_id, actor=ann)
    with any_database.read() as session:
        assert_counters(session, dataset_id)
        assert standing(session, dataset_id, "r1") == (ExampleState.OPEN, "a", 3)
        assert example_of(session, dataset_id, "r1").note == ""
        assert last_event(session).name == "review.undone"
        assert session.scalar(sa.select(sa.func.count()).select_from(Decision)) == 2


def test_a_later_verdict_starts_from_the_one_before(
    any_database: Database, dataset_id: int, ann: Actor
) -> None:
    decide(any_database, dataset_id, "r1", Verdict.ACCEPT, actor=ann)
    decide(any_database, dataset_id, "r1", Verdict.NEEDS_REVIEW, actor=ann, note="hm")
    check(any_database, dataset_id)
    with any_database.read() as session:
        assert standing(session, dataset_id, "r1")[:2] == (ExampleState.NEEDS_REVIEW, "b")
    decide(any_database, dataset_id, "r1", Verdict.KEEP, actor=ann)
    check(any_database, dataset_id)
    with any_database.read() as session:
        assert standing(session, dataset_id, "r1")[:2] == (ExampleState.KEPT, "a")


def test_undo_goes_back_to_the_very_first(any_database: Database, dataset_id: int, ann: Actor) -> None:
    for name, verdict in (("r1", Verdict.ACCEPT), ("r2", Verdict.EXCLUDE), ("r1", Verdict.KEEP)):
        decide(any_database, dataset_id, name, verdict, actor=ann)
    undone = []
    for _ in range(3):
        with any_database.write() as session:
            made = decisions.undo(session, dataset_id, actor=ann)
            undone.append((session.get_one(Example, made.example_id).external_id, made.new_state))
        check(any_database, dataset_id)
    assert undone == [
        ("r1", ExampleState.ACCEPTED),
        ("r2", ExampleState.OPEN),
        ("r1", ExampleState.OPEN),
    ]
    with any_database.write() as session, pytest.raises(NotFound, match="nothing of yours left to undo"):
        decisions.undo(session, dataset_id, actor=ann)


def test_undo_takes_back_only_ones_own_and_what_still_stands(
    any_database: Database, dataset_id: int, ann: Actor, bob: Actor
) -> None:
    decide(any_database, dataset_id, "r2", Verdict.EXCLUDE, actor=ann)
    decide(any_database, dataset_id, "r1", Verdict.ACCEPT, actor=ann)
    decide(any_database, dataset_id, "r1", Verdict.KEEP, actor=bob)
    with any_database.write() as session:  # Bob has overtaken r1: Ann's last standing verdict is r2's
        made = decisions.undo(session, dataset_id, actor=ann)
        assert session.get_one(Example, made.example_id).external_id == "r2"
    with any_database.write() as session, pytest.raises(NotFound):
        decisions.undo(session, dataset_id, actor=ann)
    with any_database.write() as session:
        decisions.undo(session, dataset_id, actor=bob)
    with any_database.read() as session:
        assert_counters(session, dataset_id)
        row = example_of(session, dataset_id, "r1")
        assert (row.state, row.decided_by_id) == (ExampleState.ACCEPTED, ann.user_id)
    with any_database.write() as session:  # with Bob's gone, Ann's stands again
        decisions.undo(session, dataset_id, actor=ann)
    check(any_database, dataset_id)


@pytest.mark.parametrize(
    ("verdict", "label", "says"),
    [
        (Verdict.KEEP, None, "Ann was first: Ann kept 'a'."),
        (Verdict.ACCEPT, None, "Ann was first: Ann chose 'b'."),
        (Verdict.OVERRIDE, "b", "Ann was first: Ann chose 'b'."),
        (Verdict.EXCLUDE, None, "Ann was first: Ann excluded the row."),
        (Verdict.NEEDS_REVIEW, None, "Ann was first: Ann set it aside for review."),
    ],
)
def test_who_comes_second_is_told_who_did_what(
    any_database: Database,
    dataset_id: int,
    ann: Actor,
    bob: Actor,
    verdict: Verdict,
    label: str | None,
    says: str,
) -> None:
    decide(any_database, dataset_id, "r1", verdict, actor=ann, label=label)
    with any_database.write() as session:
        row = example_of(session, dataset_id, "r1")
        with pytest.raises(Conflict) as told:
            decisions.decide(session, dataset_id, row.id, Verdict.KEEP, version=1, actor=bob)
        assert str(told.value) == says
    check(any_database, dataset_id)


def test_second_after_an_undo(any_database: Database, dataset_id: int, ann: Actor, bob: Actor) -> None:
    decide(any_database, dataset_id, "r1", Verdict.KEEP, actor=ann)
    with any_database.write() as session:
        made = decisions.undo(session, dataset_id, actor=ann)
        with pytest.raises(Conflict, match="Somebody changed this row in the meantime"):
            decisions.decide(session, dataset_id, made.example_id, Verdict.KEEP, version=1, actor=bob)


def test_an_idempotency_key_counts_once(
    any_database: Database, dataset_id: int, ann: Actor, bob: Actor
) -> None:
    with any_database.write() as session:
        row = example_of(session, dataset_id, "r1")
        other = example_of(session, dataset_id, "r2")
    made = []
    for _ in range(2):
        with any_database.write() as session:
            once = partial(decisions.decide, session, dataset_id, row.id, Verdict.ACCEPT, actor=ann)
            made.append(once(version=1, idempotency_key="k1").id)
    assert made[0] == made[1]
    with any_database.write() as session, pytest.raises(Conflict, match="key was used for another row"):
        decisions.decide(
            session, dataset_id, other.id, Verdict.KEEP, version=1, idempotency_key="k1", actor=ann
        )
    with any_database.write() as session, pytest.raises(Conflict, match="key was used for another row"):
        decisions.decide(  # he would take her verdict for his own
            session, dataset_id, row.id, Verdict.ACCEPT, version=1, idempotency_key="k1", actor=bob
        )
    check(any_database, dataset_id)


Attempt = Callable[[Session, int, int], object]


@pytest.mark.parametrize(
    ("attempt", "error", "says"),
    [
        (
            lambda session, dataset, row: decisions.decide(
                session, dataset, row, Verdict.OVERRIDE, version=1, actor=LOCAL
            ),
            InvalidInput,
            "Choose one of the labels of Requests",
        ),
        (
            lambda session, dataset, row: decisions.decide(
                session, dataset, row, Verdict.OVERRIDE, version=1, label_id=10**6, actor=LOCAL
            ),
            InvalidInput,
            "Choose one of the labels of Requests",
        ),
        (
            lambda session, dataset, row: decisions.decide(
                session, dataset, row, Verdict.UNDO, version=1, actor=LOCAL
            ),
            InvalidInput,
            "take back your last verdict",
        ),
        (
            lambda session, dataset, row: decisions.decide(
                session, dataset, row, Verdict.KEEP, version=1, note="x" * 2001, actor=LOCAL
            ),
            InvalidInput,
            "at most 2000 characters; this one has 2001",
        ),
        (
            lambda session, dataset, _row: decisions.decide(
                session, dataset, 10**6, Verdict.KEEP, version=1, actor=LOCAL
            ),
            NotFound,
            "There is no row 1000000 in Requests",
        ),
        (
            lambda session, _dataset, row: decisions.decide(
                session, 10**6, row, Verdict.KEEP, version=1, actor=LOCAL
            ),
            NotFound,
            "There is no dataset 1000000",
        ),
    ],
)
def test_verdicts_that_make_no_sense(
    any_database: Database, dataset_id: int, attempt: Attempt, error: type[Exception], says: str
) -> None:
    with any_database.write() as session:
        row_id = example_of(session, dataset_id, "r1").id
    with pytest.raises(error, match=says), any_database.write() as session:
        attempt(session, dataset_id, row_id)
    with any_database.read() as session:
        assert_counters(session, dataset_id)
        assert session.scalar(sa.select(sa.func.count()).select_from(Decision)) == 0


def test_a_label_of_another_dataset(any_database: Database, dataset_id: int) -> None:
    other = make_dataset(any_database, name="Other", rows=ROWS)
    with any_database.write() as session:
        row = example_of(session, dataset_id, "r1")
        foreign = label_of(session, other, "b")
        with pytest.raises(InvalidInput, match="Choose one of the labels of Requests"):
            decisions.decide(
                session, dataset_id, row.id, Verdict.OVERRIDE, version=1, label_id=foreign.id, actor=LOCAL
            )
        with pytest.raises(NotFound, match="There is no row"):
            decisions.decide(session, other, row.id, Verdict.KEEP, version=1, actor=LOCAL)


def test_a_row_without_a_label(any_database: Database, dataset_id: int) -> None:
    with any_database.read() as session:
        row = example_of(session, dataset_id, "r4")
    with any_database.write() as session, pytest.raises(InvalidInput, match="no label to keep"):
        decisions.decide(session, dataset_id, row.id, Verdict.KEEP, version=1, actor=LOCAL)
    decide(any_database, dataset_id, "r4", Verdict.ACCEPT)
    check(any_database, dataset_id)
    with any_database.read() as session:
        assert standing(session, dataset_id, "r4")[:2] == (ExampleState.ACCEPTED, "a")


def test_without_scores_there_is_nothing_to_accept(any_database: Database) -> None:
    dataset_id = make_dataset(any_database, rows=ROWS, scored=False)
    with any_database.read() as session:
        row = example_of(session, dataset_id, "r1")
    with any_database.write() as session, pytest.raises(InvalidInput, match="find label issues first"):
        decisions.decide(session, dataset_id, row.id, Verdict.ACCEPT, version=1, actor=LOCAL)
    decide(any_database, dataset_id, "r1", Verdict.OVERRIDE, label="b")
    check(any_database, dataset_id)


def test_viewers_only_look(any_database: Database, dataset_id: int, viewer: Actor) -> None:
    with any_database.write() as session:
        row = example_of(session, dataset_id, "r1")
        with pytest.raises(Forbidden, match=r"Vera has the role viewer; .* annotator in Requests"):
            decisions.decide(session, dataset_id, row.id, Verdict.KEEP, version=1, actor=viewer)
        with pytest.raises(Forbidden):
            decisions.undo(session, dataset_id, actor=viewer)


def test_the_resolver_tells_what_was_decided(any_database: Database, dataset_id: int, ann: Actor) -> None:
    decide(any_database, dataset_id, "r1", Verdict.ACCEPT, actor=ann)
    decide(any_database, dataset_id, "r1", Verdict.KEEP, actor=ann)
    with any_database.read() as session:
        dataset = datasets.get(session, dataset_id)
        row = example_of(session, dataset_id, "r1")
        shown = review.resolver(session, dataset, review.get_row(session, dataset, row.id))
    assert shown.decided_by == "Ann"
    assert [(line.who, line.old, line.new) for line in shown.history] == [
        ("Ann", "b", "a"),
        ("Ann", "a", "b"),
    ]
    first, second = shown.choices
    assert (first.label.name, first.is_given, second.label.name, second.is_suggested) == (
        "a",
        True,
        "b",
        True,
    )
    assert second.probability is not None
    assert first.probability is not None
    assert 0 <= first.probability < second.probability <= 1
