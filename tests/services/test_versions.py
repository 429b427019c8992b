"""A version shows the labels as they were, whatever happens afterwards."""

import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

from app.actor import LOCAL, Actor
from app.db import Database
from app.errors import Conflict, Forbidden, InvalidInput, NotFound
from app.models import Example, Version
from app.models.columns import Split
from app.models.review import Verdict
from app.services import datasets
from app.services.bounding import autofix, batches
from app.services.bounding.autofix import Rule, RuleKind
from app.services.ranking.queue_filter import Preset, QueueFilter
from app.services.reviewing import decisions
from app.services.tuning import exports
from app.services.versioning import versions
from tests.factories import Row, make_dataset
from tests.services import test_autofix as fixing
from tests.services.checking import check, example_of, label_of, last_event
from tests.services.importing import WITH_ID, import_rows

View = dict[str, tuple[str, str, int | None, int | None, str, str]]
EVERY = QueueFilter(preset=Preset.ALL, split=None)


def freeze(database: Database, dataset_id: int, name: str | None = None) -> int:
    with database.write() as session:
        return versions.create(session, datasets.get(session, dataset_id), name=name, actor=LOCAL).id


def view(database: Database, version_id: int) -> View:
    """Return all that a version shows."""
    with database.read(snapshot=True) as session:
        version = session.get_one(Version, version_id)
        return {
            row.example.external_id: (
                row.text,
                row.split.value,
                row.given_label_id,
                row.label_id,
                row.state.value,
                repr(row.details),
            )
            for row in exports.read_frozen(session, version)
        }


def present(database: Database, dataset_id: int) -> View:
    """Return the same of the rows as they are now."""
    with database.read() as session:
        dataset = datasets.get(session, dataset_id)
        rows = session.query(Example).filter(
            Example.dataset_id == dataset_id, Example.import_seq <= dataset.import_seq
        )
        return {
            row.external_id: (
                row.text,
                row.split.value,
                row.given_label_id,
                row.label_id,
                row.state.value,
                repr(row.details),
            )
            for row in rows
        }


def test_names(any_database: Database, viewer: Actor) -> None:
    dataset_id = make_dataset(any_database)
    first = freeze(any_database, dataset_id, "  before the audit ")
    second = freeze(any_database, dataset_id)
    with any_database.write() as session:
        dataset = datasets.get(session, dataset_id)
        assert versions.get(session, first).name == "before the audit"
        assert versions.get(session, second).name == f"v{first + 1}"
        assert last_event(session).name == "version.created"
        assert versions.get(session, first).counts["issues"] == 6
        assert [one.id for one in versions.list_versions(session, dataset_id)] == [second, first]
        with pytest.raises(Conflict, match="already has a version called before the audit"):
            versions.create(session, dataset, name="before the audit", actor=LOCAL)
        for name in ("", " ", "a\nb", "x" * 101):
            with pytest.raises(InvalidInput, match="one line of 1 to 100"):
                versions.create(session, dataset, name=name, actor=LOCAL)
        with pytest.raises(Forbidden):
            versions.create(session, dataset, name="mine", actor=viewer)
        with pytest.raises(NotFound, match="There is no version 99"):
            versions.get(session, 99)
        with pytest.raises(NotFound, match=f"'x'. Versions: v{second}, before the audit"):
            versions.get_by_name(session, dataset_id, "x")


def some_rows(count: int) -> list[dict[str, Any]]:
    return [{"id": f"r{at}", "text": f"text {at}", "label": "abc"[at % 3], "note": at} for at in range(count)]


class Story:
    """Things that happen to a dataset, in an order drawn by chance, with versions in between."""

    def __init__(self, database: Database, folder: Path, seed: int) -> None:
        self.database, self.folder, self.rng = database, folder, random.Random(seed)
        self.rows = some_rows(12)
        self.dataset_id = import_rows(database, folder, self.rows, columns=WITH_ID).dataset_id or 0
        self.kept: dict[int, View] = {}

    def tell(self, steps: int) -> Iterator[str]:
        for _ in range(steps):
            step = self.rng.choice([self.decide] * 5 + [self.undo] * 2 + [self.reimport] + [self.freeze] * 3)
            step()
            yield step.__name__

    def decide(self) -> None:
        with self.database.write() as session:
            row = example_of(session, self.dataset_id, f"r{self.rng.randrange(12)}")
            verdict = self.rng.choice(
                [Verdict.KEEP, Verdict.OVERRIDE, Verdict.EXCLUDE, Verdict.NEEDS_REVIEW, Verdict.NEEDS_REVIEW]
            )
            label = label_of(session, self.dataset_id, self.rng.choice("abc"))
            decisions.decide(
                session, self.dataset_id, row.id, verdict,
                version=row.version, label_id=label.id, actor=LOCAL,
            )  # fmt: skip

    def undo(self) -> None:
        with self.database.write() as session:
            if decisions.last_undoable(session, self.dataset_id, actor=LOCAL):
                decisions.undo(session, self.dataset_id, actor=LOCAL)

    def reimport(self) -> None:
        changed = self.rng.sample(self.rows, 5)
        for row in changed:
            row["label"] = self.rng.choice("abc")
            row["text"] = f"text {self.rng.random()}" if self.rng.random() < 0.3 else row["text"]
        split = self.rng.choice(list(Split))
        import_rows(self.database, self.folder, changed, columns=WITH_ID, update=True, split=split)

    def freeze(self) -> None:
        self.kept[freeze(self.database, self.dataset_id)] = present(self.database, self.dataset_id)


@pytest.mark.parametrize("seed", range(6))
def test_versions_never_change(any_database: Database, tmp_path: Path, seed: int) -> None:
    story = Story(any_database, tmp_path, seed)
    told = list(story.tell(35))
    check(any_database, story.dataset_id)
    assert story.kept
    for version_id, kept in story.kept.items():
        assert view(any_database, version_id) == kept, told


def test_a_label_set_aside_then_changed_at_the_source(any_database: Database, tmp_path: Path) -> None:
    """Chosen b, set aside, frozen, and then the source says b as well."""
    rows = [{"id": "r1", "text": "x", "label": "a"}, {"id": "r2", "text": "y", "label": "b"}]
    dataset_id = import_rows(any_database, tmp_path, rows, columns=WITH_ID).dataset_id or 0
    with any_database.write() as session:
        row, chosen = example_of(session, dataset_id, "r1"), label_of(session, dataset_id, "b")
        decisions.decide(
            session, dataset_id, row.id, Verdict.OVERRIDE, version=1, label_id=chosen.id, actor=LOCAL
        )
        decisions.decide(session, dataset_id, row.id, Verdict.NEEDS_REVIEW, version=2, actor=LOCAL)
    version_id = freeze(any_database, dataset_id)
    kept = present(any_database, dataset_id)
    changed = [{"id": "r1", "text": "x", "label": "b"}]
    import_rows(any_database, tmp_path, changed, columns=WITH_ID, update=True)
    assert view(any_database, version_id) == kept


def test_a_version_survives_batches_and_their_undo(any_database: Database) -> None:
    dataset_id = make_dataset(any_database, rows=fixing.ROWS)
    kept: dict[int, View] = {freeze(any_database, dataset_id): present(any_database, dataset_id)}
    batch = fixing.run(any_database, fixing.request(any_database, dataset_id, Rule(RuleKind.TOP, 3)))
    kept[freeze(any_database, dataset_id)] = present(any_database, dataset_id)
    fixing.decide(any_database, dataset_id, "r1", Verdict.KEEP)
    kept[freeze(any_database, dataset_id)] = present(any_database, dataset_id)
    fixing.undo(any_database, batch.id)
    kept[freeze(any_database, dataset_id)] = present(any_database, dataset_id)
    fixing.run(any_database, fixing.request(any_database, dataset_id, fixing.ALL))
    for version_id, was in kept.items():
        assert view(any_database, version_id) == was
    assert kept[max(kept)] != kept[min(kept)]
    check(any_database, dataset_id)


def test_later_rows_are_not_part_of_it(any_database: Database, tmp_path: Path) -> None:
    dataset_id = import_rows(any_database, tmp_path, some_rows(3), columns=WITH_ID).dataset_id or 0
    version_id = freeze(any_database, dataset_id)
    import_rows(any_database, tmp_path, some_rows(6)[3:], columns=WITH_ID)
    assert set(view(any_database, version_id)) == {"r0", "r1", "r2"}


def test_frozen_among_people_at_work(any_database: Database) -> None:
    """Four people decide all the time while versions are frozen: none may change afterwards."""
    rows = [Row(f"text {at}", "a", "b", 0.1) for at in range(20)]
    dataset_id = make_dataset(any_database, rows=rows)
    ended = threading.Event()
    decided = threading.Semaphore(0)

    def decide(part: int) -> None:
        for verdict in cycle([Verdict.KEEP, Verdict.ACCEPT, Verdict.NEEDS_REVIEW]):
            for at in range(part, 20, 4):
                if ended.wait(0.01):
                    return
                fixing.decide(any_database, dataset_id, f"r{at + 1}", verdict)
                decided.release()

    seen: dict[int, View] = {}
    with ThreadPoolExecutor(4) as pool:
        people = [pool.submit(decide, part) for part in range(4)]
        for _ in range(8):
            # However slow the machine, somebody has decided between any two versions.
            going_on = decided.acquire(timeout=180)
            version_id = freeze(any_database, dataset_id)
            seen[version_id] = view(any_database, version_id)
        ended.set()
    assert going_on
    for person in people:
        person.result()
    for version_id, was in seen.items():
        assert view(any_database, version_id) == was
    check(any_database, dataset_id)


def test_the_batch_version_is_the_state_before_it(any_database: Database) -> None:
    dataset_id = make_dataset(any_database, rows=fixing.ROWS)
    before = present(any_database, dataset_id)
    with any_database.write() as session:
        batch = autofix.request(session, dataset_id, EVERY, fixing.ALL, actor=LOCAL)
    fixing.run(any_database, batch.id)
    with any_database.read() as session:
        version_id = batches.get(session, batch.id).version_id or 0
    assert view(any_database, version_id) == before
    assert present(any_database, dataset_id) != before
