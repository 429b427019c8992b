"""Overview: what is wrong with which class, how the review goes on, how many labels are right."""

import datetime as dt

from pydantic import ConfigDict
from sqlalchemy.orm import Session
from starlette.responses import Response

from app.api.answers import Exact, In, Out, answer
from app.api.deps import CurrentActor, router_of
from app.models.columns import Split
from app.models.datasets import Dataset
from app.services import datasets
from app.services.bounding import advice
from app.services.finding import scoring
from app.services.reviewing import overview, progress, share
from app.services.reviewing.overview import ClassRow, PairRow
from app.web.deps import Id, ReadSession, WriteSession

router = router_of("overview")


class ClassOut(Out):
    """One class: the train rows given to it."""

    label_id: int
    """Number of the label."""
    label: Exact
    """Its name."""
    rows: int
    """Train rows given it."""
    issues: int
    """Those of them that the current scoring run flags."""
    open_issues: int
    """Flagged rows that nobody has decided."""
    resolved: int
    """Rows with a final verdict."""
    flagged_share: float | None
    """Share of its rows that are flagged, from 0 to 1: the estimated noise. Null without scores."""
    flagged_share_low: float | None
    """Lower end of Wilson's 95% interval."""
    flagged_share_high: float | None
    """Upper end of it."""
    mean_self_confidence: float | None
    """Average probability of this label for the rows that carry it."""


class OpenPairOut(Out):
    """Open flagged train rows of one given label for which one other label is suggested."""

    given_id: int
    """Number of the given label."""
    suggested_id: int
    """Number of the suggested label."""
    rows: int
    """How many rows."""
    recommended: int
    """Those of them that the run recommends for auto-fix."""


class MomentOut(Out):
    """Resolved rows at the end of an hour or a day."""

    begins_at: dt.datetime
    """When the hour or the day began, in UTC."""
    by_hand: int
    """Rows resolved one by one, since the review began."""
    in_bulk: int
    """Rows resolved in bulk, since the review began."""


class PersonOut(Out):
    """What one person has resolved, less what was put back."""

    user_id: int
    """Number of the person."""
    name: Exact
    """Name of the person."""
    by_hand: int
    """Rows resolved one by one."""
    in_bulk: int
    """Rows resolved in bulk."""
    last_at: dt.datetime
    """The hour in which it was last, in UTC."""


class ShareOut(Out):
    """Estimated share of right labels in the train split, with its 95% interval."""

    share: float
    """The estimate, from 0 to 1."""
    low: float
    """Lower end of the interval."""
    high: float
    """Upper end of the interval."""
    reviewed: int
    """Rows drawn at random and reviewed that it rests on."""
    decided: int
    """Rows that people decided, which count as right."""
    unsampled: int
    """Rows of a kind that is in no sample, such as those an auto-fix has changed since."""


class OverviewOut(Out):
    """The state of a dataset's labels."""

    classes: list[ClassOut]
    """Every class, in the order of the labels."""
    pairs: list[OpenPairOut]
    """Open label issues by given and suggested label, the most frequent first."""
    histogram: list[int]
    """Train rows in 20 equal ranges of self-confidence from 0 to 1; empty without scores."""
    flagged_histogram: list[int]
    """The flagged ones among them."""
    progress: list[MomentOut]
    """Resolved rows over time."""
    people: list[PersonOut]
    """Who resolved them, the busiest first."""
    share_right: ShareOut | None
    """Null until a random sample is reviewed whole."""
    autofix_rows: int
    """Open rows that the recommended auto-fix would change now."""
    autofix_reason: Exact
    """Why these, or why none."""


class ShareSampleIn(In):
    """How many rows to draw."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"size": 100}]})

    size: int = 100
    """From 20 to 1000."""


class ShareSampleOut(Out):
    """Rows drawn at random; list them with the filter `sample`."""

    id: int
    """Number of the sample."""
    rows: int
    """How many rows were drawn."""


@router.get(
    "/datasets/{dataset_id:int}/overview",
    name="api.overview.get",
    summary="Show the overview of a dataset",
    response_model=OverviewOut,
)
def show(dataset_id: Id, session: ReadSession) -> Response:
    """Show what is wrong with which class, how the review goes on, and how many labels are right."""
    dataset = datasets.get(session, dataset_id)
    return answer(_overview(session, dataset))


def _overview(session: Session, dataset: Dataset) -> OverviewOut:
    run = scoring.current(session, dataset)
    train = datasets.counts(session, dataset.id, split=Split.TRAIN)
    pairs = overview.pair_rows(session, dataset) if run else []
    histogram = overview.histogram(run)
    recommended = sum(pair.recommended for pair in pairs)
    advised = (
        advice.advised(session, dataset, run, open_issues=train.open_issues, recommended=recommended)
        if run
        else advice.Advised(0, "", None)
    )
    return OverviewOut(
        classes=[_class(row) for row in overview.class_rows(session, dataset, run, pairs)],
        pairs=[_pair(pair) for pair in pairs],
        histogram=histogram.rows if histogram else [],
        flagged_histogram=histogram.flagged if histogram else [],
        progress=[MomentOut.model_validate(one) for one in progress.course(session, dataset).moments],
        people=[PersonOut.model_validate(one) for one in progress.people(session, dataset)],
        share_right=_share(share.share_now(session, dataset, train)) if run else None,
        autofix_rows=advised.rows,
        autofix_reason=advised.reason,
    )


def _class(row: ClassRow) -> ClassOut:
    return ClassOut(
        label_id=row.label.id,
        label=row.label.name,
        rows=row.rows,
        issues=row.issues,
        open_issues=row.open_issues,
        resolved=row.resolved,
        flagged_share=row.noise.share if row.noise else None,
        flagged_share_low=row.noise.low if row.noise else None,
        flagged_share_high=row.noise.high if row.noise else None,
        mean_self_confidence=row.mean_self_confidence,
    )


def _pair(pair: PairRow) -> OpenPairOut:
    return OpenPairOut(
        given_id=pair.given.id,
        suggested_id=pair.suggested.id,
        rows=pair.rows,
        recommended=pair.recommended,
    )


def _share(found: share.ShareNow) -> ShareOut | None:
    if found.estimate is None:
        return None
    return ShareOut(
        share=found.estimate.share,
        low=found.estimate.low,
        high=found.estimate.high,
        reviewed=found.reviewed,
        decided=found.decided,
        unsampled=found.unsampled,
    )


@router.post(
    "/datasets/{dataset_id:int}/samples",
    name="api.overview.sample",
    summary="Draw rows to estimate how many labels are right",
    status_code=201,
    response_model=ShareSampleOut,
)
def sample(dataset_id: Id, body: ShareSampleIn, actor: CurrentActor, session: WriteSession) -> Response:
    """Draw train rows at random from those that no person has decided. Needs the role annotator.

    Once all of them are decided, the overview estimates the share of right labels.
    """
    drawn = share.draw(session, dataset_id, size=body.size, actor=actor)
    return answer(ShareSampleOut.model_validate(drawn), status_code=201)
