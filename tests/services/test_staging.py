"""What becomes of a file's rows: staged in small chunks, published at once, or gone without a trace."""

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from app.actor import LOCAL
from app.db import Database
from app.errors import InvalidInput, NotFound, TooLarge
from app.files.rows import Layout
from app.models import Dataset, Example, ImportMatch, Label, RejectedRow
from app.models.columns import RunState, Split
from app.models.review import Verdict
from app.services import datasets
from app.services.importing import imports, publishing
from app.services.importing.staging import Bounds
from app.services.operation import runs
from app.services.reviewing import decisions
from app.services.versioning import versions
from tests.services import importing
from tests.services.checking import check, event_names, example_of, label_names, label_of, last_event
from tests.services.importing import WITH_ID, import_rows, numbers

Rows = list[dict[str, Any]]


def rows_of(*labels: str, start: int = 1, **more: Any) -> Rows:
    return [
        {"id": f"r{at}", "text": f"text {at}", "label": label, **more}
        for at, label in enumerate(labels, start=start)
    ]


def test_rows_show_all_at_once(any_database: Database, tmp_path: Path) -> None:
    path = importing.write_jsonl(tmp_path, rows_of(*"abcabca"))
    import_id = importing.confirm(any_database, path)
    importing.stage(any_database, import_id)
    with any_database.read() as session:
        dataset_id = imports.get(session, import_id).dataset_id or 0
        assert session.scalar(sa.select(sa.func.count()).select_from(Example)) == 7
        with pytest.raises(NotFound):
            datasets.get(session, dataset_id)
    importing.publish(any_database, import_id)
    check(any_database, dataset_id)
    with any_database.read() as session:
        done = imports.get(session, import_id)
        assert numbers(done) == {
            "read": 7, "new": 7, "changed": 0, "same": 0, "missing": 0, "rejected": 0,
        }  # fmt: skip
        assert datasets.get(session, dataset_id).import_seq == 1
        assert [row.external_id for row in session.scalars(sa.select(Example).order_by(Example.id))] == [
            f"train:{number}" for number in range(1, 8)
        ]
        assert event_names(session) == ["import.requested", "dataset.created", "import.finished"]
        assert versions.list_versions(session, dataset_id) == []


def test_second_file_adds_rows_and_classes(any_database: Database, tmp_path: Path) -> None:
    import_rows(any_database, tmp_path, rows_of("a", "b"), columns=WITH_ID)
    second = import_rows(
        any_database, tmp_path, rows_of("b", "c", start=3), columns=WITH_ID, split=Split.TEST
    )
    check(any_database, second.dataset_id or 0)
    with any_database.read() as session:
        dataset = datasets.get(session, second.dataset_id or 0)
        assert [label.name for label in datasets.labels(session, dataset)] == ["a", "b", "c"]
        counts = datasets.counts(session, dataset.id)
        assert (counts.train, counts.test, dataset.import_seq) == (2, 2, 2)
        (version,) = versions.list_versions(session, dataset.id)
        assert (version.name, version.import_seq) == (f"before import {second.id}", 1)


def test_labels_on_their_way_are_not_shown(any_database: Database, tmp_path: Path) -> None:
    dataset_id = import_rows(any_database, tmp_path, rows_of("a"), columns=WITH_ID).dataset_id or 0
    import_id = importing.confirm(
        any_database, importing.write_jsonl(tmp_path, rows_of("z", start=2)), columns=WITH_ID
    )
    importing.stage(any_database, import_id)
    with any_database.write() as session:
        dataset = datasets.get(session, dataset_id)
        assert [label.name for label in datasets.labels(session, dataset)] == ["a"]
        row, hidden = example_of(session, dataset_id, "r1"), label_of(session, dataset_id, "z")
        with pytest.raises(InvalidInput, match="Choose one of the labels of Tickets"):
            decisions.decide(
                session, dataset_id, row.id, Verdict.OVERRIDE, version=1, label_id=hidden.id, actor=LOCAL
            )
        unseen = example_of(session, dataset_id, "r2")
        with pytest.raises(NotFound, match="There is no row"):
            decisions.decide(session, dataset_id, unseen.id, Verdict.KEEP, version=1, actor=LOCAL)
    check(any_database, dataset_id)


@pytest.mark.parametrize("chunk", [1, 3, 100])
def test_an_id_twice_in_one_file_counts_once(any_database: Database, tmp_path: Path, chunk: int) -> None:
    twice = [*rows_of("a", "b"), {"id": "r1", "text": "again", "label": "b"}]
    import_id = importing.confirm(any_database, importing.write_jsonl(tmp_path, twice), columns=WITH_ID)
    importing.stage(any_database, import_id, chunk=chunk)
    importing.publish(any_database, import_id)
    with any_database.read() as session:
        done = imports.get(session, import_id)
        assert (done.rows_read, done.rows_new, done.rows_rejected) == (3, 2, 1)
        (refused,) = imports.list_rejected(session, import_id)
        assert (refused.line, refused.raw) == (3, "again")
        assert refused.reason == "the id 'r1' was used before in this file"
    check(any_database, done.dataset_id or 0)


def test_an_id_that_looks_like_a_row_number(any_database: Database, tmp_path: Path) -> None:
    rows = [{"id": "train:2", "text": "one", "label": "a"}, {"id": "", "text": "two", "label": "a"}]
    done = import_rows(any_database, tmp_path, rows, columns=WITH_ID)
    assert (done.rows_new, done.rows_rejected) == (1, 1)


def test_a_known_id_needs_update(any_database: Database, tmp_path: Path) -> None:
    dataset_id = import_rows(any_database, tmp_path, rows_of("a", "b"), columns=WITH_ID).dataset_id or 0
    import_id = importing.confirm(
        any_database, importing.write_jsonl(tmp_path, rows_of("c", start=2)), columns=WITH_ID
    )
    with pytest.raises(InvalidInput, match=r"Line 1: the id 'r2' is already in Tickets\. .*--update"):
        importing.stage(any_database, import_id)
    importing.give_up(any_database, import_id)
    import_id = importing.confirm(any_database, importing.write_jsonl(tmp_path, rows_of("a")))
    importing.stage(any_database, import_id)  # numbered rows: train:1 is not r1
    importing.give_up(any_database, import_id)
    check(any_database, dataset_id)
    with any_database.read() as session:
        names = session.scalars(sa.select(Label.name).where(Label.dataset_id == dataset_id))
        assert sorted(names) == ["a", "b"]


def test_a_second_file_without_ids_says_why(any_database: Database, tmp_path: Path) -> None:
    import_rows(any_database, tmp_path, rows_of("a"))
    import_id = importing.confirm(any_database, importing.write_jsonl(tmp_path, rows_of("a")))
    with pytest.raises(InvalidInput, match="the file has no id column, so rows are numbered"):
        importing.stage(any_database, import_id)


def test_update_by_id(any_database: Database, tmp_path: Path) -> None:
    first = [*rows_of("a", "b", "b"), *rows_of("a", start=9)]
    dataset_id = import_rows(any_database, tmp_path, first, columns=WITH_ID).dataset_id or 0
    import_rows(any_database, tmp_path, rows_of("a", start=50), columns=WITH_ID, split=Split.TEST)
    second = [*rows_of("a"), {"id": "r2", "text": "new text", "label": "c"}, *rows_of("c", start=4)]
    done = import_rows(any_database, tmp_path, second, columns=WITH_ID, update=True)
    assert numbers(done) == {
        "read": 3, "new": 1, "changed": 1, "same": 1, "missing": 2, "rejected": 0,
    }  # fmt: skip
    check(any_database, dataset_id)
    with any_database.read() as session:
        assert example_of(session, dataset_id, "r2").text == "new text"
        assert label_names(session, dataset_id) == {
            "r1": ("a", "a"), "r2": ("c", "c"), "r3": ("b", "b"), "r4": ("c", "c"),
            "r9": ("a", "a"), "r50": ("a", "a"),
        }  # fmt: skip
        assert last_event(session).new == {
            "file": "rows.jsonl", "new": 1, "changed": 1, "same": 1, "missing": 2, "rejected": 0,
        }  # fmt: skip


@pytest.mark.parametrize("chunk", [1, 2, 100])
def test_an_id_twice_in_an_update_is_refused(any_database: Database, tmp_path: Path, chunk: int) -> None:
    import_rows(any_database, tmp_path, rows_of("a", "b"), columns=WITH_ID)
    again = [*rows_of("b"), *rows_of("a", start=2), *rows_of("a")]
    import_id = importing.confirm(
        any_database, importing.write_jsonl(tmp_path, again), columns=WITH_ID, update=True
    )
    importing.stage(any_database, import_id, chunk=chunk)
    importing.publish(any_database, import_id)
    with any_database.read() as session:
        done = imports.get(session, import_id)
        assert (done.rows_changed, done.rows_rejected) == (2, 1)
        assert label_names(session, done.dataset_id or 0) == {"r1": ("b", "b"), "r2": ("a", "a")}
    check(any_database, done.dataset_id or 0)


@pytest.mark.parametrize("chunk", [1, 2, 100])
def test_update_without_ids_matches_text_and_occurrence(
    any_database: Database, tmp_path: Path, chunk: int
) -> None:
    first = [{"text": "same", "label": label} for label in "abc"] + [{"text": "other", "label": "a"}]
    dataset_id = import_rows(any_database, tmp_path, first).dataset_id or 0
    second = [{"text": "brand new", "label": "c"}] + [{"text": "same", "label": label} for label in "abba"]
    import_id = importing.confirm(any_database, importing.write_jsonl(tmp_path, second), update=True)
    importing.stage(any_database, import_id, chunk=chunk)
    importing.publish(any_database, import_id)
    with any_database.read() as session:
        done = imports.get(session, import_id)
        assert numbers(done) == {
            "read": 5, "new": 2, "changed": 1, "same": 2, "missing": 1, "rejected": 0,
        }  # fmt: skip
        assert label_names(session, dataset_id) == {
            "train:1": ("a", "a"), "train:2": ("b", "b"), "train:3": ("b", "b"), "train:4": ("a", "a"),
            "train:1:2": ("c", "c"), "train:5": ("a", "a"),
        }  # fmt: skip
    check(any_database, dataset_id)


def test_a_text_of_both_splits_stays_in_both(any_database: Database, tmp_path: Path) -> None:
    leak = [{"text": "yes", "label": "a"}]
    dataset_id = import_rows(any_database, tmp_path, leak).dataset_id or 0
    import_rows(any_database, tmp_path, leak, split=Split.TEST)
    again = import_rows(any_database, tmp_path, leak, split=Split.TEST, update=True)
    assert (again.rows_same, again.rows_changed, again.rows_missing) == (1, 0, 0)
    with any_database.read() as session:
        counts = datasets.counts(session, dataset_id)
    assert (counts.train, counts.test) == (1, 1)


def test_a_changed_label_moves_only_undecided_rows(any_database: Database, tmp_path: Path) -> None:
    dataset_id = import_rows(any_database, tmp_path, rows_of(*"aaaa"), columns=WITH_ID).dataset_id or 0
    with any_database.write() as session:
        for name, verdict in (("r2", Verdict.KEEP), ("r3", Verdict.EXCLUDE), ("r4", Verdict.NEEDS_REVIEW)):
            row = example_of(session, dataset_id, name)
            decisions.decide(session, dataset_id, row.id, verdict, version=1, actor=LOCAL)
    import_rows(any_database, tmp_path, rows_of(*"bbbb"), columns=WITH_ID, update=True)
    check(any_database, dataset_id)
    with any_database.read() as session:
        assert label_names(session, dataset_id) == {
            "r1": ("b", "b"), "r2": ("b", "a"), "r3": ("b", "a"), "r4": ("b", "b"),
        }  # fmt: skip
    for _ in range(3):
        with any_database.write() as session:
            decisions.undo(session, dataset_id, actor=LOCAL)
    check(any_database, dataset_id)
    with any_database.read() as session:
        assert set(label_names(session, dataset_id).values()) == {("b", "b")}


def test_a_chosen_label_survives_being_set_aside(any_database: Database, tmp_path: Path) -> None:
    dataset_id = import_rows(any_database, tmp_path, rows_of("a", "c"), columns=WITH_ID).dataset_id or 0
    with any_database.write() as session:
        row, chosen = example_of(session, dataset_id, "r1"), label_of(session, dataset_id, "c")
        decisions.decide(
            session, dataset_id, row.id, Verdict.OVERRIDE, version=1, label_id=chosen.id, actor=LOCAL
        )
        decisions.decide(session, dataset_id, row.id, Verdict.NEEDS_REVIEW, version=2, actor=LOCAL)
    import_rows(any_database, tmp_path, rows_of("b", "c"), columns=WITH_ID, update=True)
    check(any_database, dataset_id)
    with any_database.read() as session:
        assert label_names(session, dataset_id)["r1"] == ("b", "c")


def test_an_update_moves_rows_to_another_split(any_database: Database, tmp_path: Path) -> None:
    dataset_id = import_rows(any_database, tmp_path, rows_of(*"ab"), columns=WITH_ID).dataset_id or 0
    moved = import_rows(any_database, tmp_path, rows_of("a"), columns=WITH_ID, update=True, split=Split.TEST)
    assert (moved.rows_changed, moved.rows_missing) == (1, 0)
    check(any_database, dataset_id)
    with any_database.read() as session:
        counts = datasets.counts(session, dataset_id)
        assert (counts.train, counts.test) == (1, 1)


def test_a_failed_first_import_leaves_its_report_alone(any_database: Database, tmp_path: Path) -> None:
    rows = [*rows_of(*"abab"), {"id": "x", "text": "", "label": "a"}]
    import_id = importing.confirm(any_database, importing.write_jsonl(tmp_path, rows), columns=WITH_ID)
    importing.stage(any_database, import_id)
    importing.give_up(any_database, import_id, error="The disk is full.")
    with any_database.read() as session:
        failed = imports.get(session, import_id)
        assert (failed.state, failed.error, failed.dataset_id) == (
            RunState.FAILED,
            "The disk is full.",
            None,
        )
        for table in (Dataset, Example, Label):
            assert session.scalar(sa.select(sa.func.count()).select_from(table)) == 0
        (refused,) = imports.list_rejected(session, import_id)
        assert (refused.line, refused.reason) == (5, "no text")
        assert last_event(session).name == "import.failed"
    done = import_rows(any_database, tmp_path, rows_of(*"ab"))
    assert done.creates_dataset


def test_a_failed_later_import_leaves_no_trace(any_database: Database, tmp_path: Path) -> None:
    dataset_id = import_rows(any_database, tmp_path, rows_of(*"ab"), columns=WITH_ID).dataset_id or 0
    import_id = importing.confirm(
        any_database, importing.write_jsonl(tmp_path, rows_of(*"zby")), columns=WITH_ID, update=True
    )
    importing.stage(any_database, import_id)
    importing.give_up(any_database, import_id)
    check(any_database, dataset_id)
    with any_database.read() as session:
        assert label_names(session, dataset_id) == {"r1": ("a", "a"), "r2": ("b", "b")}
        assert session.scalar(sa.select(sa.func.count()).select_from(ImportMatch)) == 0
        names = session.scalars(sa.select(Label.name).where(Label.dataset_id == dataset_id))
        assert sorted(names) == ["a", "b"]


def test_giving_up_again_spares_the_next_import(any_database: Database, tmp_path: Path) -> None:
    import_rows(any_database, tmp_path, rows_of("a"), columns=WITH_ID)
    failed = importing.confirm(
        any_database, importing.write_jsonl(tmp_path, rows_of("b", start=2)), columns=WITH_ID
    )
    importing.stage(any_database, failed)
    importing.give_up(any_database, failed)
    done = import_rows(any_database, tmp_path, rows_of("c", start=3), columns=WITH_ID)
    with any_database.read() as session:
        assert imports.get(session, failed).seq == done.seq
    importing.give_up(any_database, failed)  # a worker that died before it could note that it had
    check(any_database, done.dataset_id or 0)
    with any_database.read() as session:
        assert label_names(session, done.dataset_id or 0) == {"r1": ("a", "a"), "r3": ("c", "c")}


def test_no_way_back_once_changes_are_applied(any_database: Database, tmp_path: Path) -> None:
    dataset_id = import_rows(any_database, tmp_path, rows_of(*"ab"), columns=WITH_ID).dataset_id or 0
    import_id = importing.confirm(
        any_database, importing.write_jsonl(tmp_path, rows_of(*"ba")), columns=WITH_ID, update=True
    )
    importing.stage(any_database, import_id)
    import_ = importing.begun(any_database, import_id)
    with any_database.write() as session:
        publishing.freeze_before(session, import_, actor=LOCAL)
    with any_database.write() as session:
        publishing.apply_changes(session, import_)
    with any_database.write() as session:
        runs.request_cancel(session, imports.get(session, import_id), actor=LOCAL)
    importing.publish(any_database, import_id)  # the worker died here; another one goes on
    check(any_database, dataset_id)
    with any_database.read() as session:
        assert imports.get(session, import_id).state is RunState.DONE
        assert label_names(session, dataset_id) == {"r1": ("b", "b"), "r2": ("a", "a")}


def test_staging_goes_on_behind_the_last_stored_row(any_database: Database, tmp_path: Path) -> None:
    import_id = importing.confirm(any_database, importing.write_jsonl(tmp_path, rows_of("a")))
    old = importing.begun(any_database, import_id)
    importing.begun(any_database, import_id)
    with any_database.write() as session, pytest.raises(runs.Overtaken):
        runs.guard(session, old)


def test_limits_are_named(any_database: Database, tmp_path: Path) -> None:
    path = importing.write_jsonl(tmp_path, rows_of(*"abcd"))
    import_id = importing.confirm(any_database, path)
    with pytest.raises(TooLarge, match=r"more than 3 different labels.*SETRIGHT_MAX_CLASSES"):
        importing.stage(any_database, import_id, bounds=Bounds(max_classes=3, max_rejected=9))
    importing.give_up(any_database, import_id)
    bad = importing.write_jsonl(tmp_path, [{"text": "", "label": "a"}, {"text": "x", "label": ""}] * 2)
    import_id = importing.confirm(any_database, bad)
    with pytest.raises(InvalidInput, match=r"More than 1 rows of rows\.jsonl cannot be used.*MAX_REJECTED"):
        importing.stage(any_database, import_id, bounds=Bounds(max_classes=9, max_rejected=1))


def test_a_file_without_a_usable_row(any_database: Database, tmp_path: Path) -> None:
    bad = importing.write_jsonl(tmp_path, [{"text": "x", "label": ""}])
    import_id = importing.confirm(any_database, bad)
    importing.stage(any_database, import_id)
    with pytest.raises(InvalidInput, match=r"No row of rows\.jsonl can be used.*in line 1: no label"):
        importing.publish(any_database, import_id)


def test_bad_rows_of_a_json_array_on_one_line(any_database: Database, tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_text('[{"text":"a","label":""},{"text":"b","label":""},{"text":"c","label":"d"}]')
    from_array = Layout("json", encoding="utf-8")
    import_id = importing.confirm(any_database, path, layout=from_array)
    importing.stage(any_database, import_id)
    importing.publish(any_database, import_id)
    with any_database.read() as session:
        done = imports.get(session, import_id)
        assert (done.rows_new, done.rows_rejected) == (1, 2)
        assert session.scalar(sa.select(sa.func.count()).select_from(RejectedRow)) == 2


def test_unlabelled_rows_where_they_are_allowed(any_database: Database, tmp_path: Path) -> None:
    rows: Rows = [{"text": "x", "label": None}, {"text": "y", "label": "a"}]
    done = import_rows(any_database, tmp_path, rows, allow_unlabelled=True)
    check(any_database, done.dataset_id or 0)
    with any_database.read() as session:
        assert datasets.counts(session, done.dataset_id or 0).unlabelled == 1
