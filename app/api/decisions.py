"""Decisions: one verdict on one row, and taking it back."""

import datetime as dt
from typing import Annotated

from fastapi import Header, Request
from pydantic import ConfigDict, Field
from sqlalchemy.orm import Session
from starlette.responses import Response

from app.api.answers import Exact, In, Out, answer
from app.api.deps import CurrentActor, router_of
from app.api.rows import ExampleOut, rows_out
from app.models.examples import ExampleState
from app.models.review import Decision, Verdict
from app.services import datasets, decisions, review
from app.web.deps import Id, RowId, WriteSession
from app.web.render import url

router = router_of("decisions")

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=100,
        pattern=r"^[!-~]+$",
        description="Any unique word; the same one again gives the first decision instead of a second one.",
    ),
]


class DecisionIn(In):
    """A verdict on a row."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"example_id": 4711, "verdict": "accept", "version": 1},
                {"example_id": 4712, "verdict": "override", "label_id": 3, "version": 2, "note": "ironic"},
            ]
        }
    )

    example_id: RowId
    """Number of the row."""
    verdict: Verdict
    """`keep` the given label, `accept` the suggested one, `override` by `label_id`, `exclude` the row, or
    set it aside as `needs_review`. To undo there is an address of its own."""
    version: Annotated[int, Field(ge=1, lt=2**31)]
    """The row's version the verdict was made on: 409 if the row was changed since."""
    label_id: RowId | None = None
    """Number of the label, with `override`."""
    note: Annotated[str, Field(max_length=decisions.MAX_NOTE_CHARS)] = ""
    """Why, in your own words."""


class DecisionOut(Out):
    """A verdict that was written down."""

    id: int
    """Number of the decision."""
    dataset_id: int
    """The dataset."""
    example_id: int
    """The row."""
    user_id: int
    """The person who decided."""
    run_id: int | None
    """The scoring run whose evidence there was."""
    verdict: Verdict
    """What it said."""
    old_label_id: int | None
    """Number of the label before."""
    new_label_id: int | None
    """Number of the label after."""
    old_state: ExampleState
    """The row's state before."""
    new_state: ExampleState
    """The row's state after."""
    undoes_id: int | None
    """The decision it takes back."""
    note: Exact
    """What was noted."""
    created_at: dt.datetime
    """When, in UTC."""


class DecidedOut(DecisionOut):
    """A verdict that was written down, and the row as it is now."""

    example: ExampleOut
    """The row, with the version that the next decision on it has to carry."""


@router.post(
    "/datasets/{dataset_id:int}/decisions",
    name="api.decisions.create",
    summary="Decide about a row",
    status_code=201,
    response_model=DecidedOut,
)
def create(
    request: Request,
    dataset_id: Id,
    body: DecisionIn,
    actor: CurrentActor,
    session: WriteSession,
    key: IdempotencyKey = None,
) -> Response:
    """Give a verdict on a row. Needs the role annotator; 409, with who was first, if the row was changed."""
    decision = decisions.decide(
        session,
        dataset_id,
        body.example_id,
        body.verdict,
        version=body.version,
        label_id=body.label_id,
        note=body.note,
        idempotency_key=key,
        actor=actor,
    )
    return _created(request, session, decision)


@router.post(
    "/datasets/{dataset_id:int}/decisions/undo",
    name="api.decisions.undo",
    summary="Undo the last decision",
    status_code=201,
    response_model=DecidedOut,
)
def undo(request: Request, dataset_id: Id, actor: CurrentActor, session: WriteSession) -> Response:
    """Take back your own last verdict that still stands; each call takes back one more.

    404 when nothing of yours is left; a row that somebody else decided since is left to them.
    """
    return _created(request, session, decisions.undo(session, dataset_id, actor=actor))


def _created(request: Request, session: Session, decision: Decision) -> Response:
    dataset = datasets.get(session, decision.dataset_id)
    row = review.get_row(session, dataset, decision.example_id)
    facts = dict(DecisionOut.model_validate(decision))
    there = url(request, "api.examples.get", dataset_id=dataset.id, example_id=decision.example_id)
    content = DecidedOut(**facts, example=rows_out(session, dataset, [row])[0])
    return answer(content, status_code=201, headers={"Location": there})
