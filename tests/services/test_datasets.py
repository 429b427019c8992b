from pathlib import Path

import pytest

from app.actor import LOCAL, Actor
from app.db import Database
from app.errors import Conflict, Forbidden, InvalidInput, NotFound
from app.models import Dataset, Event, Import
from app.models.columns import RunState, Split
from app.services import datasets, removal
from app.services.bounding import autofix
from app.services.bounding.autofix import Rule, RuleKind
from app.services.finding import scoring
from app.services.importing import imports
from app.services.operation import runs
from app.services.operation.runs import AnyRun
from app.services.proving import experiments
from app.services.ranking.queue_filter import QueueFilter
from app.services.tuning import exports, fine_tunes
from app.services.tuning.providers import Service
from tests.factories import ROWS, make_dataset
from tests.services import importing
from tests.services.checking import assert_counters, event_names, last_event


def test_card_shows_what_the_rows_say(any_database: Database) -> None:
    dataset_id = make_dataset(any_database)
    with any_database.read() as session:
        assert_counters(session, dataset_id)
        (card,) = datasets.list_datasets(session)
        assert (card.dataset.id, card.labels, card.open_run) == (dataset_id, 4, False)
        assert (card.counts.train, card.counts.test, card.counts.rows) == (9, 2, len(ROWS))
        assert (card.counts.issues, card.counts.open_issues) == (5, 5)
        train = datasets.counts(session, dataset_id, split=Split.TRAIN)
        assert (train.train, train.test, train.issues) == (9, 2, 5)
        assert [label.name for label in datasets.labels(session, card.dataset)] == [
            "fault",
            "order",
            "question",
            "refund",
        ]


def test_labels_are_ordered_by_code_point(any_database: Database, tmp_path: Path) -> None:
    names = ["b", "a", "B", "10", "2", "ä", "NA", "null", "é"]
    done = importing.import_rows(
        any_database, tmp_path, [{"text": f"text {name}", "label": name} for name in names]
    )
    with any_database.read() as session:
        dataset = datasets.get(session, done.dataset_id or 0)
        assert [label.name for label in datasets.labels(session, dataset)] == sorted(names)


def test_unknown_datasets_are_named(any_database: Database) -> None:
    make_dataset(any_database, name="One")
    make_dataset(any_database, name="Two")
    with any_database.read() as session:
        with pytest.raises(NotFound, match=r"^There is no dataset 99\.$"):
            datasets.get(session, 99)
        with pytest.raises(NotFound, match=r"There is no dataset 'Three'\. Datasets: One, Two\."):
            datasets.get_by_name(session, "Three")


def test_rename(any_database: Database, ann: Actor) -> None:
    dataset_id = make_dataset(any_database, name="One")
    make_dataset(any_database, name="Two")
    with any_database.write() as session:
        assert datasets.rename(session, dataset_id, "  Three ", actor=LOCAL).name == "Three"
    with any_database.write() as session:
        event = last_event(session)
        assert (event.name, event.old, event.new) == ("dataset.renamed", "One", "Three")
        datasets.rename(session, dataset_id, "Three", actor=LOCAL)
        assert event_names(session, dataset_id).count("dataset.renamed") == 1
        with pytest.raises(Conflict, match="already a dataset called Two"):
            datasets.rename(session, dataset_id, "Two", actor=LOCAL)
        with pytest.raises(Forbidden, match="needs the role lead in Three"):
            datasets.rename(session, dataset_id, "Four", actor=ann)
        with pytest.raises(NotFound):
            datasets.rename(session, 99, "Four", actor=LOCAL)


@pytest.mark.parametrize(
    ("name", "problem"),
    [(" ", "needs a name"), ("x" * 201, "this one has 201"), ("a\nb", "one line of printable")],
)
def test_names_that_are_none(name: str, problem: str) -> None:
    with pytest.raises(InvalidInput, match=problem):
        datasets.valid_name(name)


def test_delete_hides_at_once_and_leaves_only_events(any_database: Database, ann: Actor) -> None:
    kept = make_dataset(any_database, name="Kept")
    dataset_id = make_dataset(any_database, name="Gone")
    with any_database.write() as session:
        with pytest.raises(Forbidden):
            datasets.request_delete(session, dataset_id, actor=ann)
        datasets.request_delete(session, dataset_id, actor=LOCAL)
    with any_database.read() as session:
        with pytest.raises(NotFound):
            datasets.get(session, dataset_id)
        assert [card.dataset.id for card in datasets.list_datasets(session)] == [kept]
    assert make_dataset(any_database, name="Gone") != dataset_id
    with any_database.write() as session:
        while removal.remove_chunk(session, dataset_id):
            pass
        assert removal.remove_rest(session, dataset_id) == removal.Leftovers(export_ids=[], uploads=[])
    with any_database.read() as session:
        assert session.get(Dataset, dataset_id) is None
        event = last_event(session)
        assert (event.name, event.old, event.dataset_id) == ("dataset.deleted", "Gone", dataset_id)
        assert session.query(Event).filter_by(dataset_id=dataset_id).count() == 1
        assert_counters(session, kept)


def ask_for_everything(database: Database, dataset_id: int, folder: Path) -> list[AnyRun]:
    """Leave one job of every kind to be done."""
    rows = [{"text": "a", "label": "b"}]
    import_id = importing.confirm(database, importing.write_jsonl(folder, rows), dataset_name="Requests")
    with database.write() as session:
        choices = exports.ExportChoices(format="chat-jsonl")
        export = exports.request(session, dataset_id, choices, actor=LOCAL)
        session.flush()
        service = Service(None, "openai", "http://127.0.0.1:9", "settings")
        return [
            imports.get(session, import_id),
            scoring.request(session, dataset_id, embedder="tfidf", actor=LOCAL),
            autofix.request(session, dataset_id, QueueFilter(), Rule(RuleKind.ALL), actor=LOCAL),
            export,
            experiments.request(session, dataset_id, experiments.Wanted(seeds=[0]), actor=LOCAL),
            fine_tunes.request(session, export.id, service, model="m", actor=LOCAL),
        ]


@pytest.mark.parametrize("at", range(6))
def test_a_dataset_at_work_is_not_deleted(database: Database, tmp_path: Path, at: int) -> None:
    dataset_id = make_dataset(database)
    asked = ask_for_everything(database, dataset_id, tmp_path)
    what = datasets.BUSY[type(asked[at])]
    with database.write() as session:
        runs.begin(session, type(asked[at]), asked[at].id)
    with database.write() as session, pytest.raises(Conflict, match=f"while {what}: cancel that first"):
        datasets.request_delete(session, dataset_id, actor=LOCAL)
    with database.read() as session:
        states = [runs.get(session, type(run), run.id).state for run in asked]
        assert states.count(RunState.QUEUED) == 5, "a refusal cancels nothing"


def test_deleting_cancels_what_waits(any_database: Database, tmp_path: Path) -> None:
    dataset_id = make_dataset(any_database)
    asked = ask_for_everything(any_database, dataset_id, tmp_path)
    with any_database.write() as session:
        datasets.request_delete(session, dataset_id, actor=LOCAL)
    with any_database.write() as session:
        for run in asked:
            assert session.query(type(run)).filter_by(id=run.id, state=RunState.CANCELLED).one()
            assert runs.begin(session, type(run), run.id) is None
        while removal.remove_chunk(session, dataset_id):
            pass
        left = removal.remove_rest(session, dataset_id)
    import_, export = asked[0], asked[3]
    assert isinstance(import_, Import)
    assert (left.export_ids, left.uploads) == ([export.id], [Path(import_.path)])


def test_removal_takes_everything_that_hangs_on_it(any_database: Database, tmp_path: Path) -> None:
    rows = [{"text": f"text {n}", "label": "a"} for n in range(5)]
    dataset_id = importing.import_rows(any_database, tmp_path, rows).dataset_id or 0
    importing.import_rows(any_database, tmp_path, [{**row, "label": "b"} for row in rows], update=True)
    with any_database.write() as session:
        scoring.request(session, dataset_id, embedder="tfidf", actor=LOCAL)
        datasets.request_delete(session, dataset_id, actor=LOCAL)
    with any_database.write() as session:
        while removal.remove_chunk(session, dataset_id):
            pass
        removal.remove_rest(session, dataset_id)
    with any_database.read() as session:
        assert session.get(Dataset, dataset_id) is None
        assert session.query(Import).filter(Import.state != RunState.DRAFT).count() == 0
