"""Decisions: one verdict on one row, and taking it back."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

from fastapi import Query, Request
from pydantic import ConfigDict, Field, model_validator
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from app.actor import Actor, Role
from app.api import streams
from app.api.answers import Exact, In, Out, answer
from app.api.deps import CurrentActor, router_of
from app.api.locks import IfMatch, check, lock
from app.api.once import is_claimed, once
from app.api.rows import ExampleOut, rows_out
from app.db import Database
from app.errors import InvalidInput
from app.models.examples import ExampleState
from app.models.review import Decision, Verdict
from app.services import datasets
from app.services.reviewing import bulk_decisions, decisions, review
from app.services.reviewing.bulk_decisions import Wish
from app.web.deps import CurrentDatabase, CurrentSettings, Id, RowId, require_there
from app.web.render import url

router = router_of("decisions")
MOST_SKIPPED = 1000


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
    version: Annotated[int | None, Field(ge=1, lt=2**31)] = None
    """The row's version the verdict was made on: 409 if the row was changed since."""
    label_id: RowId | None = None
    """Number of the label, with `override`."""
    note: Annotated[str, Field(max_length=decisions.MAX_NOTE_CHARS)] = ""
    """Why, in your own words."""


class ManyIn(In):
    """A verdict on one of many rows."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"id": "r17", "verdict": "override", "label": "refund"},
                {"example_id": 4711, "verdict": "accept", "version": 1},
            ]
        }
    )

    id: Exact | None = None
    """The row's id as it stands in the file."""
    example_id: RowId | None = None
    """Number of the row, instead of `id`."""
    verdict: Verdict
    """As for a single decision."""
    version: Annotated[int | None, Field(ge=1, lt=2**31)] = None
    """The row's version that the verdict was made on; if not said, no person may have decided the row yet."""
    label: Exact | None = None
    """The label, with `override`."""
    label_id: RowId | None = None
    """Number of the label, instead of `label`."""
    note: Exact = ""
    """Why, in your own words."""

    @model_validator(mode="after")
    def _names_one_row(self) -> "ManyIn":
        if (self.id is None) == (self.example_id is None):
            raise ValueError("say one of id and example_id")
        if self.label is not None and self.label_id is not None:
            raise ValueError("say one of label and label_id")
        if not all(isinstance(one, str) for one in (self.id or "", self.label or "", self.note)):
            raise ValueError("id, label and note are strings")
        return self

    def wish(self, line: int) -> Wish:
        """Return the verdict as the service takes it."""
        return Wish(
            line, self.verdict, self.example_id, self.id, self.version, self.label_id, self.label, self.note
        )


class ManyQuery(In):
    """What to do about rows that others have changed."""

    on_conflict: Literal["refuse", "skip"] = "refuse"
    """`refuse` the whole call where somebody changed a row meanwhile, or `skip` such rows and say which."""


class SkippedOut(Out):
    """A row that was left alone."""

    line: int
    """Its line, or its place in the list, from 1."""
    reason: Exact
    """Who was first."""


class ManyOut(Out):
    """What came of many verdicts."""

    decided: int
    """Verdicts written."""
    skipped: int
    """Rows that others had changed, and that were left alone."""
    first_skipped: list[SkippedOut]
    """The first 1,000 of them."""
    first_decision_id: int | None
    """Number of the first decision."""
    last_decision_id: int | None
    """Number of the last one."""


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
    database: CurrentDatabase,
    if_match: IfMatch = None,
) -> Response:
    """Give a verdict on a row. Needs the role annotator; 409, with who was first, if the row was changed.

    The version of the row goes into the body, or its tag into `If-Match`.
    """

    def decide(session: Session) -> Decision:
        return decisions.decide(
            session,
            dataset_id,
            body.example_id,
            body.verdict,
            version=_version(session, dataset_id, body, if_match),
            label_id=body.label_id,
            note=body.note,
            actor=actor,
        )

    return _decided(request, database, decide, actor=actor)


def _version(session: Session, dataset_id: int, body: DecisionIn, if_match: str | None) -> int:
    if if_match is not None:
        row = review.get_row(session, datasets.get(session, dataset_id), body.example_id)
        check(if_match, lock(row.example.version))
        return body.version or row.example.version
    if body.version is None:
        raise InvalidInput("Say the row's version, or send its tag as If-Match.")
    return body.version


@router.post(
    "/datasets/{dataset_id:int}/decisions/bulk",
    name="api.decisions.create_many",
    summary="Decide about many rows",
    status_code=201,
    response_model=ManyOut,
    openapi_extra=streams.schema_of(ManyIn),
)
async def create_many(
    request: Request,
    dataset_id: Id,
    query: Annotated[ManyQuery, Query()],
    actor: CurrentActor,
    settings: CurrentSettings,
    database: CurrentDatabase,
) -> Response:
    """Give up to 50,000 verdicts, one object a line or as a list: all of them or none. For annotators.

    Rows are named by `id` or `example_id`. 422 with `faults`, the first hundred with their lines, where a row
    cannot be used. Each verdict is a decision of its own; restoring a version takes all of them back.
    """
    await run_in_threadpool(require_there, database, dataset_id, Role.ANNOTATOR, actor=actor)
    stored = await streams.receive(request, settings)
    try:
        return await run_in_threadpool(_decide_many, request, database, dataset_id, stored.path, query, actor)
    finally:
        stored.path.unlink(missing_ok=True)


def _decide_many(
    request: Request, database: Database, dataset_id: int, path: Path, query: ManyQuery, actor: Actor
) -> Response:
    # Read before the transaction begins: nobody should have to wait for that.
    wishes = streams.read(
        path,
        streams.kind_of(request),
        ManyIn,
        lambda line, row: row.wish(line),
        outcome="No verdict was written",
    )
    with database.write() as session:

        def decide() -> Response:
            found = bulk_decisions.decide_many(
                session, dataset_id, wishes, skip_changed=query.on_conflict == "skip", actor=actor
            )
            content = ManyOut(
                decided=found.decided,
                skipped=len(found.skipped),
                first_skipped=[SkippedOut.model_validate(one) for one in found.skipped[:MOST_SKIPPED]],
                first_decision_id=found.first_id,
                last_decision_id=found.last_id,
            )
            return answer(content, status_code=201)

        return once(request, session, decide)


@router.post(
    "/datasets/{dataset_id:int}/decisions/undo",
    name="api.decisions.undo",
    summary="Undo the last decision",
    status_code=201,
    response_model=DecidedOut,
)
def undo(request: Request, dataset_id: Id, actor: CurrentActor, database: CurrentDatabase) -> Response:
    """Take back your own last verdict that still stands; each call takes back one more.

    404 when nothing of yours is left; a row that somebody else decided since is left to them.
    """
    return _decided(
        request, database, lambda session: decisions.undo(session, dataset_id, actor=actor), actor=actor
    )


def _decided(
    request: Request, database: Database, decide: Callable[[Session], Decision], *, actor: Actor
) -> Response:
    """Write a decision, and make its answer once nobody has to wait for what was written.

    An answer that is kept under a key belongs to the transaction of what it tells.
    """
    if is_claimed(request):
        with database.write() as session:
            return once(request, session, lambda: _created(request, session, decide(session), actor=actor))
    with database.write() as session:
        decision = decide(session)
    with database.read() as session:
        return _created(request, session, decision, actor=actor)


def _created(request: Request, session: Session, decision: Decision, *, actor: Actor) -> Response:
    dataset = datasets.get(session, decision.dataset_id)
    row = review.get_row(session, dataset, decision.example_id)
    facts = dict(DecisionOut.model_validate(decision))
    there = url(request, "api.examples.get", dataset_id=dataset.id, example_id=decision.example_id)
    content = DecidedOut(**facts, example=rows_out(session, dataset, [row], actor=actor)[0])
    return answer(content, status_code=201, headers={"Location": there})
