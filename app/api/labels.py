"""Labels: the classes of a dataset; adding, renaming, merging, splitting and deleting them."""

from typing import Annotated, Literal

from fastapi import Query, Request
from pydantic import ConfigDict, Field
from sqlalchemy.orm import Session
from starlette.responses import Response

from app.api.answers import CurrentPage, Exact, In, Listing, Out, accepted, answer, listing, with_more
from app.api.batches import BatchOut
from app.api.deps import CurrentActor, router_of
from app.api.locks import IfMatch, check, lock, with_tag
from app.api.rows import ExampleOut, FilterIn, rows_out
from app.errors import InvalidInput
from app.models.datasets import Colour, Label
from app.services import datasets
from app.services.labelling import labels, relabelling
from app.services.labelling.relabelling import SplitChoices
from app.services.ranking.queue_filter import Preset
from app.web.deps import CurrentSettings, Id, ReadSession, RowId, WriteSession
from app.web.render import url

router = router_of("labels")

Name = Annotated[str, Field(max_length=labels.MAX_NAME_CHARS)]
Description = Annotated[str, Field(max_length=labels.MAX_DESCRIPTION_CHARS)]


class LabelOut(Out):
    """A class of a dataset."""

    id: int
    """Number of the label: what filters and decisions take. It stays when the label is renamed."""
    name: Exact
    """What it is called now."""
    source_name: Exact
    """What files call it: the original variant is written with this name."""
    description: Exact
    """What it means."""
    colour: Colour
    """Its colour on pages, or nothing."""
    given_count: int
    """Rows that came with this label."""
    current_count: int
    """Rows that have it now."""


class LabelIn(In):
    """A new class."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "warranty", "description": "Claims within two years"}]}
    )

    name: Name
    """Its name; no other label has it, nor do files mean another one by it."""
    description: Description = ""
    """What it means."""
    colour: Colour = Colour.NONE
    """Its colour on pages."""


class LabelChangeIn(In):
    """What can be changed about a label without touching a row; what is not said stays."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "refund", "was": "refnud"}]})

    name: Name | None = None
    """Its new name."""
    was: Exact | None = None
    """The name you saw: 409 if somebody has renamed it since."""
    description: Description | None = None
    """What it means."""
    colour: Colour | None = None
    """Its colour on pages."""


class MergeIn(In):
    """Where a label's rows go."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"into_id": 7}]})

    into_id: RowId
    """Number of the label that takes them in."""


class MergePreviewOut(Out):
    """What a merge would do, before it does it."""

    given: int
    """Rows that came with the label."""
    current: int
    """Rows that have it now."""
    decided: int
    """Rows among the latter that people decided; what they decided stands."""
    suggested: int
    """Rows for which it is suggested."""
    settled: int
    """Open issues between the two labels, which are none any more."""


class SplitFilterIn(FilterIn):
    """Conditions on rows, all of which must hold; every row if nothing is said."""

    preset: Preset = Preset.ALL
    """Which rows to begin with: open issues, those set aside, decided, without a label, or all."""
    split: Literal["train", "test", "both"] = "both"
    """The split they are in."""


class SplitQuery(SplitFilterIn):
    """Rows of a label, chosen by a filter."""

    label_id: RowId | None = None
    """Number of the label the rows have now; rows without a label if not said."""
    with_decided: bool = False
    """Whether rows that people decided go along; their verdicts stand."""


class SplitIn(In):
    """Rows of a label, chosen by a filter, and the label they get."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"label_id": 3, "filter": {"search": "refund"}, "new_name": "refund"}]
        }
    )

    label_id: RowId | None = None
    """Number of the label the rows have now; rows without a label if not said."""
    filter: SplitFilterIn = SplitFilterIn()
    """Which of them; all if not said."""
    with_decided: bool = False
    """Whether rows that people decided go along; their verdicts stand."""
    into_id: RowId | None = None
    """Number of the label they get."""
    new_name: Name | None = None
    """Name of a label that is added for them, instead of `into_id`."""


class SplitPreviewOut(Out):
    """What a split would do, before it does it."""

    rows: int
    """Rows that would get another label."""
    decided: int
    """Rows of the filter that people decided: left alone unless asked for."""
    left: int
    """Rows that go on having the label."""
    sample: list[ExampleOut]
    """Some of the rows that would change."""


@router.get(
    "/datasets/{dataset_id:int}/labels",
    name="api.labels.list",
    summary="List labels",
    response_model=Listing[LabelOut],
)
def list_labels(request: Request, dataset_id: Id, session: ReadSession, page: CurrentPage) -> Response:
    """List the classes by the code points of their names: the order of the columns of probabilities."""
    rows = labels.list_after(session, datasets.get(session, dataset_id), page.cursor)
    found, more = with_more(rows, page.limit)
    items = [LabelOut.model_validate(label) for label in found]
    return listing(request, items, cursor=found[-1].id if more else None)


@router.post(
    "/datasets/{dataset_id:int}/labels",
    name="api.labels.create",
    summary="Add a label",
    status_code=201,
    response_model=LabelOut,
)
def create(
    request: Request,
    dataset_id: Id,
    body: LabelIn,
    actor: CurrentActor,
    session: WriteSession,
    settings: CurrentSettings,
) -> Response:
    """Add a class that has no rows yet. Needs the role lead; 409 if the name is taken."""
    label = labels.add(
        session,
        dataset_id,
        body.name,
        description=body.description,
        colour=body.colour,
        max_classes=settings.max_classes,
        actor=actor,
    )
    there = url(request, "api.labels.get", dataset_id=dataset_id, label_id=label.id)
    return answer(LabelOut.model_validate(label), status_code=201, headers={"Location": there})


@router.get(
    "/datasets/{dataset_id:int}/labels/{label_id:int}",
    name="api.labels.get",
    summary="Show a label",
    response_model=LabelOut,
)
def get(dataset_id: Id, label_id: Id, session: ReadSession) -> Response:
    """Show one label; 409, saying what it became, for one that was merged or deleted."""
    return _shown(_label(session, dataset_id, label_id))


def _shown(label: Label) -> Response:
    return with_tag(answer(LabelOut.model_validate(label)), _lock(label))


def _lock(label: Label) -> str:
    return lock(label.name, label.description, label.colour)


def _label(session: Session, dataset_id: int, label_id: int) -> Label:
    return labels.get_in_use(session, datasets.get(session, dataset_id), label_id)


@router.patch(
    "/datasets/{dataset_id:int}/labels/{label_id:int}",
    name="api.labels.change",
    summary="Rename or describe a label",
    response_model=LabelOut,
)
def change(
    dataset_id: Id,
    label_id: Id,
    body: LabelChangeIn,
    actor: CurrentActor,
    session: WriteSession,
    if_match: IfMatch = None,
) -> Response:
    """Change a label's name, description or colour; no row changes. Needs the role lead.

    Earlier versions go on showing the old name, and the original variant what the files say.
    """
    label = _label(session, dataset_id, label_id)
    check(if_match, _lock(label))
    changed = labels.change(
        session,
        dataset_id,
        label_id,
        name=label.name if body.name is None else body.name,
        was=label.name if body.was is None else body.was,
        description=label.description if body.description is None else body.description,
        colour=label.colour if body.colour is None else body.colour,
        actor=actor,
    )
    return _shown(changed)


@router.delete(
    "/datasets/{dataset_id:int}/labels/{label_id:int}",
    name="api.labels.delete",
    summary="Delete an empty label",
    status_code=204,
)
def delete(
    dataset_id: Id,
    label_id: Id,
    actor: CurrentActor,
    session: WriteSession,
    if_match: IfMatch = None,
) -> Response:
    """Take a label without rows out of use. Needs the role lead; 409 if it has rows or is suggested."""
    check(if_match, _lock(_label(session, dataset_id, label_id)))
    labels.delete(session, dataset_id, label_id, actor=actor)
    return Response(status_code=204)


@router.get(
    "/datasets/{dataset_id:int}/labels/{label_id:int}/merge",
    name="api.labels.preview_merge",
    summary="Preview a merge",
    response_model=MergePreviewOut,
)
def preview_merge(
    dataset_id: Id, label_id: Id, session: ReadSession, query: Annotated[MergeIn, Query()]
) -> Response:
    """Count what merging a label into another one would touch. Changes nothing."""
    dataset = datasets.get(session, dataset_id)
    plan = relabelling.preview_merge(session, dataset, label_id, query.into_id)
    return answer(MergePreviewOut.model_validate(plan))


@router.post(
    "/datasets/{dataset_id:int}/labels/{label_id:int}/merge",
    name="api.labels.merge",
    summary="Merge a label into another",
    status_code=202,
    response_model=BatchOut,
)
def merge(
    request: Request,
    dataset_id: Id,
    label_id: Id,
    body: MergeIn,
    actor: CurrentActor,
    session: WriteSession,
    if_match: IfMatch = None,
) -> Response:
    """Move every row of a label to another one, as one batch that can be undone. Needs the role lead.

    The probabilities of the two are added up until the dataset is scored again. 409 while a batch, a scoring
    run or an import is open.
    """
    check(if_match, _lock(_label(session, dataset_id, label_id)))
    batch = relabelling.request_merge(session, dataset_id, label_id, body.into_id, actor=actor)
    return accepted(request, BatchOut.model_validate(batch), "api.batches.get", batch_id=batch.id)


@router.get(
    "/datasets/{dataset_id:int}/labels/split",
    name="api.labels.preview_split",
    summary="Preview a split",
    response_model=SplitPreviewOut,
)
def preview_split(
    dataset_id: Id, session: ReadSession, actor: CurrentActor, query: Annotated[SplitQuery, Query()]
) -> Response:
    """Count the rows that would leave their label, and show some of them. Changes nothing."""
    dataset = datasets.get(session, dataset_id)
    choices = SplitChoices(query.label_id, query.queue_filter(), query.with_decided)
    plan = relabelling.preview_split(session, dataset, choices)
    sample = rows_out(session, dataset, plan.sample, actor=actor)
    return answer(SplitPreviewOut(rows=plan.rows, decided=plan.decided, left=plan.left, sample=sample))


@router.post(
    "/datasets/{dataset_id:int}/labels/split",
    name="api.labels.split",
    summary="Split rows off a label",
    status_code=202,
    response_model=BatchOut,
)
def split(
    request: Request,
    dataset_id: Id,
    body: SplitIn,
    actor: CurrentActor,
    session: WriteSession,
    settings: CurrentSettings,
) -> Response:
    """Move the rows of a filter to another label, as one batch that can be undone. Needs the role lead."""
    choices = SplitChoices(body.label_id, body.filter.queue_filter(), body.with_decided)
    if (body.into_id is None) == (body.new_name is None):
        raise InvalidInput("Say one of into_id and new_name.")
    if body.into_id is not None:
        batch = relabelling.request_split(session, dataset_id, choices, body.into_id, actor=actor)
    else:
        batch = relabelling.request_split_off(
            session, dataset_id, choices, body.new_name or "", max_classes=settings.max_classes, actor=actor
        )
    return accepted(request, BatchOut.model_validate(batch), "api.batches.get", batch_id=batch.id)
