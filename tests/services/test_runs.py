"""What all jobs share, tried on scoring runs; and the signs of life of workers."""

import datetime as dt
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from app.actor import LOCAL, Actor, Role
from app.db import Database, now
from app.errors import Cancelled, Conflict, Forbidden, InvalidInput, NotFound
from app.models import Batch, Dataset, Score, ScoringRun, Worker
from app.models.columns import RunState, Split
from app.models.review import Verdict
from app.services import datasets
from app.services.finding import scoring
from app.services.importing import imports
from app.services.operation import runs, workers
from app.services.reviewing import overview
from app.services.versioning import versions
from tests.factories import make_dataset, make_user
from tests.services import importing
from tests.services import test_autofix as fixing
from tests.services.checking import check, event_names, example_of, last_event
from tests.services.importing import WITH_ID, import_rows


@pytest.fixture
def dataset_id(any_database: Database) -> int:
    return make_dataset(any_database, rows=fixing.ROWS)


def request(database: Database, dataset_id: int, *, seed: int = 0, actor: Actor = LOCAL) -> int:
    with database.write() as session:
        return scoring.request(session, dataset_id, embedder="use", seed=seed, actor=actor).id


def begun(database: Database, run_id: int) -> ScoringRun:
    with database.write() as session:
        run = runs.begin(session, ScoringRun, run_id)
    assert run is not None
    return run


def save(database: Database, run: ScoringRun) -> None:
    """Store scores that call every labelled row an issue."""
    with database.write() as session:
        label_ids = scoring.note_start(session, run)
        while scoring.clear_scores(session, run, limit=3):
            pass
    with database.read() as session:
        rows = list(scoring.read_rows(session, run))
    values = [
        {
            "example_id": row.example_id,
            "self_confidence": 0.1 if row.given_label_id else None,
            "rank_key": 0.1 if row.given_label_id else 1.1,
            "suggested_label_id": label_ids[0],
            "suggested_confidence": 0.9,
            "is_issue": row.given_label_id is not None,
            "is_recommended": False,
            "issue_rank": at if row.given_label_id else None,
            "kinds": 0,
            "pred_probs": b"",
            "split": row.split,
            "given_label_id": row.given_label_id,
            "state": row.state,
        }
        for at, row in enumerate(rows, start=1)
    ]
    with database.write() as session:
        scoring.save_scores(session, run, {name: [one[name] for one in values] for name in values[0]})


def publish(database: Database, run: ScoringRun) -> bool:
    with database.write() as session:
        report = {"rows": 8, "issues": 6, "recommended": 0, "classes": {}, "pairs": [[1, 2, 3]]}
        return scoring.publish(session, run, report, actor=LOCAL)


def test_requests(any_database: Database, dataset_id: int, ann: Actor) -> None:
    with pytest.raises(Forbidden):
        request(any_database, dataset_id, actor=ann)
    for seed in (-1, 2**31):
        with pytest.raises(InvalidInput, match="A seed is a whole number"):
            request(any_database, dataset_id, seed=seed)
    run_id = request(any_database, dataset_id)
    with pytest.raises(Conflict, match="Requests is being scored already"):
        request(any_database, dataset_id)
    with any_database.read() as session:
        assert last_event(session).name == "scoring.requested"
        latest = scoring.latest(session, dataset_id)
        assert latest is not None
        assert latest.id == run_id
        with pytest.raises(NotFound, match="There is no scoring 99"):
            scoring.get(session, 99)


def test_a_run_shows_when_it_is_published(any_database: Database, dataset_id: int) -> None:
    with any_database.read() as session:
        first = datasets.get(session, dataset_id).current_run_id
    run = begun(any_database, request(any_database, dataset_id))
    save(any_database, run)
    check(any_database, dataset_id)
    with any_database.read() as session:
        assert datasets.get(session, dataset_id).current_run_id == first
    assert publish(any_database, run)
    check(any_database, dataset_id)
    with any_database.read() as session:
        dataset = datasets.get(session, dataset_id)
        assert dataset.current_run_id == run.id
        assert datasets.counts(session, dataset_id, split=Split.TRAIN).issues == 6
        (version,) = versions.list_versions(session, dataset_id)
        assert (version.name, version.run_id) == (f"before scoring {run.id}", first)
        assert last_event(session).name == "scoring.finished"
        assert not scoring.is_stale(session, dataset, scoring.get(session, run.id))
        pairs = overview.pair_rows(session, dataset)
        assert {pair.suggested.name for pair in pairs} == {"a"}
        assert sum(pair.rows for pair in pairs) == 6


def test_a_second_attempt_starts_from_nothing(any_database: Database, dataset_id: int) -> None:
    old = begun(any_database, request(any_database, dataset_id))
    save(any_database, old)
    new = begun(any_database, old.id)
    with any_database.write() as session, pytest.raises(runs.Overtaken):
        scoring.save_scores(session, old, {"state": []})
    save(any_database, new)
    assert publish(any_database, new)
    with any_database.read() as session:
        assert session.query(Score).filter_by(run_id=new.id).count() == 8
    check(any_database, dataset_id)


def test_what_happened_while_a_run_computed(any_database: Database, tmp_path: Path) -> None:
    lines = [{"id": f"r{at}", "text": f"text {at}", "label": "ab"[at % 2]} for at in range(6)]
    dataset_id = import_rows(any_database, tmp_path, lines, columns=WITH_ID).dataset_id or 0
    run = begun(any_database, request(any_database, dataset_id))
    save(any_database, run)
    fixing.decide(any_database, dataset_id, "r1", Verdict.EXCLUDE)
    moved = [{"id": "r2", "text": "text 2", "label": "b"}, {"id": "new", "text": "new", "label": "a"}]
    import_rows(any_database, tmp_path, moved, columns=WITH_ID, update=True, split=Split.TEST)
    assert publish(any_database, run)
    check(any_database, dataset_id)
    batch = fixing.run(any_database, fixing.request(any_database, dataset_id, fixing.ALL))
    check(any_database, dataset_id)
    assert batch.rows_changed == 2  # r3 and r5: r1 is excluded, and r2 a test row now
    with any_database.read() as session:
        assert scoring.is_stale(session, datasets.get(session, dataset_id), scoring.get(session, run.id))
        assert example_of(session, dataset_id, "r2").state == "open"


def test_a_run_waits_for_a_batch(any_database: Database, dataset_id: int) -> None:
    run = begun(any_database, request(any_database, dataset_id))
    save(any_database, run)
    batch_id = fixing.request(any_database, dataset_id, fixing.ALL)
    assert not publish(any_database, run)
    fixing.run(any_database, batch_id)
    assert publish(any_database, run)
    check(any_database, dataset_id)
    undone = fixing.undo(any_database, batch_id)
    check(any_database, dataset_id)
    assert undone.rows_undone == 5


def test_each_beginning_is_another_attempt(any_database: Database, dataset_id: int) -> None:
    run_id = request(any_database, dataset_id)
    first, second = begun(any_database, run_id), begun(any_database, run_id)
    assert (first.attempt, second.attempt, second.started_at) == (1, 2, first.started_at)
    with any_database.write() as session:
        assert runs.guard(session, second).state is RunState.RUNNING
        with pytest.raises(runs.Overtaken):
            runs.guard(session, first)
        runs.end(session, ScoringRun, run_id, state=RunState.FAILED, error="No.")
    with any_database.write() as session:
        assert runs.begin(session, ScoringRun, run_id) is None
        assert runs.begin(session, ScoringRun, 99) is None
        with pytest.raises(runs.Overtaken):
            runs.guard(session, second)


def test_progress_and_its_estimate(any_database: Database, dataset_id: int) -> None:
    run = begun(any_database, request(any_database, dataset_id))
    with any_database.write() as session:
        runs.progress(session, run, "embed", 0, 10)
        fresh = runs.get(session, ScoringRun, run.id)
        assert (fresh.phase, fresh.done, fresh.total, fresh.eta_seconds) == ("embed", 0, 10, None)
        fresh.phase_started_at = now() - dt.timedelta(seconds=6)
        session.flush()
        runs.progress(session, run, "embed", 6, 10)
        assert runs.get(session, ScoringRun, run.id).eta_seconds == pytest.approx(4, abs=0.5)
        runs.progress(session, run, "embed", 10, 10)
        assert runs.get(session, ScoringRun, run.id).eta_seconds is None


def test_cancelling(any_database: Database, dataset_id: int, ann: Actor) -> None:
    run = begun(any_database, request(any_database, dataset_id))
    with any_database.write() as session:
        with pytest.raises(Forbidden):
            runs.request_cancel(session, run, actor=ann)
        runs.request_cancel(session, scoring.get(session, run.id), actor=LOCAL)
    for act in (runs.guard, runs.finish):
        with any_database.write() as session, pytest.raises(Cancelled, match="Stopped on request"):
            act(session, run)
    with any_database.write() as session, pytest.raises(Cancelled):
        runs.progress(session, run, "embed", 1, 2)
    with any_database.write() as session:
        assert runs.guard(session, run, may_cancel=False).cancel_requested
        runs.end(session, ScoringRun, run.id, state=RunState.CANCELLED, error="Stopped on request.")
        runs.end(session, ScoringRun, run.id, state=RunState.FAILED, error="Too late.")
    with any_database.write() as session:
        ended = scoring.get(session, run.id)
        assert (ended.state, ended.error) == (RunState.CANCELLED, "Stopped on request.")
        assert (last_event(session).name, last_event(session).actor_name) == ("scoring.cancelled", "local")
        with pytest.raises(Conflict, match="already ended: cancelled"):
            runs.request_cancel(session, ended, actor=LOCAL)
    assert request(any_database, dataset_id) != run.id


def test_cancelling_what_no_worker_has_begun_ends_it_at_once(any_database: Database, dataset_id: int) -> None:
    lea = make_user(any_database, "Lea", Role.LEAD)
    run_id = request(any_database, dataset_id)
    with any_database.write() as session:
        runs.request_cancel(session, scoring.get(session, run_id), actor=lea)
    with any_database.write() as session:
        ended = scoring.get(session, run_id)
        assert (ended.state, ended.error) == (RunState.CANCELLED, "Stopped on request.")
        assert ended.finished_at is not None
        assert (last_event(session).name, last_event(session).actor_name) == ("scoring.cancelled", "Lea")
        assert runs.begin(session, ScoringRun, run_id) is None, "a worker that comes later leaves it alone"
    assert request(any_database, dataset_id) != run_id


@pytest.mark.parametrize("is_begun_first", [True, False])
def test_a_worker_begins_while_somebody_cancels(
    any_database: Database, dataset_id: int, *, is_begun_first: bool
) -> None:
    run_id = request(any_database, dataset_id)
    begun_runs: list[ScoringRun | None] = []

    def begin() -> None:
        with any_database.write() as session:
            begun_runs.append(runs.begin(session, ScoringRun, run_id))

    def cancel() -> None:
        with any_database.write() as session:
            runs.request_cancel(session, scoring.get(session, run_id), actor=LOCAL)

    with any_database.write() as session:
        other = threading.Thread(target=cancel if is_begun_first else begin)
        if is_begun_first:
            begun_runs.append(runs.begin(session, ScoringRun, run_id))
            session.flush()
        else:
            runs.request_cancel(session, scoring.get(session, run_id), actor=LOCAL)
        other.start()  # it waits for this transaction, or comes after it
    other.join()
    with any_database.write() as session:
        assert (begun_runs[0] is not None) is is_begun_first
        assert scoring.get(session, run_id).cancel_requested
        wanted = RunState.RUNNING if is_begun_first else RunState.CANCELLED
        assert scoring.get(session, run_id).state is wanted


def test_a_cancelled_import_leaves_no_dataset(any_database: Database, tmp_path: Path) -> None:
    rows = [{"text": "a", "label": "b"}]
    import_id = importing.confirm(any_database, importing.write_jsonl(tmp_path, rows))
    with any_database.write() as session:
        runs.request_cancel(session, imports.get(session, import_id), actor=LOCAL)
    with any_database.read() as session:
        assert session.query(Dataset).filter_by(name="Tickets").count() == 0
    assert importing.import_rows(any_database, tmp_path, rows).dataset_id is not None


def test_a_cancelled_run_leaves_the_one_before(any_database: Database, dataset_id: int) -> None:
    with any_database.read() as session:
        first = datasets.get(session, dataset_id).current_run_id
    run = begun(any_database, request(any_database, dataset_id))
    save(any_database, run)
    with any_database.write() as session:
        runs.request_cancel(session, scoring.get(session, run.id), actor=LOCAL)
    with pytest.raises(Cancelled):
        publish(any_database, run)
    with any_database.read() as session:
        assert session.get_one(Dataset, dataset_id).current_run_id == first
    check(any_database, dataset_id)


def test_names_of_jobs_in_sentences(any_database: Database) -> None:
    with any_database.read() as session:
        for kind, noun in runs.NOUNS.items():
            with pytest.raises(NotFound, match=f"There is no {noun.replace('_', '-')} 7"):
                runs.get(session, kind, 7)
        assert set(runs.NOUNS) >= {Batch, ScoringRun}


def test_signs_of_life(any_database: Database) -> None:
    with any_database.write() as session:
        assert not runs.is_worker_alive(session, stale_seconds=20)
        workers.start(session, "here-1", host="here", pid=1)
        workers.start(session, "here-2", host="here", pid=2)
    with any_database.write() as session:
        assert runs.is_worker_alive(session, stale_seconds=20)
        assert workers.silent(session, stale_seconds=20) == []
        workers.stop(session, "here-1")
        workers.stop(session, "nobody")
        session.get_one(Worker, "here-2").beat_at = now() - dt.timedelta(seconds=30)
    with any_database.write() as session:
        assert not runs.is_worker_alive(session, stale_seconds=20)
        assert sorted(workers.silent(session, stale_seconds=20)) == ["here-1", "here-2"]
        workers.beat(session, "here-2")
        workers.start(session, "here-1", host="here", pid=3)
    with any_database.read() as session:
        assert workers.silent(session, stale_seconds=20) == []
        assert {worker.executor_id: worker.pid for worker in workers.list_workers(session)} == {
            "here-1": 3,
            "here-2": 2,
        }


def _meanwhile(act: Callable[[], None]) -> threading.Thread:
    """Start something in a thread of its own, and give it the time to run into a lock."""
    thread = threading.Thread(target=act)
    thread.start()
    thread.join(0.3)
    return thread


def test_a_verdict_that_waited_for_a_publication(any_database: Database, dataset_id: int) -> None:
    run = begun(any_database, request(any_database, dataset_id))
    save(any_database, run)
    with any_database.write() as session:
        assert scoring.publish(session, run, {"rows": 8, "issues": 6, "recommended": 0}, actor=LOCAL)
        waiting = _meanwhile(lambda: fixing.decide(any_database, dataset_id, "r1", Verdict.EXCLUDE))
        assert waiting.is_alive()
    waiting.join()
    with any_database.read() as session:
        assert example_of(session, dataset_id, "r1").state == "excluded"
    check(any_database, dataset_id)


def test_two_beginnings_at_once_are_two_attempts(any_database: Database, dataset_id: int) -> None:
    run_id = request(any_database, dataset_id)
    attempts: list[int] = []
    with any_database.write() as session:
        first = runs.begin(session, ScoringRun, run_id)
        assert first is not None
        waiting = _meanwhile(lambda: attempts.append(begun(any_database, run_id).attempt))
        assert waiting.is_alive()
    waiting.join()
    assert (first.attempt, attempts) == (1, [2])


def test_a_job_whose_dataset_is_gone_has_nothing_to_end(any_database: Database) -> None:
    with any_database.write() as session:
        runs.end(session, ScoringRun, 77, state=RunState.FAILED, error="Too late.")
        assert event_names(session) == []
