"""The queue: its order, its pages, its filters."""

import random
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.actor import LOCAL, Actor
from app.db import Database
from app.errors import InvalidInput, NotFound
from app.models import Example
from app.models.columns import Split
from app.models.examples import ExampleState
from app.models.review import Verdict
from app.services import datasets
from app.services.finding import issues
from app.services.ranking.queue_filter import Preset, QueueFilter
from app.services.reviewing import decisions, review
from app.services.reviewing.review import Matches
from tests.conftest import QueryRecorder
from tests.factories import ROWS, Row, make_dataset
from tests.services.checking import example_of, label_of

EVERY = QueueFilter(preset=Preset.ALL, split=None)


def tied_rows(count: int) -> list[Row]:
    """Return rows of which many share a self-confidence."""
    rng = random.Random(1)
    return [Row(f"text {at}", "a", "b", rng.choice([0.1, 0.2, 0.2000001])) for at in range(count)]


@pytest.mark.parametrize("scored", [True, False])
@pytest.mark.parametrize("size", [1, 7, 50])
def test_pages_visit_each_row_once_both_ways(any_database: Database, *, scored: bool, size: int) -> None:
    dataset_id = make_dataset(any_database, rows=tied_rows(53), scored=scored)
    with any_database.read() as session:
        dataset = datasets.get(session, dataset_id)
        pages = [review.list_queue(session, dataset, EVERY, limit=size)]
        while pages[-1].after:
            pages.append(review.list_queue(session, dataset, EVERY, cursor=pages[-1].after, limit=size))
        forth = [row.example.id for page in pages for row in page.rows]
        back = [row.example.id for row in pages[-1].rows]
        before = pages[-1].before
        while before:
            page = review.list_queue(session, dataset, EVERY, cursor=before, backwards=True, limit=size)
            back = [row.example.id for row in page.rows] + back
            before = page.before
        keys = [
            (row.score.rank_key if row.score else 0.0, row.example.id) for page in pages for row in page.rows
        ]
    assert len(set(forth)) == len(forth) == 53
    assert back == forth
    assert keys == sorted(keys)
    assert pages[0].before is None


def test_next_and_previous(any_database: Database) -> None:
    dataset_id = make_dataset(any_database, rows=tied_rows(5))
    with any_database.read() as session:
        dataset = datasets.get(session, dataset_id)
        rows = review.list_queue(session, dataset, EVERY).rows
        walked = [review.next_rows(session, dataset, EVERY, after=row) for row in rows]
        assert [row.example.id for [row] in walked] == [
            *(row.example.id for row in rows[1:]),
            rows[0].example.id,  # behind the last one the queue begins again
        ]
        assert review.next_rows(session, dataset, EVERY, after=None, most=3) == rows[:3]
        assert review.previous_row(session, dataset, EVERY, before=rows[0]) is None
        assert review.previous_row(session, dataset, EVERY, before=rows[3]) == rows[2]
        nothing = QueueFilter(search="nowhere")
        assert review.next_rows(session, dataset, nothing, after=rows[0]) == []


def test_a_row_without_a_score_can_be_shown_and_decided(any_database: Database) -> None:
    dataset_id = make_dataset(any_database, rows=tied_rows(3))
    with any_database.write() as session:
        first = example_of(session, dataset_id, "r1")
        later = Example(
            **{
                column.key: getattr(first, column.key)
                for column in sa.inspect(Example).column_attrs
                if column.key not in {"id", "external_id"}
            },
            external_id="later",
        )
        session.add(later)
        session.flush()
        dataset = datasets.get(session, dataset_id)
        row = review.get_row(session, dataset, later.id)
        assert (row.score, row.current) == (None, "a")
        assert review.resolver(session, dataset, row).choices[0].is_given
        decisions.decide(session, dataset_id, later.id, Verdict.KEEP, version=1, actor=LOCAL)
        [following] = review.next_rows(session, dataset, EVERY, after=row)
        assert following.example.external_id in {"r1", "r2", "r3"}
        assert review.previous_row(session, dataset, EVERY, before=row) is None


@pytest.mark.parametrize("cursor", ["x", "0.1:x", "0.1:", ":", f"0.1:{2**63}", "0.1:-1", "nan:1:2"])
def test_places_that_are_none(any_database: Database, cursor: str) -> None:
    dataset_id = make_dataset(any_database)
    with any_database.read() as session, pytest.raises(InvalidInput, match="is not a place in the queue"):
        review.list_queue(session, datasets.get(session, dataset_id), EVERY, cursor=cursor)


def test_unknown_rows(any_database: Database) -> None:
    dataset_id = make_dataset(any_database)
    other = make_dataset(any_database, name="Other")
    with any_database.read() as session:
        dataset = datasets.get(session, dataset_id)
        foreign = example_of(session, other, "r1")
        for row_id in (foreign.id, 10**6):
            with pytest.raises(NotFound, match=f"There is no row {row_id} in Requests"):
                review.get_row(session, dataset, row_id)
        mine = [example_of(session, dataset_id, name).id for name in ("r3", "r1")]
        rows = review.get_rows(session, dataset, [*mine, foreign.id])
        assert [row.example.external_id for row in rows] == ["r3", "r1"]


@pytest.fixture
def decided(any_database: Database, ann: Actor) -> int:
    """The sample rows, some of them decided."""
    dataset_id = make_dataset(any_database, rows=[*ROWS, Row("No label; Ärger 100%_\\ \x00", None)])
    verdicts = {"r1": Verdict.ACCEPT, "r2": Verdict.NEEDS_REVIEW, "r6": Verdict.EXCLUDE, "r10": Verdict.KEEP}
    for name, verdict in verdicts.items():
        with any_database.write() as session:
            row = example_of(session, dataset_id, name)
            decisions.decide(session, dataset_id, row.id, verdict, version=1, actor=ann)
    return dataset_id


FILTERS: list[tuple[dict[str, Any], str]] = [
    ({}, "r3 r4 r5"),
    ({"split": None, "preset": Preset.ISSUES}, "r3 r4 r5"),
    ({"preset": Preset.NEEDS_REVIEW}, "r2"),
    ({"preset": Preset.RESOLVED}, "r1 r6"),
    ({"preset": Preset.RESOLVED, "split": None}, "r1 r10 r6"),
    ({"preset": Preset.UNLABELLED}, "r12"),
    ({"preset": Preset.ALL}, "r1 r2 r3 r4 r5 r6 r7 r8 r9 r12"),
    ({"preset": Preset.ALL, "split": Split.TEST}, "r10 r11"),
    ({"given": "fault"}, "r4 r5"),
    ({"given": "fault", "preset": Preset.ALL}, "r4 r5 r6"),
    ({"given": "fault", "state": ExampleState.OPEN}, "r4 r5"),
    ({"given": "fault", "state": ExampleState.EXCLUDED}, ""),
    ({"given": "fault", "preset": Preset.RESOLVED}, "r6"),
    ({"given": "order", "split": None}, "r3"),
    ({"given": "order", "preset": Preset.ALL, "split": None}, "r2 r3 r8 r9 r10 r11"),
    ({"given": "order", "min_confidence": 0.06, "max_confidence": 0.2}, "r3"),
    ({"given": "refund", "metadata": (("channel", "chat"),), "preset": Preset.ALL}, "r1"),
    ({"given": "order", "metadata": (("channel", "chat"),), "preset": Preset.ALL}, ""),
    ({"suggested": "refund"}, "r5"),
    ({"suggested": "refund", "given": "order", "preset": Preset.ALL, "split": None}, "r2 r10"),
    ({"state": ExampleState.EXCLUDED, "preset": Preset.ALL}, "r6"),
    ({"min_confidence": 0.08, "max_confidence": 0.11}, "r3 r4"),
    ({"max_confidence": 0.04, "preset": Preset.ALL}, "r1"),
    # A row without a label has no confidence in it, whatever the bounds.
    ({"min_confidence": 0.5, "preset": Preset.ALL}, "r6 r7 r8 r9"),
    ({"min_confidence": 0.5, "max_confidence": 1.0, "preset": Preset.ALL}, "r6 r7 r8 r9"),
    ({"max_confidence": 1.0, "preset": Preset.ALL, "split": Split.TEST}, "r10 r11"),
    ({"search": "MONEY BACK"}, "r5"),
    ({"search": "100%_\\", "preset": Preset.ALL}, "r12"),
    ({"search": "%", "preset": Preset.ALL}, "r12"),
    ({"search": "أين", "preset": Preset.ALL}, "r9"),
    ({"person": "ann", "preset": Preset.ALL, "split": None}, "r1 r2 r10 r6"),
    ({"person": "nobody", "preset": Preset.ALL}, ""),
]


def test_filters(any_database: Database, decided: int, ann: Actor) -> None:
    for fields, names in FILTERS:
        with any_database.read() as session:
            wanted = _filter(session, decided, fields, ann)
            dataset = datasets.get(session, decided)
            for same in (
                wanted,
                QueueFilter.from_query(wanted.to_query()),
                QueueFilter.from_json(wanted.to_json()),
            ):
                rows = review.list_queue(session, dataset, same).rows
                assert sorted(row.example.external_id for row in rows) == sorted(names.split()), fields
                counted = review.count_matches(session, dataset, same)
                assert counted == Matches(len(rows), is_more=False), fields


def _filter(session: Session, dataset_id: int, fields: dict[str, Any], ann: Actor) -> QueueFilter:
    chosen = dict(fields)
    for field in ("given", "suggested"):
        if field in chosen:
            chosen[field] = label_of(session, dataset_id, chosen[field]).id
    if "person" in chosen:
        chosen["person"] = ann.user_id if chosen["person"] == "ann" else 10**6
    return QueueFilter(**chosen)


def test_an_unscored_dataset_has_no_issues_but_rows(any_database: Database) -> None:
    dataset_id = make_dataset(any_database, scored=False)
    with any_database.read() as session:
        dataset = datasets.get(session, dataset_id)
        for nothing in (QueueFilter(), QueueFilter(preset=Preset.ALL, min_confidence=0.0)):
            assert review.list_queue(session, dataset, nothing).rows == []
        every = review.list_queue(session, dataset, EVERY).rows
        assert [row.example.position for row in every] == list(range(1, 12))
        with pytest.raises(InvalidInput, match="Requests has no scores yet"):
            issues.list_issues(session, dataset)


@pytest.mark.parametrize(
    "query",
    [
        {"preset": "nothing"}, {"split": "dev"}, {"given": "x"}, {"given": "0"}, {"person": str(2**63)},
        {"min_confidence": "2"}, {"max_confidence": "nan"}, {"state": "lost"},
    ],
)  # fmt: skip
def test_filters_that_make_no_sense(query: dict[str, str]) -> None:
    with pytest.raises(InvalidInput, match="makes no sense here"):
        QueueFilter.from_query(query)


def test_empty_fields_of_an_address_are_the_usual() -> None:
    usual = QueueFilter.from_query({"preset": "", "given": " ", "cursor": "1:2", "search": ""})
    assert usual == QueueFilter()
    assert QueueFilter().to_query() == {}


def test_issues_are_listed_by_rank_whatever_was_decided(any_database: Database, decided: int) -> None:
    with any_database.read() as session:
        dataset = datasets.get(session, decided)
        found = issues.list_issues(session, dataset)
        assert [(issue.rank, issue.id) for issue in found] == [(at, f"r{at}") for at in range(1, 6)]
        assert (found[0].given_label, found[0].suggested_label, found[0].state) == (
            "refund",
            "order",
            "accepted",
        )
        assert [issue.id for issue in issues.list_issues(session, dataset, after_rank=2, limit=2)] == [
            "r3",
            "r4",
        ]
        assert [issue.id for issue in issues.list_issues(session, dataset, split=Split.TEST)] == ["r10"]


def test_the_queue_is_read_in_the_order_of_an_index(database: Database, queries: QueryRecorder) -> None:
    dataset_id = make_dataset(database, rows=tied_rows(200))
    for wanted in (QueueFilter(), QueueFilter(preset=Preset.ALL), QueueFilter(preset=Preset.NEEDS_REVIEW)):
        with database.read() as session:
            dataset = datasets.get(session, dataset_id)
            with queries(database) as statements:
                review.list_queue(session, dataset, wanted)
            (statement,) = statements
            plan = session.execute(sa.text(f"EXPLAIN QUERY PLAN {statement.replace('?', '1')}")).all()
        assert "ix_scores" in plan[0].detail, plan
        assert not [step for step in plan if "TEMP B-TREE" in step.detail], plan


def test_rows_of_a_label_are_found_in_an_index_alone(database: Database, queries: QueryRecorder) -> None:
    dataset_id = make_dataset(database, rows=tied_rows(200))
    for preset, index in ((Preset.ISSUES, "ix_scores_open_pairs"), (Preset.ALL, "ix_scores_pair")):
        with database.read() as session:
            dataset = datasets.get(session, dataset_id)
            given = datasets.labels(session, dataset)[0].id
            with queries(database) as statements:
                review.list_queue(session, dataset, QueueFilter(preset=preset, given=given))
                review.count_matches(session, dataset, QueueFilter(preset=preset, given=given))
            assert len(statements) == 2, "what was counted to find the rows is not counted again"
            for statement in statements:
                plan = session.execute(sa.text(f"EXPLAIN QUERY PLAN {statement.replace('?', '1')}")).all()
                assert any(f"scores USING COVERING INDEX {index} " in step.detail for step in plan), plan


def test_matches_are_counted_up_to_a_bound(any_database: Database) -> None:
    dataset_id = make_dataset(any_database)
    with any_database.read() as session:
        dataset = datasets.get(session, dataset_id)
        for search, rows in (("lamp", 1), ("no such", 0)):
            wanted = QueueFilter(preset=Preset.ALL, search=search)
            assert review.count_matches(session, dataset, wanted) == Matches(rows, is_more=False)
        assert review.count_matches(session, dataset, EVERY, most=3) == Matches(3, is_more=True)
