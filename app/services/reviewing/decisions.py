"""Decisions: one verdict on one row, and taking it back."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import set_committed_value

from app import events
from app.actor import Actor, Role
from app.db import Base
from app.errors import Conflict, InvalidInput, NotFound
from app.languages import N_, _
from app.models.datasets import Dataset, Label
from app.models.examples import Example, ExampleState
from app.models.people import User
from app.models.review import Decision, Verdict
from app.models.scoring import Score
from app.models.together import SecondOpinion
from app.services import datasets
from app.services.finding import findings
from app.services.ranking.counting import Standing, Sums
from app.services.together import company, opinions
from app.services.together.company import Company

MAX_NOTE_CHARS = 2000
MAX_PICKED = 500
_IN_BULK = N_("Labels are merged, split and restored for many rows at once, by a lead.")
_NOT_BY_HAND = {
    Verdict.UNDO: N_("To undo, take back your last verdict instead of giving one."),
    Verdict.RELABEL: _IN_BULK,
    Verdict.RESTORE: _IN_BULK,
}


@dataclass(frozen=True)
class Labels:
    """The labels of one row that a verdict can speak of."""

    given_id: int | None
    current_id: int | None
    suggested_id: int | None


@dataclass(frozen=True)
class Outcome:
    """What a verdict makes of a row."""

    state: ExampleState
    label_id: int | None


def decide(
    session: Session,
    dataset_id: int,
    example_id: int,
    verdict: Verdict,
    *,
    version: int,
    label_id: int | None = None,
    note: str = "",
    idempotency_key: str | None = None,
    actor: Actor,
) -> Decision:
    """Write a person's verdict; whoever saw an older `version` of the row is told who was first."""
    dataset = datasets.get_held(session, dataset_id)
    actor.require(Role.ANNOTATOR, dataset)
    done = session.scalar(_BY_KEY, {"key": idempotency_key}) if idempotency_key else None
    if done is not None:
        _check_same(done, example_id, verdict, label_id, actor=actor)
        return done
    example, score, others = _row(session, dataset, example_id)
    company.check(session, others, actor=actor)
    if example.version != version:
        raise Conflict(_who_was_first(session, example, actor=actor))
    opinions.refuse_verdict(others.opinion, actor=actor)
    outcome = outcome_for(session, dataset, example, score, verdict, label_id)
    if len(note) > MAX_NOTE_CHARS:
        raise InvalidInput(
            _(
                "A note has at most %(max_note_chars)s characters; this one has %(note)s.",
                max_note_chars=MAX_NOTE_CHARS,
                note=len(note),
            )
        )
    decision = Decision(
        verdict=verdict, note=note, idempotency_key=idempotency_key, previous_id=example.last_decision_id
    )
    marks = {"decided_by_id": actor.user_id, "note": note}
    _write(session, dataset, example, score, outcome, decision, marks=marks, actor=actor)
    company.after_decision(session, dataset, others, decision, actor=actor)
    _record(session, "review.decided", decision, actor=actor)
    return decision


@dataclass(frozen=True)
class Picked:
    """A row as it was seen when it was picked."""

    example_id: int
    version: int


def decide_selection(
    session: Session,
    dataset_id: int,
    picked: Sequence[Picked],
    verdict: Verdict,
    *,
    label_id: int | None = None,
    note: str = "",
    idempotency_key: str | None = None,
    actor: Actor,
) -> list[Decision]:
    """Write one verdict on several rows, all of them or none; one undo takes them back together."""
    if not 1 <= len(picked) <= MAX_PICKED:
        raise InvalidInput(
            _(
                "Pick 1 to %(max_picked)s rows for one verdict; these are %(picked)s.",
                max_picked=MAX_PICKED,
                picked=f"{len(picked):,}",
            )
        )
    made: list[Decision] = []
    for place, row in enumerate(sorted(set(picked), key=lambda one: one.example_id)):
        key = f"{idempotency_key}+{place}" if idempotency_key else None
        made.append(
            decide(
                session,
                dataset_id,
                row.example_id,
                verdict,
                version=row.version,
                label_id=label_id,
                note=note,
                idempotency_key=key,
                actor=actor,
            )
        )
        made[-1].selection_id = made[0].id
    session.flush()
    return made


def undo(session: Session, dataset_id: int, *, actor: Actor) -> Decision:
    """Take back the actor's own last verdict that still stands; can be repeated to the very first.

    A verdict on several rows is taken back on all of them that nobody has changed since.
    """
    dataset = datasets.get_held(session, dataset_id)
    actor.require(Role.ANNOTATOR, dataset)
    last = last_undoable(session, dataset_id, actor=actor)
    if last is None:
        raise NotFound(_("There is nothing of yours left to undo here."))
    undone = [_undo(session, dataset, one, actor=actor) for one in _with_selection(session, last)]
    return undone[0]


def undid_several(session: Session, undo: Decision) -> bool:
    """Say whether an undo took back a verdict that was given to several rows in one stroke."""
    given = session.get(Decision, undo.undoes_id) if undo.undoes_id else None
    return given is not None and given.selection_id is not None


def _with_selection(session: Session, last: Decision) -> Sequence[Decision]:
    """Return a decision with those given in one stroke with it that still stand, by their rows.

    All who change many rows lock them in this order, or they would wait for each other in a ring.
    """
    if last.selection_id is None:
        return [last]
    return session.scalars(
        sa.select(Decision)
        .join(Example, Example.last_decision_id == Decision.id)
        .where(Decision.selection_id == last.selection_id, Example.id == Decision.example_id)
        .order_by(Example.id)
    ).all()


def _undo(session: Session, dataset: Dataset, last: Decision, *, actor: Actor) -> Decision:
    example, score, others = _row(session, dataset, last.example_id)
    if example.last_decision_id != last.id:
        raise Conflict(
            _(
                "Your verdict was overtaken. %(who_was_first)s",
                who_was_first=_who_was_first(session, example, actor=actor),
            )
        )
    before = session.get(Decision, last.previous_id) if last.previous_id else None
    decision = Decision(verdict=Verdict.UNDO, undoes_id=last.id, previous_id=example.last_decision_id)
    # An undecided row's label follows its source, which an import may have changed since the verdict.
    is_open = last.old_state is ExampleState.OPEN
    label_id = example.given_label_id if is_open else datasets.class_of(session, last.old_label_id)
    outcome = Outcome(last.old_state, label_id)
    marks = {
        "last_decision_id": last.previous_id,
        "decided_by_id": before.decider_id if before else None,
        "note": before.note if before else "",
    }
    _write(session, dataset, example, score, outcome, decision, marks=marks, actor=actor)
    company.after_undo(session, others, last)
    _record(session, "review.undone", decision, actor=actor)
    return decision


def last_undoable(session: Session, dataset_id: int, *, actor: Actor) -> Decision | None:
    """Return the actor's newest verdict by hand that still stands: neither taken back nor overtaken."""
    return session.scalar(
        sa.select(Decision)
        .join(Example, Example.id == Decision.example_id)
        .where(
            Decision.dataset_id == dataset_id,
            Decision.user_id == actor.user_id,
            Decision.batch_id.is_(None),
            Example.last_decision_id == Decision.id,
        )
        .order_by(Decision.id.desc())
        .limit(1)
    )


def newest_id(session: Session, dataset_id: int) -> int:
    """Return the number of the dataset's last decision, or 0."""
    newest = sa.select(sa.func.max(Decision.id)).where(Decision.dataset_id == dataset_id)
    return session.scalar(newest) or 0


_BY_KEY = sa.select(Decision).where(Decision.idempotency_key == sa.bindparam("key"))
_WITH_COMPANY = company.joined(
    sa.select(Example, Score, *company.COLUMNS).outerjoin(
        Score, (Score.example_id == Example.id) & (Score.run_id == sa.bindparam("run_id"))
    )
).where(
    Example.id == sa.bindparam("example_id"),
    Example.dataset_id == sa.bindparam("dataset_id"),
    Example.import_seq <= sa.bindparam("import_seq"),
)


def _check_same(
    done: Decision, example_id: int, verdict: Verdict, label_id: int | None, *, actor: Actor
) -> None:
    is_same_label = verdict is not Verdict.OVERRIDE or done.new_label_id == label_id
    is_same = (done.example_id, done.verdict, done.user_id) == (example_id, verdict, actor.user_id)
    if not is_same or not is_same_label:
        raise Conflict(_("This idempotency key was used for another row or verdict."))


def _row(session: Session, dataset: Dataset, example_id: int) -> tuple[Example, Score | None, Company]:
    values = {"run_id": dataset.current_run_id or 0, "example_id": example_id}
    values |= {"dataset_id": dataset.id, "import_seq": dataset.import_seq}
    found = session.execute(_WITH_COMPANY, values).one_or_none()
    if found is None:
        raise NotFound(
            _("There is no row %(example_id)s in %(dataset)s.", example_id=example_id, dataset=dataset.name)
        )
    example, score, *others = found
    return example, score, company.locked(session, Company(*others))


def outcome_for(
    session: Session,
    dataset: Dataset,
    example: Example,
    score: Score | None,
    verdict: Verdict,
    label_id: int | None,
) -> Outcome:
    """Return what a verdict would make of a row, or say why it cannot be given."""
    label = session.get(Label, label_id) if label_id is not None else None
    if label is not None and not datasets.is_in_use(label, dataset):
        label = None
    suggested_id = score.suggested_label_id if score is not None else None
    labels = Labels(example.given_label_id, example.label_id, suggested_id)
    return outcome_of(verdict, labels, chosen_id=label.id if label else None, where=dataset.name)


def outcome_of(verdict: Verdict, labels: Labels, *, chosen_id: int | None, where: str) -> Outcome:
    """Return what a verdict makes of a row of these labels, or say why it cannot be given."""
    match verdict:
        case Verdict.KEEP:
            if labels.given_id is None:
                raise InvalidInput(_("This row was given no label to keep; choose one."))
            return Outcome(ExampleState.KEPT, labels.given_id)
        case Verdict.ACCEPT:
            if labels.suggested_id is None:
                raise InvalidInput(_("There is no suggestion for this row yet: find label issues first."))
            return Outcome(ExampleState.ACCEPTED, labels.suggested_id)
        case Verdict.OVERRIDE:
            if chosen_id is None:
                raise InvalidInput(_("Choose one of the labels of %(where)s.", where=where))
            return Outcome(ExampleState.OVERRIDDEN, chosen_id)
        case Verdict.EXCLUDE:
            return Outcome(ExampleState.EXCLUDED, labels.current_id)
        case Verdict.NEEDS_REVIEW:
            return Outcome(ExampleState.NEEDS_REVIEW, labels.current_id)
        case Verdict.UNDO | Verdict.RELABEL | Verdict.RESTORE:
            raise InvalidInput(_(_NOT_BY_HAND[verdict]))


def _write(
    session: Session,
    dataset: Dataset,
    example: Example,
    score: Score | None,
    outcome: Outcome,
    decision: Decision,
    *,
    marks: dict[str, Any],
    actor: Actor,
) -> None:
    """Add the decision, change the row if nobody was faster, and keep scores and counters in step."""
    decision.dataset_id, decision.example_id = dataset.id, example.id
    decision.user_id, decision.run_id = actor.user_id, dataset.current_run_id
    decision.old_label_id, decision.new_label_id = example.label_id, outcome.label_id
    decision.old_state, decision.new_state = example.state, outcome.state
    session.add(decision)
    session.flush()
    is_issue, kinds = (score.is_issue, score.kinds) if score is not None else (False, 0)
    before = Standing(example.split, example.given_label_id, example.label_id, example.state, is_issue, kinds)
    after = replace(before, label_id=outcome.label_id, state=outcome.state)
    facts = {
        "state": outcome.state,
        "label_id": outcome.label_id,
        "decided_at": decision.created_at,
        "last_decision_id": decision.id,
        "version": example.version + 1,
        **marks,
    }
    _change(session, example, facts, actor=actor)
    if score is not None:
        score.state, score.is_open = outcome.state, outcome.state is ExampleState.OPEN
        findings.follow(session, [score])
    sums = Sums(by=actor.user_id)
    sums.move(before, after)
    sums.save_last(session, dataset.id)


_CHANGED = ("state", "label_id", "decided_at", "last_decision_id", "version", "decided_by_id", "note")
_CHANGE = (
    sa.update(Base.metadata.tables[Example.__tablename__])
    .where(Example.id == sa.bindparam("row"), Example.version == sa.bindparam("seen"))
    .values({name: sa.bindparam(f"new_{name}") for name in _CHANGED})
    .returning(Example.id)
)


def _change(session: Session, example: Example, facts: dict[str, Any], *, actor: Actor) -> None:
    values = {"row": example.id, "seen": example.version}
    values |= {f"new_{name}": facts[name] for name in _CHANGED}
    if session.connection().execute(_CHANGE, values).scalar() is None:
        session.refresh(example)
        raise Conflict(_who_was_first(session, example, actor=actor))
    for name, value in facts.items():
        set_committed_value(example, name, value)


def _who_was_first(session: Session, example: Example, *, actor: Actor) -> str:
    last = session.get(Decision, example.last_decision_id) if example.last_decision_id else None
    opinion = session.get(SecondOpinion, example.id)
    if last is None or opinions.is_kept_from(opinion, actor=actor):
        return _("Somebody changed this row in the meantime; it is shown as it is now.")
    who = session.get_one(User, last.user_id).name
    if last.batch_id is not None:
        return _("A bulk change by %(who)s was first (batch %(batch_id)s).", who=who, batch_id=last.batch_id)
    label = session.get(Label, last.new_label_id) if last.new_label_id else None
    chose = {
        Verdict.KEEP: _("kept %(label)r", label=label.name) if label else _("kept the label"),
        Verdict.ACCEPT: _("chose %(label)r", label=label.name) if label else _("accepted the suggestion"),
        Verdict.OVERRIDE: _("chose %(label)r", label=label.name) if label else _("chose a label"),
        Verdict.EXCLUDE: _("excluded the row"),
        Verdict.NEEDS_REVIEW: _("set it aside for review"),
    }
    return _("%(who)s was first: %(who)s %(did)s.", who=who, did=chose.get(last.verdict, _("changed it")))


def _record(session: Session, name: str, decision: Decision, *, actor: Actor) -> None:
    events.record(
        session,
        name,
        actor=actor,
        dataset_id=decision.dataset_id,
        subject_id=decision.example_id,
        old={"state": decision.old_state, "label_id": decision.old_label_id},
        new={"verdict": decision.verdict, "state": decision.new_state, "label_id": decision.new_label_id},
    )
