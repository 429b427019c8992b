"""What an undone batch could not put back: rows that were changed since."""

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from app.models.examples import Example, ExampleState
from app.models.people import User
from app.models.review import Decision

PAGE = 100


@dataclass(frozen=True)
class LeftRow:
    """A row that an undone batch left as it is, and who changed it since."""

    decision_id: int
    example_id: int
    external_id: str
    batch_label_id: int | None
    label_id: int | None
    state: ExampleState
    who: str | None
    text: str


def rows_left(session: Session, batch_id: int, *, after: int = 0, limit: int = PAGE) -> list[LeftRow]:
    """Return the next rows, in the order in which the batch had changed them."""
    undone, last = aliased(Decision), aliased(Decision)
    found = session.execute(
        sa.select(
            Decision.id, Example.id, Example.external_id, Decision.new_label_id, Example.label_id,
            Example.state, User.name, Example.text,
        )
        .join(Example, Example.id == Decision.example_id)
        .outerjoin(last, last.id == Example.last_decision_id)
        .outerjoin(User, User.id == last.user_id)
        .where(
            Decision.batch_id == batch_id,
            Decision.id > after,
            ~sa.exists().where(undone.undoes_id == Decision.id),
        )
        .order_by(Decision.id)
        .limit(limit)
    )  # fmt: skip
    return [LeftRow(*row) for row in found]
