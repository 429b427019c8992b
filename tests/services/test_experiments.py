from collections.abc import Sequence
from typing import Any

import pytest

from app.actor import LOCAL, Actor
from app.db import Database
from app.errors import Conflict, Forbidden, InvalidInput, NotFound, Unavailable
from app.models import Example, Experiment
from app.models.columns import RunState, Split
from app.models.review import Verdict
from app.services import datasets
from app.services.operation import runs
from app.services.proving import experiments
from app.services.proving.experiments import Wanted
from app.services.proving.material import Material, curve_counts
from app.services.versioning import versions
from tests.factories import Row, make_dataset
from tests.services import test_autofix as fixing
from tests.services.checking import example_of, last_event

ROWS = (
    Row("kept", "a", "b", 0.1),
    Row("accepted", "a", "b", 0.2),
    Row("excluded", "a"),
    Row("flagged", "b", "a", 0.2),
    Row("unlabelled", None, "a"),
    Row("plain", "b"),
    Row("test changed", "a", "b", 0.2, split=Split.TEST),
    Row("test excluded", "a", split=Split.TEST),
    Row("test plain", "a", split=Split.TEST),
    Row("test unlabelled", None, split=Split.TEST),
)


def request(database: Database, dataset_id: int, *, actor: Actor = LOCAL, **wanted: Any) -> Experiment:
    with database.write() as session:
        return experiments.request(session, dataset_id, Wanted(**{"seeds": (0,), **wanted}), actor=actor)


def shown(material: Material) -> dict[str, list[str]]:
    return {
        name: [
            f"{material.texts[row]} {material.labels[label]}"
            for row, label in zip(one.rows, one.labels, strict=True)
        ]
        for name, one in material.sets.items()
    }


def test_variants_are_those_of_the_exports(any_database: Database) -> None:
    dataset_id = make_dataset(any_database, rows=ROWS)
    for name, verdict in {
        "r1": Verdict.KEEP, "r2": Verdict.ACCEPT, "r3": Verdict.EXCLUDE, "r7": Verdict.ACCEPT,
        "r8": Verdict.EXCLUDE,
    }.items():  # fmt: skip
        fixing.decide(any_database, dataset_id, name, verdict)
    asked = request(any_database, dataset_id, trainer="local", seeds=[3, 1, 3])
    fixing.decide(any_database, dataset_id, "r6", Verdict.EXCLUDE)  # too late: the labels are frozen
    with any_database.read(snapshot=True) as session:
        material = experiments.read_material(session, asked)
        assert (asked.trainer, asked.seeds) == ("linear", [3, 1])
        assert versions.get(session, asked.version_id).reason == "experiment"
    assert material.labels == ["a", "b"]
    assert material.test.texts == ["test changed", "test plain"]
    assert material.test.labels == [1, 0]
    assert (material.test.changed, material.test.excluded, material.test.unlabelled) == (1, 1, 1)
    assert len(material.texts) == 6
    assert shown(material) == {
        "original": ["kept a", "accepted a", "excluded a", "flagged b", "plain b"],
        "dropped": ["plain b"],
        "corrected": ["kept a", "accepted b", "flagged b", "plain b"],
    }


def test_what_machines_and_what_people_changed_can_be_told_apart(any_database: Database) -> None:
    dataset_id = make_dataset(any_database, rows=ROWS)
    batch = fixing.request(any_database, dataset_id, fixing.ALL)
    fixing.run(any_database, batch)
    for name, verdict in {"r1": Verdict.KEEP, "r3": Verdict.EXCLUDE, "r6": Verdict.NEEDS_REVIEW}.items():
        fixing.decide(any_database, dataset_id, name, verdict)
    asked = request(any_database, dataset_id, variants=["auto-fixed", "human"], curve_points=9)
    with any_database.read(snapshot=True) as session:
        material = experiments.read_material(session, asked)
    assert material.reviewed == 2
    assert shown(material) == {
        "auto-fixed": ["kept a", "accepted b", "excluded a", "flagged a", "unlabelled a", "plain b"],
        "human": ["kept a", "accepted a", "flagged b", "plain b"],
        "reviewed:0": ["kept a", "accepted a", "excluded a", "flagged b", "plain b"],
        "reviewed:1": ["kept a", "accepted a", "excluded a", "flagged b", "plain b"],
        "reviewed:2": ["kept a", "accepted a", "flagged b", "plain b"],
    }


def test_the_curve_goes_by_the_first_verdict_on_each_row(any_database: Database) -> None:
    dataset_id = make_dataset(any_database, rows=ROWS)
    for name, verdict in [
        ("r4", Verdict.ACCEPT),
        ("r2", Verdict.ACCEPT),
        ("r4", Verdict.KEEP),
        ("r7", Verdict.ACCEPT),
    ]:
        fixing.decide(any_database, dataset_id, name, verdict)
    asked = request(any_database, dataset_id, variants=["original"], curve_points=2)
    with any_database.read(snapshot=True) as session:
        found = shown(experiments.read_material(session, asked))
    assert "flagged b" in found["reviewed:1"]  # decided first; the verdict that stands is to keep it
    assert "accepted a" in found["reviewed:1"]
    assert "accepted b" in found["reviewed:2"]


@pytest.mark.parametrize(
    ("reviewed", "points", "expected"),
    [(0, 8, []), (5, 0, []), (3, 8, [0, 1, 2, 3]), (100, 4, [0, 25, 50, 75, 100])],
)
def test_points_of_the_curve(reviewed: int, points: int, expected: list[int]) -> None:
    assert curve_counts(reviewed, points) == expected


def test_another_version_is_judged_by_the_same_test_rows(any_database: Database) -> None:
    dataset_id = make_dataset(any_database, rows=ROWS)
    fixing.decide(any_database, dataset_id, "r2", Verdict.ACCEPT)
    with any_database.write() as session:
        versions.create(session, datasets.get(session, dataset_id), name="early", actor=LOCAL)
    for name, verdict in {"r1": Verdict.ACCEPT, "r2": Verdict.KEEP, "r7": Verdict.ACCEPT}.items():
        fixing.decide(any_database, dataset_id, name, verdict)
    asked = request(any_database, dataset_id, variants=["corrected"], version_names=["early", "early"])
    with any_database.write() as session:  # a row of that version is a test row by now
        session.get_one(Example, example_of(session, dataset_id, "r6").id).split = Split.TEST
    with any_database.read(snapshot=True) as session:
        material = experiments.read_material(session, asked)
    assert shown(material)["version:early"] == ["kept a", "accepted b", "excluded a", "flagged b"]
    assert len(material.texts) == 5
    assert material.test.labels[material.test.texts.index("test changed")] == 1


def test_no_test_row_is_judged_by_an_auto_fix(any_database: Database) -> None:
    dataset_id = make_dataset(any_database, rows=ROWS)
    fixing.run(any_database, fixing.request(any_database, dataset_id, fixing.ALL))
    with any_database.write() as session:
        session.get_one(Example, example_of(session, dataset_id, "r4").id).split = Split.TEST
    asked = request(any_database, dataset_id)
    with any_database.read(snapshot=True) as session:
        test = experiments.read_material(session, asked).test
    assert test.labels[test.texts.index("flagged")] == 1


def test_repeating_takes_the_same_version(any_database: Database, ann: Actor) -> None:
    dataset_id = make_dataset(any_database, rows=ROWS)
    asked = request(any_database, dataset_id, seeds=[4], curve_points=2, settings={"held_out": 0.2})
    with any_database.write() as session, pytest.raises(Conflict, match="is running already"):
        experiments.repeat(session, asked.id, actor=LOCAL)
    finish(any_database, asked)
    fixing.decide(any_database, dataset_id, "r1", Verdict.ACCEPT)
    with any_database.write() as session, pytest.raises(Forbidden):
        experiments.repeat(session, asked.id, actor=ann)
    with any_database.write() as session:
        again = experiments.repeat(session, asked.id, actor=LOCAL)
        assert (again.version_id, again.seeds, again.plan) == (asked.version_id, [4], asked.plan)
        assert again.repeats_id == asked.id
    with any_database.read(snapshot=True) as session:
        assert shown(experiments.read_material(session, again))["corrected"][0] == "kept a"


def finish(database: Database, asked: Experiment) -> None:
    with database.write() as session:
        run = runs.begin(session, Experiment, asked.id)
        assert run is not None
        experiments.finish(session, run, {"variants": {}}, actor=LOCAL)


def test_finish_keeps_what_was_found(any_database: Database) -> None:
    dataset_id = make_dataset(any_database, rows=ROWS)
    asked = request(any_database, dataset_id)
    with any_database.write() as session:
        run = runs.begin(session, Experiment, asked.id)
        assert run is not None
        found = {"variants": {"original": {"accuracy": 0.5}, "corrected": {"accuracy": 0.75}}}
        experiments.finish(session, run, found, actor=LOCAL)
    with any_database.read() as session:
        done = experiments.get(session, asked.id)
        assert (done.state, done.results) == (RunState.DONE, found)
        event = last_event(session)
        assert (event.name, event.new) == ("experiment.finished", {"original": 0.5, "corrected": 0.75})
        assert [one.id for one in experiments.list_experiments(session, dataset_id)] == [asked.id]


def test_requests_that_are_refused(any_database: Database, ann: Actor) -> None:
    dataset_id = make_dataset(any_database, rows=ROWS)
    with pytest.raises(Unavailable, match="setright finetune"):
        request(any_database, dataset_id, trainer="openai")
    refused: dict[str, dict[str, Any]] = {
        "'best' is no variant; there are original, dropped": {"variants": ["best"]},
        "Choose at least one variant": {"variants": []},
        "at most 50 points": {"curve_points": 51},
        "At most 10 versions": {"version_names": ["v"] * 11},
    }
    for problem, wanted in refused.items():
        with pytest.raises(InvalidInput, match=problem):
            request(any_database, dataset_id, **wanted)
    with pytest.raises(NotFound, match="There is no version 'v9'"):
        request(any_database, dataset_id, version_names=["v9"])
    with pytest.raises(InvalidInput, match="'magic' is no trainer; there is linear, local, transformer"):
        request(any_database, dataset_id, trainer="magic")
    for seeds in ([], [-1], [2**31], range(51)):
        with pytest.raises(InvalidInput, match="Seeds are 1 to 50 whole numbers"):
            request(any_database, dataset_id, seeds=seeds)
    with pytest.raises(Forbidden):
        request(any_database, dataset_id, actor=ann)
    with any_database.read() as session, pytest.raises(NotFound, match="There is no experiment 99"):
        experiments.get(session, 99)
    request(any_database, dataset_id)
    with pytest.raises(Conflict, match="An experiment on Requests is running already"):
        request(any_database, dataset_id)


@pytest.mark.parametrize(
    ("rows", "scored", "problem"),
    [
        (ROWS, False, "D has no scores yet"),
        ([row for row in ROWS if row.split is Split.TRAIN], True, "D has no test rows"),
        ([row for row in ROWS if row.split is Split.TEST], True, "D has no train rows"),
    ],
)
def test_datasets_that_cannot_be_compared(
    any_database: Database, rows: Sequence[Row], *, scored: bool, problem: str
) -> None:
    dataset_id = make_dataset(any_database, name="D", rows=rows, scored=scored)
    with pytest.raises(InvalidInput, match=problem):
        request(any_database, dataset_id)
    with any_database.read() as session:
        assert versions.list_versions(session, dataset_id) == []


def test_without_scores_all_but_dropped_can_be_compared(any_database: Database) -> None:
    dataset_id = make_dataset(any_database, rows=ROWS, scored=False)
    asked = request(any_database, dataset_id, variants=["corrected", "original"], embedder="tfidf")
    assert (asked.plan["variants"], asked.embedder) == (["original", "corrected"], "tfidf")
