"""Second opinions: rows that another person decides blind, and settling what then differs."""

from typing import Annotated

from pydantic import ConfigDict, Field
from starlette.responses import Response

from app.api.answers import Exact, In, Out, answer
from app.api.decisions import DecisionOut
from app.api.deps import CurrentActor, router_of
from app.models.columns import Split
from app.models.examples import ExampleState
from app.models.review import Verdict
from app.models.together import OpinionState
from app.services import datasets
from app.services.reviewing import decisions
from app.services.together import second_opinions
from app.web.deps import CurrentSettings, Id, ReadSession, RowId, WriteSession

router = router_of("second opinions")


class TallyOut(Out):
    """How many second opinions stand where, and which part of the rows gets one."""

    share: float
    """Part of the rows decided from now on that gets a second opinion, from 0 to 1."""
    seed: int
    """What draws them."""
    waiting: int
    """Rows that wait for one."""
    agreed: int
    """Rows on which both opinions are the same."""
    disagreed: int
    """Rows on which they differ and nobody has settled it."""
    settled: int
    """Rows on which they differed."""
    withdrawn: int
    """Rows whose first verdict was taken back."""


class PlanIn(In):
    """Which rows are decided twice."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"share": 0.1, "seed": 0}]})

    share: Annotated[float, Field(ge=0, le=1)]
    """Part of the rows decided from now on, from 0 to 1."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] | None = None
    """What draws them; a new one if nothing is said."""
    already: Annotated[int, Field(ge=0, le=second_opinions.MOST_DRAWN)] = 0
    """How many rows decided before are drawn as well."""


class BlindOut(Out):
    """A row without what was decided about it."""

    example_id: int
    """Number of the row."""
    external_id: Exact
    """Its id as it stands in the file."""
    split: Split
    """Its split."""
    text: Exact
    """Its text."""
    given: Exact | None
    """The label it came with."""
    suggested: Exact | None
    """The label that the model suggests."""


class NextBlindOut(Out):
    """The row that was handed out."""

    example: BlindOut | None
    """A row that waits for your opinion, or null."""


class OpinionIn(In):
    """What you think of a row."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"verdict": "override", "label_id": 3}]})

    verdict: Verdict
    """As in a decision; `needs_review` says that you cannot tell."""
    label_id: RowId | None = None
    """Number of the label, with `override`."""
    note: Annotated[str, Field(max_length=decisions.MAX_NOTE_CHARS)] = ""
    """Why, for whoever settles a disagreement."""


class GivenOut(Out):
    """Where the second opinion stands now."""

    example_id: int
    """Number of the row."""
    state: OpinionState
    """Whether both opinions are the same."""


class SettleIn(OpinionIn):
    """The verdict that settles a disagreement."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"verdict": "keep", "version": 2}]})

    version: Annotated[int, Field(ge=1, lt=2**31)]
    """The row's version the verdict was made on."""


class SideOut(Out):
    """One of two opinions."""

    name: Exact
    """Who gave it."""
    label_id: int | None
    """Number of the label."""
    label: Exact | None
    """The label."""
    state: ExampleState
    """What it makes of the row."""
    note: Exact
    """What was noted."""


class DisagreementOut(Out):
    """A row on which two people differ."""

    example_id: int
    """Number of the row."""
    version: int
    """Its version, which the verdict that settles it has to carry."""
    text: Exact
    """Its text."""
    first: SideOut
    """The first opinion, which stays in force until it is settled."""
    second: SideOut
    """The second opinion."""


class NextDisagreementOut(Out):
    """The disagreement that was handed out."""

    disagreement: DisagreementOut | None
    """One that you may settle, or null."""


@router.get(
    "/datasets/{dataset_id:int}/second-opinions",
    name="api.second_opinions.show",
    summary="Count second opinions",
    response_model=TallyOut,
)
def show(dataset_id: Id, session: ReadSession) -> Response:
    """Count the second opinions of a dataset."""
    dataset = datasets.get(session, dataset_id)
    counts = vars(second_opinions.tally(session, dataset))
    return answer(TallyOut(share=dataset.second_share, seed=dataset.second_seed, **counts))


@router.patch(
    "/datasets/{dataset_id:int}/second-opinions",
    name="api.second_opinions.plan",
    summary="Choose which rows are decided twice",
    response_model=TallyOut,
)
def plan(dataset_id: Id, body: PlanIn, actor: CurrentActor, session: WriteSession) -> Response:
    """Choose which part of the rows gets a second opinion. Needs the role lead."""
    second_opinions.plan(
        session, dataset_id, share=body.share, seed=body.seed, already=body.already, actor=actor
    )
    return show(dataset_id, session)


@router.post(
    "/datasets/{dataset_id:int}/second-opinions/next",
    name="api.second_opinions.take",
    summary="Be handed a row for a second opinion",
    status_code=201,
    response_model=NextBlindOut,
)
def take(dataset_id: Id, actor: CurrentActor, session: WriteSession, settings: CurrentSettings) -> Response:
    """Take a row that somebody else has decided, without what they said. Needs the role annotator."""
    dataset = datasets.get(session, dataset_id)
    found = second_opinions.next_waiting(session, dataset, minutes=settings.lease_minutes, actor=actor)
    if found is None:
        return answer(NextBlindOut(example=None), status_code=201)
    row, example = found.row, found.row.example
    blind = BlindOut(
        example_id=example.id,
        external_id=example.external_id,
        split=example.split,
        text=example.text,
        given=row.given,
        suggested=row.suggested,
    )
    return answer(NextBlindOut(example=blind), status_code=201)


@router.post(
    "/datasets/{dataset_id:int}/second-opinions/{example_id:int}",
    name="api.second_opinions.give",
    summary="Give a second opinion",
    status_code=201,
    response_model=GivenOut,
)
def give(
    dataset_id: Id, example_id: Id, body: OpinionIn, actor: CurrentActor, session: WriteSession
) -> Response:
    """Say what you think of a row that somebody else has decided; the row itself does not change."""
    given = second_opinions.give(
        session,
        dataset_id,
        example_id,
        body.verdict,
        label_id=body.label_id,
        note=body.note,
        actor=actor,
    )
    return answer(GivenOut.model_validate(given), status_code=201)


@router.post(
    "/datasets/{dataset_id:int}/disagreements/next",
    name="api.second_opinions.take_disagreement",
    summary="Be handed a disagreement",
    status_code=201,
    response_model=NextDisagreementOut,
)
def take_disagreement(
    dataset_id: Id, actor: CurrentActor, session: WriteSession, settings: CurrentSettings
) -> Response:
    """Take a row on which two others differ; as a lead also one on which you differ with somebody."""
    dataset = datasets.get(session, dataset_id)
    found = second_opinions.next_disagreement(session, dataset, minutes=settings.lease_minutes, actor=actor)
    if found is None:
        return answer(NextDisagreementOut(disagreement=None), status_code=201)
    example = found.row.example
    shown = DisagreementOut(
        example_id=example.id,
        version=example.version,
        text=example.text,
        first=SideOut.model_validate(found.first),
        second=SideOut.model_validate(found.second),
    )
    return answer(NextDisagreementOut(disagreement=shown), status_code=201)


@router.post(
    "/datasets/{dataset_id:int}/disagreements/{example_id:int}",
    name="api.second_opinions.settle",
    summary="Settle a disagreement",
    status_code=201,
    response_model=DecisionOut,
)
def settle(
    dataset_id: Id, example_id: Id, body: SettleIn, actor: CurrentActor, session: WriteSession
) -> Response:
    """Settle a disagreement by a verdict, which is a decision like any other."""
    decision = second_opinions.settle(
        session,
        dataset_id,
        example_id,
        body.verdict,
        version=body.version,
        label_id=body.label_id,
        note=body.note,
        actor=actor,
    )
    return answer(DecisionOut.model_validate(decision), status_code=201)
