"""Samples: drawn evenly, reviewed first, and what they say of the rest."""

from collections import Counter as Tally

import numpy as np
import pytest
import sqlalchemy as sa

from app.actor import LOCAL, Actor
from app.db import Database
from app.errors import Forbidden, InvalidInput, NotFound
from app.models import Example, SampleRow
from app.models.examples import ExampleState
from app.models.review import Verdict
from app.services import datasets
from app.services.bounding import autofix
from app.services.bounding.autofix import Rule, RuleKind
from app.services.ranking.queue_filter import Preset, QueueFilter
from app.services.reviewing import decisions, review, samples
from tests.factories import Row, make_dataset
from tests.services.checking import check, event_names, example_of

ALL = Rule(RuleKind.ALL)
ROWS = [Row(f"text {at}", "a" if at % 3 else "c", "b", at / 200) for at in range(60)]


@pytest.fixture
def dataset_id(any_database: Database) -> int:
    return make_dataset(any_database, rows=ROWS)


def decide(database: Database, dataset_id: int, name: str, verdict: Verdict) -> None:
    with database.write() as session:
        row = example_of(session, dataset_id, name)
        decisions.decide(session, dataset_id, row.id, verdict, version=row.version, actor=LOCAL)


def previewed(database: Database, dataset_id: int, rule: Rule = ALL) -> autofix.AutofixPreview:
    with database.read() as session:
        return autofix.preview(session, datasets.get(session, dataset_id), QueueFilter(), rule)


def test_every_row_is_drawn_as_often_as_another(database: Database) -> None:
    dataset_id = make_dataset(database, rows=ROWS)
    tally: Tally[int] = Tally()
    with database.read() as session:
        ids = sa.select(Example.id).where(Example.dataset_id == dataset_id)
        for seed in range(600):
            drawn = samples.draw(session, ids, count=10, seed=seed)
            assert len(set(drawn)) == 10
            tally.update(drawn)
        assert samples.draw(session, ids, count=10, seed=1) == samples.draw(session, ids, count=10, seed=1)
        assert samples.draw(session, ids, count=10, seed=1) != samples.draw(session, ids, count=10, seed=2)
        assert len(samples.draw(session, ids, count=99, seed=0)) == 60
    counts = np.array(list(tally.values()))
    assert len(counts) == 60
    chi_squared = ((counts - 100) ** 2 / 100).sum() / (1 - 10 / 60)
    assert chi_squared < 100  # 59 degrees of freedom: one in a thousand draws is above 98


def test_a_sample_is_a_queue_of_its_own_and_sharpens_the_estimate(
    any_database: Database, dataset_id: int, ann: Actor
) -> None:
    before = previewed(any_database, dataset_id)
    assert before.evidence is not None
    assert (before.rows, before.evidence.estimate.reviewed, before.gain) == (60, 0, None)
    assert before.doubled == ["b"]
    with any_database.write() as session:
        drawn = autofix.sample(session, dataset_id, QueueFilter(), ALL, actor=ann)
        assert drawn.rows == samples.SIZE
        assert event_names(session, dataset_id)[-1] == "review.sampled"
    queue = QueueFilter(preset=Preset.ALL, state=ExampleState.OPEN, sample=drawn.id)
    with any_database.read() as session:
        dataset = datasets.get(session, dataset_id)
        names = [row.example.external_id for row in review.list_queue(session, dataset, queue).rows]
    assert len(names) == samples.SIZE
    for at, name in enumerate(names):
        decide(any_database, dataset_id, name, Verdict.KEEP if at % 4 == 0 else Verdict.ACCEPT)
    after = previewed(any_database, dataset_id)
    assert after.evidence is not None
    assert after.gain is not None
    found = after.evidence.estimate
    assert (after.rows, found.reviewed, after.evidence.drawn) == (40, 20, 20)
    assert found.precision_low < 0.75 < found.precision_high
    assert found.precision_high - found.precision_low < 0.4
    assert after.gain[0] == round(found.gain * 40) > 0
    check(any_database, dataset_id)
    other = previewed(any_database, dataset_id, Rule(RuleKind.MIN_CONFIDENCE, 0.7))
    assert other.evidence is not None
    assert other.evidence.drawn == 0, "drawn for another rule: only alike rows count, by bands"


def test_people_who_took_the_worst_first_say_nothing_of_the_rest(
    any_database: Database, dataset_id: int
) -> None:
    for at in range(1, 11):
        decide(any_database, dataset_id, f"r{at}", Verdict.ACCEPT)
    decide(any_database, dataset_id, "r11", Verdict.EXCLUDE)
    seen = previewed(any_database, dataset_id)
    assert (seen.protected.decided, seen.protected.excluded) == (10, 1)
    assert seen.evidence is not None
    assert (seen.evidence.estimate.reviewed, seen.evidence.estimate.aside) == (0, 10)


def test_decisions_change_what_is_recommended(any_database: Database) -> None:
    """Ten recommended rows are found wrong: the other ten are recommended no longer."""
    rows = [Row(f"text {at}", "a", "b", 0.05 + at / 1000) for at in range(20)]
    dataset_id = make_dataset(any_database, rows=[*rows, Row("other", "b")])
    recommended = previewed(any_database, dataset_id, Rule())
    assert (recommended.rows, recommended.expected_precision) == (20, 0.8)
    for at in range(1, 20, 2):
        decide(any_database, dataset_id, f"r{at}", Verdict.KEEP)
    withdrawn = previewed(any_database, dataset_id, Rule())
    assert (withdrawn.rows, withdrawn.expected_precision, withdrawn.evidence) == (0, None, None)
    assert "no longer recommended" in withdrawn.advice
    with any_database.write() as session:
        batch = autofix.request(session, dataset_id, QueueFilter(), Rule(), actor=LOCAL)
        assert batch.total == 0


def test_decisions_extend_what_is_recommended(any_database: Database) -> None:
    rows = [Row(f"text {at}", "a", "b", 0.11 + at / 1000) for at in range(80)]
    dataset_id = make_dataset(any_database, rows=[*rows, Row("other", "b")])
    assert previewed(any_database, dataset_id, Rule()).rows == 0
    for at in range(1, 80, 2):
        decide(any_database, dataset_id, f"r{at}", Verdict.ACCEPT)
    extended = previewed(any_database, dataset_id, Rule())
    assert extended.rows == 40
    assert extended.rule.fixed is not None
    assert extended.rule.fixed.minimum == 0
    assert "reviewed rows, suggestions of any confidence are right" in extended.advice
    with any_database.write() as session:
        batch = autofix.request(session, dataset_id, QueueFilter(), Rule(), actor=LOCAL)
        assert (batch.total, batch.rule["fixed"]["minimum"]) == (40, 0)


def test_who_may_and_where(any_database: Database, dataset_id: int, viewer: Actor) -> None:
    with any_database.write() as session, pytest.raises(Forbidden):
        autofix.sample(session, dataset_id, QueueFilter(), ALL, actor=viewer)
    with any_database.write() as session, pytest.raises(InvalidInput, match="changes no row here"):
        autofix.sample(session, dataset_id, QueueFilter(search="nowhere"), ALL, actor=LOCAL)
    with any_database.write() as session:
        drawn = autofix.sample(session, dataset_id, QueueFilter(), Rule(RuleKind.TOP, 3), actor=LOCAL)
        kept = session.scalars(sa.select(SampleRow.example_id).where(SampleRow.sample_id == drawn.id))
        assert sorted(kept) == sorted(example_of(session, dataset_id, f"r{at}").id for at in (1, 2, 3))
        assert samples.get(session, dataset_id, drawn.id) is drawn
        with pytest.raises(NotFound, match="There is no sample 99"):
            samples.get(session, dataset_id, 99)
    other = make_dataset(any_database, name="Other")
    with any_database.read() as session, pytest.raises(NotFound):
        samples.get(session, other, drawn.id)
