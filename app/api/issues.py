"""Issues: the flagged rows by rank."""

from typing import Annotated

from fastapi import Query, Request
from starlette.responses import Response

from app.api.answers import Exact, Listing, Out, PageQuery, listing, with_more
from app.api.deps import router_of
from app.models.columns import Split
from app.services import datasets, issues
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


class IssueQuery(PageQuery):
    """Which issues."""

    split: Split = Split.TRAIN
    """The split they are in."""


@router.get(
    "/datasets/{dataset_id:int}/issues",
    name="api.issues.list",
    summary="List label issues",
    response_model=Listing[IssueOut],
)
def list_issues(
    request: Request, dataset_id: Id, session: ReadSession, query: Annotated[IssueQuery, Query()]
) -> Response:
    """List the rows that the current run flags, the worst first, whatever was decided about them since."""
    dataset = datasets.get(session, dataset_id)
    found, more = with_more(
        issues.list_issues(
            session, dataset, split=query.split, after_rank=query.cursor or 0, limit=query.limit + 1
        ),
        query.limit,
    )
    rows = [IssueOut.model_validate(issue) for issue in found]
    return listing(request, rows, cursor=found[-1].rank if more else None)
