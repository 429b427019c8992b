"""Examples: the rows of a dataset, filtered and in pages, with what the model says of them."""

import datetime as dt
from typing import Annotated, Literal

from fastapi import Query, Request
from pydantic import Field
from starlette.responses import Response

from app.api.answers import CurrentPage, Exact, Listing, Out, answer, listing, with_more
from app.api.deps import CurrentActor, router_of
from app.api.locks import lock, with_tag
from app.api.rows import ExampleOut, FilterIn, rows_out
from app.models.columns import Split
from app.models.evidence import IssueKind
from app.models.examples import ExampleState
from app.models.review import Verdict
from app.services import datasets
from app.services.ranking import word_index
from app.services.ranking.queue_filter import Preset
from app.services.reviewing import review
from app.services.reviewing.review import DecisionLine
from app.services.together import blind
from app.services.versioning import history
from app.web.deps import Id, ReadSession

router = router_of("examples")


class ExampleQuery(FilterIn):
    """Which rows; all of them if nothing is said."""

    preset: Preset = Preset.ALL
    """Which rows to begin with: open label issues, open rows of another kind of issue in its own order,
    those set aside, decided, without a label, or all."""
    split: Literal["train", "test", "both"] = "both"
    """The split they are in."""
    cursor: Annotated[str | None, Field(max_length=100)] = None
    """Where to go on; take the whole address from `next` instead of making one."""
    limit: Annotated[int, Field(ge=1, le=200)] = review.PAGE
    """Most rows in one answer."""


class PastDecisionOut(Out):
    """One line of a row's history."""

    id: int
    """Number of the decision."""
    who: Exact
    """The person."""
    verdict: Verdict
    """What the decision said."""
    old_label: Exact | None
    """The label before."""
    new_label: Exact | None
    """The label after."""
    batch_id: int | None
    """The batch it was part of."""
    note: Exact
    """What was noted."""
    created_at: dt.datetime
    """When, in UTC."""


class SimilarOut(Out):
    """A row that resembles another."""

    example_id: int
    """Number of the row."""
    external_id: Exact
    """Its id as it stands in the file."""
    split: Split
    """Its split."""
    text: Exact
    """The beginning of its text."""
    given: Exact | None
    """The label it came with."""
    current: Exact | None
    """The label it has now."""
    state: ExampleState
    """What was last decided about it."""
    similarity: float | None
    """Cosine of the two vectors, to 1; null where only the text was compared."""


class FindingOut(Out):
    """One kind of issue of a row."""

    kind: IssueKind
    """Which kind."""
    score: float
    """From 0 to 1; low is worst."""
    sentence: Exact
    """What is the matter."""
    related: list[SimilarOut]
    """The first rows it is about."""
    related_count: int
    """How many rows it is about."""


class ExampleWithHistoryOut(ExampleOut):
    """One row, what resembles it and what was decided about it."""

    findings: list[FindingOut]
    """The other kinds of issue it has, explained."""
    neighbours: list[SimilarOut]
    """The train rows most like it, the most similar first."""
    history: list[PastDecisionOut]
    """Decisions on this row, newest first, at most 20."""


@router.get(
    "/datasets/{dataset_id:int}/examples",
    name="api.examples.list",
    summary="List rows",
    response_model=Listing[ExampleOut],
)
def list_examples(
    request: Request,
    dataset_id: Id,
    session: ReadSession,
    actor: CurrentActor,
    query: Annotated[ExampleQuery, Query()],
) -> Response:
    """List rows in the queue's order, the worst first, each with the probability of every label.

    The order follows what people decide; pages that hang together by `next` stay in the order in which they
    began, so that no row is listed twice or left out. A page costs the same at any depth. Rows imported after
    the current scoring run show up here once the dataset is scored again.
    """
    dataset = datasets.get(session, dataset_id)
    wanted = blind.narrow(query.queue_filter(), dataset_id, actor=actor)
    word_index.require_whole(session, dataset, wanted)
    page = review.list_queue(session, dataset, wanted, cursor=query.cursor, limit=query.limit)
    return listing(request, rows_out(session, dataset, page.rows, actor=actor), cursor=page.after)


@router.get(
    "/datasets/{dataset_id:int}/examples/{example_id:int}",
    name="api.examples.get",
    summary="Show a row",
    response_model=ExampleWithHistoryOut,
)
def get(dataset_id: Id, example_id: Id, session: ReadSession, actor: CurrentActor) -> Response:
    """Show one row with its scores, what resembles it, and its history."""
    dataset = datasets.get(session, dataset_id)
    found = review.resolver(session, dataset, review.get_row(session, dataset, example_id))
    found = blind.veil_resolver(session, dataset, found, actor=actor)
    row = rows_out(session, dataset, [found.row], actor=actor)[0]
    history = [_line_out(line) for line in found.history]
    findings = [FindingOut.model_validate(one) for one in found.why.findings]
    neighbours = [SimilarOut.model_validate(one) for one in found.why.nearest]
    shown = ExampleWithHistoryOut(**dict(row), findings=findings, neighbours=neighbours, history=history)
    return with_tag(answer(shown), lock(row.version))


@router.get(
    "/datasets/{dataset_id:int}/examples/{example_id:int}/decisions",
    name="api.examples.decisions",
    summary="List a row's decisions",
    response_model=Listing[PastDecisionOut],
)
def list_decisions(
    request: Request,
    dataset_id: Id,
    example_id: Id,
    session: ReadSession,
    actor: CurrentActor,
    page: CurrentPage,
) -> Response:
    """List everything that was decided about a row, newest first.

    Nothing for somebody who is to give the second opinion on it.
    """
    dataset = datasets.get(session, dataset_id)
    review.get_row(session, dataset, example_id)
    if blind.is_hidden(session, dataset, example_id, actor=actor):
        return listing(request, [], cursor=None)
    lines, more = with_more(
        history.decisions_of(session, example_id, before_id=page.cursor, limit=page.limit + 1), page.limit
    )
    items = [_line_out(line) for line in lines]
    return listing(request, items, cursor=lines[-1].decision.id if more else None)


def _line_out(line: DecisionLine | history.DecisionLine) -> PastDecisionOut:
    return PastDecisionOut(
        id=line.decision.id,
        who=line.who,
        verdict=line.decision.verdict,
        old_label=line.old,
        new_label=line.new,
        batch_id=line.decision.batch_id,
        note=line.decision.note,
        created_at=line.decision.created_at,
    )
