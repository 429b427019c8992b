"""Pages that go from one row with two opinions to the next: deciding about one opens another.

Each noun says what it hands out and what its page shows of that.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from fastapi import Request
from pydantic import BaseModel
from sqlalchemy.orm import Session
from starlette.responses import Response

from app.actor import Actor
from app.config import Settings
from app.db import Database
from app.models.datasets import Dataset
from app.models.review import Verdict
from app.services import datasets
from app.services.reviewing.review import Matches
from app.web.deps import ChosenId
from app.web.render import after_write, html, url
from app.web.review_values import blind_page

Row = TypeVar("Row")


class VerdictForm(BaseModel):
    """What somebody thinks of a row; pressing a label's button is an override."""

    verdict: Verdict = Verdict.OVERRIDE
    label_id: ChosenId = None
    note: str = ""


@dataclass(frozen=True)
class Walk(Generic[Row]):
    """How a noun's pages go from row to row; its routes and templates are called after it."""

    noun: str
    own: Callable[..., Row | None]
    """Gives the row that somebody has open, from a session, a dataset and an actor."""
    hand_out: Callable[..., Row | None]
    """Opens the next one for some minutes."""
    count: Callable[..., Matches]
    """Counts those that are left for somebody."""
    shown: Callable[[Session, Dataset, Row | None], dict[str, Any]]
    """Gives what the page shows of the row."""

    def show(
        self, request: Request, session: Session, dataset_id: int, settings: Settings, actor: Actor
    ) -> Response:
        """Show the row that is open, or a way to open one."""
        dataset = datasets.get(session, dataset_id)
        opened = self.own(session, dataset, actor=actor)
        values = self._values(session, dataset, settings, opened, actor=actor)
        values["starts"] = opened is None and values["left"].rows > 0
        return html(request, f"{self.noun}/index.html", **values)

    def go_on(
        self,
        request: Request,
        database: Database,
        dataset_id: int,
        settings: Settings,
        *,
        flash: str = "",
        actor: Actor,
    ) -> Response:
        """Open the next row that nobody else has."""
        with database.write() as session:
            dataset = datasets.get(session, dataset_id)
            opened = self.hand_out(session, dataset, minutes=settings.lease_minutes, actor=actor)
        with database.read() as session:
            values = self._values(session, dataset, settings, opened, actor=actor)
        there = url(request, f"{self.noun}.index", dataset_id=dataset.id)
        return after_write(
            request, f"{self.noun}/_row.html", to=there, flash=flash, quiet=True, starts=False, **values
        )

    def _values(
        self, session: Session, dataset: Dataset, settings: Settings, opened: Row | None, *, actor: Actor
    ) -> dict[str, Any]:
        left = self.count(session, dataset, actor=actor)
        page = blind_page(session, dataset, settings, actor=actor)
        return {**page, **self.shown(session, dataset, opened), "left": left}
