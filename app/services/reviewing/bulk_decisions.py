"""Verdicts on many rows in one call: all of them or none, as if each had been given by itself."""

from collections import Counter as Tally
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import events
from app.actor import Actor, Role
from app.db import has_id, insert_rows, now
from app.errors import InvalidInput
from app.models.datasets import Dataset
from app.models.examples import Example
from app.models.review import Decision, Verdict
from app.models.scoring import Score
from app.services import datasets
from app.services.bounding import following
from app.services.importing.many_rows import CHUNK, Fault, ids_of_rows, refusal
from app.services.ranking.counting import Sums
from app.services.reviewing.decisions import MAX_NOTE_CHARS, Labels, Outcome, outcome_of
from app.services.together import blind, company, leases

CHANGED = "somebody changed this row since version {0}; it is at version {1}"
HIDDEN = "it waits for a second opinion, and what the first person said is kept from you"
HELD = "{0} has this row open"
DECIDED = "a person has decided this row; say its version to decide it anew"


@dataclass(frozen=True, slots=True)
class Wish:
    """One verdict on one row, named by its number or by its id in the file.

    Without `version` the row must be one that no person has decided.
    """

    line: int
    verdict: Verdict
    example_id: int | None = None
    external_id: str | None = None
    version: int | None = None
    label_id: int | None = None
    label: str | None = None
    note: str = ""


@dataclass(frozen=True)
class Decided:
    """What came of many verdicts."""

    decided: int
    skipped: Sequence[Fault]
    first_id: int | None
    last_id: int | None


@dataclass
class _Work:
    """What all chunks of a call share."""

    dataset: Dataset
    actor: Actor
    labels: Mapping[str, int]
    sums: Sums
    faults: list[Fault]
    changed: list[Fault]
    ids: list[int]
    """The first and the last decision of each chunk."""
    decided: int = 0


@dataclass(frozen=True, slots=True)
class _Ready:
    """A verdict that can be written down."""

    wish: Wish
    row: Any
    outcome: Outcome


def decide_many(
    session: Session, dataset_id: int, wishes: Sequence[Wish], *, skip_changed: bool = False, actor: Actor
) -> Decided:
    """Write many verdicts; `skip_changed` leaves rows alone that others have changed, else none is written.

    Raises `RowsRefused` with the first faults.
    """
    dataset = datasets.get(session, dataset_id)
    actor.require(Role.ANNOTATOR, dataset)
    datasets.hold(session, dataset_id)
    labels = {label.name: label.id for label in datasets.labels(session, dataset)}
    work = _Work(dataset, actor, labels, Sums(by=actor.user_id), [], [], [])
    # In the order of the rows, so that two calls never wait for each other in a ring.
    numbered = sorted(_numbered(session, work, wishes), key=lambda one: one[0])
    for start in range(0, len(numbered), CHUNK):
        ready = list(_ready(session, work, dict(numbered[start : start + CHUNK])))
        if ready and not work.faults and (skip_changed or not work.changed):
            _write(session, work, ready)
    faults = work.faults if skip_changed else [*work.faults, *work.changed]
    if faults:
        raise refusal(faults, "No verdict was written")
    if work.ids:
        work.sums.save(session, dataset.id)
        _record(session, work, wishes)
    ends = (min(work.ids), max(work.ids)) if work.ids else (None, None)
    return Decided(work.decided, sorted(work.changed, key=lambda one: one.line), *ends)


def _numbered(session: Session, work: _Work, wishes: Sequence[Wish]) -> Iterator[tuple[int, Wish]]:
    named = [wish.external_id for wish in wishes if wish.external_id is not None]
    ids = ids_of_rows(session, work.dataset, named)
    first: dict[int, int] = {}
    for wish in wishes:
        example_id = wish.example_id if wish.external_id is None else ids.get(wish.external_id)
        if example_id is None:
            work.faults.append(Fault(wish.line, f"there is no row {wish.external_id!r}"))
        elif example_id in first:
            work.faults.append(Fault(wish.line, f"line {first[example_id]} is about the same row"))
        else:
            first[example_id] = wish.line
            yield example_id, wish


def _ready(session: Session, work: _Work, wishes: Mapping[int, Wish]) -> Iterator[_Ready]:
    found = {row.id: row for row in _rows(session, work.dataset, list(wishes))}
    hidden = blind.hidden_ids(session, work.dataset, found, actor=work.actor)
    held = leases.held_by_others(session, work.dataset.id, actor=work.actor)
    for example_id, wish in wishes.items():
        row = found.get(example_id)
        if row is None:
            work.faults.append(Fault(wish.line, f"there is no row {example_id}"))
        elif example_id in hidden:
            work.changed.append(Fault(wish.line, HIDDEN))
        elif example_id in held:
            work.changed.append(Fault(wish.line, HELD.format(held[example_id])))
        elif wish.version is not None and wish.version != row.version:
            work.changed.append(Fault(wish.line, CHANGED.format(wish.version, row.version)))
        elif wish.version is None and row.state.is_human:
            work.changed.append(Fault(wish.line, DECIDED))
        else:
            try:
                yield _Ready(wish, row, _outcome(work, wish, row))
            except InvalidInput as error:
                work.faults.append(Fault(wish.line, str(error).removesuffix(".")))


def _rows(session: Session, dataset: Dataset, ids: Sequence[int]) -> Sequence[Any]:
    """Return the rows with what the current run says of them; nobody changes them before this is done."""
    columns = (
        Example.id, Example.given_label_id, Example.label_id, Example.state, Example.version,
        Example.last_decision_id, Score.suggested_label_id,
    )  # fmt: skip
    of_run = (Score.example_id == Example.id) & (Score.run_id == (dataset.current_run_id or 0))
    query = (
        sa.select(*columns)
        .outerjoin(Score, of_run)
        .where(
            Example.dataset_id == dataset.id,
            Example.import_seq <= dataset.import_seq,
            has_id(session, Example.id, ids),
        )
        .order_by(Example.id)
        .with_for_update(of=Example)
    )
    return session.execute(query).all()


def _outcome(work: _Work, wish: Wish, row: Any) -> Outcome:
    if len(wish.note) > MAX_NOTE_CHARS:
        raise InvalidInput(f"a note has at most {MAX_NOTE_CHARS} characters")
    chosen = work.labels.get(wish.label) if wish.label is not None else wish.label_id
    if chosen is not None and chosen not in work.labels.values():
        chosen = None
    labels = Labels(row.given_label_id, row.label_id, row.suggested_label_id)
    return outcome_of(wish.verdict, labels, chosen_id=chosen, where=work.dataset.name)


def _write(session: Session, work: _Work, ready: Sequence[_Ready]) -> None:
    """Write decisions, rows and scores by one statement each."""
    before_id = session.scalar(sa.select(sa.func.max(Decision.id))) or 0
    _insert_decisions(session, work, ready)
    # The rows are locked: whatever was decided about them since is this.
    ids = [one.row.id for one in ready]
    is_theirs = has_id(session, Decision.example_id, ids)
    made = following.Written((Decision.id > before_id, is_theirs), work.dataset.current_run_id or 0)
    following.follow(session, made, work.sums, of_rows=_OF_ROWS, of_scores=_OF_SCORES)
    company.after_decisions(session, work.dataset, ids, made.which, actor=work.actor)
    ends = sa.select(sa.func.min(Decision.id), sa.func.max(Decision.id)).where(*made.which)
    work.ids += session.execute(ends).one()
    work.decided += len(ready)


_OF_ROWS = {
    "label_id": Decision.new_label_id,
    "state": Decision.new_state,
    "decided_by_id": Decision.user_id,
    "decided_at": Decision.created_at,
    "note": Decision.note,
}
_OF_SCORES = {"state": Decision.new_state, "is_open": False}


def _insert_decisions(session: Session, work: _Work, ready: Sequence[_Ready]) -> None:
    moment = now()
    names = (
        "dataset_id", "example_id", "user_id", "run_id", "verdict", "old_label_id", "new_label_id",
        "old_state", "new_state", "previous_id", "note", "created_at",
    )  # fmt: skip
    rows = [
        (
            work.dataset.id,
            one.row.id,
            work.actor.user_id,
            work.dataset.current_run_id,
            one.wish.verdict,
            one.row.label_id,
            one.outcome.label_id,
            one.row.state,
            one.outcome.state,
            one.row.last_decision_id,
            one.wish.note,
            moment,
        )
        for one in ready
    ]
    insert_rows(session, Decision.__table__, names, rows)


def _record(session: Session, work: _Work, wishes: Sequence[Wish]) -> None:
    verdicts = Tally(wish.verdict.value for wish in wishes)
    skipped = {fault.line for fault in work.changed}
    verdicts.subtract(wish.verdict.value for wish in wishes if wish.line in skipped)
    said = {
        "rows": work.decided,
        "verdicts": {verdict: rows for verdict, rows in sorted(verdicts.items()) if rows},
        "first_decision_id": min(work.ids),
        "last_decision_id": max(work.ids),
    }
    events.record(session, "review.decided_in_bulk", actor=work.actor, dataset_id=work.dataset.id, new=said)
