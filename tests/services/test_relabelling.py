"""Merging and splitting labels, and taking it back: rows, scores, versions, originals."""

import numpy as np
import pytest
import sqlalchemy as sa

from app.actor import LOCAL, Actor
from app.config import Settings
from app.db import Database
from app.errors import Conflict, Forbidden, InvalidInput, NotFound
from app.models import Batch, Decision, Event, Import, ScoringRun
from app.models.columns import RunState
from app.models.examples import ExampleState
from app.models.exports import Variant
from app.models.review import Verdict
from app.services import datasets
from app.services.bounding import batches, leftovers
from app.services.finding import scoring
from app.services.labelling import merged_scores, relabelling
from app.services.labelling.label_names import labels_at
from app.services.labelling.relabelling import SplitChoices
from app.services.operation import runs
from app.services.ranking.queue_filter import Preset, QueueFilter
from app.services.reviewing import decisions
from app.services.versioning import replay, versions
from tests.factories import make_dataset
from tests.services.checking import check, event_names, example_of, label_names, label_of
from tests.services.relabelling import ROWS, decide, export, freeze, ids, merge, scores, split, undo, work


@pytest.fixture
def dataset_id(any_database: Database) -> int:
    return make_dataset(any_database, rows=ROWS)


def test_a_merge_moves_every_row(any_settings: Settings, any_database: Database, dataset_id: int) -> None:
    decide(any_database, dataset_id, "r5", Verdict.KEEP)
    decide(any_database, dataset_id, "r6", Verdict.OVERRIDE, "a")
    decide(any_database, dataset_id, "r2", Verdict.ACCEPT)
    before = export(any_database, freeze(any_database, dataset_id), Variant.ORIGINAL)
    batch = work(any_settings, any_database, merge(any_database, dataset_id, "a", "b"))
    check(any_database, dataset_id)
    assert (batch.state, batch.rows_changed, batch.rows_skipped) == (RunState.DONE, 4, 0)
    with any_database.read() as session:
        now = label_names(session, dataset_id)
        assert now["r1"] == now["r5"] == now["r6"] == ("b", "b")
        assert now["r2"] == ("b", "c"), "what was decided stands, and what it came with moves along"
        kept = example_of(session, dataset_id, "r5")
        assert (kept.state, kept.decided_by_id) == (ExampleState.KEPT, LOCAL.user_id)
        dataset = datasets.get(session, dataset_id)
        assert [label.name for label in datasets.labels(session, dataset)] == ["b", "c"]
        names = event_names(session, dataset_id)
    assert names[-3:] == ["batch.requested", "label.merged", "batch.finished"]
    assert export(any_database, freeze(any_database, dataset_id), Variant.ORIGINAL) == before


def test_what_is_taken_back_after_a_merge_has_the_label_there_is(
    any_settings: Settings, any_database: Database, dataset_id: int
) -> None:
    """A verdict's and a batch's rows go to what their label was merged into, not to one that is gone."""
    decide(any_database, dataset_id, "r4", Verdict.OVERRIDE, "b")
    decide(any_database, dataset_id, "r4", Verdict.OVERRIDE, "c")
    decide(any_database, dataset_id, "r6", Verdict.KEEP, "b")
    batch = work(any_settings, any_database, split(any_database, dataset_id, "b", "c", with_decided=True))
    work(any_settings, any_database, merge(any_database, dataset_id, "b", "a"))
    with any_database.write() as session:
        decisions.undo(session, dataset_id, actor=LOCAL)
    undone = undo(any_settings, any_database, batch)
    assert (undone.rows_undone, undone.rows_left) == (2, 0)
    check(any_database, dataset_id)
    with any_database.write() as session:
        now, dataset = label_names(session, dataset_id), datasets.get(session, dataset_id)
        assert [label.name for label in datasets.labels(session, dataset)] == ["a", "c"]
        assert (now["r3"], now["r4"], now["r6"]) == (("a", "a"), ("c", "a"), ("a", "a"))
        assert replay.replay(session, dataset).differences == ()
        session.execute(sa.delete(Event).where(Event.name == "review.undone"))
        assert "do not say the same" in replay.replay(session, dataset).differences[0]


def test_scores_add_up(any_settings: Settings, any_database: Database, dataset_id: int) -> None:
    before = scores(any_database, dataset_id)
    work(any_settings, any_database, merge(any_database, dataset_id, "a", "b"))
    after = scores(any_database, dataset_id)
    for name, (_, _, probabilities, *_rest) in after.items():
        was = before[name][2]
        assert probabilities.keys() == {"b", "c"}
        assert np.isclose(probabilities["b"], was["a"] + was["b"], atol=2e-3)
        assert np.isclose(probabilities["c"], was["c"], atol=1e-3)
    assert after["r1"][:2] == ("b", "b")
    assert not after["r1"][3]
    assert not after["r3"][3], "issues between the two are none any more"
    assert after["r4"][:2] == ("c", "b")
    assert after["r4"][3:5] == (True, 2)
    assert after["r2"][3:5] == (True, 1)
    assert after["r7"][1] == "b"
    assert after["r8"][5] is None
    with any_database.read() as session:
        run = session.get_one(ScoringRun, datasets.get(session, dataset_id).current_run_id)
    assert run.issues == 2
    assert sum(rows for _, _, rows in run.report["pairs"]) == 2
    assert sum(run.report["histogram"]) == 6
    assert "were added up" in run.report["warnings"][-1]


def test_old_versions_show_the_labels_as_they_were(
    any_settings: Settings, any_database: Database, dataset_id: int
) -> None:
    decide(any_database, dataset_id, "r4", Verdict.ACCEPT)
    version_id = freeze(any_database, dataset_id)
    kept = {variant: export(any_database, version_id, variant) for variant in Variant}
    assert ("r4", "a") in kept[Variant.CORRECTED]
    batch = work(any_settings, any_database, merge(any_database, dataset_id, "a", "b"))
    assert {variant: export(any_database, version_id, variant) for variant in Variant} == kept
    assert {variant: export(any_database, batch.version_id or 0, variant) for variant in Variant} == kept
    merged = freeze(any_database, dataset_id)
    assert ("r4", "b") in export(any_database, merged, Variant.CORRECTED)
    was = export(any_database, merged, Variant.DROPPED)
    undo(any_settings, any_database, batch)
    assert export(any_database, merged, Variant.DROPPED) == was
    assert export(any_database, version_id, Variant.CORRECTED) == kept[Variant.CORRECTED]


def test_undoing_a_merge(any_settings: Settings, any_database: Database, dataset_id: int) -> None:
    decide(any_database, dataset_id, "r5", Verdict.KEEP)
    with any_database.read() as session:
        rows, shown = label_names(session, dataset_id), scores(any_database, dataset_id)
    batch = work(any_settings, any_database, merge(any_database, dataset_id, "a", "b"))
    decide(any_database, dataset_id, "r1", Verdict.EXCLUDE, "b")
    undone = undo(any_settings, any_database, batch)
    check(any_database, dataset_id)
    assert (undone.rows_undone, undone.rows_left) == (2, 1)
    with any_database.read() as session:
        now = label_names(session, dataset_id)
        left = leftovers.rows_left(session, batch.id)
        assert [(row.external_id, row.state, row.who) for row in left] == [
            ("r1", ExampleState.EXCLUDED, "local")
        ]
        assert example_of(session, dataset_id, "r5").decided_by_id == LOCAL.user_id
    assert now == rows | {"r1": ("b", "b")}
    again = scores(any_database, dataset_id)
    assert again == shown | {"r1": ("b", *shown["r1"][1:])}
    with any_database.write() as session, pytest.raises(Conflict, match="undone already"):
        batches.request_undo(session, batch.id, actor=LOCAL)


def test_a_crash_in_the_middle_goes_on(
    any_settings: Settings, any_database: Database, dataset_id: int
) -> None:
    batch = merge(any_database, dataset_id, "a", "b")
    with any_database.write() as session:
        taken = runs.begin(session, Batch, batch.id)
    assert taken is not None
    with any_database.write() as session:
        relabelling.move_chunk(session, taken, relabelling.rows_left(session, taken)[:1], actor=LOCAL)
    check(any_database, dataset_id)
    with any_database.write() as session:
        retaken = session.get_one(Batch, batch.id)
        assert retaken.rows_changed == 1
    done = work(any_settings, any_database, batch)
    assert (done.rows_changed, done.state) == (3, RunState.DONE)
    check(any_database, dataset_id)


def test_a_merge_stopped_among_its_scores(
    any_settings: Settings, any_database: Database, dataset_id: int
) -> None:
    """Half of the scores are copied when somebody cancels; undoing leaves nothing of them."""
    shown = scores(any_database, dataset_id)
    batch = merge(any_database, dataset_id, "a", "b")
    with any_database.write() as session:
        taken = runs.begin(session, Batch, batch.id)
    assert taken is not None
    with any_database.write() as session:
        relabelling.move_chunk(session, taken, relabelling.rows_left(session, taken)[:2], actor=LOCAL)
        during = versions.create(session, datasets.get(session, dataset_id), actor=LOCAL).id
    with any_database.write() as session:
        run_id = merged_scores.begin(session, taken)
        assert merged_scores.copy_chunk(session, taken, run_id or 0, limit=3) == 3
    with any_database.write() as session:
        runs.end(session, Batch, batch.id, state=RunState.CANCELLED, error=None)
    undone = undo(any_settings, any_database, batch)
    assert (undone.rows_undone, undone.rows_left) == (2, 0)
    assert scores(any_database, dataset_id) == shown
    check(any_database, dataset_id)
    with any_database.read() as session:
        assert session.get(ScoringRun, run_id) is None
    work(any_settings, any_database, merge(any_database, dataset_id, "a", "b"))
    with any_database.read() as session:
        names = labels_at(session, versions.get(session, during))
    assert list(names.values()) == ["a", "b", "c"], "it was frozen before the label was gone"


def test_rows_chosen_meanwhile_are_moved_too(
    any_settings: Settings, any_database: Database, dataset_id: int
) -> None:
    """Somebody chooses the label for a row that the merge has passed already."""
    batch = merge(any_database, dataset_id, "b", "c")
    with any_database.write() as session:
        taken = runs.begin(session, Batch, batch.id)
    assert taken is not None
    with any_database.write() as session:
        relabelling.move_chunk(session, taken, relabelling.rows_left(session, taken), actor=LOCAL)
    decide(any_database, dataset_id, "r1", Verdict.OVERRIDE, "b")
    done = work(any_settings, any_database, batch)
    assert done.rows_changed == 3
    with any_database.read() as session:
        assert label_names(session, dataset_id)["r1"] == ("a", "c")
    check(any_database, dataset_id)


def test_merging_on(any_settings: Settings, any_database: Database, dataset_id: int) -> None:
    first = work(any_settings, any_database, merge(any_database, dataset_id, "a", "b"))
    second = work(any_settings, any_database, merge(any_database, dataset_id, "b", "c"))
    check(any_database, dataset_id)
    with any_database.read() as session:
        classes = datasets.class_ids(session, dataset_id)
        label_a, label_b, label_c = (label_of(session, dataset_id, name).id for name in "abc")
    assert classes == {label_a: label_c, label_b: label_c}
    with any_database.write() as session, pytest.raises(Conflict, match="b was itself merged"):
        batches.request_undo(session, first.id, actor=LOCAL)
    undo(any_settings, any_database, second)
    undo(any_settings, any_database, first)
    check(any_database, dataset_id)
    with any_database.read() as session:
        assert label_names(session, dataset_id)["r1"] == ("a", "a")


def test_without_scores(any_settings: Settings, any_database: Database) -> None:
    dataset_id = make_dataset(any_database, rows=ROWS, scored=False)
    batch = work(any_settings, any_database, merge(any_database, dataset_id, "a", "b"))
    assert batch.rows_changed == 3
    undo(any_settings, any_database, batch)
    check(any_database, dataset_id)


def test_a_split_moves_the_rows_of_a_filter(
    any_settings: Settings, any_database: Database, dataset_id: int
) -> None:
    decide(any_database, dataset_id, "r5", Verdict.KEEP)
    with any_database.read() as session:
        rows = label_names(session, dataset_id)
        dataset = datasets.get(session, dataset_id)
        choices = SplitChoices(
            label_of(session, dataset_id, "a").id, QueueFilter(Preset.ALL, None, search="more")
        )
        plan = relabelling.preview_split(session, dataset, choices)
    assert (plan.rows, plan.decided, plan.left) == (1, 1, 2)
    assert [row.example.external_id for row in plan.sample] == ["r1"]
    shown = scores(any_database, dataset_id)
    batch = split(any_database, dataset_id, "a", "c", filter=QueueFilter(Preset.ALL, None, search="more"))
    done = work(any_settings, any_database, batch)
    check(any_database, dataset_id)
    with any_database.read() as session:
        now = label_names(session, dataset_id)
    assert done.rows_changed == 1
    assert now == rows | {"r1": ("c", "c")}
    assert scores(any_database, dataset_id) == shown | {"r1": ("c", *shown["r1"][1:])}
    undo(any_settings, any_database, done)
    check(any_database, dataset_id)
    with any_database.read() as session:
        assert label_names(session, dataset_id) == rows


def test_a_split_asked_to_takes_decided_rows_along(
    any_settings: Settings, any_database: Database, dataset_id: int
) -> None:
    decide(any_database, dataset_id, "r5", Verdict.KEEP)
    version_id = freeze(any_database, dataset_id)
    work(any_settings, any_database, split(any_database, dataset_id, "a", "c", with_decided=True))
    with any_database.read() as session:
        kept = example_of(session, dataset_id, "r5")
        assert (kept.state, kept.decided_by_id) == (ExampleState.KEPT, LOCAL.user_id)
        assert label_names(session, dataset_id)["r5"] == ("c", "c")
    assert ("r5", "a") in export(any_database, version_id, Variant.CORRECTED)
    check(any_database, dataset_id)


def test_rows_without_a_label_are_given_one(
    any_settings: Settings, any_database: Database, dataset_id: int
) -> None:
    batch = work(any_settings, any_database, split(any_database, dataset_id, None, "c"))
    with any_database.read() as session:
        assert label_names(session, dataset_id)["r8"] == ("c", "c")
    check(any_database, dataset_id)
    assert ("r8", None) in export(any_database, freeze(any_database, dataset_id), Variant.ORIGINAL)
    undo(any_settings, any_database, batch)
    with any_database.read() as session:
        assert label_names(session, dataset_id)["r8"] == (None, None)


def test_preview_of_a_merge(any_database: Database, dataset_id: int) -> None:
    decide(any_database, dataset_id, "r5", Verdict.KEEP)
    label_id, into_id = ids(any_database, dataset_id, "a", "b")
    with any_database.read() as session:
        plan = relabelling.preview_merge(session, datasets.get(session, dataset_id), label_id, into_id)
    assert (plan.given, plan.current, plan.decided, plan.suggested, plan.settled) == (3, 3, 1, 4, 2)


def test_refusals(any_database: Database, dataset_id: int, ann: Actor) -> None:
    label_id, into_id = ids(any_database, dataset_id, "a", "b")
    with any_database.write() as session:
        with pytest.raises(Forbidden):
            relabelling.request_merge(session, dataset_id, label_id, into_id, actor=ann)
        with pytest.raises(InvalidInput, match="into itself"):
            relabelling.request_merge(session, dataset_id, label_id, label_id, actor=LOCAL)
        with pytest.raises(NotFound, match="no label 999"):
            relabelling.request_merge(session, dataset_id, label_id, 999, actor=LOCAL)
        nothing = SplitChoices(label_id, QueueFilter(Preset.ALL, None, search="nowhere"))
        with pytest.raises(InvalidInput, match="No row fits"):
            relabelling.request_split(session, dataset_id, nothing, into_id, actor=LOCAL)
        with pytest.raises(InvalidInput, match="have that label already"):
            relabelling.request_split(session, dataset_id, SplitChoices(label_id), label_id, actor=LOCAL)


def test_one_thing_at_a_time(any_settings: Settings, any_database: Database, dataset_id: int) -> None:
    usual = {"dataset_id": dataset_id, "state": RunState.RUNNING, "created_by_id": LOCAL.user_id}
    busy: list[tuple[ScoringRun | Import, str]] = [
        (ScoringRun(embedder="tfidf", **usual), "being scored"),
        (Import(dataset_name="x", file_name="x", path="x", **usual), "taking in a file"),
    ]
    for run, what in busy:
        with any_database.write() as session:
            session.add(run)
        with pytest.raises(Conflict, match=what):
            merge(any_database, dataset_id, "a", "b")
        with any_database.write() as session:
            session.add(run)
            run.state = RunState.FAILED
    batch = merge(any_database, dataset_id, "a", "b")
    with pytest.raises(Conflict, match=f"by local, batch {batch.id},"):
        merge(any_database, dataset_id, "b", "c")
    with any_database.write() as session, pytest.raises(Conflict, match="are changing"):
        scoring.request(session, dataset_id, embedder="tfidf", actor=LOCAL)
    work(any_settings, any_database, batch)
    with pytest.raises(Conflict, match="a was merged into b in the meantime"):
        merge(any_database, dataset_id, "a", "c")


def test_undone_verdicts_after_a_merge(
    any_settings: Settings, any_database: Database, dataset_id: int
) -> None:
    """A verdict given after a merge is taken back to what the merge left, with whoever stood behind it."""
    decide(any_database, dataset_id, "r5", Verdict.KEEP)
    work(any_settings, any_database, merge(any_database, dataset_id, "a", "b"))
    decide(any_database, dataset_id, "r5", Verdict.OVERRIDE, "c")
    decide(any_database, dataset_id, "r1", Verdict.OVERRIDE, "c")
    with any_database.write() as session:
        decisions.undo(session, dataset_id, actor=LOCAL)
        decisions.undo(session, dataset_id, actor=LOCAL)
        kept = example_of(session, dataset_id, "r5")
        assert (kept.state, kept.decided_by_id) == (ExampleState.KEPT, LOCAL.user_id)
        assert label_names(session, dataset_id)["r1"] == ("b", "b")
    check(any_database, dataset_id)
    with any_database.read() as session:
        counted = session.scalar(sa.select(sa.func.count()).select_from(Decision))
        label = label_of(session, dataset_id, "a")
        assert (label.given_count, label.current_count) == (0, 0)
    assert counted == 1 + 3 + 2 + 2
    with pytest.raises(InvalidInput, match="Choose one of the labels of Requests"):
        decide(any_database, dataset_id, "r6", Verdict.OVERRIDE, "a")
