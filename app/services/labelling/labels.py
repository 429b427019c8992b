"""Labels: adding, renaming, describing and deleting the classes of a dataset."""

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import events
from app.actor import Actor, Role
from app.errors import Conflict, InvalidInput, NotFound
from app.languages import _
from app.models.datasets import Colour, Dataset, Label, LabelRename
from app.models.scoring import Score
from app.models.versions import Version
from app.services import datasets
from app.services.bounding import batches

MAX_NAME_CHARS = 200
MAX_DESCRIPTION_CHARS = 2000


@dataclass(frozen=True)
class FormerLabel:
    """A label that people can no longer choose, and the one its rows have gone to."""

    label: Label
    into: Label | None


def list_after(session: Session, dataset: Dataset, label_id: int | None) -> list[Label]:
    """Return the labels in the order of their names, those behind one of them where it is named."""
    found = datasets.labels(session, dataset)
    last = session.get(Label, label_id) if label_id is not None else None
    if last is None or last.dataset_id != dataset.id:
        return found
    return [label for label in found if label.name > last.name]


def get(session: Session, dataset: Dataset, label_id: int) -> Label:
    """Return a label of the dataset, whether or not it is still in use."""
    label = session.get(Label, label_id)
    if label is None or label.dataset_id != dataset.id or label.import_seq > dataset.import_seq:
        raise NotFound(
            _("There is no label %(label_id)s in %(dataset)s.", label_id=label_id, dataset=dataset.name)
        )
    return label


def get_in_use(session: Session, dataset: Dataset, label_id: int) -> Label:
    """Return a label that people can choose; say what became of one that they cannot."""
    label = get(session, dataset, label_id)
    if label.retired_after is None:
        return label
    into = session.get(Label, label.merged_into_id) if label.merged_into_id else None
    became = _("merged into %(into)s", into=into.name) if into else _("deleted")
    raise Conflict(_("%(label)s was %(became)s in the meantime.", label=label.name, became=became))


def list_former(session: Session, dataset: Dataset) -> list[FormerLabel]:
    """Return merged and deleted labels, by name."""
    found = session.scalars(
        sa.select(Label).where(
            Label.dataset_id == dataset.id,
            Label.import_seq <= dataset.import_seq,
            Label.retired_after.is_not(None),
        )
    ).all()
    by_id = {label.id: label for label in [*found, *datasets.labels(session, dataset)]}
    former = [FormerLabel(label, by_id.get(label.merged_into_id or 0)) for label in found]
    return sorted(former, key=lambda one: one.label.source_name)


def add(
    session: Session,
    dataset_id: int,
    name: str,
    *,
    description: str = "",
    colour: Colour = Colour.NONE,
    max_classes: int,
    actor: Actor,
) -> Label:
    """Add a class that has no rows yet; a deleted one of that name comes back."""
    dataset = _locked(session, dataset_id, actor)
    known = _deleted(session, dataset, name.strip())
    name = _free_name(session, dataset, name, but=known)
    in_use = session.scalar(sa.select(sa.func.count()).where(*datasets.visible_labels(dataset))) or 0
    if in_use >= max_classes:
        raise Conflict(
            _(
                "%(dataset)s has %(in_use)s labels, the most there may be. (SETRIGHT_MAX_CLASSES)",
                dataset=dataset.name,
                in_use=in_use,
            )
        )
    label = known or Label(dataset_id=dataset_id, name=name, import_seq=dataset.import_seq)
    label.description, label.colour, label.retired_after = _valid_description(description), colour, None
    session.add(label)
    session.flush()
    events.record(session, "label.added", actor=actor, dataset_id=dataset_id, subject_id=label.id, new=name)
    return label


def _deleted(session: Session, dataset: Dataset, name: str) -> Label | None:
    return session.scalar(
        sa.select(Label).where(
            Label.dataset_id == dataset.id,
            Label.name == name,
            Label.retired_after.is_not(None),
            Label.merged_into_id.is_(None),
        )
    )


def change(
    session: Session,
    dataset_id: int,
    label_id: int,
    *,
    name: str,
    was: str,
    description: str,
    colour: Colour,
    actor: Actor,
) -> Label:
    """Rename, describe or colour a label; `was` is the name that the person saw.

    No row changes: the label keeps its number, and earlier versions and the original files their name.
    """
    dataset = _locked(session, dataset_id, actor)
    label = get_in_use(session, dataset, label_id)
    session.refresh(label)
    if label.name != was:
        raise Conflict(
            _("Somebody has renamed %(was)s to %(label)s in the meantime.", was=was, label=label.name)
        )
    if name != label.name:
        _rename(session, dataset, label, name, actor=actor)
    looks = {"description": _valid_description(description), "colour": colour.value}
    before = {"description": label.description, "colour": label.colour.value}
    if looks != before:
        label.description, label.colour = looks["description"], colour
        events.record(
            session, "label.described", actor=actor, dataset_id=dataset_id, subject_id=label.id,
            old=before, new={"label": label.name, **looks},
        )  # fmt: skip
    return label


def _rename(session: Session, dataset: Dataset, label: Label, name: str, *, actor: Actor) -> None:
    old, label_name = label.name, _free_name(session, dataset, name, but=label)
    session.add(
        LabelRename(
            dataset_id=dataset.id,
            label_id=label.id,
            old_name=old,
            last_version_id=newest_version_id(session, dataset),
        )
    )
    label.name = label_name
    events.record(
        session, "label.renamed", actor=actor, dataset_id=dataset.id, subject_id=label.id,
        old=old, new=label_name,
    )  # fmt: skip


def delete(session: Session, dataset_id: int, label_id: int, *, actor: Actor) -> None:
    """Take a label without rows out of use; it comes back should rows come back to it."""
    dataset = _locked(session, dataset_id, actor)
    batches.require_quiet(session, dataset)
    label = get_in_use(session, dataset, label_id)
    session.refresh(label)
    if label.given_count or label.current_count:
        raise Conflict(
            _(
                "%(label)s is not empty: %(current_count)s rows have it and %(given_count)s came "
                "with it. Merge it into another label instead.",
                label=label.name,
                current_count=label.current_count,
                given_count=label.given_count,
            )
        )
    suggested = sa.select(Score.example_id).where(
        Score.run_id == dataset.current_run_id, Score.suggested_label_id == label.id
    )
    if dataset.current_run_id and session.scalar(suggested.limit(1)):
        raise Conflict(
            _("%(label)s is suggested for rows: merge it into another label instead.", label=label.name)
        )
    label.retired_after = newest_version_id(session, dataset)
    events.record(
        session, "label.deleted", actor=actor, dataset_id=dataset_id, subject_id=label.id, old=label.name
    )


def newest_version_id(session: Session, dataset: Dataset) -> int:
    """Return the number of the dataset's newest version; none is made while the dataset is locked."""
    newest = sa.select(sa.func.max(Version.id)).where(Version.dataset_id == dataset.id)
    return session.scalar(newest) or 0


def _locked(session: Session, dataset_id: int, actor: Actor) -> Dataset:
    actor.require(Role.LEAD, datasets.get(session, dataset_id))
    return datasets.lock(session, dataset_id)


def _valid_description(text: str) -> str:
    text = text.strip()
    if len(text) > MAX_DESCRIPTION_CHARS:
        raise InvalidInput(
            _(
                "A description has at most %(max_description_chars)s characters; this one has %(text)s.",
                max_description_chars=MAX_DESCRIPTION_CHARS,
                text=len(text),
            )
        )
    return text


def _free_name(session: Session, dataset: Dataset, name: str, *, but: Label | None = None) -> str:
    """Return a name that no other label has or had in the files."""
    name = name.strip()
    if not name or len(name) > MAX_NAME_CHARS or not name.isprintable():
        raise InvalidInput(
            _(
                "A label's name is one line of 1 to %(max_name_chars)s printable characters.",
                max_name_chars=MAX_NAME_CHARS,
            )
        )
    taken = session.scalar(
        sa.select(Label).where(
            Label.dataset_id == dataset.id,
            (Label.name == name) | (Label.source_name == name),
            Label.id != (but.id if but else 0),
        )
    )
    if taken is not None:
        raise Conflict(_why_taken(session, dataset, taken, name))
    return name


def _why_taken(session: Session, dataset: Dataset, label: Label, name: str) -> str:
    classes = datasets.class_ids(session, dataset.id)
    means = session.get_one(Label, classes.get(label.id, label.id)).name
    if label.retired_after is not None and label.merged_into_id is None:
        return _(
            "%(dataset)s had a label %(name)s that was deleted: add it again instead.",
            dataset=dataset.name,
            name=name,
        )
    if means == name:
        return _("%(dataset)s already has a label called %(name)s.", dataset=dataset.name, name=name)
    return _(
        "Files that say %(name)s mean %(means)s here, so no other label can take that name.",
        name=name,
        means=means,
    )
