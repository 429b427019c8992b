"""Learning with a real worker: decisions go in, another order comes out."""

from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from app.actor import LOCAL
from app.config import Settings
from app.db import Database
from app.jobs import learning as job
from app.models import Dataset, Example, Learning, Score
from app.models.columns import Split
from app.models.review import Verdict
from app.pipeline.learning import Decided, front, suspicion
from app.services import datasets
from app.services.ranking import learning as learnings
from app.services.ranking.queue_filter import Preset, QueueFilter
from app.services.reviewing import decisions, review
from tests.jobs.test_jobs import ask_for_import, ask_for_scores, tickets
from tests.jobs.working import at_work, done
from tests.services.checking import check, example_of

OPEN = QueueFilter(preset=Preset.ALL)


def decide(database: Database, dataset_id: int, name: str, verdict: Verdict) -> None:
    with database.write() as session:
        row = example_of(session, dataset_id, name)
        decisions.decide(session, dataset_id, row.id, verdict, version=row.version, actor=LOCAL)


def learned(database: Database, dataset_id: int) -> Learning:
    """Ask for a new order and wait for it."""
    with database.write() as session:
        asked = learnings.request(session, dataset_id)
    assert asked is not None
    return done(database, asked)


def order_of(database: Database, dataset_id: int) -> list[str]:
    with database.read() as session:
        page = review.list_queue(session, datasets.get(session, dataset_id), OPEN, limit=200)
        return [row.example.external_id for row in page.rows]


def test_decisions_make_another_order(any_settings: Settings, any_database: Database, tmp_path: Path) -> None:
    with at_work(any_settings, any_database):
        imported = done(any_database, ask_for_import(any_database, tmp_path, tickets(90)))
        dataset_id = imported.dataset_id or 0
        done(any_database, ask_for_scores(any_database, dataset_id))
        once = order_of(any_database, dataset_id)
        for name in once[:6]:
            decide(any_database, dataset_id, name, Verdict.ACCEPT)
        decide(any_database, dataset_id, once[6], Verdict.EXCLUDE)
        first = learned(any_database, dataset_id)
        assert (first.report["verdicts"], first.report["rescored"], first.report["learned"]) == (
            6,
            True,
            False,
        )
        assert first.report["rows"] == 83
        shown = order_of(any_database, dataset_id)
        assert sorted(shown) == sorted(once)
        assert [name for name in shown if name in once[7:]] == shown[:83], "decided rows stand behind"
        kept = job._kept[0]

        decide(any_database, dataset_id, shown[0], Verdict.KEEP)
        second = learned(any_database, dataset_id)
        assert (second.report["verdicts"], second.report["rows"]) == (7, 82)
        assert job._kept[0] is kept, "a worker goes on with what it has in memory"
        from_memory = order_of(any_database, dataset_id)
        job.forget()
        learned(any_database, dataset_id)
        assert order_of(any_database, dataset_id) == from_memory, "and finds the same without it"
        check(any_database, dataset_id)
        _assert_scores_are_the_run_s(any_database, dataset_id, once)
    assert not job._kept


def _assert_scores_are_the_run_s(database: Database, dataset_id: int, once: list[str]) -> None:
    with database.read() as session:
        dataset = session.get_one(Dataset, dataset_id)
        keys = session.execute(
            sa.select(Example.external_id, Score.rank_key, Score.self_confidence)
            .join(Score, Score.example_id == Example.id)
            .where(Score.run_id == dataset.current_run_id)
            .order_by(Score.rank_key, Score.example_id)
        ).all()
        assert [name for name, _, _ in keys] == once
        assert all(key == own for _, key, own in keys)


def test_brought_probabilities_are_ranked_without_being_fitted(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    path = tmp_path / "probs.npy"
    rng = np.random.default_rng(0)
    np.save(path, rng.dirichlet([1, 1, 1], size=30).astype(np.float32))
    with at_work(settings, database):
        imported = done(database, ask_for_import(database, tmp_path, tickets(30)))
        dataset_id = imported.dataset_id or 0
        done(database, ask_for_scores(database, dataset_id, pred_probs_path=str(path)))
        names = order_of(database, dataset_id)
        for name in names[:4]:
            decide(database, dataset_id, name, Verdict.KEEP)
        found = learned(database, dataset_id)
    assert (found.report["rescored"], found.report["verdicts"], found.report["rows"]) == (False, 4, 26)
    assert order_of(database, dataset_id) == [*names[4:], *names[:4]]


def test_a_worker_asks_by_itself(settings: Settings, database: Database, tmp_path: Path) -> None:
    eager = settings.model_copy(update={"learn_every": 3})
    with at_work(eager, database):
        imported = done(database, ask_for_import(database, tmp_path, tickets(30)))
        dataset_id = imported.dataset_id or 0
        done(database, ask_for_scores(database, dataset_id))
        for name in ("r1", "r2", "r3"):
            decide(database, dataset_id, name, Verdict.KEEP)
        job.ask_where_due(eager, database)
        job.ask_where_due(eager, database)
    with database.read() as session:
        assert session.query(Learning).count() == 1
        assert session.get_one(Dataset, dataset_id).learning_id is not None


def test_the_next_run_learns_from_decisions(settings: Settings, database: Database, tmp_path: Path) -> None:
    """Rows of a wrong label go right once people have said so; what is judged stays the given label."""
    rows = [
        {"id": f"r{at}", "text": f"{word} number {at}", "label": label}
        for at in range(60)
        for word, label in [("lamp broken", "fault") if at % 2 else ("money back", "order")]
    ]
    with at_work(settings, database):
        imported = done(database, ask_for_import(database, tmp_path, [*rows, _refund(60), _refund(61)]))
        dataset_id = imported.dataset_id or 0
        done(database, ask_for_scores(database, dataset_id))
        before = _scores(database, dataset_id)
        with database.read() as session:
            refund = next(
                one
                for one in datasets.labels(session, datasets.get(session, dataset_id))
                if one.name == "refund"
            )
        for at in range(0, 40, 2):
            with database.write() as session:
                row = example_of(session, dataset_id, f"r{at}")
                decisions.decide(
                    session, dataset_id, row.id, Verdict.OVERRIDE, version=1, label_id=refund.id, actor=LOCAL
                )
        decide(database, dataset_id, "r58", Verdict.EXCLUDE)
        done(database, ask_for_scores(database, dataset_id))
        after = _scores(database, dataset_id)
        check(database, dataset_id)
    for name in ("r42", "r44", "r46", "r0"):
        assert (after[name].self_confidence or 0) < (before[name].self_confidence or 0)
        assert after[name].suggested_label_id == refund.id != before[name].suggested_label_id
    assert not after["r58"].is_issue
    assert after["r58"].self_confidence is not None


def _refund(at: int) -> dict[str, str]:
    return {"id": f"r{at}", "text": f"refund number {at}", "label": "refund"}


def _scores(database: Database, dataset_id: int) -> dict[str, Score]:
    with database.read() as session:
        dataset = datasets.get(session, dataset_id)
        found = session.execute(
            sa.select(Example.external_id, Score)
            .join(Score, Score.example_id == Example.id)
            .where(Score.run_id == dataset.current_run_id, Score.split == Split.TRAIN)
        )
        return dict(found.all())


@pytest.mark.parametrize("kind", ["given", "excluded", "unlabelled"])
def test_which_labels_are_learned_from(kind: str) -> None:
    given = np.array([0, 1, 0, 1])
    decided = Decided(np.array([-1, 0, -1, -1]), np.zeros(4, dtype=bool))
    if kind == "excluded":
        decided.excluded[0] = True
    if kind == "unlabelled":
        given[0] = -1
    first = {"given": 0, "excluded": -1, "unlabelled": -1}[kind]
    assert decided.trusted(given).tolist() == [first, 0, 0, 1]
    probs = np.array([[0.2, 0.8], [0.5, 0.5], [0.9, 0.1], [0.7, 0.3]], dtype=np.float32)
    suspect = suspicion(probs, given, decided).suspicion
    is_open = np.array([True, False, True, True])
    chosen = front(suspect, is_open, np.array([True, True, False, False]), most=1).tolist()
    assert chosen == ([0] if kind == "given" else [3])
    both = front(suspect, is_open, np.array([False, True, True, False]), most=1).tolist()
    assert both == ([0, 2] if kind == "given" else [3, 2])
