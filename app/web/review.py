"""Review: the ranked queue, one row of it, verdicts."""

from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Form, Query, Request
from pydantic import BaseModel, BeforeValidator, Field
from sqlalchemy.orm import Session
from starlette.responses import Response

from app.errors import InvalidInput
from app.languages import _, n_
from app.models.datasets import Dataset
from app.models.review import Decision, Verdict
from app.services import datasets
from app.services.ranking.queue_rows import QueueRow
from app.services.reviewing import decisions, review
from app.services.reviewing.decisions import Picked
from app.services.together import blind, handing_out
from app.web.deps import (
    ChosenId,
    CurrentActor,
    CurrentDatabase,
    CurrentPage,
    CurrentSettings,
    Id,
    Page,
    ReadSession,
)
from app.web.handed import handed_out
from app.web.render import html, target, url
from app.web.review_answers import opened_after, picking, sent, table_again
from app.web.review_values import filter_of, is_renewed, place_of, resolver, shared, workbench

router = APIRouter(prefix="/datasets/{dataset_id:int}/review")

MOST_AHEAD = 50
Rank = Annotated[
    Annotated[int, Field(ge=1, lt=2**53)] | None,
    BeforeValidator(lambda value: None if value == "" else value),
]


class DecisionForm(BaseModel):
    """The resolver's form; pressing a label's button is an override."""

    version: Annotated[int, Field(ge=1, lt=2**31)]
    verdict: Verdict = Verdict.OVERRIDE
    label_id: ChosenId = None
    note: str = ""
    idempotency_key: Annotated[str | None, Field(max_length=90)] = None
    ahead: bool = False
    """Whether the page shows the next row already, and only wants to know what became of this one."""


class SelectionForm(BaseModel):
    """One verdict on the rows that are ticked, each as `example:version`."""

    picked: list[Annotated[str, Field(pattern=r"^[1-9][0-9]{0,17}:[1-9][0-9]{0,8}$")]] = []
    verdict: Verdict = Verdict.OVERRIDE
    label_id: ChosenId = None
    idempotency_key: Annotated[str | None, Field(max_length=80)] = None

    def rows(self) -> list[Picked]:
        """Return the ticked rows."""
        return [Picked(*map(int, one.split(":"))) for one in self.picked]


@router.get("", name="review.queue")
def queue(
    request: Request,
    dataset_id: Id,
    session: ReadSession,
    actor: CurrentActor,
    settings: CurrentSettings,
    place: CurrentPage,
    rank: Annotated[Rank, Query()] = None,
) -> Response:
    """Show the queue with its first row opened; with a rank, the page that begins there."""
    dataset, wanted = datasets.get(session, dataset_id), filter_of(request, dataset_id, actor=actor)
    if rank is not None:
        place = Page(cursor=review.place_at(session, dataset, wanted, rank), backwards=False)
    page = review.list_queue(
        session, dataset, wanted, cursor=place.cursor, order=place.order, backwards=place.backwards
    )
    page = blind.veil_page(session, dataset, page, actor=actor)
    base = shared(session, dataset, wanted, replace(place, order=page.order), settings, actor=actor)
    if target(request) == "queue":
        labels = datasets.labels(session, dataset)
        return html(
            request, "review/_queue.html", page=page, selected_id=None, labels=labels, **base, **picking()
        )
    values = workbench(request, session, dataset, wanted, base["sharing"], actor=actor)
    # A row that is shared out is taken, and looking takes nothing: the page asks for it.
    starts = bool(base["sharing"] and page.rows)
    first = page.rows[0] if page.rows and not starts else None
    opened = resolver(session, first, settings, base, actor=actor) | {"starts": starts}
    return _page(request, **base, **values, page=page, **opened)


@router.get("/{example_id:int}", name="review.show")
def show(
    request: Request,
    dataset_id: Id,
    example_id: Id,
    session: ReadSession,
    actor: CurrentActor,
    settings: CurrentSettings,
    place: CurrentPage,
) -> Response:
    """Show one row opened, beside the part of the queue it was chosen from."""
    dataset, wanted = datasets.get(session, dataset_id), filter_of(request, dataset_id, actor=actor)
    row = review.get_row(session, dataset, example_id)
    if target(request) == "resolver":
        base = shared(session, dataset, wanted, place, settings, actor=actor)
        opened = resolver(session, row, settings, base, actor=actor)
        return html(request, "review/_resolver.html", **base, **opened)
    page = review.list_queue(
        session, dataset, wanted, cursor=place.cursor, order=place.order, backwards=place.backwards
    )
    page = blind.veil_page(session, dataset, page, actor=actor)
    base = shared(session, dataset, wanted, replace(place, order=page.order), settings, actor=actor)
    values = workbench(request, session, dataset, wanted, base["sharing"], actor=actor)
    opened = resolver(session, row, settings, base, actor=actor)
    return _page(request, **base, **values, page=page, **opened)


@router.get("/{example_id:int}/next", name="review.next")
def following(
    request: Request,
    dataset_id: Id,
    example_id: Id,
    session: ReadSession,
    actor: CurrentActor,
    settings: CurrentSettings,
    place: CurrentPage,
    decided: Annotated[list[int] | None, Query(max_length=MOST_AHEAD)] = None,
) -> Response:
    """Give the row that follows once this one is decided, and those whose verdicts are on their way."""
    dataset, wanted = datasets.get(session, dataset_id), filter_of(request, dataset_id, actor=actor)
    find = handing_out.row_after(
        wanted, example_id, order=place.order or 0, but={example_id, *(decided or [])}
    )
    following = next(iter(find(session, dataset, ())), None)
    place = place_of(place, following)
    base = shared(session, dataset, wanted, place, settings, actor=actor)
    opened = resolver(session, following, settings, base, actor=actor)
    return html(request, "review/_resolver.html", **base, **opened)


@router.post("/undo", name="review.undo")
def undo(
    request: Request,
    dataset_id: Id,
    actor: CurrentActor,
    database: CurrentDatabase,
    settings: CurrentSettings,
    place: CurrentPage,
) -> Response:
    """Take back the last verdict and open its row again."""
    wanted = filter_of(request, dataset_id, actor=actor)
    with database.write() as session:
        decision = decisions.undo(session, dataset_id, actor=actor)
        is_selection = decisions.undid_several(session, decision)
        dataset, example_id = datasets.get(session, dataset_id), decision.example_id
        handing_out.take_back(session, dataset, example_id, minutes=settings.lease_minutes, actor=actor)
    with database.read() as session:
        dataset = datasets.get(session, dataset_id)
        row = review.get_row(session, dataset, example_id, within=wanted)
        if is_selection:
            return table_again(
                request,
                session,
                dataset,
                wanted,
                place,
                settings,
                opened=row,
                flash=_("Undone on all rows of that verdict."),
                actor=actor,
            )
        return opened_after(
            request,
            session,
            dataset,
            wanted,
            place,
            settings,
            row=row,
            opened=row,
            flash=_("Undone."),
            actor=actor,
        )


@router.post("/selection", name="review.decide_selection")
def decide_selection(
    request: Request,
    dataset_id: Id,
    form: Annotated[SelectionForm, Form()],
    actor: CurrentActor,
    database: CurrentDatabase,
    settings: CurrentSettings,
    place: CurrentPage,
) -> Response:
    """Write one verdict on the ticked rows, and open the row after the last of them."""
    wanted = filter_of(request, dataset_id, actor=actor)
    if not form.picked:
        raise InvalidInput(_("Tick the rows that the verdict is for."))
    with database.write() as session:
        made = decisions.decide_selection(
            session,
            dataset_id,
            form.rows(),
            form.verdict,
            label_id=form.label_id,
            idempotency_key=form.idempotency_key,
            actor=actor,
        )
    find = handing_out.next_row(wanted, made[-1].example_id, order=place.order or 0)
    flash = n_(
        "One row decided. One undo takes all of it back.",
        "%(rows)s rows decided. One undo takes all of it back.",
        len(made),
        rows=f"{len(made):,}",
    )

    def show(session: Session, dataset: Dataset, row: QueueRow | None, *, is_mine: bool) -> Response:
        return table_again(
            request, session, dataset, wanted, place, settings, opened=row, is_mine=is_mine, flash=flash,
            actor=actor,
        )  # fmt: skip

    return handed_out(database, dataset_id, find, show, minutes=settings.lease_minutes, actor=actor)


@router.post("/{example_id:int}", name="review.decide")
def decide(
    request: Request,
    dataset_id: Id,
    example_id: Id,
    form: Annotated[DecisionForm, Form()],
    actor: CurrentActor,
    database: CurrentDatabase,
    settings: CurrentSettings,
    place: CurrentPage,
) -> Response:
    """Write a verdict, and open the next row once nobody has to wait for what was written."""
    wanted = filter_of(request, dataset_id, actor=actor)
    with database.write() as session:
        decision = decisions.decide(
            session,
            dataset_id,
            example_id,
            form.verdict,
            version=form.version,
            label_id=form.label_id,
            note=form.note.strip(),
            idempotency_key=form.idempotency_key,
            actor=actor,
        )
    if form.ahead:
        with database.read() as session:
            dataset = datasets.get(session, dataset_id)
            row = review.get_row(session, dataset, example_id, within=wanted)
            return sent(
                request, session, dataset, wanted, place, row=row, flash=_said(decision, row),
                settings=settings, actor=actor,
            )  # fmt: skip

    def show(session: Session, dataset: Dataset, row: QueueRow | None, *, is_mine: bool) -> Response:
        decided, opened = review.get_row(session, dataset, example_id, within=wanted), row
        flash = _said(decision, decided)
        if is_renewed(place, opened):
            flash = _("%(flash)s Order renewed from what was decided.", flash=flash)
            anew = Page(cursor=None, backwards=False)
            return table_again(
                request, session, dataset, wanted, anew, settings, opened=opened, is_mine=is_mine,
                flash=flash, quiet=True, actor=actor,
            )  # fmt: skip
        return opened_after(
            request, session, dataset, wanted, place, settings, row=decided, opened=opened, is_mine=is_mine,
            flash=flash, actor=actor,
        )  # fmt: skip

    find = handing_out.row_after(wanted, example_id, order=place.order or 0)
    return handed_out(database, dataset_id, find, show, minutes=settings.lease_minutes, actor=actor)


def _said(decision: Decision, row: QueueRow) -> str:
    match decision.verdict:
        case Verdict.EXCLUDE:
            return _("Excluded.")
        case Verdict.NEEDS_REVIEW:
            return _("Set aside for review.")
        case Verdict.KEEP:
            return _("Kept %(current)s.", current=row.current)
        case _:
            return _("Now %(current)s.", current=row.current)


def _page(request: Request, **values: Any) -> Response:
    values |= picking()
    if target(request) != "review":
        return html(request, "review/page.html", **values)
    response = html(request, "review/_review.html", **values)
    # Without the empty fields that a form sends along.
    there = url(request, "review.queue", values["cursor_query"], dataset_id=values["dataset"].id)
    response.headers["HX-Push-Url"] = there
    return response
