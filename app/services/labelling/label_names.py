"""What labels are called: today, at a version, and in the files they came with."""

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.models.datasets import Label, LabelRename
from app.models.versions import Version
from app.services import datasets


def names_at(session: Session, version: Version) -> dict[int, str]:
    """Return the name that each label had at a version, by its id, of retired ones too."""
    names = datasets.label_names(session, version.dataset_id)
    if not _is_frozen(version):
        return names
    renames = session.execute(
        sa.select(LabelRename.label_id, LabelRename.old_name)
        .where(LabelRename.dataset_id == version.dataset_id, LabelRename.last_version_id >= version.id)
        .order_by(LabelRename.id.desc())
    )
    return names | dict(renames.all())  # the first renaming after the version is the last one to be read


def labels_at(session: Session, version: Version) -> dict[int, str]:
    """Return the labels one could choose at a version, in the order of the names they had."""
    is_gone = Label.retired_after < version.id if _is_frozen(version) else Label.retired_after.is_not(None)
    unknown = set(
        session.scalars(
            sa.select(Label.id).where(
                Label.dataset_id == version.dataset_id, is_gone | (Label.import_seq > version.import_seq)
            )
        )
    )
    names = names_at(session, version).items()
    known = [(label_id, name) for label_id, name in names if label_id not in unknown]
    return dict(sorted(known, key=lambda item: item[1]))


def words_of(session: Session, version: Version, *, as_given: bool) -> tuple[str, ...]:
    """Return the labels of a version in order: as files have them, or as they are called."""
    known = labels_at(session, version)
    if not as_given:
        return tuple(known.values())
    sources = source_names(session, version.dataset_id)
    return tuple(sorted({sources[label_id] for label_id in known}))


def source_names(session: Session, dataset_id: int) -> dict[int, str]:
    """Return what files call each label, by its id; no renaming or merging changes it."""
    found = session.execute(sa.select(Label.id, Label.source_name).where(Label.dataset_id == dataset_id))
    return dict(found.all())


def _is_frozen(version: Version) -> bool:
    """Say whether it is a real version, rather than the present state dressed as one."""
    return version.id is not None
