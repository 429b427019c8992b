"""Restoring a version and comparing two, against a story told by chance and the rows themselves."""

import random
from collections import Counter as Tally
from pathlib import Path

import pytest

from app.actor import LOCAL, Actor
from app.config import Settings
from app.db import Database
from app.errors import Conflict, Forbidden, InvalidInput, NotFound
from app.models import Batch, Finding, Score, Version
from app.models.datasets import CounterName
from app.models.evidence import IssueKind
from app.models.review import BatchKind, Verdict
from app.services import datasets
from app.services.labelling import labels, relabelling
from app.services.labelling.relabelling import SplitChoices
from app.services.operation import runs
from app.services.ranking.counting import add_counters
from app.services.ranking.queue_filter import Preset, QueueFilter
from app.services.together import assignments
from app.services.versioning import comparing, restoring, versions
from app.services.versioning.comparing import PairFilter
from tests.factories import Row, make_dataset
from tests.services.checking import check, example_of, label_names
from tests.services.importing import WITH_ID, import_rows
from tests.services.relabelling import decide, freeze, ids, merge, undo, work
from tests.services.test_versions import Story, View, some_rows, view

ROWS = tuple(Row(f"text {at}", "abc"[at % 3], "abc"[(at + 1) % 3], 0.1 + at / 100) for at in range(9))


@pytest.fixture
def dataset_id(any_database: Database) -> int:
    return make_dataset(any_database, rows=ROWS)


def restore(settings: Settings, database: Database, version_id: int) -> Batch:
    with database.write() as session:
        batch = restoring.request(session, version_id, actor=LOCAL)
    return work(settings, database, batch)


def plan(database: Database, version_id: int) -> restoring.RestorePreview:
    with database.read() as session:
        return restoring.preview(session, versions.get(session, version_id))


def labels_and_states(found: View) -> dict[str, tuple[int | None, str]]:
    return {name: (row[3], row[4]) for name, row in found.items()}


def test_restore_and_undo_it(any_settings: Settings, any_database: Database, dataset_id: int) -> None:
    decide(any_database, dataset_id, "r1", Verdict.KEEP)
    version_id = freeze(any_database, dataset_id)
    was = view(any_database, version_id)
    decide(any_database, dataset_id, "r1", Verdict.OVERRIDE, "c")
    decide(any_database, dataset_id, "r2", Verdict.EXCLUDE)
    decide(any_database, dataset_id, "r3", Verdict.ACCEPT)
    between = freeze(any_database, dataset_id)
    became = view(any_database, between)
    seen = plan(any_database, version_id)
    assert (seen.rows, seen.verdicts, seen.by_people) == (3, 1, 3)
    assert sum(pair.rows for pair in seen.pairs) == 2
    batch = restore(any_settings, any_database, version_id)
    check(any_database, dataset_id)
    assert (batch.kind, batch.rows_changed, batch.rows_skipped) == (BatchKind.RESTORE, 3, 0)
    after = freeze(any_database, dataset_id)
    assert view(any_database, after) == was
    with any_database.read() as session:
        kept = example_of(session, dataset_id, "r1")
        assert kept.decided_by_id == LOCAL.user_id
        assert example_of(session, dataset_id, "r2").decided_by_id is None
    assert plan(any_database, version_id).rows == 0
    undo(any_settings, any_database, batch)
    check(any_database, dataset_id)
    assert view(any_database, freeze(any_database, dataset_id)) == became
    assert view(any_database, version_id) == was


def test_assigned_rows_follow_a_restore_and_its_undoing(
    any_settings: Settings, any_database: Database, dataset_id: int, ann: Actor
) -> None:
    def left() -> int:
        with any_database.read() as session:
            (one,) = assignments.list_people(session, datasets.get(session, dataset_id))
            return one.left

    with any_database.write() as session:
        every = QueueFilter(preset=Preset.ALL)
        assignments.request(session, dataset_id, every, {ann.user_id: 1}, actor=LOCAL)
    version_id = freeze(any_database, dataset_id)
    decide(any_database, dataset_id, "r1", Verdict.KEEP)
    assert left() == 8
    batch = restore(any_settings, any_database, version_id)
    assert left() == 9
    undo(any_settings, any_database, batch)
    assert left() == 8


def test_what_else_is_wrong_with_a_row_is_open_again(
    any_settings: Settings, any_database: Database, dataset_id: int
) -> None:
    with any_database.write() as session:
        row = example_of(session, dataset_id, "r1")
        run_id = datasets.get(session, dataset_id).current_run_id or 0
        session.get_one(Score, (run_id, row.id)).kinds = IssueKind.OUTLIER.bit
        session.add(
            Finding(
                run_id=run_id, example_id=row.id, kind=IssueKind.OUTLIER, rank=1, score=0.1,
                related=b"", split=row.split, is_open=True,
            )
        )  # fmt: skip
        add_counters(session, dataset_id, {(row.split, CounterName.OPEN_OUTLIER): 1})
    check(any_database, dataset_id)
    version_id = freeze(any_database, dataset_id)
    decide(any_database, dataset_id, "r1", Verdict.EXCLUDE)
    check(any_database, dataset_id)
    batch = restore(any_settings, any_database, version_id)
    check(any_database, dataset_id)
    undo(any_settings, any_database, batch)
    check(any_database, dataset_id)


def test_rows_decided_meanwhile_are_left(
    any_settings: Settings, any_database: Database, dataset_id: int
) -> None:
    version_id = freeze(any_database, dataset_id)
    for name in ("r1", "r2", "r3"):
        decide(any_database, dataset_id, name, Verdict.ACCEPT)
    with any_database.write() as session:
        batch = restoring.request(session, version_id, actor=LOCAL)
    decide(any_database, dataset_id, "r2", Verdict.EXCLUDE)
    with any_database.write() as session:
        taken = runs.begin(session, Batch, batch.id)
    assert taken is not None
    with any_database.write() as session:
        assert restoring.restore_chunk(session, taken, limit=2, actor=LOCAL) == 2
    done = work(any_settings, any_database, batch)
    assert (done.rows_changed, done.rows_skipped) == (2, 1)
    check(any_database, dataset_id)
    with any_database.read() as session:
        assert example_of(session, dataset_id, "r2").state.value == "excluded"
        assert example_of(session, dataset_id, "r1").state.value == "open"


def test_restoring_behind_a_merge_keeps_todays_labels(
    any_settings: Settings, any_database: Database, dataset_id: int
) -> None:
    decide(any_database, dataset_id, "r2", Verdict.OVERRIDE, "a")
    version_id = freeze(any_database, dataset_id)
    decide(any_database, dataset_id, "r2", Verdict.OVERRIDE, "c")
    work(any_settings, any_database, merge(any_database, dataset_id, "a", "b"))
    assert plan(any_database, version_id).rows == 1
    done = restore(any_settings, any_database, version_id)
    assert done.rows_changed == 1
    check(any_database, dataset_id)
    with any_database.read() as session:
        assert label_names(session, dataset_id)["r2"] == ("b", "b")
        assert example_of(session, dataset_id, "r1").label_id == ids(any_database, dataset_id, "b")[0]


def test_refusals(any_database: Database, dataset_id: int, ann: Actor) -> None:
    version_id = freeze(any_database, dataset_id)
    other = make_dataset(any_database, name="Other", rows=ROWS)
    with any_database.write() as session:
        with pytest.raises(Forbidden):
            restoring.request(session, version_id, actor=ann)
        with pytest.raises(NotFound, match="There is no version 99"):
            restoring.request(session, 99, actor=LOCAL)
        dataset = datasets.get(session, other)
        with pytest.raises(NotFound, match=f"no version {version_id} of Other"):
            comparing.choose(session, dataset, version_id, None)
        with pytest.raises(InvalidInput, match="two different"):
            comparing.choose(session, datasets.get(session, dataset_id), version_id, version_id)
        restoring.request(session, version_id, actor=LOCAL)
        with pytest.raises(Conflict, match="is on its way"):
            restoring.request(session, version_id, actor=LOCAL)


class LongStory(Story):
    """The same with labels that are merged, split and renamed, batches that are undone, and restoring."""

    def __init__(self, database: Database, folder: Path, seed: int, settings: Settings) -> None:
        super().__init__(database, folder, seed)
        self.settings = settings
        self.undoable: list[Batch] = []

    def more(self) -> str:
        step = self.rng.choice(
            [self.decide] * 3
            + [self.split] * 2
            + [self.reimport, self.freeze, self.merge, self.take_back, self.rename, self.restore]
        )
        step()
        check(self.database, self.dataset_id)
        return step.__name__

    def in_use(self) -> list[tuple[int, str]]:
        with self.database.read() as session:
            found = datasets.labels(session, datasets.get(session, self.dataset_id))
            return [(label.id, label.name) for label in found]

    def decide(self) -> None:
        if "a" in {name for _, name in self.in_use()}:
            row = f"r{self.rng.randrange(12)}"
            verdicts = [Verdict.KEEP, Verdict.OVERRIDE, Verdict.EXCLUDE, Verdict.NEEDS_REVIEW]
            decide(self.database, self.dataset_id, row, self.rng.choice(verdicts), "a")

    def merge(self) -> None:
        found = self.in_use()
        if len(found) > 2:
            (_, label), (_, into) = self.rng.sample(found, 2)
            batch = merge(self.database, self.dataset_id, label, into)
            self.undoable.append(work(self.settings, self.database, batch))

    def split(self) -> None:
        (label_id, _), (into_id, _) = self.rng.sample(self.in_use(), 2)
        wanted = QueueFilter(Preset.ALL, None, search=str(self.rng.randrange(10)))
        choices = SplitChoices(label_id, wanted, with_decided=self.rng.random() < 0.5)
        with self.database.write() as session:
            dataset = datasets.get(session, self.dataset_id)
            if not relabelling.preview_split(session, dataset, choices).rows:
                return
            batch = relabelling.request_split(session, self.dataset_id, choices, into_id, actor=LOCAL)
        self.undoable.append(work(self.settings, self.database, batch))

    def take_back(self) -> None:
        if self.undoable:
            batch = self.undoable.pop()
            undone = undo(self.settings, self.database, batch)
            assert undone.rows_undone + undone.rows_left == undone.rows_changed

    def rename(self) -> None:
        label_id, name = self.rng.choice(self.in_use())
        with self.database.write() as session:
            label = labels.get(session, datasets.get(session, self.dataset_id), label_id)
            labels.change(
                session, self.dataset_id, label_id, name=f"{name[0]}{self.rng.random()}", was=name,
                description="", colour=label.colour, actor=LOCAL,
            )  # fmt: skip

    def restore(self) -> None:
        if self.kept:
            version_id = self.rng.choice(list(self.kept))
            expected = plan(self.database, version_id).rows
            batch = restore(self.settings, self.database, version_id)
            assert (batch.rows_changed, batch.rows_skipped) == (expected, 0)
            assert plan(self.database, version_id).rows == 0
            self.undoable.append(batch)


@pytest.mark.parametrize("seed", range(2))
def test_versions_never_change_and_differ_as_compared(
    any_settings: Settings, any_database: Database, tmp_path: Path, seed: int
) -> None:
    story = LongStory(any_database, tmp_path, seed, any_settings)
    story.freeze()
    told = [story.more() for _ in range(18)]
    story.freeze()
    for version_id, kept in story.kept.items():
        assert view(any_database, version_id) == kept, told
    pairs = random.Random(seed).sample([(a, b) for a in story.kept for b in story.kept if a < b], 1)
    for old_id, new_id in [*pairs, (min(story.kept), max(story.kept))]:
        assert_compared(any_database, story, old_id, new_id)


def assert_compared(database: Database, story: LongStory, old_id: int, new_id: int) -> None:
    """Compare two versions row by row the slow way, and with what comparing says."""
    was, became = (labels_and_states(story.kept[one]) for one in (old_id, new_id))
    expected = {name for name in was if was[name] != became[name]}
    pairs = Tally((was[name][0], became[name][0]) for name in expected if was[name][0] != became[name][0])
    with database.read() as session:
        old, new = (session.get_one(Version, one) for one in (old_id, new_id))
        found = comparing.compare(session, old, new)
        rows = comparing.list_changes(session, old, new)
        assert {row.external_id for row in rows} == expected
        assert {(pair.old_id, pair.new_id): pair.rows for pair in found.pairs} == pairs
        assert found.decided == len(expected) - pairs.total()
        if rows:
            first, rest = rows[:1], rows[1:]
            assert comparing.list_changes(session, old, new, limit=1) == first
            assert comparing.list_changes(session, old, new, beyond=first[0].change.example_id) == rest
            pair = PairFilter(first[0].change.old_label_id or 0, first[0].change.new_label_id or 0)
            fitting = comparing.list_changes(session, old, new, pair=pair)
            assert first[0] in fitting
            assert all(pair.fits(row.change) for row in fitting)


def test_added_rows_are_counted_apart(any_database: Database, tmp_path: Path) -> None:
    dataset_id = import_rows(any_database, tmp_path, some_rows(3), columns=WITH_ID).dataset_id or 0
    version_id = freeze(any_database, dataset_id)
    import_rows(any_database, tmp_path, some_rows(6)[3:], columns=WITH_ID)
    decide(any_database, dataset_id, "r4", Verdict.OVERRIDE, "a")
    with any_database.read() as session:
        dataset = datasets.get(session, dataset_id)
        old, new = comparing.choose(session, dataset, None, version_id)
        found = comparing.compare(session, old, new)
    assert old.id == version_id, "the older one comes first"
    assert (found.relabelled, found.decided, found.added) == (0, 0, 3)
