"""Drawing a test split and running experiments, with a real worker; no embedder's model is needed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from app.actor import LOCAL
from app.config import Settings
from app.db import Database
from app.errors import Conflict
from app.models import Example, Experiment, Import
from app.models.columns import RunState, Split
from app.models.examples import text_hash
from app.models.review import Verdict
from app.services import datasets
from app.services.operation import runs
from app.services.proving import experiment_results, experiment_words, experiments, test_split
from app.services.proving.experiment_results import OtherModel
from app.services.proving.experiments import Wanted
from app.services.reviewing import decisions
from app.services.tuning import exports
from app.services.versioning import versions
from tests.jobs.test_jobs import ask_for_import, ask_for_scores, tickets
from tests.jobs.working import at_work, done, failed
from tests.services import test_autofix as fixing
from tests.services.checking import check, example_of


def ask(database: Database, dataset_id: int, **wanted: Any) -> Experiment:
    with database.write() as session:
        chosen = Wanted(**{"seeds": [0, 1], "embedder": "tfidf", **wanted})
        return experiments.request(session, dataset_id, chosen, actor=LOCAL)


def draw(database: Database, dataset_id: int) -> Import:
    with database.write() as session:
        return test_split.draw(session, dataset_id, share=0.25, seed=1, actor=LOCAL)


def labels_in(database: Database, dataset_id: int, split: Split) -> list[str]:
    with database.read() as session:
        names = datasets.label_names(session, dataset_id)
        rows = session.query(Example).filter_by(dataset_id=dataset_id, split=split)
        return sorted(names[row.label_id or 0] for row in rows)


def test_drawn_compared_and_repeated(any_settings: Settings, any_database: Database, tmp_path: Path) -> None:
    rows = tickets(90)
    rows += [{**row, "id": f"twin-{row['id']}", "text": f"  {row['text'].upper()}!"} for row in rows[:10]]
    with at_work(any_settings, any_database):
        dataset_id = done(any_database, ask_for_import(any_database, tmp_path, rows)).dataset_id or 0
        drawn = done(any_database, draw(any_database, dataset_id))
        check(any_database, dataset_id)
        _assert_drawn(any_database, dataset_id, drawn)
        done(any_database, ask_for_scores(any_database, dataset_id))
        fixing.decide(any_database, dataset_id, _first_train_row(any_database, dataset_id), Verdict.KEEP)
        first = done(
            any_database,
            ask(any_database, dataset_id, variants=["original", "corrected", "human"], curve_points=3),
        )
        with any_database.write() as session:
            asked = experiments.repeat(session, first.id, actor=LOCAL)
        again = done(any_database, asked)
        _change_a_test_label(any_database, dataset_id)
        later = done(any_database, ask(any_database, dataset_id, leave_out_leaks=True, seeds=[0]))
    assert not (any_settings.home / "experiments" / str(first.id)).exists()
    _assert_same(first.results, again.results)
    assert set(first.results["variants"]) == {"original", "corrected", "human"}
    assert [point["reviewed"] for point in first.results["curve"]] == [0, 1]
    assert first.results["test"]["since"] is None
    assert again.results["test"]["since"] is None
    assert first.results["leaks"] == {"test": 0, "train": 0, "left_out": False}
    assert later.results["test"]["since"] == {
        "experiment": again.id, "labels_changed": 1, "rows_added": 0, "rows_removed": 0,
    }  # fmt: skip
    assert later.results["leaks"]["left_out"] is True
    assert any("changed since experiment" in one for one in experiment_words.warnings(later.results))


def _first_train_row(database: Database, dataset_id: int) -> str:
    with database.read() as session:
        row = session.query(Example).filter_by(dataset_id=dataset_id, split=Split.TRAIN).first()
        assert row is not None
        return row.external_id


def _change_a_test_label(database: Database, dataset_id: int) -> None:
    with database.read() as session:
        row = session.query(Example).filter_by(dataset_id=dataset_id, split=Split.TEST).first()
        assert row is not None
        labels = datasets.labels(session, datasets.get(session, dataset_id))
    other = next(one.id for one in labels if one.id != row.label_id)
    with database.write() as session:
        decisions.decide(
            session, dataset_id, row.id, Verdict.OVERRIDE, label_id=other, version=row.version, actor=LOCAL
        )


def _assert_drawn(database: Database, dataset_id: int, drawn: Import) -> None:
    test, train = (labels_in(database, dataset_id, split) for split in (Split.TEST, Split.TRAIN))
    assert len(test) == drawn.rows_changed
    assert abs(len(test) - 25) <= 2
    assert set(test) == set(train)
    with database.read(snapshot=True) as session:
        rows = session.query(Example).filter_by(dataset_id=dataset_id)
        sides: dict[str, set[Split]] = {}
        for row in rows:
            sides.setdefault(row.text.strip(" !").lower(), set()).add(row.split)
        before = versions.get_by_name(session, dataset_id, f"before import {drawn.id}")
        assert all(row.split is Split.TRAIN for row in exports.read_frozen(session, before))
    assert all(len(one) == 1 for one in sides.values())
    with database.write() as session, pytest.raises(Conflict, match="it stays as it is"):
        test_split.draw(session, dataset_id, share=0.2, seed=0, actor=LOCAL)


def _assert_same(first: Mapping[str, Any], again: Mapping[str, Any]) -> None:
    def numbers(results: Mapping[str, Any]) -> dict[str, Any]:
        found = {name: {**one, "seconds": 0, "trainings": []} for name, one in results["variants"].items()}
        return {**results, "variants": found}

    assert numbers(first) == numbers(again)
    assert len(first["fingerprint"]) == 32


def test_an_experiment_that_fails_says_why_and_one_that_broke_off_goes_on(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    with at_work(settings, database):
        dataset_id = _ready(database, tmp_path)
        whole = done(database, ask(database, dataset_id, variants=["original", "corrected"]))
        said = failed(database, ask(database, dataset_id, settings={"depth": 3}))
    assert said == "The trainer linear has no setting 'depth'; it has held_out."
    with database.write() as session:
        unfinished = experiments.list_experiments(session, dataset_id)[0]
        with pytest.raises(Conflict, match="has not finished"):
            experiment_results.add_model(session, unfinished.id, OtherModel("x", {}), actor=LOCAL)
    with database.write() as session:
        asked = experiments.repeat(session, whole.id, actor=LOCAL)
        for trial in experiments.trials(session, whole.id)[:3]:
            values = {
                "name": trial.name,
                "seed": trial.seed,
                "rows": trial.rows,
                "predicted": trial.predicted,
            }
            session.add(type(trial)(experiment_id=asked.id, **values, details={"kept": True}))
    with at_work(settings, database):
        found = done(database, asked)
    assert found.results["fingerprint"] == whole.results["fingerprint"]
    with database.read() as session:
        trials = experiments.trials(session, asked.id)
    assert [trial.details.get("kept", False) for trial in trials] == [True, True, True, False]


def _ready(database: Database, folder: Path) -> int:
    dataset_id = done(database, ask_for_import(database, folder, tickets(60))).dataset_id or 0
    test_rows = [{**row, "id": f"t{at}"} for at, row in enumerate(tickets(30, wrong_every=99))]
    done(database, ask_for_import(database, folder, test_rows, split=Split.TEST))
    done(database, ask_for_scores(database, dataset_id))
    return dataset_id


def test_another_model_joins_a_finished_experiment(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    with at_work(settings, database):
        dataset_id = _ready(database, tmp_path)
        asked = done(database, ask(database, dataset_id, seeds=[0]))
    with database.read(snapshot=True) as session:
        rows = experiment_results.test_rows(session, asked.id)
    assert len(rows) == 30
    assert all(text_hash(row.text) for row in rows)
    right: dict[int, str | None] = {row.example_id: row.label for row in rows}
    half = {one: label if at % 2 else "nonsense" for at, (one, label) in enumerate(right.items())}
    for name, answers in (("tuned", half), ("tuned", right), ("silent", {})):
        with database.write() as session:
            other = OtherModel(name, answers, rows=60, details={"provider": "here"})
            experiment_results.add_model(session, asked.id, other, actor=LOCAL)
    with database.read() as session:
        found = experiments.get(session, asked.id).results
    assert found["variants"]["model:tuned"]["accuracy"] == 1
    assert found["variants"]["model:tuned"]["details"] == {"provider": "here"}
    assert found["variants"]["model:silent"]["unanswered"] == 30
    assert found["fingerprint"] == asked.results["fingerprint"]
    assert found["test"] == asked.results["test"]
    assert "original/model:tuned" in found["paired"]
    assert "The best of all is tuned, with 100.0%." in experiment_words.headline(found)


def test_a_class_that_cannot_be_split_is_said_so(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    rows = [{"id": "a", "text": "one", "label": "x"}, {"id": "b", "text": "two", "label": "y"}]
    with at_work(settings, database):
        dataset_id = done(database, ask_for_import(database, tmp_path, rows)).dataset_id or 0
        assert "No test row can be drawn" in failed(database, draw(database, dataset_id))
        check(database, dataset_id)
    with database.read() as session:
        drawn = runs.get(session, Import, 2)
        assert (drawn.state, drawn.rows_changed) == (RunState.FAILED, 0)
        assert example_of(session, dataset_id, "a").split is Split.TRAIN
