"""When a new order is due, what it is made from, and walks through the queue while orders change."""

import datetime as dt
import random
from collections.abc import Callable
from contextlib import AbstractContextManager
from itertools import pairwise

import pytest
import sqlalchemy as sa

from app.actor import LOCAL, Actor
from app.db import Database, now
from app.models import Dataset, Decision, Event, FrontRow, Learning, ScoringRun
from app.models.columns import RunState, Split
from app.models.review import Verdict
from app.services import datasets
from app.services.operation import runs
from app.services.ranking import learning as learnings
from app.services.ranking import queue_order
from app.services.ranking.queue_filter import Preset, QueueFilter
from app.services.ranking.queue_rows import QueueRow
from app.services.reviewing import decisions, review
from tests.factories import ROWS, Row, make_dataset
from tests.services.checking import check, example_of
from tests.services.learned import put_in_front

ISSUES = QueueFilter()
ALL = QueueFilter(preset=Preset.ALL)


@pytest.fixture
def dataset_id(any_database: Database) -> int:
    return make_dataset(any_database)


def decide(database: Database, dataset_id: int, name: str, verdict: Verdict = Verdict.KEEP) -> None:
    with database.write() as session:
        row = example_of(session, dataset_id, name)
        decisions.decide(session, dataset_id, row.id, verdict, version=row.version, actor=LOCAL)


def due(database: Database, *, every: int = 2) -> list[int]:
    with database.read() as session:
        return learnings.list_due(session, every=every)


def let_time_pass(database: Database, seconds: int) -> None:
    earlier = now() - dt.timedelta(seconds=seconds)
    with database.write() as session:
        session.execute(sa.update(Decision).values(created_at=earlier))
        session.execute(sa.update(Learning).values(started_at=earlier, finished_at=earlier))


def test_due_after_some_decisions_or_when_people_pause(any_database: Database, dataset_id: int) -> None:
    make_dataset(any_database, name="Fresh", scored=False)
    assert due(any_database) == []
    decide(any_database, dataset_id, "r1")
    assert due(any_database) == []
    assert due(any_database, every=1) == [dataset_id]
    decide(any_database, dataset_id, "r2")
    assert due(any_database) == [dataset_id]
    assert due(any_database, every=0) == []  # switched off
    put_in_front(any_database, dataset_id, ["r3"])
    assert due(any_database, every=1) == []
    decide(any_database, dataset_id, "r3")
    assert due(any_database) == []
    let_time_pass(any_database, 3600)
    assert due(any_database) == [dataset_id]


def test_a_new_order_rests_in_proportion_to_its_cost(any_database: Database, dataset_id: int) -> None:
    decide(any_database, dataset_id, "r1")
    learning_id = put_in_front(any_database, dataset_id, ["r2"])
    with any_database.write() as session:
        session.get_one(Learning, learning_id).started_at = now() - dt.timedelta(seconds=600)
    decide(any_database, dataset_id, "r2")
    assert due(any_database, every=1) == []
    let_time_pass(any_database, 0)
    assert due(any_database, every=1) == [dataset_id]


def test_one_at_a_time_and_only_with_scores_and_decisions(any_database: Database, dataset_id: int) -> None:
    with any_database.write() as session:
        assert learnings.request(session, dataset_id) is None  # nothing was decided
    decide(any_database, dataset_id, "r1")
    with any_database.write() as session:
        first = learnings.request(session, dataset_id)
        assert first is not None
        assert (first.state, first.created_by_id) == (RunState.QUEUED, LOCAL.user_id)
    assert due(any_database, every=1) == []
    with any_database.write() as session:
        assert learnings.request(session, dataset_id) is None


def test_what_was_decided_is_read_with_what_it_teaches(any_database: Database, dataset_id: int) -> None:
    verdicts = {
        "r1": Verdict.ACCEPT, "r2": Verdict.KEEP, "r3": Verdict.EXCLUDE, "r4": Verdict.NEEDS_REVIEW,
        "r10": Verdict.ACCEPT,
    }  # fmt: skip
    for name, verdict in verdicts.items():
        decide(any_database, dataset_id, name, verdict)
    with any_database.read() as session:
        rows = {name: example_of(session, dataset_id, name) for name in verdicts}
        found = {one.example_id: one for one in learnings.read_standings(session, dataset_id)}
        assert found.keys() == {rows[name].id for name in ("r1", "r2", "r3", "r4")}  # no test row
        assert found[rows["r1"].id].label_id == rows["r1"].label_id != rows["r1"].given_label_id
        assert found[rows["r2"].id].label_id == rows["r2"].given_label_id
        assert [found[rows[name].id].label_id for name in ("r3", "r4")] == [None, None]
        assert [found[rows[name].id].is_excluded for name in ("r3", "r4")] == [True, False]
        run = session.get_one(ScoringRun, session.get_one(Dataset, dataset_id).current_run_id)
        known = learnings.read_rows(session, run, with_texts=True)
        assert [row.text for row in known] == [row.text for row in ROWS if row.split is Split.TRAIN]
        assert {row.text for row in learnings.read_rows(session, run, with_texts=False)} == {""}


def test_the_front_comes_first_and_the_run_s_order_goes_on(any_database: Database, dataset_id: int) -> None:
    decide(any_database, dataset_id, "r1")
    before = names_of(any_database, dataset_id, ALL)
    learning_id = put_in_front(any_database, dataset_id, ["r9", "r3", "r6"])
    check(any_database, dataset_id)
    after = names_of(any_database, dataset_id, ALL)
    assert after == ["r9", "r3", "r6", *(name for name in before if name not in {"r9", "r3", "r6"})]
    assert names_of(any_database, dataset_id, ISSUES) == ["r3", "r2", "r4", "r5"]
    assert names_of(any_database, dataset_id, ALL, order=0) == before
    with any_database.read() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Event)) == 1  # the verdict
        learning = learnings.get(session, learning_id)
        assert learning is not None
        assert (learning.state, learning.report["rescored"]) == (RunState.DONE, True)


def names_of(
    database: Database, dataset_id: int, wanted: QueueFilter, *, order: int | None = None
) -> list[str]:
    with database.read() as session:
        page = review.list_queue(session, datasets.get(session, dataset_id), wanted, order=order)
        return [row.example.external_id for row in page.rows]


@pytest.mark.parametrize("size", [1, 2, 3])
def test_pages_of_an_order_stay_whole_while_newer_ones_come(
    any_database: Database, dataset_id: int, size: int
) -> None:
    decide(any_database, dataset_id, "r1")
    put_in_front(any_database, dataset_id, ["r8", "r2", "r6", "r4"])
    wanted = names_of(any_database, dataset_id, ALL)
    rng, walked, cursor, pages = random.Random(size), [], None, []
    while True:
        with any_database.read() as session:
            dataset = datasets.get(session, dataset_id)
            page = review.list_queue(session, dataset, ALL, cursor=cursor, limit=size)
        pages.append(page)
        walked += [row.example.external_id for row in page.rows]
        cursor = page.after
        if cursor is None:
            break
        put_in_front(any_database, dataset_id, rng.sample(wanted, 4))
    assert walked == wanted
    with any_database.read() as session:
        dataset = datasets.get(session, dataset_id)
        for earlier, later in pairwise(pages):
            back = review.list_queue(session, dataset, ALL, cursor=later.before, backwards=True, limit=size)
            assert [row.example.id for row in back.rows] == [row.example.id for row in earlier.rows]


@pytest.mark.parametrize("seed", range(3))
def test_a_walk_with_new_orders_in_between_meets_every_row_once(database: Database, seed: int) -> None:
    rng = random.Random(seed)
    rows = [Row(f"text {at}", "a", "b" if at % 2 else None, rng.random() / 2) for at in range(24)]
    dataset_id = make_dataset(database, rows=rows)
    decide(database, dataset_id, "r1")
    order, met = 0, [example_named(database, dataset_id, "r1")]
    with database.read() as session:
        opened = review.first_open(session, datasets.get(session, dataset_id), ALL)
    while opened:
        example = opened[0].example
        met.append(example.id)
        with database.write() as session:
            version = example.version
            decisions.decide(session, dataset_id, example.id, Verdict.KEEP, version=version, actor=LOCAL)
        if rng.random() < 0.4:
            put_in_front(database, dataset_id, [f"r{at}" for at in rng.sample(range(1, 25), 8)])
        opened, order = advance(database, dataset_id, example.id, order)
    assert sorted(met) == sorted(set(met))
    assert len(met) == 24


def advance(database: Database, dataset_id: int, example_id: int, order: int) -> tuple[list[QueueRow], int]:
    """Go on as the page does: in its order, or at the top of a newer one."""
    wanted = QueueFilter(preset=Preset.ALL, state=None)
    with database.read() as session:
        dataset = datasets.get(session, dataset_id)
        newest = dataset.learning_id or 0
        first = review.first_open(session, dataset, wanted)
        if order != newest or not first:
            return first, newest
        row = review.get_row(session, dataset, example_id)
        following = review.next_rows(session, dataset, wanted, after=row, order=order)
        while following and following[0].example.state.value != "open":
            following = review.next_rows(session, dataset, wanted, after=following[0], order=order)
        return following, order


def example_named(database: Database, dataset_id: int, name: str) -> int:
    with database.read() as session:
        return example_of(session, dataset_id, name).id


def test_an_order_that_is_gone_gives_way_to_the_newest(any_database: Database, dataset_id: int) -> None:
    decide(any_database, dataset_id, "r1")
    old = put_in_front(any_database, dataset_id, ["r5", "r4"])
    with any_database.read() as session:
        cursor = review.list_queue(session, datasets.get(session, dataset_id), ALL, limit=1).after
    new = put_in_front(any_database, dataset_id, ["r7"])
    with any_database.write() as session:
        session.execute(sa.delete(Learning).where(Learning.id == old))
    with any_database.read() as session:
        dataset = datasets.get(session, dataset_id)
        assert queue_order.resolve(session, dataset, old, is_learned=True) == new
        page = review.list_queue(session, dataset, ALL, cursor=cursor, limit=1)
        assert (page.order, page.rows[0].example.external_id, page.before) == (new, "r7", None)


def test_only_so_many_orders_are_kept(any_database: Database, dataset_id: int) -> None:
    decide(any_database, dataset_id, "r1")
    made = [put_in_front(any_database, dataset_id, ["r5"], kept=2) for _ in range(4)]
    with any_database.read() as session:
        assert list(session.scalars(sa.select(Learning.id).order_by(Learning.id))) == made[-2:]
        assert session.scalar(sa.select(sa.func.count()).select_from(FrontRow)) == 2


def test_a_newer_run_begins_with_its_own_order(any_database: Database, dataset_id: int) -> None:
    decide(any_database, dataset_id, "r1")
    with any_database.write() as session:
        asked = learnings.request(session, dataset_id)
        assert asked is not None
        learning = runs.begin(session, Learning, asked.id)
        assert learning is not None
    with any_database.write() as session:
        session.get_one(Dataset, dataset_id).current_run_id = 10**6
    with any_database.write() as session:
        assert learnings.begin(session, learning) is None
        assert not learnings.publish(session, learning, {})
        assert session.get_one(Dataset, dataset_id).learning_id is None


def test_a_restart_leaves_nothing_of_the_first_try(
    any_database: Database, dataset_id: int, ann: Actor
) -> None:
    decide(any_database, dataset_id, "r1")
    ids = [example_named(any_database, dataset_id, name) for name in ("r2", "r3", "r4")]
    with any_database.write() as session:
        asked = learnings.request(session, dataset_id)
        assert asked is not None
        first = runs.begin(session, Learning, asked.id)
        assert first is not None
        learnings.save_front(session, first, ids[:2], first=1)
    with any_database.write() as session:
        second = runs.begin(session, Learning, asked.id)
        assert second is not None
        learnings.begin(session, second)
        learnings.save_front(session, second, ids[::-1], first=1)
    with any_database.write() as session, pytest.raises(runs.Overtaken):
        learnings.publish(session, first, {})
    with any_database.write() as session:
        assert learnings.publish(session, second, {})
    assert names_of(any_database, dataset_id, ISSUES)[:3] == ["r4", "r3", "r2"]


@pytest.mark.parametrize("wanted", [ISSUES, QueueFilter(preset=Preset.ALL, sample=1)])
def test_few_rows_are_read_whatever_the_size_of_the_dataset(
    database: Database, queries: Callable[[Database], AbstractContextManager[list[str]]], wanted: QueueFilter
) -> None:
    """SQLite begins with the front, or with the sample, and looks the scores up one by one."""
    dataset_id = make_dataset(database)
    decide(database, dataset_id, "r1")
    put_in_front(database, dataset_id, ["r3", "r2"])
    with database.read() as session, queries(database) as statements:
        review.list_queue(session, datasets.get(session, dataset_id), wanted, limit=1)
    statement = next(one for one in statements if "CROSS JOIN" in one)
    with database.engine.connect() as connection:
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", (1,) * statement.count("?"))
        steps = [step[-1] for step in plan]
    assert steps[0].startswith(("SEARCH front_rows", "SEARCH sample_rows"))
    assert "SEARCH scores USING INDEX sqlite_autoindex_scores_1 (run_id=? AND example_id=?)" in steps
