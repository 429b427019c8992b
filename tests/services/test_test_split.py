"""The frozen test split: facts, leaks, and drawing one; the worker's part is in tests/jobs."""

import pytest

from app.actor import LOCAL, Actor
from app.db import Database
from app.errors import Conflict, Forbidden, InvalidInput
from app.models import Dataset, Import
from app.models.columns import RunState, Split
from app.models.evidence import IssueKind
from app.models.review import Verdict
from app.services import datasets
from app.services.operation import runs
from app.services.proving import experiments, test_split
from app.services.proving.experiments import Wanted
from tests.factories import Found, Row, add_evidence, make_dataset
from tests.services import test_autofix as fixing
from tests.services.checking import last_event

ROWS = tuple(Row(f"text {at}", "ab"[at % 2], "b" if at == 0 else None, 0.1) for at in range(10))
LEAKY = (
    *ROWS,
    Row("text 1", "b", split=Split.TEST),
    Row("Text 2!", "a", "b", 0.2, split=Split.TEST),
    Row("new", "a", split=Split.TEST),
)


def draw(database: Database, dataset_id: int, *, share: float = 0.2, actor: Actor = LOCAL) -> Import:
    with database.write() as session:
        return test_split.draw(session, dataset_id, share=share, seed=3, actor=actor)


def test_facts_count_leaks_and_what_people_did(any_database: Database) -> None:
    dataset_id = make_dataset(any_database, rows=LEAKY)
    add_evidence(
        any_database,
        dataset_id,
        neighbours={},
        found=[Found("r11", IssueKind.LEAK), Found("r12", IssueKind.LEAK)],
    )
    fixing.decide(any_database, dataset_id, "r12", Verdict.ACCEPT)
    with any_database.read() as session:
        facts = test_split.facts(session, datasets.get(session, dataset_id))
    assert (facts.rows, facts.equal, facts.alike, facts.changed, facts.excluded) == (3, 1, 2, 1, 0)
    assert (facts.drawn, facts.drawing, facts.is_newer_than_scores) == (None, None, False)


def test_a_draw_waits_as_an_import_without_a_file(any_database: Database) -> None:
    dataset_id = make_dataset(any_database, rows=ROWS)
    asked = draw(any_database, dataset_id)
    assert (asked.state, asked.layout, asked.split, asked.seq) == (
        RunState.QUEUED, {"draw": {"share": 0.2, "seed": 3}}, Split.TEST, 2,
    )  # fmt: skip
    with any_database.read() as session:
        facts = test_split.facts(session, datasets.get(session, dataset_id))
        assert facts.drawing is not None
        assert facts.drawing.id == asked.id
        assert last_event(session).name == "test_split.requested"
    with pytest.raises(Conflict, match="is taking in a file"):
        draw(any_database, dataset_id)


def test_draws_that_are_refused(any_database: Database, ann: Actor) -> None:
    dataset_id = make_dataset(any_database, rows=ROWS)
    with pytest.raises(Forbidden):
        draw(any_database, dataset_id, actor=ann)
    for share in (0, 0.95, float("nan")):
        with pytest.raises(InvalidInput, match="takes from 1% to 90% of the rows"):
            draw(any_database, dataset_id, share=share)
    batch = fixing.request(any_database, dataset_id, fixing.ALL)
    with pytest.raises(Conflict, match="is on its way"):
        draw(any_database, dataset_id)
    fixing.run(any_database, batch)
    with pytest.raises(Conflict, match="1 rows of Requests carry labels that auto-fix has chosen"):
        draw(any_database, dataset_id)
    other = make_dataset(any_database, name="Other", rows=LEAKY)
    with pytest.raises(Conflict, match="has a test split of 3 rows already: it stays as it is"):
        draw(any_database, other)


def test_after_a_draw_nothing_can_be_dropped_by_older_scores(any_database: Database) -> None:
    dataset_id = make_dataset(any_database, rows=LEAKY)
    with any_database.write() as session:
        dataset = session.get_one(Dataset, dataset_id)
        drawn = Import(
            dataset_id=dataset_id, dataset_name="", file_name="", path="", seq=2, state=RunState.DONE,
            layout={"draw": {}}, created_by_id=LOCAL.user_id, finished_at=dataset.created_at,
        )  # fmt: skip
        session.add(drawn)
        session.flush()
        assert test_split.is_newer_than_scores(session, dataset)
        facts = test_split.facts(session, dataset)
        assert facts.drawn is not None
        assert facts.drawn_by == LOCAL.name
    with any_database.write() as session, pytest.raises(InvalidInput, match="drawn after it was scored"):
        experiments.request(session, dataset_id, Wanted(), actor=LOCAL)
    with any_database.write() as session:
        experiments.request(session, dataset_id, Wanted(variants=["corrected"]), actor=LOCAL)


def test_rows_are_noted_once(any_database: Database) -> None:
    dataset_id = make_dataset(any_database, rows=ROWS)
    asked = draw(any_database, dataset_id)
    with any_database.write() as session:
        run = runs.begin(session, Import, asked.id)
        assert run is not None
        rows = [row.example_id for row in test_split.drawable_rows(session, dataset_id)][:3]
        test_split.store_chunk(session, run, rows[:2])
        test_split.store_chunk(session, run, rows)
        assert session.get_one(Import, asked.id).rows_changed == 3
