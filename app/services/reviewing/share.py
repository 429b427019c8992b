"""The share of right labels, estimated from rows drawn at random from all that nobody has decided."""

import random
from collections import Counter as Tally
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import events
from app.actor import Actor, Role
from app.errors import InvalidInput
from app.languages import _
from app.models.columns import Split
from app.models.datasets import Dataset
from app.models.examples import Example, ExampleState
from app.models.review import Decision
from app.models.samples import Purpose, Sample, SampleRow
from app.models.scoring import Score
from app.science.share import Share, Stratum, share_right
from app.services import datasets
from app.services.reviewing import samples

LEAST, MOST = 20, 1000
MOST_SAMPLES = 20
"""Newest samples that are looked at."""
UNDECIDED = (ExampleState.OPEN, ExampleState.AUTO_FIXED)


@dataclass(frozen=True)
class SampleState:
    """The newest sample: how many of its rows are still to be decided, and how many were changed in bulk."""

    sample: Sample
    open_rows: int
    auto_fixed_rows: int

    @property
    def left(self) -> int:
        return self.open_rows + self.auto_fixed_rows


@dataclass(frozen=True)
class ShareNow:
    """What is known of the share of right labels in the train split.

    `estimate` is missing while no sample is reviewed whole. `unsampled` rows are of a kind that no sample
    holds, as those are that an auto-fix has changed since: nothing is known of them.
    """

    estimate: Share | None
    newest: SampleState | None
    reviewed: int
    decided: int
    rows: int
    unsampled: int


def draw(session: Session, dataset_id: int, *, size: int, actor: Actor) -> Sample:
    """Draw train rows at random from those that no person has decided, and keep them to be reviewed."""
    dataset = datasets.get(session, dataset_id)
    actor.require(Role.ANNOTATOR, dataset)
    if not LEAST <= size <= MOST:
        raise InvalidInput(_("A sample has %(least)s to %(most)s rows.", least=LEAST, most=MOST))
    if dataset.current_run_id is None:
        raise InvalidInput(_("%(dataset)s has no scores yet: find label issues first.", dataset=dataset.name))
    # Rows without a label, and those the run has not seen, stand behind all others.
    ids = sa.select(Score.example_id.label("id")).where(
        Score.run_id == dataset.current_run_id,
        Score.split == Split.TRAIN,
        Score.state.in_(UNDECIDED),
        Score.rank_key <= 1,
    )
    drawn = samples.draw(session, ids, count=size, seed=random.SystemRandom().randrange(2**31))
    if not drawn:
        raise InvalidInput(_("Every train row is decided: there is none to draw."))
    sample = Sample(
        dataset_id=dataset.id,
        purpose=Purpose.SHARE,
        run_id=dataset.current_run_id,
        rows=len(drawn),
        created_by_id=actor.user_id,
    )
    session.add(sample)
    session.flush()
    rows = [{"sample_id": sample.id, "example_id": example_id} for example_id in drawn]
    session.execute(sa.insert(SampleRow), rows)
    events.record(
        session, "review.sampled", actor=actor, dataset_id=dataset.id, subject_id=sample.id, new=len(drawn)
    )
    return sample


def share_now(session: Session, dataset: Dataset, train: datasets.Counts) -> ShareNow:
    """Estimate the share of right labels; `train` are the counters of the train split."""
    drawn = session.scalars(
        sa.select(Sample)
        .where(Sample.dataset_id == dataset.id, Sample.purpose == Purpose.SHARE)
        .order_by(Sample.id.desc())
        .limit(MOST_SAMPLES)
    ).all()
    states = [_state(session, sample) for sample in drawn]
    whole = [state.sample for state in states if not state.left]
    seen = _seen(session, dataset, whole)
    decided = max(train.resolved - train.auto_fixed - train.excluded, 0)
    strata = _strata(train, decided, seen)
    is_known = whole or not any(stratum.rows for stratum in strata)
    found = share_right(decided, strata) if is_known else None
    return ShareNow(
        estimate=found,
        newest=states[0] if states else None,
        reviewed=sum(seen.values()),
        decided=decided,
        rows=decided + sum(stratum.rows for stratum in strata),
        unsampled=sum(one.rows for one in strata if not one.right + one.wrong),
    )


def _state(session: Session, sample: Sample) -> SampleState:
    """Count what is left of a sample: one that is reviewed in part says nothing, as the worst come first."""
    found = session.execute(
        sa.select(Example.state, sa.func.count())
        .join(SampleRow, SampleRow.example_id == Example.id)
        .where(SampleRow.sample_id == sample.id)
        .group_by(Example.state)
    )
    counts = dict(found.all())
    return SampleState(sample, *(counts.get(state, 0) for state in UNDECIDED))


_Kind = tuple[ExampleState, bool]
"""What a row was before a person decided it: open or changed in bulk, and whether it was flagged."""


def _seen(session: Session, dataset: Dataset, whole: Sequence[Sample]) -> Tally[tuple[_Kind, bool]]:
    """Count the rows of samples by what they were before and whether their label was right then."""
    seen: Tally[tuple[_Kind, bool]] = Tally()
    classes = datasets.class_ids(session, dataset.id)  # a label may have been merged since
    final = (ExampleState.KEPT, ExampleState.ACCEPTED, ExampleState.OVERRIDDEN)
    for sample in whole:
        first = (
            sa.select(sa.func.min(Decision.id))
            .where(
                Decision.example_id == SampleRow.example_id,
                Decision.batch_id.is_(None),
                Decision.undoes_id.is_(None),
                Decision.created_at >= sample.created_at,
            )
            .correlate(SampleRow)
            .scalar_subquery()
        )
        rows = session.execute(
            sa.select(Decision.old_state, Score.is_issue, Decision.old_label_id, Example.label_id)
            .select_from(SampleRow)
            .join(Example, Example.id == SampleRow.example_id)
            .join(Decision, Decision.id == first)
            .join(Score, (Score.example_id == Example.id) & (Score.run_id == dataset.current_run_id))
            .where(SampleRow.sample_id == sample.id, Example.state.in_(final))
        )
        for state, is_issue, old, label in rows:
            if state in UNDECIDED:
                seen[
                    (state, is_issue and state is ExampleState.OPEN), classes.get(old or 0, old) == label
                ] += 1
    return seen


def _strata(train: datasets.Counts, decided: int, seen: Tally[tuple[_Kind, bool]]) -> list[Stratum]:
    rest = train.train - train.unlabelled - train.excluded - decided - train.auto_fixed - train.open_issues
    sizes: dict[_Kind, int] = {
        (ExampleState.OPEN, True): train.open_issues,
        (ExampleState.OPEN, False): max(rest, 0),
        (ExampleState.AUTO_FIXED, False): train.auto_fixed,
    }
    return [Stratum(rows, seen[kind, True], seen[kind, False]) for kind, rows in sizes.items()]
