"""Datasets: listing, renaming, deleting."""

import datetime as dt
from typing import Annotated

from fastapi import Request
from pydantic import ConfigDict, Field
from sqlalchemy.orm import Session
from starlette.responses import Response

from app.api.answers import CurrentPage, Exact, In, Listing, Out, answer, listing, with_more
from app.api.deps import CurrentActor, router_of
from app.api.locks import IfMatch, check, lock, with_tag
from app.models.datasets import Dataset
from app.services import datasets
from app.web.deps import Id, ReadSession, WriteSession

router = router_of("datasets")


class CountsOut(Out):
    """How many rows of a dataset are what."""

    train: int
    """Rows of the train split."""
    test: int
    """Rows of the test split, which no auto-fix touches."""
    unlabelled: int
    """Rows without a label."""
    issues: int
    """Rows the current scoring run flags."""
    open_issues: int
    """Flagged rows that nobody has decided."""
    needs_review: int
    """Rows somebody has set aside."""
    resolved: int
    """Rows with a final verdict."""
    excluded: int
    """Rows left out of the corrected variant."""
    changed: int
    """Rows whose label differs from the given one."""
    auto_fixed: int
    """Rows changed by an auto-fix."""
    open_conflict: int
    """Rows whose text has other labels too, and that nobody has decided."""
    open_near_duplicate: int
    """Rows that say the same as another one of their split, and that nobody has decided."""
    open_outlier: int
    """Rows unlike the rest that nobody has decided."""
    open_ambiguous: int
    """Rows between two labels that nobody has decided."""
    open_leak: int
    """Rows whose text stands in the other split too, and that nobody has decided."""
    open_broken: int
    """Rows whose text is empty, garbled or far too long, and that nobody has decided."""


class DatasetOut(Out):
    """A dataset."""

    id: int
    """Number of the dataset."""
    name: Exact
    """Its name; no two datasets share one."""
    description: Exact
    """What somebody wrote about it."""
    counts: CountsOut
    """How many of its rows are what."""
    current_run_id: int | None
    """The scoring run whose scores it shows."""
    created_at: dt.datetime
    """When it was made, in UTC."""


class DatasetIn(In):
    """What can be changed about a dataset."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "tweets 2026"}]})

    name: Annotated[str, Field(max_length=datasets.MAX_NAME_CHARS)]
    """Its new name."""


@router.get(
    "/datasets", name="api.datasets.list", summary="List datasets", response_model=Listing[DatasetOut]
)
def list_datasets(request: Request, session: ReadSession, page: CurrentPage) -> Response:
    """List the datasets, newest first."""
    found = datasets.list_datasets(session, before_id=page.cursor, limit=page.limit + 1)
    cards, more = with_more(found, page.limit)
    items = [_out(card.dataset, card.counts) for card in cards]
    return listing(request, items, cursor=cards[-1].dataset.id if more else None)


@router.get(
    "/datasets/{dataset_id:int}", name="api.datasets.get", summary="Show a dataset", response_model=DatasetOut
)
def get(dataset_id: Id, session: ReadSession) -> Response:
    """Show one dataset with its counts."""
    return _shown(session, datasets.get(session, dataset_id))


@router.patch(
    "/datasets/{dataset_id:int}",
    name="api.datasets.rename",
    summary="Rename a dataset",
    response_model=DatasetOut,
)
def rename(
    dataset_id: Id,
    body: DatasetIn,
    actor: CurrentActor,
    session: WriteSession,
    if_match: IfMatch = None,
) -> Response:
    """Give a dataset another name. Needs the role lead; 409 if the name is taken."""
    check(if_match, _lock(datasets.get(session, dataset_id)))
    return _shown(session, datasets.rename(session, dataset_id, body.name, actor=actor))


@router.delete(
    "/datasets/{dataset_id:int}",
    name="api.datasets.delete",
    summary="Delete a dataset",
    status_code=202,
    response_class=Response,
)
def delete(dataset_id: Id, actor: CurrentActor, session: WriteSession, if_match: IfMatch = None) -> Response:
    """Hide a dataset at once; a job removes its rows. Needs the role admin; 409 while a job works on it."""
    check(if_match, _lock(datasets.get(session, dataset_id)))
    datasets.request_delete(session, dataset_id, actor=actor)
    return Response(status_code=202)


def _shown(session: Session, dataset: Dataset) -> Response:
    content = _out(dataset, datasets.counts(session, dataset.id))
    return with_tag(answer(content), _lock(dataset))


def _lock(dataset: Dataset) -> str:
    return lock(dataset.name, dataset.description)


def _out(dataset: Dataset, counts: datasets.Counts) -> DatasetOut:
    return DatasetOut(
        id=dataset.id,
        name=dataset.name,
        description=dataset.description,
        counts=CountsOut.model_validate(counts),
        current_run_id=dataset.current_run_id,
        created_at=dataset.created_at,
    )
