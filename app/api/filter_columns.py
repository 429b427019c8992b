"""Filter columns: which columns of metadata rows can be filtered by."""

from typing import Annotated

from fastapi import Request
from pydantic import ConfigDict, Field
from sqlalchemy.orm import Session
from starlette.responses import Response

from app.api.answers import Exact, In, Out, RunOut, accepted, answer
from app.api.deps import CurrentActor, in_dataset, router_of
from app.models.metadata import ColumnState
from app.services import datasets
from app.services.importing import filter_columns
from app.services.operation import runs
from app.web.deps import CurrentSettings, Id, ReadSession, WriteSession

router = router_of("filter columns")


class ColumnOut(Out):
    """A column of metadata that a file has brought."""

    name: Exact
    """Its name."""
    state: ColumnState | None
    """`whole`: rows can be filtered by it; `filling` or `leaving`: not yet, or no more; null: not chosen."""


class ColumnChangeOut(RunOut):
    """The job that fills new columns and removes others."""

    added: list[Exact]
    """Columns that rows can be filtered by once it is done."""
    removed: list[Exact]
    """Columns that they cannot be filtered by any more."""


class ColumnsOut(Out):
    """The columns of a dataset."""

    columns: list[ColumnOut]
    """In the order in which files brought them."""
    change: ColumnChangeOut | None
    """The last change, or null where there was none."""


class ColumnsIn(In):
    """All columns that rows are to be filtered by."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"names": ["channel"]}]})

    names: Annotated[list[str], Field(max_length=filter_columns.MOST_COLUMNS)]
    """Their names; those that are not named are not filtered by any more."""


@router.get(
    "/datasets/{dataset_id:int}/filter-columns",
    name="api.filter_columns.show",
    summary="Show the columns to filter by",
    response_model=ColumnsOut,
)
def show(dataset_id: Id, session: ReadSession) -> Response:
    """Show the columns of metadata, and by which of them rows can be filtered."""
    return answer(_columns(session, dataset_id))


def _columns(session: Session, dataset_id: int) -> ColumnsOut:
    dataset = datasets.get(session, dataset_id)
    change = filter_columns.newest(session, dataset)
    return ColumnsOut(
        columns=[ColumnOut.model_validate(one) for one in filter_columns.list_columns(session, dataset)],
        change=ColumnChangeOut.model_validate(change) if change else None,
    )


@router.put(
    "/datasets/{dataset_id:int}/filter-columns",
    name="api.filter_columns.choose",
    summary="Choose the columns to filter by",
    status_code=202,
    response_model=ColumnChangeOut,
    responses={200: {"model": ColumnsOut, "description": "These are the columns already: no job begins."}},
)
def choose(
    request: Request, dataset_id: Id, body: ColumnsIn, actor: CurrentActor, session: WriteSession
) -> Response:
    """Let rows be filtered by these columns and no others. Needs the role lead.

    A job, which is the answer, fills the new ones: they show once every row's value is there. Where nothing
    changes the answer is 200 with the columns. 409 while a file is being imported or columns are being
    changed.
    """
    begun = filter_columns.choose(session, dataset_id, body.names, actor=actor)
    if begun is None:
        return answer(_columns(session, dataset_id))
    content = ColumnChangeOut.model_validate(begun)
    return accepted(request, content, "api.filter_columns.change", change_id=begun.id)


@router.get(
    "/column-changes/{change_id:int}",
    name="api.filter_columns.change",
    summary="Show a change of columns",
    response_model=ColumnChangeOut,
)
def change(change_id: Id, session: ReadSession) -> Response:
    """Show how far a change of columns is."""
    return answer(ColumnChangeOut.model_validate(in_dataset(session, filter_columns.get(session, change_id))))


@router.post(
    "/column-changes/{change_id:int}/cancel",
    name="api.filter_columns.cancel",
    summary="Cancel a change of columns",
    status_code=202,
    response_model=ColumnChangeOut,
)
def cancel(
    request: Request, change_id: Id, actor: CurrentActor, session: WriteSession, settings: CurrentSettings
) -> Response:
    """Ask a change of columns to stop. Needs the role lead; 409 once it has ended.

    Columns that were not whole are removed, those on their way out with them.
    """
    asked = in_dataset(session, filter_columns.get(session, change_id))
    runs.request_cancel(session, asked, actor=actor, stale_seconds=settings.worker_stale_seconds)
    content = ColumnChangeOut.model_validate(asked)
    return accepted(request, content, "api.filter_columns.change", change_id=asked.id)
