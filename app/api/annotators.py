"""Annotators: how good those are who rated the rows of a dataset."""

from starlette.responses import Response

from app.api.answers import Exact, Out, answer
from app.api.deps import CurrentActor, router_of
from app.errors import NotFound
from app.services import datasets
from app.services.finding import annotators
from app.web.deps import Id, ReadSession

router = router_of("annotators")


class AnnotatorOut(Out):
    """One annotator, as the current run has judged."""

    name: Exact
    """As the file has it."""
    rated: int
    """Rows that were rated."""
    quality: float | None
    """How far this annotator is to be trusted, from 0 to 1; low is worst. Null if nothing was comparable."""
    agrees: float | None
    """Share of the rows rated by others too on which the consensus is what this annotator chose."""
    worst_label: Exact | None
    """The class in which this annotator is right least often."""


class AnnotatorsOut(Out):
    """What the current run says of all who rated rows."""

    rows: int
    """Rows with ratings."""
    ratings: int
    """Ratings in all."""
    annotators: int
    """Different annotators."""
    agreement: float | None
    """Mean share of a row's annotators who chose its consensus label. Null if nothing was comparable."""
    differs: int | None
    """Rows whose given label is not the consensus of annotators and model."""
    people: list[AnnotatorOut]
    """The least trusted first, at most 1,000."""


@router.get(
    "/datasets/{dataset_id:int}/annotators",
    name="api.annotators.show",
    summary="Judge the annotators",
    response_model=AnnotatorsOut,
)
def show(dataset_id: Id, session: ReadSession, actor: CurrentActor) -> Response:
    """Say how good the annotators are, for a dataset whose rows came with several ratings.

    404 until such a dataset was scored.
    """
    dataset = datasets.get(session, dataset_id)
    found = annotators.get(session, dataset, actor=actor)
    if found is None:
        raise NotFound(
            f"Nothing is known of annotators in {dataset.name}: no row has several ratings, or it was not "
            "scored since."
        )
    return answer(AnnotatorsOut.model_validate(found))
