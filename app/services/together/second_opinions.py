"""Second opinions: rows that another person decides blind, and settling what then differs."""

import random
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import events
from app.actor import Actor, Role
from app.db import now
from app.errors import Conflict, Forbidden, InvalidInput, NotFound
from app.languages import _
from app.models.datasets import Dataset
from app.models.examples import Example, ExampleState
from app.models.people import User
from app.models.review import Decision, Verdict
from app.models.scoring import Score
from app.models.together import OpinionState, SecondOpinion
from app.services import datasets
from app.services.ranking.queue_rows import QueueRow
from app.services.reviewing import decisions, review, samples
from app.services.together import blind, leases, opinions

MOST_DRAWN = 1000
MOST_COUNTED = 1000


@dataclass(frozen=True)
class Tally:
    """How many second opinions stand where."""

    waiting: int = 0
    agreed: int = 0
    disagreed: int = 0
    settled: int = 0
    withdrawn: int = 0


@dataclass(frozen=True)
class Side:
    """One of two opinions on a row."""

    name: str
    label_id: int | None
    label: str | None
    state: ExampleState
    note: str


@dataclass(frozen=True)
class Disagreement:
    """A row on which two people differ."""

    opinion: SecondOpinion
    row: QueueRow
    first: Side
    second: Side


def plan(
    session: Session,
    dataset_id: int,
    *,
    share: float,
    seed: int | None = None,
    already: int = 0,
    actor: Actor,
) -> int:
    """Choose which part of the rows that people decide from now on is decided twice; 0 ends that.

    `already` is how many rows that were decided before are drawn as well. Return how many there were.
    """
    dataset = datasets.get(session, dataset_id)
    actor.require(Role.LEAD, dataset)
    if not 0 <= share <= 1:
        raise InvalidInput(_("The share is from 0 to 100 percent."))
    if not 0 <= already <= MOST_DRAWN:
        raise InvalidInput(
            _("At most %(most_drawn)s decided rows are drawn at once.", most_drawn=f"{MOST_DRAWN:,}")
        )
    seed = random.SystemRandom().randrange(2**31) if seed is None else seed
    old = {"share": dataset.second_share, "seed": dataset.second_seed}
    dataset.second_share, dataset.second_seed = share, seed
    drawn = _draw(session, dataset, already, seed) if already else []
    dataset.has_second_opinions |= share > 0 or bool(drawn)
    new = {"share": share, "seed": seed, "drawn": len(drawn)}
    events.record(session, "second_opinion.planned", actor=actor, dataset_id=dataset.id, old=old, new=new)
    return len(drawn)


def _draw(session: Session, dataset: Dataset, count: int, seed: int) -> list[int]:
    """Draw rows that a person has decided and that nobody was to decide again."""
    final = [state for state in ExampleState if state.is_resolved and state.is_human]
    ids = sa.select(Example.id.label("id")).where(
        Example.dataset_id == dataset.id,
        Example.decided_by_id.is_not(None),
        Example.state.in_(final),
        ~sa.exists().where(SecondOpinion.example_id == Example.id),
    )
    drawn = samples.draw(session, ids, count=count, seed=seed)
    found = session.scalars(
        sa.select(Decision)
        .join(Example, Example.last_decision_id == Decision.id)
        .where(Example.id.in_(drawn), Decision.example_id == Example.id, Decision.batch_id.is_(None))
    ).all()
    session.add_all(opinions.wanted(decision) for decision in found)
    session.flush()
    return [decision.example_id for decision in found]


def tally(session: Session, dataset: Dataset) -> Tally:
    """Count a dataset's second opinions."""
    found = session.execute(
        sa.select(SecondOpinion.state, sa.func.count())
        .where(SecondOpinion.dataset_id == dataset.id)
        .group_by(SecondOpinion.state)
    )
    return Tally(**{state.value: count for state, count in found})


def count_waiting(session: Session, dataset: Dataset, *, actor: Actor) -> review.Matches:
    """Count the rows of which the actor may give a second opinion, but only so far as that is quick."""
    return _counted(session, _COUNT_WAITING, dataset, actor=actor)


def count_disagreed(session: Session, dataset: Dataset, *, actor: Actor) -> review.Matches:
    """Count the disagreements that the actor may settle, but only so far as that is quick."""
    is_lead = actor.may(Role.LEAD, dataset.id)
    return _counted(session, _COUNT_DISAGREED[is_lead], dataset, actor=actor)


def _counted(session: Session, count: sa.Select[int], dataset: Dataset, *, actor: Actor) -> review.Matches:
    if not dataset.has_second_opinions:
        return review.Matches(0, is_more=False)
    counted = session.scalar(count, {"dataset_id": dataset.id, "user_id": actor.user_id}) or 0
    return review.Matches(min(counted, MOST_COUNTED), is_more=counted > MOST_COUNTED)


def _waiting(dataset_id: Any, user_id: Any) -> sa.Select[int]:
    return sa.select(SecondOpinion.example_id).where(
        SecondOpinion.dataset_id == dataset_id,
        SecondOpinion.state == OpinionState.WAITING,
        SecondOpinion.first_user_id != user_id,
    )


def _disagreed(dataset_id: Any, user_id: Any, *, is_lead: bool) -> sa.Select[int]:
    found = sa.select(SecondOpinion.example_id).where(
        SecondOpinion.dataset_id == dataset_id, SecondOpinion.state == OpinionState.DISAGREED
    )
    if is_lead:
        return found
    return found.where(SecondOpinion.first_user_id != user_id, SecondOpinion.second_user_id != user_id)


def _count_of(ids: sa.Select[int]) -> sa.Select[int]:
    return sa.select(sa.func.count()).select_from(ids.limit(MOST_COUNTED + 1).subquery())


# Made once: every page of the review counts these.
_ASKED: tuple[Any, Any] = (sa.bindparam("dataset_id"), sa.bindparam("user_id"))
_COUNT_WAITING = _count_of(_waiting(*_ASKED))
_COUNT_DISAGREED = {is_lead: _count_of(_disagreed(*_ASKED, is_lead=is_lead)) for is_lead in (False, True)}


def _to_settle(dataset: Dataset, actor: Actor) -> sa.Select[int]:
    return _disagreed(dataset.id, actor.user_id, is_lead=actor.may(Role.LEAD, dataset.id))


def next_waiting(
    session: Session, dataset: Dataset, *, minutes: float, actor: Actor
) -> review.Resolver | None:
    """Hand out a row of which the actor is to give a second opinion."""
    row = _next(session, dataset, _waiting(dataset.id, actor.user_id), minutes=minutes, actor=actor)
    return _blind(session, dataset, row, actor=actor) if row else None


def _blind(session: Session, dataset: Dataset, row: QueueRow, *, actor: Actor) -> review.Resolver:
    return blind.veil_resolver(session, dataset, review.resolver(session, dataset, row), actor=actor)


def next_disagreement(
    session: Session, dataset: Dataset, *, minutes: float, actor: Actor
) -> Disagreement | None:
    """Hand out a row on which two people differ, for the actor to settle."""
    row = _next(session, dataset, _to_settle(dataset, actor), minutes=minutes, actor=actor)
    return disagreement(session, dataset, row.example.id) if row else None


def _next(
    session: Session, dataset: Dataset, ids: sa.Select[int], *, minutes: float, actor: Actor
) -> QueueRow | None:
    actor.require(Role.ANNOTATOR, dataset)

    def find(but: Collection[int] = (), most: int = 1) -> list[QueueRow]:
        free = ids.where(SecondOpinion.example_id.not_in(sorted(but))) if but else ids
        found = session.scalars(free.order_by(SecondOpinion.example_id).limit(most)).all()
        return review.get_rows(session, dataset, list(found))

    if not leases.are_needed(session, minutes=minutes, actor=actor):
        return next(iter(find()), None)
    return leases.hand_out(session, dataset, find, minutes=minutes, actor=actor)


def own_waiting(session: Session, dataset: Dataset, *, actor: Actor) -> review.Resolver | None:
    """Return the row that the actor has open for a second opinion, where there is one."""
    example_id = _own(session, dataset, _waiting(dataset.id, actor.user_id), actor=actor)
    if example_id is None:
        return None
    return _blind(session, dataset, review.get_row(session, dataset, example_id), actor=actor)


def own_disagreement(session: Session, dataset: Dataset, *, actor: Actor) -> Disagreement | None:
    """Return the disagreement that the actor has open, where there is one."""
    example_id = _own(session, dataset, _to_settle(dataset, actor), actor=actor)
    return disagreement(session, dataset, example_id) if example_id is not None else None


def _own(session: Session, dataset: Dataset, ids: sa.Select[int], *, actor: Actor) -> int | None:
    mine = leases.list_own(session, dataset.id, actor=actor)
    return session.scalar(ids.where(SecondOpinion.example_id.in_(mine)).limit(1)) if mine else None


def give(
    session: Session,
    dataset_id: int,
    example_id: int,
    verdict: Verdict,
    *,
    label_id: int | None = None,
    note: str = "",
    actor: Actor,
) -> SecondOpinion:
    """Write down a second opinion; the row itself stays as the first verdict has made it."""
    dataset = datasets.get(session, dataset_id)
    actor.require(Role.ANNOTATOR, dataset)
    datasets.hold(session, dataset_id)
    _refuse_where_taken_back(session, dataset, example_id)
    opinion = _get(session, dataset, example_id, lock=True)
    if opinion.state is not OpinionState.WAITING:
        raise Conflict(
            _("This row needs no second opinion any more: somebody was faster, or it was changed.")
        )
    if opinion.first_user_id == actor.user_id:
        raise Forbidden(_("The second opinion on a row is for somebody else than who gave the first."))
    held = leases.held_by_others(session, dataset_id, actor=actor)
    if example_id in held:
        raise Conflict(leases.said(held[example_id]))
    if len(note) > decisions.MAX_NOTE_CHARS:
        raise InvalidInput(
            _("A note has at most %(max_note_chars)s characters.", max_note_chars=decisions.MAX_NOTE_CHARS)
        )
    example = session.get_one(Example, example_id)
    score = session.get(Score, (dataset.current_run_id, example_id)) if dataset.current_run_id else None
    outcome = decisions.outcome_for(session, dataset, example, score, verdict, label_id)
    opinion.second_user_id, opinion.second_at = actor.user_id, now()
    opinion.second_label_id, opinion.second_state = outcome.label_id, outcome.state
    opinion.second_note = note
    opinions.compare(session, opinion)
    leases.release(session, dataset_id, [example_id], actor=actor)
    new = {"verdict": verdict, "state": outcome.state, "label_id": outcome.label_id, "is": opinion.state}
    events.record(
        session, "second_opinion.given", actor=actor, dataset_id=dataset_id, subject_id=example_id, new=new
    )
    return opinion


def _refuse_where_taken_back(session: Session, dataset: Dataset, example_id: int) -> None:
    """Raise where a row was decided, but no verdict waits for a second one: its address is right."""
    about_it = (Decision.dataset_id == dataset.id, Decision.example_id == example_id)
    if session.get(SecondOpinion, example_id) is None and session.scalar(
        sa.select(sa.exists().where(*about_it))
    ):
        raise Conflict(
            _(
                "This row needs no second opinion now: its first verdict was taken back, or it was not drawn "
                "for one."
            )
        )


def _get(session: Session, dataset: Dataset, example_id: int, *, lock: bool = False) -> SecondOpinion:
    query = sa.select(SecondOpinion).where(
        SecondOpinion.example_id == example_id, SecondOpinion.dataset_id == dataset.id
    )
    found = session.scalar(query.with_for_update() if lock else query)
    if found is None:
        raise NotFound(
            _(
                "Row %(example_id)s of %(dataset)s has no second opinion.",
                example_id=example_id,
                dataset=dataset.name,
            )
        )
    return found


def disagreement(session: Session, dataset: Dataset, example_id: int) -> Disagreement:
    """Return a row on which two people differ, and what each of them said."""
    opinion = _get(session, dataset, example_id)
    if opinion.second_user_id is None or opinion.second_state is None:
        raise Conflict(_("Nobody has given the second opinion on this row yet."))
    names = [session.get_one(User, one).name for one in (opinion.first_user_id, opinion.second_user_id)]
    decision = session.get_one(Decision, opinion.first_decision_id)
    labels = datasets.label_names(session, dataset.id)
    return Disagreement(
        opinion=opinion,
        row=review.get_row(session, dataset, example_id),
        first=Side(
            names[0], opinion.first_label_id, labels.get(opinion.first_label_id or 0),
            opinion.first_state, decision.note,
        ),
        second=Side(
            names[1], opinion.second_label_id, labels.get(opinion.second_label_id or 0),
            opinion.second_state, opinion.second_note,
        ),
    )  # fmt: skip


def settle(
    session: Session,
    dataset_id: int,
    example_id: int,
    verdict: Verdict,
    *,
    version: int,
    label_id: int | None = None,
    note: str = "",
    actor: Actor,
) -> Decision:
    """Settle a disagreement by a verdict of a third person or of a lead."""
    dataset = datasets.get(session, dataset_id)
    actor.require(Role.ANNOTATOR, dataset)
    opinion = _get(session, dataset, example_id, lock=True)
    if opinion.state is not OpinionState.DISAGREED:
        raise Conflict(_("There is nothing to settle on this row: somebody was faster, or it was changed."))
    if actor.user_id in {opinion.first_user_id, opinion.second_user_id}:
        actor.require(Role.LEAD, dataset)
    old = {"first": _said(opinion.first_state, opinion.first_label_id)}
    old["second"] = _said(opinion.second_state, opinion.second_label_id)
    opinion.state = OpinionState.SETTLED  # also where it is one of the two who decides
    decision = decisions.decide(
        session, dataset_id, example_id, verdict, version=version, label_id=label_id, note=note, actor=actor
    )
    new = {"state": decision.new_state, "label_id": decision.new_label_id}
    events.record(
        session, "second_opinion.settled", actor=actor, dataset_id=dataset_id, subject_id=example_id,
        old=old, new=new,
    )  # fmt: skip
    return decision


def _said(state: ExampleState | None, label_id: int | None) -> dict[str, object]:
    return {"state": state, "label_id": label_id}
