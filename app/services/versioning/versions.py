"""Versions: freezing the labels, and reading an example as it was."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import events
from app.actor import Actor, Role
from app.errors import Conflict, InvalidInput, NotFound
from app.languages import _
from app.models.columns import Split
from app.models.datasets import Dataset
from app.models.examples import Example, ExampleState
from app.models.imports import Import, ImportMatch
from app.models.review import Decision
from app.models.scoring import Score
from app.models.versions import Version
from app.services import datasets

MAX_NAME_CHARS = 100


@dataclass(frozen=True)
class Frozen:
    """An example as it was at a version."""

    example: Example
    text: str
    split: Split
    source_label_id: int | None
    given_label_id: int | None
    label_id: int | None
    state: ExampleState
    details: dict[str, Any]
    context: dict[str, Any] | None
    is_flagged: bool = False
    score: Score | None = None
    """What the version's run said of it, where it was asked for."""

    def marked(self, *, is_flagged: bool) -> "Frozen":
        """Return the same with or without the mark that the version's run had flagged it."""
        return replace(self, is_flagged=is_flagged)


def create(
    session: Session, dataset: Dataset, *, name: str | None = None, reason: str = "by hand", actor: Actor
) -> Version:
    """Freeze the labels as they are now, under a name (made up where none is given)."""
    actor.require(Role.ANNOTATOR, dataset)
    dataset = datasets.lock(session, dataset.id)
    name = _valid_name(session, dataset, name)
    last = session.scalar(sa.select(sa.func.max(Decision.id)).where(Decision.dataset_id == dataset.id))
    version = Version(
        dataset_id=dataset.id,
        name=name,
        reason=reason,
        decision_id=last or 0,
        import_seq=dataset.import_seq,
        run_id=dataset.current_run_id,
        counts=asdict(datasets.counts(session, dataset.id)),
        created_by_id=actor.user_id,
    )
    session.add(version)
    session.flush()
    events.record(
        session, "version.created", actor=actor, dataset_id=dataset.id, subject_id=version.id, new=name
    )
    return version


def _valid_name(session: Session, dataset: Dataset, name: str | None) -> str:
    if name is None:
        taken = session.scalar(sa.select(sa.func.max(Version.id)).where(Version.dataset_id == dataset.id))
        return f"v{(taken or 0) + 1}"
    name = name.strip()
    if not name or len(name) > MAX_NAME_CHARS or not name.isprintable():
        raise InvalidInput(
            _(
                "A version's name is one line of 1 to %(max_name_chars)s printable characters.",
                max_name_chars=MAX_NAME_CHARS,
            )
        )
    if find(session, dataset.id, name) is not None:
        raise Conflict(
            _("%(dataset)s already has a version called %(name)s.", dataset=dataset.name, name=name)
        )
    return name


def find(session: Session, dataset_id: int, name: str) -> Version | None:
    """Return the version of that name, if there is one."""
    return session.scalar(sa.select(Version).where(Version.dataset_id == dataset_id, Version.name == name))


def get(session: Session, version_id: int) -> Version:
    """Return a version."""
    version = session.get(Version, version_id)
    if version is None:
        raise NotFound(_("There is no version %(version_id)s.", version_id=version_id))
    return version


def of_dataset(session: Session, dataset: Dataset, version_id: int) -> Version:
    """Return a version of this dataset."""
    version = get(session, version_id)
    if version.dataset_id != dataset.id:
        raise NotFound(
            _(
                "There is no version %(version_id)s of %(dataset)s.",
                version_id=version_id,
                dataset=dataset.name,
            )
        )
    return version


def get_by_name(session: Session, dataset_id: int, name: str) -> Version:
    """Return the version of that name, or say which ones there are."""
    version = find(session, dataset_id, name)
    if version is None:
        known = ", ".join(one.name for one in list_versions(session, dataset_id)) or _("none yet")
        raise NotFound(_("There is no version %(name)r. Versions: %(known)s.", name=name, known=known))
    return version


def list_versions(
    session: Session, dataset_id: int, *, before_id: int | None = None, limit: int = 500
) -> list[Version]:
    """Return the versions of a dataset, newest first; `before_id` continues an earlier page."""
    query = sa.select(Version).where(Version.dataset_id == dataset_id)
    if before_id is not None:
        query = query.where(Version.id < before_id)
    return list(session.scalars(query.order_by(Version.id.desc()).limit(limit)))


def freeze(session: Session, version: Version, examples: Sequence[Example]) -> list[Frozen]:
    """Return examples as they were at a version: two indexed look-ups for all of them together."""
    ids = [example.id for example in examples]
    undone, moved = _first_decisions_after(session, version, ids)
    imported = _first_changes_after(session, version, ids)
    return [
        _frozen(
            example, undone.get(example.id), moved.get(example.id), imported.get(example.id, _NOT_IMPORTED)
        )
        for example in examples
    ]


def _first_decisions_after(
    session: Session, version: Version, ids: list[int]
) -> tuple[dict[int, Decision], dict[int, Decision]]:
    """Return the first decision on each example after a version, and the first that moved its given label."""
    later = session.scalars(
        sa.select(Decision)
        .where(Decision.example_id.in_(ids), Decision.id > version.decision_id)
        .order_by(Decision.id.desc())
    ).all()
    first = {decision.example_id: decision for decision in later}
    return first, {decision.example_id: decision for decision in later if decision.moves_given}


def _first_changes_after(session: Session, version: Version, ids: list[int]) -> dict[int, dict[str, Any]]:
    later = session.execute(
        sa.select(ImportMatch.example_id, ImportMatch.old)
        .join(Import, Import.id == ImportMatch.import_id)
        .where(
            ImportMatch.example_id.in_(ids), ImportMatch.applied.is_(True), Import.seq > version.import_seq
        )
        .order_by(Import.seq.desc())
    )
    merged: dict[int, dict[str, Any]] = {}  # where several imports changed a value, the first one's wins
    for example_id, old in later:
        merged.setdefault(example_id, {}).update(old or {})
    return merged


_NOT_IMPORTED: dict[str, Any] = {}


def _frozen(
    example: Example, decision: Decision | None, move: Decision | None, old: dict[str, Any]
) -> Frozen:
    state = decision.old_state if decision else example.state
    label_id = decision.old_label_id if decision else example.label_id
    if "label_id" in old and (decision is None or old["decision_id"] < decision.id):
        label_id = old["label_id"]  # the first change after the version was an import's
    details: Any = old.get("details", example.details)
    return Frozen(
        example=example,
        text=old.get("text", example.text),
        split=Split(old.get("split", example.split)),
        source_label_id=old.get("given_label_id", example.source_label_id),
        given_label_id=_given(example, move, old),
        label_id=label_id,
        state=state,
        details=details,
        context=old.get("context", example.context),
    )


def _given(example: Example, move: Decision | None, old: dict[str, Any]) -> int | None:
    label_id: int | None = move.old_given_id if move else example.given_label_id
    if "class_id" in old and (move is None or old["class_decision_id"] < move.id):
        label_id = old["class_id"]
    elif "class_id" not in old and "given_label_id" in old:
        label_id = old["given_label_id"]  # imported before labels could be moved
    return label_id
