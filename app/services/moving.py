"""Moving: files are named by their whole path, so a database in another folder has to learn of it."""

from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.models import ApiFile, Export, Import, ScoringRun

COLUMNS = (Import.path, ScoringRun.pred_probs_path, ScoringRun.embeddings_path, Export.path, ApiFile.path)


def named_files(session: Session) -> set[str]:
    """Return the paths of all files that the database speaks of."""
    return {path for column in COLUMNS for path in session.scalars(sa.select(column)) if path}


def move_home(session: Session, old: Path, new: Path) -> int:
    """Let every path below a folder be below another one; return how many there were."""
    moved = 0
    for column in COLUMNS:
        below = session.execute(
            sa.select(column.class_.id, column).where(column.startswith(f"{old}/", autoescape=True))
        ).all()
        for row_id, path in below:
            there = str(new / Path(path).relative_to(old))
            changed = sa.update(column.class_).where(column.class_.id == row_id).values({column.key: there})
            session.execute(changed)
        moved += len(below)
    return moved
