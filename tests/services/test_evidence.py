"""Kinds of issue in the queue: order, pages, filters, the index behind them; explanations."""

import pytest
import sqlalchemy as sa

from app.db import Database
from app.errors import InvalidInput
from app.models import Dataset, Evidence, Example, Finding, Score, ScoringRun
from app.models.columns import RunState, Split
from app.models.evidence import IssueKind, kinds_of
from app.services import datasets
from app.services.finding import evidence, findings, issues
from app.services.finding.explaining import explain
from app.services.ranking.queue_filter import Preset, QueueFilter
from app.services.reviewing import review
from tests.conftest import QueryRecorder
from tests.factories import Found, Row, add_evidence, make_dataset
from tests.services.checking import check, example_of

CONFLICTS = QueueFilter(preset=Preset.CONFLICT)


def many(database: Database, count: int = 53) -> int:
    """Make rows of which every second is a conflict, the last one first."""
    rows = [Row(f"text {at}", "a", "b", 0.1) for at in range(count)]
    dataset_id = make_dataset(database, rows=rows)
    names = [f"r{at}" for at in range(count, 0, -1)]
    found = [Found(name, IssueKind.CONFLICT, 0.5, (names[0],)) for name in names[::2]]
    add_evidence(database, dataset_id, neighbours={"r1": [("r2", 0.5)]}, found=found)
    return dataset_id


@pytest.mark.parametrize("size", [1, 7, 50])
def test_pages_of_a_kind_visit_each_row_once_both_ways(any_database: Database, size: int) -> None:
    dataset_id = many(any_database)
    check(any_database, dataset_id)
    with any_database.read() as session:
        dataset = datasets.get(session, dataset_id)
        page = review.list_queue(session, dataset, CONFLICTS, limit=size)
        forth = [row.example.external_id for row in page.rows]
        while page.after:
            page = review.list_queue(session, dataset, CONFLICTS, cursor=page.after, limit=size)
            forth += [row.example.external_id for row in page.rows]
        assert forth == [f"r{at}" for at in range(53, 0, -2)]
        back = [row.example.external_id for row in reversed(page.rows)]
        while page.before:
            page = review.list_queue(
                session, dataset, CONFLICTS, cursor=page.before, backwards=True, limit=size
            )
            back += [row.example.external_id for row in reversed(page.rows)]
        assert back == forth[::-1]


def test_a_kind_goes_with_other_filters(any_database: Database) -> None:
    dataset_id = many(any_database)
    for wanted, names in (
        (QueueFilter(preset=Preset.CONFLICT, search="text 52"), ["r53"]),
        (QueueFilter(preset=Preset.CONFLICT, split=Split.TEST), []),
        (QueueFilter(preset=Preset.CONFLICT, split=None, search="text 40"), ["r41"]),
        (QueueFilter(preset=Preset.OUTLIER), []),
    ):  # fmt: skip
        with any_database.read() as session:
            dataset = datasets.get(session, dataset_id)
            for same in (wanted, QueueFilter.from_query(wanted.to_query())):
                rows = review.list_queue(session, dataset, same).rows
                assert [row.example.external_id for row in rows] == names, wanted


def test_an_unscored_dataset_has_no_kinds(any_database: Database) -> None:
    dataset_id = make_dataset(any_database, scored=False)
    with any_database.read() as session:
        dataset = datasets.get(session, dataset_id)
        assert review.list_queue(session, dataset, CONFLICTS).rows == []
        with pytest.raises(InvalidInput, match="has no scores yet"):
            issues.list_found(session, dataset, IssueKind.OUTLIER)
        row = review.list_queue(session, dataset, QueueFilter(preset=Preset.ALL)).rows[0]
        assert review.resolver(session, dataset, row).why == evidence.NOTHING


def test_a_row_outside_of_the_kind_has_no_place_in_its_order(any_database: Database) -> None:
    dataset_id = many(any_database)
    with any_database.read() as session:
        dataset = datasets.get(session, dataset_id)
        other = session.scalars(sa.select(Example).where(Example.external_id == "r2")).one()
        row = review.get_row(session, dataset, other.id, within=CONFLICTS)
        [following] = review.next_rows(session, dataset, CONFLICTS, after=row)
        assert following is not None
        assert following.example.external_id == "r53"
        assert review.previous_row(session, dataset, CONFLICTS, before=row) is None


def test_a_kind_is_read_in_the_order_of_its_index(database: Database, queries: QueryRecorder) -> None:
    dataset_id = many(database, 200)
    with database.read() as session:
        dataset = datasets.get(session, dataset_id)
        first = review.list_queue(session, dataset, CONFLICTS, limit=20)
        with queries(database) as statements:
            review.list_queue(session, dataset, CONFLICTS, cursor=first.after, limit=20)
        (statement,) = statements
        plan = session.execute(sa.text(f"EXPLAIN QUERY PLAN {statement.replace('?', '1')}")).all()
    assert "ix_findings_ranked" in plan[0].detail, plan
    assert not [step for step in plan if "TEMP B-TREE" in step.detail], plan


def test_similar_rows_are_looked_up_by_number(database: Database, queries: QueryRecorder) -> None:
    dataset_id = many(database, 200)
    with database.read() as session:
        dataset = datasets.get(session, dataset_id)
        row = review.get_row(session, dataset, example_of(session, dataset_id, "r1").id)
        with queries(database) as statements:
            found = review.resolver(session, dataset, row).why.nearest
            review.get_rows(session, dataset, [one.example_id for one in found])
        asked = [one for one in statements if "examples.id IN" in one]
        plans = [
            session.execute(sa.text(f"EXPLAIN QUERY PLAN {one.replace('?', '1')}")).all() for one in asked
        ]
    assert (len(found), len(plans)) == (1, 2)
    assert all("examples USING INTEGER PRIMARY KEY" in plan[0].detail for plan in plans), plans


def test_found_rows_are_listed_with_their_explanation(any_database: Database) -> None:
    dataset_id = many(any_database, 7)
    with any_database.read() as session:
        dataset = datasets.get(session, dataset_id)
        found = issues.list_found(session, dataset, IssueKind.CONFLICT)
        assert [(one.rank, one.id) for one in found] == [(1, "r7"), (2, "r5"), (3, "r3"), (4, "r1")]
        assert {one.kind for one in found} == {"conflict"}
        assert "other labels" in found[1].explanation
        rest = issues.list_found(session, dataset, IssueKind.CONFLICT, after_rank=2, limit=1)
        assert [one.id for one in rest] == ["r3"]
        assert issues.list_found(session, dataset, IssueKind.CONFLICT, split=Split.TEST) == []


def test_a_second_attempt_begins_with_nothing(any_database: Database) -> None:
    dataset_id = many(any_database)
    with any_database.write() as session:
        run = session.get_one(ScoringRun, session.get_one(Dataset, dataset_id).current_run_id)
        run.state = RunState.RUNNING
        session.flush()
        while findings.forget_chunk(session, run):
            pass
        run.state = RunState.DONE
        session.flush()
        findings.set_counters(session, dataset_id, run.id)
    check(any_database, dataset_id)
    with any_database.read() as session:
        marked = sa.select(Score.run_id).where(Score.kinds != 0)
        for left in (sa.select(Finding.run_id), sa.select(Evidence.run_id), marked):
            assert session.scalar(left.limit(1)) is None


@pytest.mark.parametrize("length", [*range(294, 302), 1000])
def test_the_beginning_of_a_text_ends_before_a_character_that_databases_refuse(
    database: Database, length: int
) -> None:
    text = "x" * length + "\x00\ud83d tail"
    dataset_id = make_dataset(database, rows=[Row("one", "a", "b", 0.1), Row(text, "a"), Row("b", "b")])
    add_evidence(database, dataset_id, neighbours={"r1": [("r2", 0.5)]})
    with database.read() as session:
        dataset = datasets.get(session, dataset_id)
        first = review.list_queue(session, dataset, QueueFilter()).rows[0]
        (near,) = review.resolver(session, dataset, first).why.nearest
    assert text.startswith(near.text)
    assert near.text.startswith("x" * min(length, 300))


def test_bits_are_kinds() -> None:
    assert kinds_of(0) == []
    for kind in IssueKind:
        assert kinds_of(kind.bit) == [kind]
        assert Preset(kind.value).kind is kind
    assert sum(kind.bit for kind in IssueKind) == 63
    assert Preset.ALL.kind is None


@pytest.mark.parametrize(
    ("kind", "text", "score", "count", "labels", "sentence"),
    [
        (IssueKind.CONFLICT, "x", 0.5, 4, ["a", "b", "c", "d"], "other labels too: a, b, c and 1 more."),
        (IssueKind.NEAR_DUPLICATE, "x", 0.03, 1, [], "One row of this split says nearly the same (simil"),
        (IssueKind.NEAR_DUPLICATE, "x", 0, 1200, [], "1,200 rows of this split say the same."),
        (IssueKind.LEAK, "x", 0, 2, [], "2 rows of the test split say the same."),
        (IssueKind.OUTLIER, "x", 0.004, 0, [], "only one in 250 of usual rows"),
        (IssueKind.OUTLIER, "x", 0.0, 0, [], "only one in a million of usual rows"),
        (IssueKind.AMBIGUOUS, "x", 0.1, 0, [], "wavers between"),
        (IssueKind.BROKEN, "", 0, 0, [], "nothing to read"),
        (IssueKind.BROKEN, "cafÃ©", 0.5, 0, [], "wrong encoding"),
        (IssueKind.BROKEN, "a\x00b", 0.5, 0, [], "control characters"),
        (IssueKind.BROKEN, "w " * 2000, 0.5, 0, [], "4,000 characters: more than 2,000"),
        (IssueKind.BROKEN, "mended since", 0.5, 0, [], "was unusable when it was scored"),
    ],
)  # fmt: skip
def test_each_kind_has_a_sentence(
    kind: IssueKind, text: str, score: float, count: int, labels: list[str], sentence: str
) -> None:
    said = explain(
        kind,
        text=text,
        split=Split.TRAIN,
        score=score,
        related_count=count,
        other_labels=labels,
        long_chars=2000,
    )
    assert sentence in said
    assert said.endswith(".")
