"""Publishing an import."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import events
from app.actor import Actor
from app.errors import InvalidInput
from app.languages import _
from app.models.columns import Split
from app.models.datasets import Dataset
from app.models.examples import Example, ExampleState, text_hash
from app.models.imports import Import, ImportMatch, MatchKind, RejectedRow
from app.models.review import Decision
from app.models.scoring import Score
from app.services import datasets
from app.services.finding import findings, scoring
from app.services.importing import adopting, metadata
from app.services.operation import runs
from app.services.ranking import search, word_index
from app.services.ranking.counting import Standing, Sums
from app.services.versioning import versions

CHUNK = 1000


def check_has_rows(session: Session, import_: Import) -> None:
    """Raise when nothing of a file can be used."""
    if import_.rows_new or import_.rows_changed or import_.rows_same:
        return
    first = session.scalar(
        sa.select(RejectedRow).where(RejectedRow.import_id == import_.id).order_by(RejectedRow.line).limit(1)
    )
    why = (
        _(" The first problem is in line %(line)s: %(reason)s.", line=first.line, reason=first.reason)
        if first
        else ""
    )
    raise InvalidInput(_("No row of %(file_name)s can be used.%(why)s", file_name=import_.file_name, why=why))


def sums_of_new_rows(session: Session, import_: Import) -> Sums:
    """Count the rows that wait to be published; they do not change, so no lock is needed."""
    rows = session.execute(
        sa.select(Example.split, Example.given_label_id, sa.func.count())
        .where(Example.dataset_id == import_.dataset_id, Example.import_seq == import_.seq)
        .group_by(Example.split, Example.given_label_id)
    )
    sums = Sums()
    for split, label_id, count in rows:
        standing = Standing(
            split=split, given_label_id=label_id, label_id=label_id, state=ExampleState.OPEN, is_issue=False
        )
        sums.add(standing, count)
    return sums


def count_missing(session: Session, import_: Import) -> int:
    """Count the examples of an update's split that its file does not mention."""
    if not import_.update:
        return 0
    matched = sa.select(ImportMatch.example_id).where(
        ImportMatch.import_id == import_.id, ImportMatch.example_id == Example.id
    )
    missing = sa.select(sa.func.count()).where(
        Example.dataset_id == import_.dataset_id,
        Example.split == import_.split,
        Example.import_seq < import_.seq,
        ~matched.exists(),
    )
    return session.scalar(missing) or 0


def freeze_before(session: Session, import_: Import, *, actor: Actor) -> None:
    """Keep the state before an import under a name, if there is one worth keeping.

    Changes follow at once, so an import whose version is there already can no longer be cancelled.
    """
    dataset = datasets.lock(session, import_.dataset_id or 0)
    name = runs.version_before(import_)
    is_frozen = versions.find(session, dataset.id, name) is not None
    runs.guard(session, import_, may_cancel=not is_frozen)
    if dataset.import_seq and not is_frozen:
        versions.create(session, dataset, name=name, reason="import", actor=actor)


def apply_changes(session: Session, import_: Import) -> int:
    """Apply the next chunk of an update's changes; return how many there were."""
    runs.guard(session, import_, may_cancel=False)
    datasets.hold(session, import_.dataset_id or 0)
    dataset = session.get_one(Dataset, import_.dataset_id)
    found = session.execute(
        sa.select(ImportMatch, Example, Score)
        .join(Example, Example.id == ImportMatch.example_id)
        .outerjoin(Score, (Score.run_id == (dataset.current_run_id or 0)) & (Score.example_id == Example.id))
        .where(
            ImportMatch.import_id == import_.id,
            ImportMatch.kind == MatchKind.CHANGED,
            ImportMatch.applied.is_(False),
        )
        .order_by(ImportMatch.example_id)
        .limit(CHUNK)
        .with_for_update(of=Example)
    ).all()
    renewed = [example for match, example, _ in found if {"text", "details"} & (match.new or {}).keys()]
    newest = _newest_decisions(session, [example.id for _, example, _ in found])
    classes = datasets.class_ids(session, dataset.id)
    sums = Sums()
    for match, example, score in found:
        before = standing_of(example, score)
        _apply(match, example, score, classes=classes, decision_id=newest.get(example.id, 0))
        sums.move(before, standing_of(example, score))
    search.renew(session, [(example.id, example.text) for example in renewed])
    metadata.renew(session, dataset.id, [(example.id, example.details) for example in renewed])
    findings.follow(session, [score for _, _, score in found if score is not None])
    sums.save(session, dataset.id)
    return len(found)


def standing_of(example: Example, score: Score | None) -> Standing:
    """Return what counters need to know of an example."""
    return Standing(
        split=example.split,
        given_label_id=example.given_label_id,
        label_id=example.label_id,
        state=example.state,
        is_issue=score is not None and score.is_issue,
        kinds=score.kinds if score is not None else 0,
    )


def _newest_decisions(session: Session, example_ids: list[int]) -> dict[int, int]:
    newest = sa.select(Decision.example_id, sa.func.max(Decision.id)).group_by(Decision.example_id)
    return dict(session.execute(newest.where(Decision.example_id.in_(example_ids))).all())


def _apply(
    match: ImportMatch,
    example: Example,
    score: Score | None,
    *,
    classes: dict[int, int],
    decision_id: int,
) -> None:
    new: dict[str, Any] = {**(match.new or {})}
    if "split" in new:
        example.split = Split(new.pop("split"))
    if "given_label_id" in new:
        _give(match, example, new.pop("given_label_id"), classes=classes, decision_id=decision_id)
    if "text" in new:
        example.text_hash = text_hash(new["text"])
    for name, value in new.items():
        setattr(example, name, value)
    example.version += 1
    match.applied = True
    if score is not None:
        score.split, score.given_label_id = example.split, example.given_label_id


def _give(
    match: ImportMatch,
    example: Example,
    source_id: int | None,
    *,
    classes: dict[int, int],
    decision_id: int,
) -> None:
    """Give a row another label, as its file has it and as it is called today."""
    is_undecided = not example.state.is_resolved and example.label_id == example.given_label_id
    # Versions need to know what was there before, and from when on.
    old = {**(match.old or {}), "class_id": example.given_label_id, "class_decision_id": decision_id}
    label_id = classes.get(source_id, source_id) if source_id is not None else None
    if is_undecided:  # the label follows its source
        old |= {"label_id": example.label_id, "decision_id": decision_id}
        example.label_id = label_id
    match.old = old
    example.source_label_id, example.given_label_id = source_id, label_id


def list_unscored(session: Session, import_: Import) -> int:
    """Add the next new rows to the current run's list, out of sight; return how many were added."""
    runs.guard(session, import_, may_cancel=False)
    dataset = datasets.lock(session, import_.dataset_id or 0)
    if dataset.current_run_id is None:
        return 0
    seq = import_.seq
    return scoring.add_unscored(
        session, dataset, dataset.current_run_id, after_seq=seq - 1, up_to_seq=seq, limit=CHUNK
    )


def publish(session: Session, import_: Import, sums: Sums, missing: int, *, actor: Actor) -> None:
    """Show the rows of an import: one number goes up, and the counters with it."""
    fresh = runs.finish(session, import_, may_cancel=False)
    dataset = datasets.lock(session, fresh.dataset_id or 0)
    if dataset.current_run_id:  # a run that was published a moment ago has not listed these rows yet
        scoring.add_unscored(
            session, dataset, dataset.current_run_id, after_seq=fresh.seq - 1, up_to_seq=fresh.seq
        )
    dataset.import_seq = fresh.seq
    sums.save(session, dataset.id)
    fresh.rows_missing = missing
    if fresh.creates_dataset:
        events.record(session, "dataset.created", actor=actor, dataset_id=dataset.id, new=dataset.name)
    word_index.begin(session, fresh)
    adopting.start_if_idle(session, fresh, actor=actor)
    events.record(
        session,
        "import.finished",
        actor=actor,
        dataset_id=dataset.id,
        subject_id=fresh.id,
        new={
            "file": fresh.file_name,
            "new": fresh.rows_new,
            "changed": fresh.rows_changed,
            "same": fresh.rows_same,
            "missing": missing,
            "rejected": fresh.rows_rejected,
        },
    )
