"""Decisions that files bring: taken over as one batch, undone as one, and out again the same."""

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from app.actor import LOCAL
from app.config import Settings
from app.db import Database
from app.errors import Conflict
from app.files.decided import DECIDED
from app.files.rows import Columns, Layout
from app.files.writing import REVIEWED_FORMATS
from app.models import Batch, Dataset, Decision, Example, Export, Import
from app.models.columns import RunState
from app.models.examples import ExampleState
from app.models.review import Verdict
from app.services import datasets
from app.services.bounding import batches
from app.services.importing import adopting, imports
from app.services.importing.imports import ImportChoices
from app.services.importing.limits import limits_of
from app.services.tuning import exports
from app.services.tuning.exports import ExportChoices
from tests.factories import make_dataset
from tests.jobs import working
from tests.services import test_autofix as fixing

STUDIO = """id,text,label,cleanlab_action,cleanlab_corrected_label,cleanlab_suggested_label
1,great film,positive,unresolved,,
2,awful film,positive,auto-fix,negative,negative
3,fine film,positive,keep,positive,negative
4,buy pills,positive,exclude,,
5,so so,positive,label,neutral,
6,who knows,negative,needs review,,
"""
States = dict[str, tuple[str, str | None]]


def bring(
    settings: Settings, database: Database, data: bytes, name: str, *, dataset: str, **changes: Any
) -> Import:
    """Import a file as it is proposed, without waiting."""
    path = settings.uploads / f"{len(list(settings.uploads.glob('*')))}.upload"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    limits = limits_of(settings)
    seen = imports.look(path, file_name=name, limits=limits, actor=LOCAL)
    choices = ImportChoices(dataset, seen.layout, seen.proposed, allow_unlabelled=True, **changes)
    with database.write() as session:
        draft = imports.add_upload(
            session, seen, path=path, file_name=name, size=len(data), sha256="", actor=LOCAL
        )
        return imports.confirm(session, draft.id, choices=choices, actor=LOCAL)


def states(database: Database, name: str) -> States:
    with database.read() as session:
        dataset = datasets.get_by_name(session, name)
        labels = datasets.label_names(session, dataset.id)
        rows = session.scalars(sa.select(Example).where(Example.dataset_id == dataset.id)).all()
        return {row.external_id: (row.state.value, labels.get(row.label_id or 0)) for row in rows}


def taken_over(database: Database, import_: Import) -> Batch:
    with database.read() as session:
        batch = adopting.batch_of(session, import_)
    assert batch is not None
    done = working.done(database, batch)
    assert isinstance(done, Batch)
    return done


EXPECTED: States = {
    "1": ("open", "positive"), "2": ("auto_fixed", "negative"), "3": ("kept", "positive"),
    "4": ("excluded", "positive"), "5": ("overridden", "neutral"), "6": ("needs_review", "negative"),
}  # fmt: skip


def test_decisions_of_cleanlab_studio_come_in_and_are_undone_as_one(
    settings: Settings, database: Database
) -> None:
    with working.at_work(settings, database):
        import_ = bring(settings, database, STUDIO.encode(), "cleanset.csv", dataset="films")
        working.done(database, import_)
        batch = taken_over(database, import_)
        assert states(database, "films") == EXPECTED
        assert (batch.rows_changed, batch.rows_skipped) == (5, 0)
        with database.read() as session:
            decisions = session.scalars(sa.select(Decision).order_by(Decision.id)).all()
            assert {one.note for one in decisions} == {"Imported from Cleanlab Studio"}
            assert [one.verdict for one in decisions] == [
                Verdict.ACCEPT, Verdict.KEEP, Verdict.EXCLUDE, Verdict.OVERRIDE, Verdict.NEEDS_REVIEW,
            ]  # fmt: skip
            counts = datasets.counts(session, batch.dataset_id)
            assert (counts.rows, counts.resolved) == (6, 4)
            kept = session.scalars(sa.select(Example)).all()
            assert all(DECIDED not in row.details for row in kept)
            assert kept[1].details["cleanlab_suggested_label"] == "negative"
            assert not adopting.is_waiting(session, session.get_one(Import, import_.id))
        with database.write() as session:
            undo = batches.request_undo(session, batch.id, actor=LOCAL)
        working.done(database, undo)
    assert {state for state, _ in states(database, "films").values()} == {"open"}


def test_an_update_brings_decisions_but_none_over_a_colleagues(
    settings: Settings, database: Database
) -> None:
    plain = "".join(",".join(line.split(",")[:3]) + "\n" for line in STUDIO.splitlines())
    with working.at_work(settings, database):
        first = bring(settings, database, plain.encode(), "films.csv", dataset="films")
        dataset_id = working.done(database, first).dataset_id
        assert dataset_id is not None
        with database.write() as session:
            dataset = session.get_one(Dataset, dataset_id)
            row = session.scalars(sa.select(Example).where(Example.external_id == "5")).one()
            row.state, row.decided_by_id = ExampleState.KEPT, LOCAL.user_id
            assert dataset.import_seq == 1
        second = bring(settings, database, STUDIO.encode(), "cleanset.csv", dataset="films", update=True)
        working.done(database, second)
        batch = taken_over(database, second)
    assert (batch.rows_changed, batch.rows_skipped) == (4, 1)
    assert states(database, "films") == EXPECTED | {"5": ("kept", "positive")}


def test_decisions_wait_while_another_batch_is_open(settings: Settings, database: Database) -> None:
    with working.at_work(settings, database):
        first = bring(settings, database, b"id,text,label\n0,a b,positive\n", "a.csv", dataset="films")
        dataset_id = working.done(database, first).dataset_id
        with database.write() as session:
            other = Batch(
                dataset_id=dataset_id, kind="auto_fix", state=RunState.RUNNING, created_by_id=LOCAL.user_id
            )
            session.add(other)
        import_ = bring(settings, database, STUDIO.encode(), "cleanset.csv", dataset="films")
        done = working.done(database, import_)
        assert isinstance(done, Import)
        with database.read() as session:
            assert adopting.is_waiting(session, done)
        with database.write() as session, pytest.raises(Conflict, match="on its way"):
            adopting.request(session, import_.id, actor=LOCAL)
        with database.write() as session:
            session.get_one(Batch, other.id).state = RunState.DONE
        with database.write() as session:
            adopting.request(session, import_.id, actor=LOCAL)
        taken_over(database, import_)
        with database.write() as session, pytest.raises(Conflict, match="No decisions of cleanset"):
            adopting.request(session, import_.id, actor=LOCAL)
    assert states(database, "films") == EXPECTED | {"0": ("open", "positive")}


@pytest.mark.parametrize("kind", REVIEWED_FORMATS)
def test_a_reviewed_dataset_goes_out_and_comes_in_the_same(
    settings: Settings, database: Database, kind: str
) -> None:
    made = make_dataset(database, name="before")
    chosen = {"r1": Verdict.ACCEPT, "r2": Verdict.KEEP, "r3": Verdict.EXCLUDE, "r4": Verdict.NEEDS_REVIEW}
    for row, verdict in chosen.items():
        fixing.decide(database, made, row, verdict, LOCAL)
    with working.at_work(settings, database):
        with database.write() as session:
            choices = ExportChoices(format=kind, split="all")
            asked = exports.request(session, made, choices, actor=LOCAL)
        export = working.done(database, asked)
        assert isinstance(export, Export)
        data = Path(export.path).read_bytes()
        import_ = bring(settings, database, data, Path(export.path).name, dataset="after")
        assert working.done(database, import_).rows_new == 11
        taken_over(database, import_)
    assert states(database, "after") == states(database, "before")


def test_what_a_person_says_of_the_columns_counts(settings: Settings, database: Database) -> None:
    path = settings.uploads / "one.upload"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"text,label,final,done\na b,x,y,keep\nc d,x,y,relabel\n")
    roles = Columns(text="text", label="label", corrected_label="final", decision="done")
    choices = ImportChoices("own", Layout("csv", "utf-8", ",", '"'), roles)
    seen = imports.look(path, file_name="own.csv", limits=limits_of(settings), actor=LOCAL)
    assert seen.recognised is None
    with working.at_work(settings, database):
        with database.write() as session:
            draft = imports.add_upload(
                session, seen, path=path, file_name="own.csv", size=9, sha256="", actor=LOCAL
            )
            import_ = imports.confirm(session, draft.id, choices=choices, actor=LOCAL)
        working.done(database, import_)
        batch = taken_over(database, import_)
    assert batch.rule["origin"] == ""
    assert states(database, "own") == {"train:1": ("kept", "x"), "train:2": ("overridden", "y")}
