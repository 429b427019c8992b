"""Samples: rows drawn at random, to look at or to review first."""

import random

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import events
from app.actor import Actor, Role
from app.errors import InvalidInput, NotFound
from app.languages import _
from app.models.datasets import Dataset
from app.models.samples import Purpose, Sample, SampleRow
from app.services import datasets
from app.services.bounding.autofix_rows import Fixed, Rule
from app.services.ranking.queue_filter import QueueFilter

SIZE = 20
# Products of two numbers below this prime fit into 64 bits on both databases.
PRIME = 2**31 - 1


def draw(session: Session, ids: sa.Select[int], *, count: int, seed: int) -> list[int]:
    """Return some of a query's ids at random; the same for the same seed, and without loading the others."""
    found = ids.order_by(None).subquery()
    query = sa.select(found.c.id).order_by(_scrambled(found.c.id, seed), found.c.id).limit(count)
    return list(session.scalars(query))


def _scrambled(number: sa.ColumnElement[int], seed: int) -> sa.ColumnElement[int]:
    """Spread numbers in an order that has nothing to do with theirs: two steps of modular arithmetic."""
    rng = random.Random(seed)  # noqa: S311 — a sample to look at
    first, second, third = (sa.literal(rng.randrange(1, PRIME), sa.BigInteger) for _ in range(3))
    once = (number % PRIME * first + second) % PRIME
    squared = once * once % PRIME
    return (squared * third + once) % PRIME


def create(
    session: Session,
    dataset: Dataset,
    queue_filter: QueueFilter,
    rule: Rule,
    ids: sa.Select[int],
    *,
    actor: Actor,
) -> Sample:
    """Draw rows that a rule would change and keep them, to be reviewed before the rule is applied."""
    actor.require(Role.ANNOTATOR, dataset)
    drawn = draw(session, ids, count=SIZE, seed=random.SystemRandom().randrange(2**31))
    if not drawn:
        raise InvalidInput(_("The rule changes no row here, so there is none to review."))
    sample = Sample(
        dataset_id=dataset.id,
        run_id=dataset.current_run_id or 0,
        rule=rule.to_json(),
        filter=queue_filter.to_json(),
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


def get(session: Session, dataset_id: int, sample_id: int) -> Sample:
    """Return a sample of a dataset."""
    datasets.get(session, dataset_id)
    sample = session.get(Sample, sample_id)
    if sample is None or sample.dataset_id != dataset_id:
        raise NotFound(_("There is no sample %(sample_id)s in this dataset.", sample_id=sample_id))
    return sample


def drawn_for(session: Session, dataset: Dataset, queue_filter: QueueFilter, rule: Rule) -> set[int]:
    """Return the rows of samples that were drawn from just such rows: what they show is unbiased."""
    found = session.scalars(
        sa.select(Sample).where(
            Sample.dataset_id == dataset.id,
            Sample.run_id == dataset.current_run_id,
            Sample.purpose == Purpose.RULE,
        )
    )
    same = [one.id for one in found if _is_same(one, queue_filter, rule)]
    rows = sa.select(SampleRow.example_id).where(SampleRow.sample_id.in_(same))
    return set(session.scalars(rows)) if same else set()


def _is_same(sample: Sample, queue_filter: QueueFilter, rule: Rule) -> bool:
    drawn = Rule.from_json(sample.rule)
    # The last of the worst rows moves on with every decision; the rows before it are the same.
    is_same_rule = (drawn.kind, drawn.value) == (rule.kind, rule.value)
    is_same_advice = _advice(drawn.fixed) == _advice(rule.fixed)
    return is_same_rule and is_same_advice and sample.filter == queue_filter.to_json()


def _advice(fixed: Fixed | None) -> tuple[object, ...] | None:
    return (fixed.minimum, fixed.keeps_recommended, fixed.unlabelled) if fixed else None
