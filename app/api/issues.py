"""Issues: the flagged rows by rank."""

from typing import Annotated

from fastapi import Query, Request
from starlette.responses import Response

from app.api.answers import Exact, Listing, Out, PageQuery, listing, with_more
from app.api.deps import CurrentActor, router_of
from app.models.columns import Split
from app.models.evidence import IssueKind
from app.services import datasets
from app.services.finding import issues
from app.services.together import blind
from app.web.deps import Id, ReadSession

router = router_of("issues")


class IssueOut(Out):
    """One label issue of the current run."""

    rank: int
    """Place among the split's issues; 1 is the worst."""
    id: Exact
    """The row's id as it stands in the file."""
    split: Split
    """The row's split."""
    text: Exact
    """The row's text."""
    given_label: Exact
    """The label it came with."""
    suggested_label: Exact
    """The label the model finds likeliest."""
    self_confidence: float
    """Probability of the given label, from 0 to 1; low is worst."""
    suggested_confidence: float
    """Probability of the suggested label."""
    state: str
    """What was decided about the row since."""


class FoundOut(Out):
    """One row of another kind of issue in the current run."""

    rank: int
    """Place among the split's rows of this kind; 1 is the worst."""
    id: Exact
    """The row's id as it stands in the file."""
    split: Split
    """The row's split."""
    text: Exact
    """The row's text."""
    given_label: Exact | None
    """The label it came with."""
    suggested_label: Exact | None
    """The label the model finds likeliest."""
    self_confidence: float | None
    """Probability of the given label, from 0 to 1; low is worst. Null for a row without a label."""
    suggested_confidence: float
    """Probability of the suggested label."""
    state: str
    """What was decided about the row since."""
    kind: IssueKind
    """The kind of issue."""
    score: float
    """How bad it is, from 0 to 1; low is worst."""
    explanation: Exact
    """What is the matter, in a sentence."""


class IssueQuery(PageQuery):
    """Which issues."""

    kind: IssueKind | None = None
    """Another kind than label issues."""

    split: Split = Split.TRAIN
    """The split they are in."""


@router.get(
    "/datasets/{dataset_id:int}/issues",
    name="api.issues.list",
    summary="List label issues",
    response_model=Listing[IssueOut] | Listing[FoundOut],
)
def list_issues(
    request: Request,
    dataset_id: Id,
    session: ReadSession,
    actor: CurrentActor,
    query: Annotated[IssueQuery, Query()],
) -> Response:
    """List the rows that the current run flags, the worst first, whatever was decided about them since.

    Without `kind` these are the label issues; with it, rows that deserve a look for another reason.
    """
    dataset = datasets.get(session, dataset_id)
    after, most = query.cursor or 0, query.limit + 1
    hidden = blind.rows_kept_from(dataset, actor=actor)
    if query.kind is not None:
        rows, more = with_more(
            issues.list_found(
                session, dataset, query.kind, split=query.split, but_rows=hidden, after_rank=after, limit=most
            ),
            query.limit,
        )
        found_rows = [FoundOut.model_validate(row) for row in rows]
        return listing(request, found_rows, cursor=rows[-1].rank if more else None)
    found, more = with_more(
        issues.list_issues(
            session, dataset, split=query.split, but_rows=hidden, after_rank=after, limit=most
        ),
        query.limit,
    )
    issue_rows = [IssueOut.model_validate(issue) for issue in found]
    return listing(request, issue_rows, cursor=found[-1].rank if more else None)
