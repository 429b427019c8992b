"""Labels: adding, renaming, describing, deleting, and what files and versions go on saying."""

from pathlib import Path
from typing import Any

import pytest

from app.actor import LOCAL, Actor
from app.config import Settings
from app.db import Database
from app.errors import Conflict, Forbidden, InvalidInput, NotFound
from app.models import Label
from app.models.datasets import Colour
from app.models.exports import Variant
from app.models.review import Verdict
from app.services import datasets
from app.services.labelling import label_names, labels
from app.services.reviewing import decisions
from app.services.versioning import versions
from tests.factories import Row, make_dataset
from tests.services.checking import check, label_of, last_event
from tests.services.checking import label_names as names_of_rows
from tests.services.importing import WITH_ID, import_rows
from tests.services.relabelling import decide, export, freeze, ids, merge, undo, work

MANY = 1000


@pytest.fixture
def dataset_id(any_database: Database) -> int:
    return make_dataset(any_database, rows=[Row("one", "a", "b", 0.1), Row("two", "b"), Row("three", "a")])


def add(database: Database, dataset_id: int, name: str, *, most: int = MANY) -> int:
    with database.write() as session:
        return labels.add(session, dataset_id, name, max_classes=most, actor=LOCAL).id


def change(database: Database, dataset_id: int, was: str, name: str, **changes: Any) -> None:
    label_id = ids(database, dataset_id, changes.pop("of", was))[0]
    usual: dict[str, Any] = {"description": "", "colour": Colour.NONE, "actor": LOCAL}
    with database.write() as session:
        labels.change(session, dataset_id, label_id, name=name, was=was, **{**usual, **changes})


def delete(database: Database, dataset_id: int, name: str) -> None:
    label_id = ids(database, dataset_id, name)[0]
    with database.write() as session:
        labels.delete(session, dataset_id, label_id, actor=LOCAL)


def in_use(database: Database, dataset_id: int) -> list[str]:
    with database.read() as session:
        return [label.name for label in datasets.labels(session, datasets.get(session, dataset_id))]


def test_add(any_database: Database, dataset_id: int) -> None:
    label_id = add(any_database, dataset_id, "  warranty ")
    assert in_use(any_database, dataset_id) == ["a", "b", "warranty"]
    with any_database.read() as session:
        event = last_event(session)
    assert (event.name, event.subject_id, event.new) == ("label.added", label_id, "warranty")
    for name, what in (("a", "already has a label called a"), ("warranty", "already has")):
        with pytest.raises(Conflict, match=what):
            add(any_database, dataset_id, name)
    for name in ("", "  ", "a\nb", "x" * 201):
        with pytest.raises(InvalidInput, match="one line of 1 to 200"):
            add(any_database, dataset_id, name)
    with pytest.raises(Conflict, match="SETRIGHT_MAX_CLASSES"):
        add(any_database, dataset_id, "more", most=3)


def test_rename_touches_no_row(any_database: Database, dataset_id: int) -> None:
    before = freeze(any_database, dataset_id)
    label_id = ids(any_database, dataset_id, "a")[0]
    change(any_database, dataset_id, "a", "apple", description="Fruit.", colour=Colour.RED)
    between = freeze(any_database, dataset_id)
    change(any_database, dataset_id, "apple", "pear", description="Fruit.", colour=Colour.RED)
    after = freeze(any_database, dataset_id)
    with any_database.read() as session:
        label = session.get_one(Label, label_id)
        assert (label.name, label.source_name, label.description) == ("pear", "a", "Fruit.")
        shown = [
            label_names.names_at(session, versions.get(session, one))[label_id]
            for one in (before, between, after)
        ]
        order = list(label_names.labels_at(session, versions.get(session, after)).values())
        assert last_event(session).name == "version.created"
    assert shown == ["a", "apple", "pear"]
    assert order == ["b", "pear"]
    assert [label for _, label in export(any_database, before, Variant.CORRECTED)] == ["a", "b", "a"]
    assert [label for _, label in export(any_database, after, Variant.CORRECTED)] == ["pear", "b", "pear"]
    assert [label for _, label in export(any_database, after, Variant.ORIGINAL)] == ["a", "b", "a"]
    check(any_database, dataset_id)


def test_who_saw_an_older_name_is_told(any_database: Database, dataset_id: int) -> None:
    change(any_database, dataset_id, "a", "apple")
    with pytest.raises(Conflict, match="renamed a to apple"):
        change(any_database, dataset_id, "a", "pear", of="apple")
    with pytest.raises(Conflict, match="already has a label called b"):
        change(any_database, dataset_id, "apple", "b")
    with pytest.raises(Conflict, match="Files that say a mean apple"):
        add(any_database, dataset_id, "a")
    change(any_database, dataset_id, "apple", "a")
    with pytest.raises(InvalidInput, match="at most 2000"):
        change(any_database, dataset_id, "a", "a", description="x" * 2001)


def test_files_go_on_meaning_the_same(any_settings: Settings, any_database: Database, tmp_path: Path) -> None:
    rows = [{"id": f"r{at}", "text": f"t{at}", "label": label} for at, label in enumerate("aabb")]
    dataset_id = import_rows(any_database, tmp_path, rows, columns=WITH_ID).dataset_id or 0
    change(any_database, dataset_id, "a", "apple")
    batch = work(any_settings, any_database, merge(any_database, dataset_id, "b", "apple"))
    later = [
        {"id": "r1", "text": "t1", "label": "b"},
        {"id": "r5", "text": "t5", "label": "a"},
        {"id": "r6", "text": "t6", "label": "b"},
        {"id": "r7", "text": "t7", "label": "apple"},
    ]
    changed = import_rows(any_database, tmp_path, later, columns=WITH_ID, update=True)
    assert (changed.rows_new, changed.rows_changed) == (3, 1)
    check(any_database, dataset_id)
    version = freeze(any_database, dataset_id)
    written = export(any_database, version, Variant.ORIGINAL)
    assert [label for _, label in written] == ["a", "b", "b", "b", "a", "b", "apple"]
    assert {label for _, label in export(any_database, version, Variant.CORRECTED)} == {"apple"}
    assert in_use(any_database, dataset_id) == ["apple"]
    same = import_rows(any_database, tmp_path, later, columns=WITH_ID, update=True)
    assert (same.rows_new, same.rows_changed) == (0, 0)
    undo(any_settings, any_database, batch)
    check(any_database, dataset_id)
    assert export(any_database, version, Variant.ORIGINAL) == written
    with any_database.read() as session:
        assert names_of_rows(session, dataset_id)["r2"] == ("b", "b")


def test_delete_if_empty(any_database: Database, dataset_id: int) -> None:
    add(any_database, dataset_id, "c")
    decide(any_database, dataset_id, "r2", Verdict.OVERRIDE, "c")
    with pytest.raises(Conflict, match="c is not empty: 1 rows have it and 0 came"):
        delete(any_database, dataset_id, "c")
    decide(any_database, dataset_id, "r2", Verdict.OVERRIDE, "a")
    version = freeze(any_database, dataset_id)
    delete(any_database, dataset_id, "c")
    assert in_use(any_database, dataset_id) == ["a", "b"]
    with pytest.raises(Conflict, match="c was deleted in the meantime"):
        delete(any_database, dataset_id, "c")
    with pytest.raises(Conflict, match="had a label c that was deleted: add it again"):
        change(any_database, dataset_id, "a", "c")
    with pytest.raises(InvalidInput, match="Choose one of the labels"):
        decide(any_database, dataset_id, "r2", Verdict.OVERRIDE, "c")
    with any_database.read() as session:
        assert "c" in label_names.labels_at(session, versions.get(session, version)).values()
        former = labels.list_former(session, datasets.get(session, dataset_id))
    assert [(one.label.name, one.into) for one in former] == [("c", None)]
    add(any_database, dataset_id, "c")
    assert in_use(any_database, dataset_id) == ["a", "b", "c"]


def test_a_deleted_label_is_back_with_its_rows(any_database: Database, dataset_id: int) -> None:
    add(any_database, dataset_id, "c")
    decide(any_database, dataset_id, "r2", Verdict.OVERRIDE, "c")
    decide(any_database, dataset_id, "r2", Verdict.OVERRIDE, "a")
    delete(any_database, dataset_id, "c")
    with any_database.write() as session:
        decisions.undo(session, dataset_id, actor=LOCAL)
    assert in_use(any_database, dataset_id) == ["a", "b", "c"]
    check(any_database, dataset_id)


def test_a_suggested_label_stays(any_database: Database) -> None:
    dataset_id = make_dataset(any_database, rows=[Row("one", "a", "b", 0.1), Row("two", "a")])
    with pytest.raises(Conflict, match="b is suggested for rows"):
        delete(any_database, dataset_id, "b")


def test_only_leads(any_database: Database, dataset_id: int, ann: Actor) -> None:
    label_id = ids(any_database, dataset_id, "a")[0]
    with any_database.write() as session:
        with pytest.raises(Forbidden):
            labels.add(session, dataset_id, "x", max_classes=MANY, actor=ann)
        with pytest.raises(Forbidden):
            labels.delete(session, dataset_id, label_id, actor=ann)
        with pytest.raises(Forbidden):
            labels.change(
                session, dataset_id, label_id,
                name="x", was="a", description="", colour=Colour.NONE, actor=ann,
            )  # fmt: skip
        with pytest.raises(NotFound, match="no label 99"):
            labels.delete(session, dataset_id, 99, actor=LOCAL)
        assert label_of(session, dataset_id, "a").name == "a"
