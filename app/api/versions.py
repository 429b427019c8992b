"""Versions: freezing the labels under a name."""

import datetime as dt
from typing import Annotated, Any

from fastapi import Query, Request
from pydantic import ConfigDict, Field
from starlette.responses import Response

from app.api.answers import (
    CurrentPage,
    Exact,
    In,
    Listing,
    Out,
    PageQuery,
    accepted,
    answer,
    listing,
    with_more,
)
from app.api.batches import BatchOut
from app.api.deps import CurrentActor, in_dataset, router_of
from app.models.examples import ExampleState
from app.services import datasets
from app.services.labelling import label_names
from app.services.together import blind
from app.services.versioning import comparing, restoring, versions
from app.services.versioning.comparing import ChangedRow, LabelPair, PairFilter
from app.web.deps import Id, ReadSession, RowId, WriteSession
from app.web.render import url

router = router_of("versions")
LabelNumber = Annotated[int | None, Field(ge=0, lt=2**63)]


class VersionIn(In):
    """A name for the present state."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "after the first review"}]})

    name: Annotated[str, Field(max_length=versions.MAX_NAME_CHARS)] | None = None
    """The name; made up if not said."""


class VersionOut(Out):
    """A frozen state of the labels."""

    id: int
    """Number of the version."""
    dataset_id: int
    """The dataset."""
    name: Exact
    """Its name; no two versions of a dataset share one."""
    reason: str
    """What it was made for: by hand, export, batch, import, scoring or experiment."""
    run_id: int | None
    """The scoring run whose flagged rows the variant `dropped` leaves out."""
    counts: Any
    """How many rows were what."""
    created_by_id: int
    """Who made it."""
    created_at: dt.datetime
    """When, in UTC."""


class CompareQuery(In):
    """Two versions of a dataset."""

    old_id: RowId | None = None
    """Number of one version; the present state if not said."""
    new_id: RowId | None = None
    """Number of the other one; the present state if not said."""


class ChangesQuery(PageQuery, CompareQuery):
    """Which rows that differ between two versions."""

    was: LabelNumber = None
    """Only rows with this label at the older one; 0 for rows without a label."""
    became: LabelNumber = None
    """Only rows with this label at the newer one; 0 for rows without a label."""


class LabelPairOut(Out):
    """Rows that went from one label to another."""

    old_label_id: int | None
    """Number of the label before; null for none."""
    old_label: Exact | None
    """What it was called then."""
    new_label_id: int | None
    """Number of the label after; null for none."""
    new_label: Exact | None
    """What it was called then."""
    rows: int
    """How many rows."""


class ComparisonOut(Out):
    """What differs between two versions."""

    old_id: int | None
    """Number of the older version; null for the present state."""
    new_id: int | None
    """Number of the newer version; null for the present state."""
    pairs: list[LabelPairOut]
    """Rows with another label, by pair of labels, the most frequent first."""
    relabelled: int
    """Rows with another label."""
    decided: int
    """Rows with the same label and another state."""
    added: int
    """Rows that only the newer version has."""


class ChangeOut(Out):
    """A row that is not the same at two versions."""

    example_id: int
    """Number of the row."""
    external_id: Exact
    """The row's id as it stands in the file."""
    old_label_id: int | None
    """Number of the label before; null for none."""
    old_label: Exact | None
    """What it was called then."""
    new_label_id: int | None
    """Number of the label after; null for none."""
    new_label: Exact | None
    """What it was called then."""
    old_state: ExampleState
    """What had been decided before."""
    new_state: ExampleState
    """What had been decided after."""


class RestorePreviewOut(Out):
    """What restoring a version would do, before it does it."""

    rows: int
    """Rows that would change."""
    pairs: list[LabelPairOut]
    """Rows whose label would change, from now to then, the most frequent first."""
    verdicts: int
    """Rows that keep their label and lose or regain a verdict."""
    by_people: int
    """Rows among all these whose present state a person decided."""


@router.get(
    "/datasets/{dataset_id:int}/versions",
    name="api.versions.list",
    summary="List versions",
    response_model=Listing[VersionOut],
)
def list_versions(request: Request, dataset_id: Id, session: ReadSession, page: CurrentPage) -> Response:
    """List the versions of a dataset, newest first."""
    rows = versions.list_versions(
        session, datasets.get(session, dataset_id).id, before_id=page.cursor, limit=page.limit + 1
    )
    found, more = with_more(rows, page.limit)
    items = [VersionOut.model_validate(version) for version in found]
    return listing(request, items, cursor=found[-1].id if more else None)


@router.post(
    "/datasets/{dataset_id:int}/versions",
    name="api.versions.create",
    summary="Freeze the labels",
    status_code=201,
    response_model=VersionOut,
)
def create(
    request: Request, dataset_id: Id, body: VersionIn, actor: CurrentActor, session: WriteSession
) -> Response:
    """Freeze the labels as they are now. Needs the role annotator; 409 if the name is taken."""
    dataset = datasets.get(session, dataset_id)
    version = versions.create(session, dataset, name=body.name, actor=actor)
    there = url(request, "api.versions.get", version_id=version.id)
    return answer(VersionOut.model_validate(version), status_code=201, headers={"Location": there})


@router.get(
    "/versions/{version_id:int}",
    name="api.versions.get",
    summary="Show a version",
    response_model=VersionOut,
)
def get(version_id: Id, session: ReadSession) -> Response:
    """Show one version."""
    return answer(VersionOut.model_validate(in_dataset(session, versions.get(session, version_id))))


@router.get(
    "/datasets/{dataset_id:int}/versions/compare",
    name="api.versions.compare",
    summary="Compare two versions",
    response_model=ComparisonOut,
)
def compare(dataset_id: Id, session: ReadSession, query: Annotated[CompareQuery, Query()]) -> Response:
    """Count what differs between two versions, by pair of labels; the older one comes first."""
    dataset = datasets.get(session, dataset_id)
    found = comparing.compare(session, *comparing.choose(session, dataset, query.old_id, query.new_id))
    return answer(
        ComparisonOut(
            old_id=found.old.id,
            new_id=found.new.id,
            pairs=[_pair_out(pair, found.old_names, found.new_names) for pair in found.pairs],
            relabelled=found.relabelled,
            decided=found.decided,
            added=found.added,
        )
    )


def _pair_out(pair: LabelPair, old_names: dict[int, str], new_names: dict[int, str]) -> LabelPairOut:
    return LabelPairOut(
        old_label_id=pair.old_id,
        old_label=old_names.get(pair.old_id or 0),
        new_label_id=pair.new_id,
        new_label=new_names.get(pair.new_id or 0),
        rows=pair.rows,
    )


@router.get(
    "/datasets/{dataset_id:int}/versions/changes",
    name="api.versions.changes",
    summary="List the rows that differ",
    response_model=Listing[ChangeOut],
)
def changes(
    request: Request,
    dataset_id: Id,
    session: ReadSession,
    actor: CurrentActor,
    query: Annotated[ChangesQuery, Query()],
) -> Response:
    """List the rows that are not the same at two versions, in the order in which they came."""
    dataset = datasets.get(session, dataset_id)
    old, new = comparing.choose(session, dataset, query.old_id, query.new_id)
    pair = PairFilter(query.was, query.became)
    rows, more = with_more(
        comparing.list_changes(session, old, new, pair=pair, beyond=query.cursor or 0, limit=query.limit + 1),
        query.limit,
    )
    names = label_names.names_at(session, old), label_names.names_at(session, new)
    cursor = rows[-1].change.example_id if more else None
    shown = blind.without_hidden(session, dataset, rows, actor=actor)
    return listing(request, [_change_out(row, *names) for row in shown], cursor=cursor)


def _change_out(row: ChangedRow, old_names: dict[int, str], new_names: dict[int, str]) -> ChangeOut:
    change = row.change
    return ChangeOut(
        example_id=change.example_id,
        external_id=row.external_id,
        old_label_id=change.old_label_id,
        old_label=old_names.get(change.old_label_id or 0),
        new_label_id=change.new_label_id,
        new_label=new_names.get(change.new_label_id or 0),
        old_state=change.old_state,
        new_state=change.new_state,
    )


@router.get(
    "/versions/{version_id:int}/restore",
    name="api.versions.preview_restore",
    summary="Preview restoring a version",
    response_model=RestorePreviewOut,
)
def preview_restore(version_id: Id, session: ReadSession) -> Response:
    """Count what going back to a version would change. Changes nothing."""
    version = in_dataset(session, versions.get(session, version_id))
    plan = restoring.preview(session, version)
    names = datasets.label_names(session, version.dataset_id)
    pairs = [_pair_out(pair, names, names) for pair in plan.pairs]
    return answer(
        RestorePreviewOut(rows=plan.rows, pairs=pairs, verdicts=plan.verdicts, by_people=plan.by_people)
    )


@router.post(
    "/versions/{version_id:int}/restore",
    name="api.versions.restore",
    summary="Restore a version",
    status_code=202,
    response_model=BatchOut,
)
def restore(request: Request, version_id: Id, actor: CurrentActor, session: WriteSession) -> Response:
    """Bring rows back to the label and verdict they had, as one batch that can be undone. For leads.

    Only rows that differ are touched; what people decide while it goes on is left alone.
    """
    in_dataset(session, versions.get(session, version_id))
    batch = restoring.request(session, version_id, actor=actor)
    return accepted(request, BatchOut.model_validate(batch), "api.batches.get", batch_id=batch.id)
