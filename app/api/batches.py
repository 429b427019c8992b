"""Batches: what an auto-fix would change, changing it, taking it back."""

import datetime as dt
from collections.abc import Sequence
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
    RunOut,
    accepted,
    answer,
    listing,
    with_more,
)
from app.api.deps import CurrentActor, in_dataset, router_of
from app.api.rows import ExampleOut, FilterIn, rows_out
from app.models.examples import ExampleState
from app.models.review import BatchKind
from app.services import datasets
from app.services.bounding import autofix, batches, leftovers
from app.services.bounding.autofix import AutofixPreview, Rule, RuleKind
from app.services.bounding.leftovers import LeftRow
from app.services.operation import runs
from app.services.together import blind
from app.web.deps import CurrentSettings, Id, ReadSession, WriteSession

router = router_of("batches")


class RuleIn(In):
    """Which of the flagged rows are changed."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"kind": "top", "value": 100}]})

    kind: RuleKind = RuleKind.RECOMMENDED
    """`recommended`, `min_confidence` of the suggestion, the `top` rows from the worst down, or `all`."""
    value: float | None = None
    """The least confidence (0 to 1) or the number of rows; for the other kinds nothing."""

    def rule(self) -> Rule:
        """Return the rule, or say what is wrong with its number."""
        return Rule(self.kind, self.value)


class BatchIn(In):
    """An auto-fix: a rule over the rows of a filter."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"rule": {"kind": "min_confidence", "value": 0.95}, "filter": {"preset": "issues"}}]
        }
    )

    rule: RuleIn = RuleIn()
    """Which of the flagged rows are changed; the recommended ones if not said."""
    filter: FilterIn = FilterIn()
    """The rows it looks at; open issues of the train split if not said."""


class PreviewQuery(FilterIn):
    """A rule, and the filter whose rows it looks at."""

    rule: RuleKind = RuleKind.RECOMMENDED
    """`recommended`, `min_confidence` of the suggestion, the `top` rows from the worst down, or `all`."""
    value: float | None = None
    """The least confidence (0 to 1) or the number of rows; for the other kinds nothing."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """Which rows are drawn for the sample."""


class PairOut(Out):
    """Rows that one label would lose to another."""

    given_id: int | None
    """Number of the label they have."""
    given: Exact
    """The label they have."""
    suggested_id: int
    """Number of the label they would get."""
    suggested: Exact
    """The label they would get."""
    rows: int
    """How many rows."""


class ProtectedOut(Out):
    """Rows of the filter that no rule touches, and why."""

    decided: int
    """A person has decided."""
    test: int
    """They are test rows."""
    excluded: int
    """They are excluded."""
    not_flagged: int
    """Nothing is wrong with them."""


class EvidenceOut(Out):
    """What reviewed rows say of the rows that would change; bounds are those of a 95% interval."""

    precision: float
    """Share of them whose suggested label is right, from 0 to 1."""
    precision_low: float
    """At least so many."""
    precision_high: float
    """At most so many."""
    expected_gain: int
    """Right labels won less right labels lost."""
    expected_gain_low: int
    """At least so many."""
    expected_gain_high: int
    """At most so many."""
    reviewed: int
    """Reviewed rows that this rests on; with none the interval holds nearly everything."""
    drawn: int
    """Those of them that were drawn at random from such rows."""
    aside: int
    """Reviewed rows outside the range of those left, most often worse: they say nothing."""


class AutofixPreviewOut(Out):
    """What a rule would do, before it does it."""

    rows: int
    """Rows that would change."""
    pairs: list[PairOut]
    """Those rows by old and new label, the most frequent first."""
    sample: list[ExampleOut]
    """Some of them, drawn at random."""
    protected: ProtectedOut
    """Rows of the filter that no rule touches."""
    emptied: list[Exact]
    """Labels that would lose all their rows."""
    doubled: list[Exact]
    """Labels that would have at least twice as many rows."""
    advice: Exact
    """Why this many rows are recommended, or none."""
    expected_precision: float | None
    """Share of right changes the scoring run expects, for the recommended rule."""
    evidence: EvidenceOut | None
    """What reviewed rows say; null where no row would change."""


class SampleIn(In):
    """Rows to draw from: those that a rule would change."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"rule": {"kind": "recommended"}}]})

    rule: RuleIn = RuleIn()
    """Which of the flagged rows would be changed; the recommended ones if not said."""
    filter: FilterIn = FilterIn()
    """The rows it looks at; open issues of the train split if not said."""


class SampleOut(Out):
    """Rows drawn at random; list them with the filter `sample`."""

    id: int
    """Number of the sample."""
    rows: int
    """How many rows were drawn."""


class BatchOut(RunOut):
    """A bulk action."""

    kind: BatchKind
    """What it does."""
    run_id: int | None
    """The scoring run whose suggestions it takes."""
    rule: Any
    """What it was told: the rule of an auto-fix, the labels of a merge, the version restored."""
    filter: Any
    """The rows it looks at."""
    is_undo: bool
    """Whether the job on its way, or the last one, takes the batch back."""
    rows_changed: int
    """Rows it has changed."""
    rows_skipped: int
    """Rows somebody else had changed in the meantime."""
    rows_undone: int
    """Rows taken back."""
    rows_left: int
    """Rows not taken back, because a person has changed them since."""
    version_id: int | None
    """The version that keeps the state before."""
    undone_at: dt.datetime | None
    """When it was taken back, in UTC."""
    undone_by_id: int | None
    """Who took it back."""


class LeftRowOut(Out):
    """A row that an undone batch left as it is."""

    example_id: int
    """Number of the row."""
    external_id: Exact
    """The row's id as it stands in the file."""
    batch_label_id: int | None
    """Number of the label the batch gave it."""
    label_id: int | None
    """Number of the label it has now."""
    state: ExampleState
    """What was last decided."""
    who: Exact | None
    """Who changed it since."""


@router.get(
    "/datasets/{dataset_id:int}/batches/preview",
    name="api.batches.preview",
    summary="Preview an auto-fix",
    response_model=AutofixPreviewOut,
)
def preview(
    dataset_id: Id, session: ReadSession, actor: CurrentActor, query: Annotated[PreviewQuery, Query()]
) -> Response:
    """Count what a rule would change, and show a random sample of it. Changes nothing."""
    dataset = datasets.get(session, dataset_id)
    rule = Rule(query.rule, query.value)
    seen = autofix.preview(session, dataset, query.queue_filter(), rule, seed=query.seed)
    return answer(
        AutofixPreviewOut(
            rows=seen.rows,
            pairs=[PairOut.model_validate(pair) for pair in seen.pairs],
            sample=rows_out(session, dataset, seen.sample, actor=actor),
            protected=ProtectedOut.model_validate(seen.protected),
            emptied=seen.emptied,
            doubled=seen.doubled,
            advice=seen.advice,
            expected_precision=seen.expected_precision,
            evidence=_evidence_out(seen),
        )
    )


def _evidence_out(seen: AutofixPreview) -> EvidenceOut | None:
    if seen.evidence is None:
        return None
    found = seen.evidence.estimate
    return EvidenceOut(
        precision=found.precision,
        precision_low=found.precision_low,
        precision_high=found.precision_high,
        expected_gain=round(found.gain * seen.rows),
        expected_gain_low=round(found.gain_low * seen.rows),
        expected_gain_high=round(found.gain_high * seen.rows),
        reviewed=found.reviewed,
        drawn=seen.evidence.drawn,
        aside=found.aside,
    )


@router.post(
    "/datasets/{dataset_id:int}/batches/samples",
    name="api.batches.sample",
    summary="Draw rows to review first",
    status_code=201,
    response_model=SampleOut,
)
def sample(dataset_id: Id, body: SampleIn, actor: CurrentActor, session: WriteSession) -> Response:
    """Draw up to 20 of the rows that an auto-fix would change, at random. Deciding them sharpens its preview.

    Needs the role annotator.
    """
    wanted = body.filter.queue_filter()
    drawn = autofix.sample(session, dataset_id, wanted, body.rule.rule(), actor=actor)
    return answer(SampleOut.model_validate(drawn), status_code=201)


@router.post(
    "/datasets/{dataset_id:int}/batches",
    name="api.batches.create",
    summary="Auto-fix",
    status_code=202,
    response_model=BatchOut,
)
def create(
    request: Request, dataset_id: Id, body: BatchIn, actor: CurrentActor, session: WriteSession
) -> Response:
    """Replace labels by the suggested ones, within a rule. Needs the role lead; 409 while a batch is open.

    Rows that a person decided and test rows stay as they are. The whole batch can be undone.
    """
    wanted = body.filter.queue_filter()
    batch = autofix.request(session, dataset_id, wanted, body.rule.rule(), actor=actor)
    return accepted(request, BatchOut.model_validate(batch), "api.batches.get", batch_id=batch.id)


@router.get(
    "/datasets/{dataset_id:int}/batches",
    name="api.batches.list",
    summary="List batches",
    response_model=Listing[BatchOut],
)
def list_batches(request: Request, dataset_id: Id, session: ReadSession, page: CurrentPage) -> Response:
    """List the batches of a dataset, newest first."""
    rows = batches.list_batches(
        session, datasets.get(session, dataset_id).id, before_id=page.cursor, limit=page.limit + 1
    )
    found, more = with_more(rows, page.limit)
    items = [BatchOut.model_validate(batch) for batch in found]
    return listing(request, items, cursor=found[-1].id if more else None)


@router.get(
    "/batches/{batch_id:int}", name="api.batches.get", summary="Show a batch", response_model=BatchOut
)
def get(batch_id: Id, session: ReadSession) -> Response:
    """Show how far a batch is, or what became of it."""
    return answer(BatchOut.model_validate(in_dataset(session, batches.get(session, batch_id))))


@router.get(
    "/batches/{batch_id:int}/left",
    name="api.batches.left",
    summary="List the rows that an undo left",
    response_model=Listing[LeftRowOut],
)
def left(
    request: Request, batch_id: Id, session: ReadSession, actor: CurrentActor, page: CurrentPage
) -> Response:
    """List rows of an undone batch that were changed since, and so were left as they are."""
    batch = in_dataset(session, batches.get(session, batch_id))
    found: Sequence[LeftRow] = []
    more = False
    if batch.undone_at is not None:
        rows = leftovers.rows_left(session, batch_id, after=page.cursor or 0, limit=page.limit + 1)
        found, more = with_more(rows, page.limit)
    dataset = datasets.get(session, batch.dataset_id)
    shown = blind.without_hidden_left(session, dataset, found, actor=actor)
    items = [LeftRowOut.model_validate(row) for row in shown]
    return listing(request, items, cursor=found[-1].decision_id if more else None)


@router.post(
    "/batches/{batch_id:int}/cancel",
    name="api.batches.cancel",
    summary="Cancel a batch",
    status_code=202,
    response_model=BatchOut,
)
def cancel(
    request: Request, batch_id: Id, actor: CurrentActor, session: WriteSession, settings: CurrentSettings
) -> Response:
    """Ask a batch to stop at its next step; what it has changed stays and can be undone. For leads."""
    batch = in_dataset(session, batches.get(session, batch_id))
    runs.request_cancel(session, batch, actor=actor, stale_seconds=settings.worker_stale_seconds)
    return accepted(request, BatchOut.model_validate(batch), "api.batches.get", batch_id=batch_id)


@router.post(
    "/batches/{batch_id:int}/undo",
    name="api.batches.undo",
    summary="Undo a batch",
    status_code=202,
    response_model=BatchOut,
)
def undo(request: Request, batch_id: Id, actor: CurrentActor, session: WriteSession) -> Response:
    """Take a batch back as one; rows that people changed since are left as they are. Needs the role lead."""
    batch = batches.request_undo(session, batch_id, actor=actor)
    return accepted(request, BatchOut.model_validate(batch), "api.batches.get", batch_id=batch_id)
