"""The evidence of a scoring run: stored out of sight, published with it, gone with its dataset."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.actor import LOCAL
from app.config import Settings
from app.db import Database
from app.models import Dataset, Evidence, Example, Finding, Score, ScoringRun
from app.models.columns import Split
from app.models.evidence import IssueKind, kinds_of
from app.models.review import Verdict
from app.science.neighbours import unpack, unpack_ids
from app.services import datasets
from app.services.bounding import autofix, batches
from app.services.bounding.autofix import Rule, RuleKind
from app.services.ranking.queue_filter import Preset, QueueFilter
from app.services.reviewing import decisions, review
from tests.jobs.test_jobs import ask_for_import, ask_for_scores, tickets
from tests.jobs.working import at_work, done
from tests.services.checking import check, example_of

TWIN = "the lamp that I bought from you last week flickers whenever the heating is on"


def odd_rows() -> list[dict[str, Any]]:
    """Return tickets, and some rows of each kind of issue among them."""
    added = [
        ("same", TWIN, "fault"), ("other label", TWIN.upper(), "order"), ("near", TWIN + " !", "fault"),
        ("nothing", "...", "order"), ("garbled", "cafÃ© lamp broken", "fault"),
    ]  # fmt: skip
    return tickets(60) + [{"id": name, "text": text, "label": label} for name, text, label in added]


def ids_by_kind(session: Session, run_id: int, split: Split) -> dict[IssueKind, set[str]]:
    found: dict[IssueKind, set[str]] = {}
    query = (
        sa.select(Finding.kind, Example.external_id)
        .join(Example, Example.id == Finding.example_id)
        .where(Finding.run_id == run_id, Finding.split == split)
    )
    for kind, name in session.execute(query):
        found.setdefault(kind, set()).add(name)
    return found


def is_gone(database: Database, dataset_id: int) -> bool:
    with database.read() as session:
        return session.get(Dataset, dataset_id) is None


def wait_for(is_done: Callable[[], bool]) -> None:
    for _ in range(1200):
        if is_done():
            return
        time.sleep(0.05)
    raise AssertionError("nothing came of it")


def scored(database: Database, folder: Path, **changes: Any) -> tuple[int, ScoringRun]:
    first = done(database, ask_for_import(database, folder, odd_rows()))
    leaked = [{"id": "leaked", "text": f"  {TWIN} ", "label": "fault"}, *tickets(5)]
    test = [{**row, "id": f"t {row['id']}"} for row in leaked]
    done(database, ask_for_import(database, folder, test, split=Split.TEST))
    assert first.dataset_id is not None
    return first.dataset_id, done(database, ask_for_scores(database, first.dataset_id, **changes))


def test_evidence_comes_with_the_scores(
    any_settings: Settings, any_database: Database, tmp_path: Path
) -> None:
    with at_work(any_settings, any_database):
        dataset_id, run = scored(any_database, tmp_path)
        check(any_database, dataset_id)
        with any_database.read() as session:
            _assert_found(session, dataset_id, run)
            _assert_neighbours(session, dataset_id, run)
            before = _stored(session, run)
        again = done(any_database, ask_for_scores(any_database, dataset_id))
        with any_database.read() as session:
            assert _stored(session, again) == before, "same seed, same bytes"
        _decide_and_undo(any_database, dataset_id)
        with any_database.write() as session:
            asked = autofix.request(session, dataset_id, QueueFilter(), Rule(RuleKind.ALL), actor=LOCAL)
        batch = done(any_database, asked)
        check(any_database, dataset_id)
        with any_database.write() as session:
            batches.request_undo(session, batch.id, actor=LOCAL)
        done(any_database, batch)
        check(any_database, dataset_id)
        with any_database.write() as session:
            datasets.request_delete(session, dataset_id, actor=LOCAL)
        wait_for(lambda: is_gone(any_database, dataset_id))
    with any_database.read() as session:
        for kind in (Finding, Evidence):
            assert session.scalar(sa.select(sa.func.count()).select_from(kind)) == 0


def _assert_found(session: Session, dataset_id: int, run: ScoringRun) -> None:
    train, test = (ids_by_kind(session, run.id, split) for split in Split)
    assert train[IssueKind.CONFLICT] == {"same", "other label"}
    assert {"same", "other label", "near"} <= train[IssueKind.NEAR_DUPLICATE]
    assert train[IssueKind.BROKEN] == {"nothing", "garbled"}
    assert {"same", "other label"} <= train[IssueKind.LEAK]
    assert "t leaked" in test[IssueKind.LEAK]
    assert IssueKind.CONFLICT not in test
    counts = datasets.counts(session, dataset_id, split=Split.TRAIN)
    assert (counts.open_conflict, counts.open_broken) == (2, 2)
    assert run.report["kinds"]["conflict"] == {"train": 2, "test": 0}
    wanted = example_of(session, dataset_id, "other label")
    score = session.get_one(Score, (run.id, wanted.id))
    assert IssueKind.CONFLICT in kinds_of(score.kinds)
    conflict = session.get_one(Finding, (run.id, wanted.id, IssueKind.CONFLICT))
    assert unpack_ids(conflict.related) == [example_of(session, dataset_id, "same").id]
    assert (conflict.related_count, conflict.score) == (1, 0.5)


def _assert_neighbours(session: Session, dataset_id: int, run: ScoringRun) -> None:
    splits = dict(session.execute(sa.select(Example.id, Example.split)).all())
    found = session.scalars(sa.select(Evidence).where(Evidence.run_id == run.id)).all()
    assert len(found) == run.rows
    for one in found:
        near = unpack(one.neighbours)
        assert len(near) == 10
        assert all(splits[other] is Split.TRAIN and other != one.example_id for other, _ in near)
        assert [value for _, value in near] == sorted((value for _, value in near), reverse=True)
    same = example_of(session, dataset_id, "same")
    evidence = session.get_one(Evidence, (run.id, same.id))
    assert unpack(evidence.neighbours)[0][0] == example_of(session, dataset_id, "other label").id


def _stored(session: Session, run: ScoringRun) -> list[tuple[Any, ...]]:
    found = sa.select(Finding.example_id, Finding.kind, Finding.rank, Finding.score, Finding.related)
    stored = session.execute(found.where(Finding.run_id == run.id).order_by(Finding.example_id, Finding.kind))
    near = session.execute(
        sa.select(Evidence.example_id, Evidence.neighbours)
        .where(Evidence.run_id == run.id)
        .order_by(Evidence.example_id)
    )
    return [tuple(row) for row in [*stored, *near]]


def _decide_and_undo(database: Database, dataset_id: int) -> None:
    wanted = QueueFilter(preset=Preset.CONFLICT)
    with database.read() as session:
        dataset = datasets.get(session, dataset_id)
        first, second = review.list_queue(session, dataset, wanted).rows
    with database.write() as session:
        example = first.example
        decisions.decide(session, dataset_id, example.id, Verdict.KEEP, version=example.version, actor=LOCAL)
    check(database, dataset_id)
    with database.read() as session:
        dataset = datasets.get(session, dataset_id)
        assert [row.example.id for row in review.list_queue(session, dataset, wanted).rows] == [
            second.example.id
        ]
        decided = review.get_row(session, dataset, first.example.id, within=wanted)
        [following] = review.next_rows(session, dataset, wanted, after=decided)
        assert following is not None
        assert following.example.id == second.example.id
    with database.write() as session:
        decisions.undo(session, dataset_id, actor=LOCAL)
    check(database, dataset_id)


def test_too_many_rows_are_not_compared(settings: Settings, database: Database, tmp_path: Path) -> None:
    few = settings.model_copy(update={"neighbour_rows": 10})
    with at_work(few, database):
        dataset_id, run = scored(database, tmp_path)
        check(database, dataset_id)
    assert any("SETRIGHT_NEIGHBOUR_ROWS is 10" in warning for warning in run.report["warnings"])
    with database.read() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Evidence)) == 0
        train = ids_by_kind(session, run.id, Split.TRAIN)
    assert train[IssueKind.CONFLICT] == train[IssueKind.NEAR_DUPLICATE] == {"same", "other label"}
    assert IssueKind.OUTLIER not in train
