from collections.abc import Sequence

import pytest

from app.actor import LOCAL, Actor
from app.db import Database
from app.errors import Conflict, Forbidden, InvalidInput, NotFound, Unavailable
from app.models import Experiment
from app.models.columns import RunState, Split
from app.models.review import Verdict
from app.services import experiments, runs, versions
from tests.factories import Row, make_dataset
from tests.services import test_autofix as fixing
from tests.services.checking import last_event

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


def request(
    database: Database,
    dataset_id: int,
    *,
    trainer: str = "linear",
    seeds: Sequence[int] = (0,),
    actor: Actor = LOCAL,
) -> Experiment:
    with database.write() as session:
        return experiments.request(
            session, dataset_id, trainer=trainer, seeds=seeds, embedder="use", actor=actor
        )


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
    assert material.test_texts == ["test changed", "test plain"]
    assert material.test_labels == [1, 0]
    assert len(material.train_hashes) == len(material.train_texts) == 6
    shown = {
        name: [
            f"{material.train_texts[row]} {material.labels[label]}" for row, label in zip(*both, strict=True)
        ]
        for name, both in material.variants.items()
    }
    assert shown == {
        "original": ["kept a", "accepted a", "excluded a", "flagged b", "plain b"],
        "dropped": ["plain b"],
        "corrected": ["kept a", "accepted b", "flagged b", "plain b"],
    }


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
    for trainer in ("transformer", "openai"):
        with pytest.raises(Unavailable, match=f"trainer {trainer} is not part of this version"):
            request(any_database, dataset_id, trainer=trainer)
    with pytest.raises(InvalidInput, match="'magic' is no trainer; there is linear, local"):
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


@pytest.mark.parametrize(
    ("accuracies", "p_value", "sentence"),
    [
        (
            (0.7, 0.75, 0.72),
            0.01,
            (
                "On these test rows the corrected labels score best: 5.0 points above the original labels "
                "(more than chance), 3.0 points above the original labels without the flagged rows "
                "(more than chance)."
            ),
        ),
        (
            (0.7, 0.7, 0.72),
            0.2,
            (
                "On these test rows the original labels without the flagged rows score best: "
                "2.0 points above the original labels (which may be chance), "
                "2.0 points above the corrected labels (which may be chance)."
            ),
        ),
        ((0.7, 0.7, 0.70004), 1.0, "All variants score the same on these test rows."),
    ],
)
def test_the_verdict_is_about_all_variants(
    accuracies: Sequence[float], p_value: float, sentence: str
) -> None:
    names = ("original", "corrected", "dropped")
    results = {
        "variants": {name: {"accuracy": one} for name, one in zip(names, accuracies, strict=True)},
        "paired": {
            pair: {"better": 1, "worse": 1, "p_value": p_value}
            for pair in ("original/corrected", "original/dropped", "corrected/dropped")
        },
    }
    assert experiments.verdict(results) == sentence
