"""Auto-fix and its undo: which rows change, which never do, and what is left behind."""

from typing import Any

import pytest
import sqlalchemy as sa

from app.actor import LOCAL, Actor
from app.db import Database
from app.errors import Cancelled, Conflict, Forbidden, InvalidInput, NotFound
from app.models import Batch, Dataset, Example
from app.models.columns import RunState, Split
from app.models.examples import ExampleState
from app.models.review import Verdict
from app.services import datasets
from app.services.bounding import autofix, batches, leftovers, undoing
from app.services.bounding.autofix import Rule, RuleKind
from app.services.operation import runs
from app.services.ranking.queue_filter import Preset, QueueFilter
from app.services.reviewing import decisions
from app.services.versioning import versions
from tests.factories import Row, make_dataset
from tests.services.checking import check, event_names, example_of, label_names, label_of, last_event

ALL = Rule(RuleKind.ALL)
EVERY = QueueFilter(preset=Preset.ALL, split=None)
ROWS = (
    Row("one", "a", "b", 0.01),
    Row("two", "a", "b", 0.05),
    Row("three", "b", "a", 0.2),
    Row("four", "c", "a", 0.3),
    Row("five", "a"),
    Row("six", "b"),
    Row("seven", "c", "a", 0.02, split=Split.TEST),
    Row("eight", None, "b"),
)
"""r1 to r4 flagged in train, r1 and r2 recommended, r7 flagged in test, r8 without a label."""


@pytest.fixture
def dataset_id(any_database: Database) -> int:
    return make_dataset(any_database, rows=ROWS)


def request(
    database: Database, dataset_id: int, rule: Rule, wanted: QueueFilter = EVERY, *, actor: Actor = LOCAL
) -> int:
    with database.write() as session:
        return autofix.request(session, dataset_id, wanted, rule, actor=actor).id


def begun(database: Database, batch_id: int) -> Batch:
    with database.write() as session:
        batch = runs.begin(session, Batch, batch_id)
    assert batch is not None
    return batch


def run(database: Database, batch_id: int, *, limit: int = 2, chunks: int = 99) -> Batch:
    """Do what the job does, in small chunks; fewer than needed leave the batch as a dead worker would."""
    batch = begun(database, batch_id)
    find = undoing.decisions_left if batch.is_undo else autofix.rows_left
    change = undoing.undo_chunk if batch.is_undo else autofix.apply_chunk
    for _ in range(chunks):
        with database.read() as session:
            found = find(session, batch)
        if not found:
            break
        with database.write() as session:
            change(session, batch, found[:limit], actor=LOCAL)
    else:
        return batch
    with database.write() as session:
        batches.finish(session, batch, actor=LOCAL)
    with database.read() as session:
        return batches.get(session, batch_id)


def undo(database: Database, batch_id: int, *, limit: int = 2) -> Batch:
    with database.write() as session:
        batches.request_undo(session, batch_id, actor=LOCAL)
    return run(database, batch_id, limit=limit)


def decide(database: Database, dataset_id: int, name: str, verdict: Verdict, actor: Actor = LOCAL) -> None:
    with database.write() as session:
        row = example_of(session, dataset_id, name)
        decisions.decide(session, dataset_id, row.id, verdict, version=row.version, actor=actor)


def fixed(database: Database, dataset_id: int) -> list[str]:
    with database.read() as session:
        rows = session.query(Example).filter_by(dataset_id=dataset_id, state=ExampleState.AUTO_FIXED)
        return sorted(row.external_id for row in rows)


@pytest.mark.parametrize(
    ("rule", "wanted", "names"),
    [
        (Rule(), EVERY, "r1 r2"),
        (ALL, EVERY, "r1 r2 r3 r4 r8"),
        (ALL, QueueFilter(), "r1 r2 r3 r4"),
        (ALL, QueueFilter(split=Split.TEST, preset=Preset.ALL), ""),
        (ALL, QueueFilter(preset=Preset.UNLABELLED), "r8"),
        (ALL, QueueFilter(search="t"), "r2 r3"),
        (Rule(RuleKind.MIN_CONFIDENCE, 0.74), EVERY, "r1 r2 r3 r8"),
        (Rule(RuleKind.MIN_CONFIDENCE, 1), EVERY, ""),
        (Rule(RuleKind.TOP, 3), EVERY, "r1 r2 r3"),
        (Rule(RuleKind.TOP, 1), QueueFilter(search="t"), "r2"),
        (Rule(RuleKind.TOP, 99), QueueFilter(), "r1 r2 r3 r4"),
    ],
)
def test_each_rule_changes_what_its_preview_said(
    any_database: Database, dataset_id: int, rule: Rule, wanted: QueueFilter, names: str
) -> None:
    with any_database.read() as session:
        before = label_names(session, dataset_id)
        seen = autofix.preview(session, datasets.get(session, dataset_id), wanted, rule)
    assert seen.rows == len(names.split())
    assert sorted(row.example.external_id for row in seen.sample) == names.split()
    batch = run(any_database, request(any_database, dataset_id, rule, wanted))
    check(any_database, dataset_id)
    assert fixed(any_database, dataset_id) == names.split()
    assert (batch.rows_changed, batch.rows_skipped) == (seen.rows, 0)
    assert undo(any_database, batch.id).rows_undone == seen.rows
    check(any_database, dataset_id)
    with any_database.read() as session:
        assert label_names(session, dataset_id) == before


def test_the_preview_tells_all_there_is_to_know(any_database: Database, dataset_id: int, ann: Actor) -> None:
    decide(any_database, dataset_id, "r3", Verdict.KEEP, ann)
    decide(any_database, dataset_id, "r6", Verdict.EXCLUDE, ann)
    with any_database.read() as session:
        dataset = datasets.get(session, dataset_id)
        seen = autofix.preview(session, dataset, EVERY, ALL)
        assert [(pair.given, pair.suggested, pair.rows) for pair in seen.pairs] == [
            ("a", "b", 2),
            ("", "b", 1),
            ("c", "a", 1),
        ]
        protected = seen.protected
        assert (protected.decided, protected.test, protected.excluded, protected.not_flagged) == (1, 1, 1, 1)
        assert seen.emptied == ["c"]  # the row of c in test trains nothing
        assert seen.expected_precision is None
        recommended = autofix.preview(session, dataset, EVERY, Rule())
        assert recommended.expected_precision == 0.8
        assert recommended.emptied == []
        assert seen.sample == autofix.preview(session, dataset, EVERY, ALL).sample


def test_a_class_empties_when_its_last_rows_are_excluded(any_database: Database, dataset_id: int) -> None:
    decide(any_database, dataset_id, "r5", Verdict.EXCLUDE)
    with any_database.read() as session:
        dataset = datasets.get(session, dataset_id)
        seen = autofix.preview(session, dataset, EVERY, Rule())
        assert seen.emptied == ["a"]
        assert label_of(session, dataset_id, "a").current_count == 3


def test_people_are_never_overruled(any_database: Database, dataset_id: int, ann: Actor) -> None:
    verdicts = {"r1": Verdict.KEEP, "r2": Verdict.NEEDS_REVIEW, "r3": Verdict.EXCLUDE, "r8": Verdict.ACCEPT}
    for name, verdict in verdicts.items():
        decide(any_database, dataset_id, name, verdict, ann)
    batch = run(any_database, request(any_database, dataset_id, ALL))
    check(any_database, dataset_id)
    assert fixed(any_database, dataset_id) == ["r4"]
    assert batch.rows_changed == 1


def test_a_row_decided_on_the_way_is_skipped(any_database: Database, dataset_id: int, ann: Actor) -> None:
    batch_id = request(any_database, dataset_id, ALL)
    run(any_database, batch_id, limit=1, chunks=1)
    decide(any_database, dataset_id, "r4", Verdict.KEEP, ann)
    batch = run(any_database, batch_id)
    check(any_database, dataset_id)
    assert fixed(any_database, dataset_id) == ["r1", "r2", "r3", "r8"]
    assert (batch.rows_changed, batch.rows_skipped, batch.attempt) == (4, 1, 2)


@pytest.mark.parametrize("rule", [ALL, Rule(RuleKind.TOP, 3)])
@pytest.mark.parametrize("chunks", [0, 1, 2])
def test_a_batch_goes_on_after_its_worker_died(
    any_database: Database, dataset_id: int, rule: Rule, chunks: int
) -> None:
    batch_id = request(any_database, dataset_id, rule)
    left = run(any_database, batch_id, limit=1, chunks=chunks)
    batch = run(any_database, batch_id)
    check(any_database, dataset_id)
    assert batch.rows_changed == (3 if rule.kind is RuleKind.TOP else 5)
    assert len(fixed(any_database, dataset_id)) == batch.rows_changed
    with any_database.write() as session, pytest.raises(runs.Overtaken):
        autofix.apply_chunk(session, left, [1], actor=LOCAL)
    with any_database.write() as session:
        batches.request_undo(session, batch_id, actor=LOCAL)
    run(any_database, batch_id, limit=1, chunks=chunks)
    undone = run(any_database, batch_id)
    check(any_database, dataset_id)
    assert (undone.rows_undone, undone.rows_left) == (batch.rows_changed, 0)


def test_undo_leaves_what_people_changed_since(any_database: Database, dataset_id: int, ann: Actor) -> None:
    batch = run(any_database, request(any_database, dataset_id, ALL))
    decide(any_database, dataset_id, "r1", Verdict.KEEP, ann)
    decide(any_database, dataset_id, "r2", Verdict.ACCEPT, ann)
    undone = undo(any_database, batch.id)
    check(any_database, dataset_id)
    assert (undone.rows_undone, undone.rows_left) == (3, 2)
    assert undone.undone_by_id == LOCAL.user_id
    with any_database.read() as session:
        assert label_names(session, dataset_id)["r2"] == ("a", "b")
        left = [row.example_id for row in leftovers.rows_left(session, batch.id)]
        assert [session.get_one(Example, row).external_id for row in left] == ["r1", "r2"]
        event = last_event(session)
        assert (event.name, event.new) == ("batch.undone", {"rows": 3, "left": 2})


def test_a_cancelled_undo_can_be_asked_for_again(any_database: Database, dataset_id: int) -> None:
    batch = run(any_database, request(any_database, dataset_id, ALL))
    with any_database.write() as session:
        batches.request_undo(session, batch.id, actor=LOCAL)
    half = run(any_database, batch.id, limit=2, chunks=1)
    with any_database.write() as session:
        runs.request_cancel(session, batches.get(session, batch.id), actor=LOCAL)
    with any_database.write() as session, pytest.raises(Cancelled):
        undoing.undo_chunk(session, half, [1], actor=LOCAL)
    with any_database.write() as session:
        runs.end(session, Batch, batch.id, state=RunState.CANCELLED, error="Stopped on request.")
    check(any_database, dataset_id)
    undone = undo(any_database, batch.id)
    check(any_database, dataset_id)
    assert fixed(any_database, dataset_id) == []
    assert (undone.rows_undone, undone.rows_left) == (5, 0)


def test_an_undo_cancelled_before_it_began_can_be_asked_for_again(
    any_database: Database, dataset_id: int
) -> None:
    batch = run(any_database, request(any_database, dataset_id, ALL))
    for _ in range(2):
        with any_database.write() as session:
            batches.request_undo(session, batch.id, actor=LOCAL)
        with any_database.write() as session:
            runs.request_cancel(session, batches.get(session, batch.id), actor=LOCAL)
    assert undo(any_database, batch.id).rows_undone == 5
    table = sa.table("workflow_status", schema=None if any_database.is_sqlite else "dbos")
    with any_database.read() as session:
        jobs = session.scalar(sa.select(sa.func.count()).select_from(table))
    assert jobs == 4, "each asked for a job of its own"
    check(any_database, dataset_id)


def test_nothing_comes_between_a_batch_and_its_undo(any_database: Database, dataset_id: int) -> None:
    batch = run(any_database, request(any_database, dataset_id, ALL))
    with any_database.write() as session:
        batches.request_undo(session, batch.id, actor=LOCAL)
    for chunks in (0, 1):
        run(any_database, batch.id, chunks=chunks)
        with pytest.raises(Conflict):
            request(any_database, dataset_id, ALL)
        with pytest.raises(Conflict):
            undo(any_database, batch.id)
    assert run(any_database, batch.id).rows_undone == 5
    with pytest.raises(Conflict, match="undone already"):
        undo(any_database, batch.id)
    check(any_database, dataset_id)


def test_a_batch_stopped_half_way_can_be_undone(any_database: Database, dataset_id: int) -> None:
    batch_id = request(any_database, dataset_id, ALL)
    half = run(any_database, batch_id, limit=2, chunks=1)
    with any_database.write() as session, pytest.raises(Conflict, match="cancel it first"):
        batches.request_undo(session, batch_id, actor=LOCAL)
    with any_database.write() as session:
        runs.request_cancel(session, batches.get(session, batch_id), actor=LOCAL)
    with any_database.write() as session, pytest.raises(Cancelled):
        autofix.apply_chunk(session, half, [1], actor=LOCAL)
    with any_database.write() as session:
        runs.end(session, Batch, batch_id, state=RunState.CANCELLED, error="Stopped on request.")
        assert last_event(session).name == "batch.cancelled"
    check(any_database, dataset_id)
    assert len(fixed(any_database, dataset_id)) == 2
    assert undo(any_database, batch_id).rows_undone == 2
    check(any_database, dataset_id)
    with any_database.write() as session, pytest.raises(Conflict, match="undone already"):
        batches.request_undo(session, batch_id, actor=LOCAL)


def test_the_state_before_is_kept_and_the_trail_is_whole(any_database: Database, dataset_id: int) -> None:
    batch = run(any_database, request(any_database, dataset_id, ALL))
    undo(any_database, batch.id)
    with any_database.read() as session:
        version = versions.get(session, batch.version_id or 0)
        assert (version.name, version.reason) == (f"before auto-fix {batch.id}", "batch")
        assert event_names(session, dataset_id) == [
            "version.created", "batch.requested", "batch.finished", "batch.undo_requested", "batch.undone",
        ]  # fmt: skip
        assert [one.id for one in batches.list_batches(session, dataset_id)] == [batch.id]


def test_one_batch_at_a_time(any_database: Database, dataset_id: int) -> None:
    first = run(any_database, request(any_database, dataset_id, Rule()))
    request(any_database, dataset_id, ALL)
    with pytest.raises(Conflict, match="Another auto-fix is being applied"):
        request(any_database, dataset_id, ALL)
    with (
        any_database.write() as session,
        pytest.raises(Conflict, match="is on its way: wait until it is done"),
    ):
        batches.request_undo(session, first.id, actor=LOCAL)


def test_a_newer_run_voids_the_plan(any_database: Database, dataset_id: int) -> None:
    batch_id = request(any_database, dataset_id, ALL)
    batch = begun(any_database, batch_id)
    with any_database.write() as session:
        session.get_one(Dataset, dataset_id).current_run_id = 10**6
    with any_database.write() as session, pytest.raises(Conflict, match="Plan it again"):
        autofix.apply_chunk(session, batch, [1], actor=LOCAL)


def test_who_may_and_where(any_database: Database, dataset_id: int, ann: Actor) -> None:
    with pytest.raises(Forbidden, match="this needs the role lead in Requests"):
        request(any_database, dataset_id, ALL, actor=ann)
    batch = run(any_database, request(any_database, dataset_id, Rule()))
    with any_database.write() as session, pytest.raises(Forbidden):
        batches.request_undo(session, batch.id, actor=ann)
    with any_database.read() as session, pytest.raises(NotFound, match="There is no batch 99"):
        batches.get(session, 99)
    unscored = make_dataset(any_database, name="Fresh", scored=False)
    with pytest.raises(InvalidInput, match="Fresh has no scores yet"):
        request(any_database, unscored, ALL)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (RuleKind.MIN_CONFIDENCE, None), (RuleKind.MIN_CONFIDENCE, 1.01), (RuleKind.MIN_CONFIDENCE, -0.1),
        (RuleKind.MIN_CONFIDENCE, float("nan")), (RuleKind.TOP, None), (RuleKind.TOP, 0),
        (RuleKind.TOP, float("nan")),
    ],
)  # fmt: skip
def test_bounds_that_are_none(kind: RuleKind, value: Any) -> None:
    with pytest.raises(InvalidInput):
        Rule(kind, value)


def test_a_rule_comes_back_from_its_row() -> None:
    for rule in (Rule(), ALL, Rule(RuleKind.TOP, 7), Rule(RuleKind.MIN_CONFIDENCE, 0.5)):
        assert Rule.from_json(rule.to_json()) == rule


def test_the_worst_rows_are_those_at_the_time_of_asking(
    any_database: Database, dataset_id: int, ann: Actor
) -> None:
    """A row that somebody decides meanwhile is not replaced by the next one."""
    batch_id = request(any_database, dataset_id, Rule(RuleKind.TOP, 2))
    decide(any_database, dataset_id, "r1", Verdict.KEEP, ann)
    batch = run(any_database, batch_id)
    check(any_database, dataset_id)
    assert fixed(any_database, dataset_id) == ["r2"]
    assert (batch.total, batch.rows_changed, batch.rows_skipped) == (1, 1, 1)
