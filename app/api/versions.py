"""Versions: freezing the labels under a name."""

import datetime as dt
from typing import Annotated, Any

from fastapi import Request
from pydantic import ConfigDict, Field
from starlette.responses import Response

from app.api.answers import Exact, In, Listing, Out, answer, listing
from app.api.deps import CurrentActor, in_dataset, router_of
from app.services import datasets, versions
from app.web.deps import Id, ReadSession, WriteSession
from app.web.render import url

router = router_of("versions")


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
    """What it was made for: by hand, export, batch, scoring or experiment."""
    run_id: int | None
    """The scoring run whose flagged rows the variant `dropped` leaves out."""
    counts: Any
    """How many rows were what."""
    created_by_id: int
    """Who made it."""
    created_at: dt.datetime
    """When, in UTC."""


@router.get(
    "/datasets/{dataset_id:int}/versions",
    name="api.versions.list",
    summary="List versions",
    response_model=Listing[VersionOut],
)
def list_versions(request: Request, dataset_id: Id, session: ReadSession) -> Response:
    """List the newest 500 versions of a dataset, newest first."""
    found = versions.list_versions(session, datasets.get(session, dataset_id).id)
    return listing(request, [VersionOut.model_validate(version) for version in found])


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
