"""Moving: files are named by their whole path, so a database in another folder has to learn of it."""

from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.models import ApiFile, Export, Import, ScoringRun
from app.models.columns import OPEN_STATES, RunState

COLUMNS = (Import.path, ScoringRun.pred_probs_path, ScoringRun.embeddings_path, Export.path, ApiFile.path)


WAITING = (RunState.DRAFT, *OPEN_STATES)


def needed_files(session: Session) -> set[str]:
    """Return the paths of all files that the database needs; uploads go once they are imported."""
    needs = (
        (Import.path, Import.state.in_(WAITING)),
        (ScoringRun.pred_probs_path, ScoringRun.state.in_(WAITING)),
        (ScoringRun.embeddings_path, ScoringRun.state.in_(WAITING)),
        (Export.path, Export.state == RunState.DONE),
        (ApiFile.path, sa.true()),
    )
    return {
        path
        for column, is_needed in needs
        for path in session.scalars(sa.select(column).where(is_needed))
        if path
    }


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
