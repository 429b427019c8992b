"""What the overview counts: open pairs, progress, the share of right labels, what auto-fix would do now."""

import datetime as dt

import pytest

from app.actor import LOCAL, Actor, Role
from app.db import Database, now
from app.errors import Forbidden, InvalidInput
from app.models import Label, Progress, SampleRow, ScoringRun
from app.models.columns import Split
from app.models.review import Verdict
from app.services import datasets
from app.services.bounding import advice, autofix
from app.services.bounding.autofix import Rule, RuleKind
from app.services.finding import scoring
from app.services.ranking.queue_filter import Preset, QueueFilter
from app.services.reviewing import overview, progress, share
from tests.factories import ROWS, Row, make_dataset, make_user
from tests.services.checking import check, example_of
from tests.services.test_autofix import decide, fixed, request, run, undo

UNLABELLED = QueueFilter(preset=Preset.UNLABELLED)


def of(
    database: Database, dataset_id: int
) -> tuple[list[tuple[str, str, int, int]], dict[str, tuple[int, int]]]:
    """Return the open pairs with their recommended rows, and each class's open and resolved rows."""
    with database.read() as session:
        dataset = datasets.get(session, dataset_id)
        pairs = overview.pair_rows(session, dataset)
        classes = overview.class_rows(session, dataset, scoring.current(session, dataset), pairs)
        return (
            [(pair.given.name, pair.suggested.name, pair.rows, pair.recommended) for pair in pairs],
            {row.label.name: (row.open_issues, row.resolved) for row in classes},
        )


def test_pairs_and_classes_follow_what_is_decided(any_database: Database) -> None:
    made = make_dataset(any_database, rows=ROWS)
    pairs, classes = of(any_database, made)
    assert pairs == [
        ("fault", "question", 1, 0),
        ("fault", "refund", 1, 0),
        ("order", "fault", 1, 1),
        ("order", "refund", 1, 1),
        ("refund", "order", 1, 1),
    ]
    assert classes["fault"] == (2, 0)
    decide(any_database, made, "r4", Verdict.ACCEPT)
    decide(any_database, made, "r1", Verdict.NEEDS_REVIEW)
    decide(any_database, made, "r10", Verdict.KEEP)  # a test row counts for no class
    pairs, classes = of(any_database, made)
    assert [pair[:2] for pair in pairs] == [("fault", "refund"), ("order", "fault"), ("order", "refund")]
    assert classes == {"fault": (1, 1), "order": (2, 0), "question": (0, 0), "refund": (0, 0)}
    check(any_database, made)


def test_progress_is_by_person_and_by_hand_or_in_bulk(any_database: Database, ann: Actor) -> None:
    made = make_dataset(any_database, rows=ROWS)
    decide(any_database, made, "r4", Verdict.ACCEPT, ann)
    decide(any_database, made, "r5", Verdict.EXCLUDE)
    decide(any_database, made, "r6", Verdict.NEEDS_REVIEW)
    batch = run(any_database, request(any_database, made, Rule()))

    def seen() -> tuple[list[tuple[str, int, int]], tuple[int, int]]:
        with any_database.read() as session:
            dataset = datasets.get(session, made)
            people = [(one.name, one.by_hand, one.in_bulk) for one in progress.people(session, dataset)]
            last = progress.course(session, dataset).moments[-1]
            return people, (last.by_hand, last.in_bulk)

    assert seen() == ([("local", 1, 3), ("Ann", 1, 0)], (2, 3))
    undo(any_database, batch.id)
    assert seen() == ([("Ann", 1, 0), ("local", 1, 0)], (2, 0))
    check(any_database, made)


def test_an_old_review_is_told_by_days(any_database: Database) -> None:
    made = make_dataset(any_database)
    begun = dt.datetime(2026, 1, 1, 7, tzinfo=dt.UTC)
    with any_database.write() as session:
        for hours, in_bulk, resolved in ((0, False, 5), (3, True, 7), (30, False, -1)):
            hour = begun + dt.timedelta(hours=hours)
            values = {"user_id": LOCAL.user_id, "in_bulk": in_bulk, "resolved": resolved}
            session.add(Progress(dataset_id=made, hour=hour, **values))
    with any_database.read() as session:
        dataset = datasets.get(session, made)
        recent = progress.course(session, dataset, at=begun + dt.timedelta(hours=72))
        assert recent.is_hourly
        assert [(one.by_hand, one.in_bulk) for one in recent.moments] == [(5, 0), (5, 7), (4, 7)]
        old = progress.course(session, dataset, at=now())
        assert not old.is_hourly
        assert [(one.begins_at.day, one.by_hand, one.in_bulk) for one in old.moments] == [
            (1, 5, 7),
            (2, 4, 7),
        ]
        assert old.moments[0].begins_at.hour == 0


def share_of(database: Database, dataset_id: int) -> share.ShareNow:
    with database.read() as session:
        dataset = datasets.get(session, dataset_id)
        return share.share_now(session, dataset, datasets.counts(session, dataset_id, split=Split.TRAIN))


def test_the_share_of_right_labels(any_database: Database) -> None:
    """Forty rows, eight flagged, of which half are wrong: 36 of 40 are right."""
    rows = [Row(f"t{at}", "a", "b" if at < 8 else "a", at / 100) for at in range(40)]
    rows += [Row("test", "b", split=Split.TEST), Row("no label", None, "b")]
    made = make_dataset(any_database, rows=rows)
    assert share_of(any_database, made).estimate is None
    with any_database.write() as session:
        sample = share.draw(session, made, size=20, actor=LOCAL)
        assert sample.rows == 20
    decided = 0
    for at in range(40):
        name = f"r{at + 1}"
        state = share_of(any_database, made)
        assert state.newest is not None
        if not state.newest.left:
            break
        with any_database.read() as session:
            row_id = example_of(session, made, name).id
            is_drawn = session.get(SampleRow, (sample.id, row_id)) is not None
        if is_drawn:
            assert state.estimate is None, "a part of a sample says nothing: the worst rows come first"
            decide(any_database, made, name, Verdict.ACCEPT if at < 4 else Verdict.KEEP)
            decided += 1
    assert decided == 20
    found = share_of(any_database, made)
    assert (found.reviewed, found.decided, found.rows) == (20, 20, 40)
    assert found.estimate is not None
    assert found.estimate.low < found.estimate.share < found.estimate.high <= 1


def test_rows_changed_in_bulk_since_are_unknown(any_database: Database) -> None:
    rows = [Row(f"t{at}", "a", "b" if at < 10 else "a", at / 100) for at in range(60)]
    made = make_dataset(any_database, rows=rows)
    with any_database.write() as session:
        sample = share.draw(session, made, size=50, actor=LOCAL)
    with any_database.read() as session:
        drawn = [
            f"r{at}" for at in range(1, 61)
            if session.get(SampleRow, (sample.id, example_of(session, made, f"r{at}").id))
        ]  # fmt: skip
    for name in drawn:
        decide(any_database, made, name, Verdict.KEEP)
    before = share_of(any_database, made)
    assert before.estimate is not None
    changed = run(any_database, request(any_database, made, Rule(RuleKind.ALL))).rows_changed
    after = share_of(any_database, made)
    assert after.unsampled == changed
    assert after.estimate is not None
    assert after.estimate.high - after.estimate.low >= before.estimate.high - before.estimate.low


@pytest.mark.parametrize("size", [19, 1001, -1])
def test_samples_have_bounds(database: Database, size: int) -> None:
    made = make_dataset(database)
    with database.write() as session, pytest.raises(InvalidInput, match="20 to 1000"):
        share.draw(session, made, size=size, actor=LOCAL)


def test_nothing_can_be_drawn(database: Database) -> None:
    unscored = make_dataset(database, name="Fresh", scored=False)
    with database.write() as session, pytest.raises(InvalidInput, match="no scores yet"):
        share.draw(session, unscored, size=20, actor=LOCAL)
    made = make_dataset(database, rows=[Row("one", "a")])
    decide(database, made, "r1", Verdict.KEEP)
    with database.write() as session, pytest.raises(InvalidInput, match="is decided"):
        share.draw(session, made, size=20, actor=LOCAL)


def test_viewers_draw_nothing(database: Database) -> None:
    made = make_dataset(database)
    viewer = make_user(database, "vera", Role.VIEWER)
    with database.write() as session, pytest.raises(Forbidden):
        share.draw(session, made, size=20, actor=viewer)


def advised(database: Database, dataset_id: int) -> advice.Advised:
    with database.read() as session:
        dataset = datasets.get(session, dataset_id)
        run_ = session.get_one(ScoringRun, dataset.current_run_id)
        pairs = overview.pair_rows(session, dataset)
        train = datasets.counts(session, dataset_id, split=Split.TRAIN)
        recommended = sum(pair.recommended for pair in pairs)
        return advice.advised(session, dataset, run_, open_issues=train.open_issues, recommended=recommended)


def test_advice_counts_what_is_open_now(any_database: Database) -> None:
    rows = [Row(f"t{at}", "a", "b", at / 200) for at in range(40)]
    made = make_dataset(any_database, rows=rows)
    assert advised(any_database, made).rows == 20
    decide(any_database, made, "r1", Verdict.KEEP)
    assert advised(any_database, made).rows == 19
    for at in range(2, 13):
        decide(any_database, made, f"r{at}", Verdict.KEEP)
    found = advised(any_database, made)
    assert found.rows == 0, "people found the recommended rows right as they were"
    assert "no longer recommended" in found.reason
    with any_database.read() as session:
        seen = autofix.preview(session, datasets.get(session, made), QueueFilter(), Rule())
    assert seen.rows == found.rows


def test_rows_by_the_probability_of_their_suggestion(any_database: Database) -> None:
    rows = [Row("a", "a", "b", 0.0), Row("b", "a", "b", 0.02), Row("c", "a", "b", 0.4), Row("d", "b")]
    made = make_dataset(any_database, rows=rows)
    with any_database.read() as session:
        counts = advice.by_confidence(session, datasets.get(session, made), QueueFilter())
    assert len(counts) == 20
    assert (counts[0], counts[10], counts[12], counts[18]) == (3, 3, 2, 2)


def test_rows_without_a_label_are_labelled_within_a_bound(any_database: Database) -> None:
    rows = [Row("one", "a"), Row("two", "b"), Row("sure", None, "b", 0.96), Row("unsure", None, "b", 0.6)]
    made = make_dataset(any_database, rows=rows)
    with any_database.read() as session:
        seen = autofix.preview(session, datasets.get(session, made), UNLABELLED, Rule())
        assert (seen.rows, seen.rule.fixed and seen.rule.fixed.unlabelled) == (1, 0.95)
        assert "97%" in seen.advice
        usual = autofix.preview(session, datasets.get(session, made), QueueFilter(), Rule())
        assert usual.rows == 0
    batch = run(any_database, request(any_database, made, Rule(), UNLABELLED))
    assert fixed(any_database, made) == ["r3"]
    check(any_database, made)
    undo(any_database, batch.id)
    assert fixed(any_database, made) == []
    check(any_database, made)


def test_scores_from_before_know_no_bound(any_database: Database) -> None:
    made = make_dataset(any_database, rows=[Row("one", "a"), Row("sure", None, "a", 0.96)])
    for agreement, words in (([[50] * 20, [5] * 20], "decide by hand"), (None, "score again")):
        with any_database.write() as session:
            run_ = session.query(ScoringRun).one()
            report = {name: value for name, value in run_.report.items() if name != "agreement"}
            run_.report = {**report, **({"agreement": agreement} if agreement else {})}
        with any_database.read() as session:
            seen = autofix.preview(session, datasets.get(session, made), UNLABELLED, Rule())
        assert seen.rows == 0
        assert words in seen.advice


def test_what_makes_scores_stale(any_database: Database) -> None:
    made = make_dataset(any_database)

    def stale() -> scoring.Staleness:
        with any_database.read() as session:
            dataset = datasets.get(session, made)
            current = scoring.current(session, dataset)
            assert current is not None
            return scoring.staleness(session, dataset, current)

    assert stale() == scoring.Staleness(has_new_rows=False, new_labels=[], decided=0)
    decide(any_database, made, "r1", Verdict.KEEP)
    assert (stale().decided, stale().is_stale) == (1, False)
    with any_database.write() as session:
        session.add(Label(dataset_id=made, name="new", import_seq=1))
    assert (stale().new_labels, stale().is_stale) == (["new"], True)
