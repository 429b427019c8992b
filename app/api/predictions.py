"""Predictions: probabilities of your own model, sent in parts, scored once all have come."""

import secrets
from pathlib import Path
from typing import Annotated

from fastapi import Request
from pydantic import ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from app.actor import Actor, Role
from app.api import streams
from app.api.answers import In, Out, accepted, answer
from app.api.deps import CurrentActor, router_of
from app.api.once import once, refuse_to_repeat
from app.api.scoring_runs import ScoringRunIn, ScoringRunOut
from app.config import Settings
from app.db import Database
from app.services import datasets
from app.services.finding import predictions, scoring
from app.services.finding.predictions import Prediction, Standing
from app.web.deps import CurrentDatabase, CurrentSettings, Id, ReadSession, require_there

router = router_of("predictions")
Number = Annotated[float, Field(allow_inf_nan=False)]


class PredictionIn(In):
    """The out-of-sample probabilities of one row."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"id": "r17", "probabilities": {"fault": 0.7, "order": 0.2, "refund": 0.1}},
                {"id": "r18", "probabilities": [0.1, 0.1, 0.8]},
            ]
        }
    )

    id: str
    """The row's id as it stands in the file."""
    probabilities: dict[str, Number] | list[Number]
    """By label, where labels left out are 0, or a number for each label in the order of the labels."""


class PredictionsOut(Out):
    """What has come so far."""

    parts: int
    """Calls that brought rows."""
    rows: int
    """Rows in them."""
    rows_missing: int
    """Rows of the dataset that have none yet; a run needs all of them."""


@router.post(
    "/datasets/{dataset_id:int}/predictions",
    name="api.predictions.create",
    summary="Send probabilities",
    status_code=201,
    response_model=PredictionsOut,
    openapi_extra=streams.schema_of(PredictionIn),
)
async def create(
    request: Request,
    dataset_id: Id,
    actor: CurrentActor,
    settings: CurrentSettings,
    database: CurrentDatabase,
) -> Response:
    """Send the probabilities of up to 50,000 rows, one object a line or as a list: all of them or none.

    They are kept until a scoring run takes them, a day at most. Needs the role lead; 422 with `faults`, the
    first hundred with their lines, where a row cannot be used.
    """
    await run_in_threadpool(require_there, database, dataset_id, Role.LEAD, actor=actor)
    stored = await streams.receive(request, settings)
    try:
        return await run_in_threadpool(_keep, request, database, dataset_id, stored.path, settings, actor)
    finally:
        stored.path.unlink(missing_ok=True)


def _keep(
    request: Request, database: Database, dataset_id: int, path: Path, settings: Settings, actor: Actor
) -> Response:
    rows = streams.read(
        path,
        streams.kind_of(request),
        PredictionIn,
        lambda line, row: Prediction(line, row.id, row.probabilities),
        outcome="No probabilities were kept",
    )
    part = _new_path(settings)
    try:
        with database.read() as session:
            label_ids = predictions.write_part(session, dataset_id, rows, part, actor=actor)
        with database.write() as session:

            def add() -> Response:
                kept = predictions.add(session, dataset_id, part, len(rows), label_ids, actor=actor)
                return _answer(kept, status_code=201)

            return once(request, session, add)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _new_path(settings: Settings) -> Path:
    return settings.uploads / f"{secrets.token_hex(16)}.csv"


def _answer(found: Standing, *, status_code: int = 200) -> Response:
    return answer(PredictionsOut.model_validate(found), status_code=status_code)


@router.get(
    "/datasets/{dataset_id:int}/predictions",
    name="api.predictions.get",
    summary="Show which probabilities have come",
    response_model=PredictionsOut,
)
def get(dataset_id: Id, session: ReadSession) -> Response:
    """Show how many rows have probabilities that wait for a scoring run."""
    return _answer(predictions.standing(session, datasets.get(session, dataset_id)))


@router.delete(
    "/datasets/{dataset_id:int}/predictions",
    name="api.predictions.delete",
    summary="Forget the probabilities that have come",
    status_code=204,
)
def delete(request: Request, dataset_id: Id, actor: CurrentActor, database: CurrentDatabase) -> Response:
    """Forget what waits for a scoring run; runs that have ended keep theirs. Needs the role lead."""
    gone: list[Path] = []
    with database.write() as session:

        def forget() -> Response:
            gone.extend(predictions.forget(session, dataset_id, actor=actor))
            return Response(status_code=204)

        response = once(request, session, forget)
    _unlink(gone)
    return response


@router.post(
    "/datasets/{dataset_id:int}/predictions/score",
    name="api.predictions.score",
    summary="Find label issues with the probabilities that have come",
    status_code=202,
    response_model=ScoringRunOut,
)
def score(
    request: Request,
    dataset_id: Id,
    body: ScoringRunIn,
    actor: CurrentActor,
    database: CurrentDatabase,
    settings: CurrentSettings,
) -> Response:
    """Ask for a scoring run with all that has come; every row of the dataset needs its probabilities.

    Needs the role lead; 409 while another run is open on this dataset, or where its labels have changed.
    """
    joined, parts = _new_path(settings), list[Path]()
    try:
        with database.read() as session:
            refuse_to_repeat(request, session)
            settings.uploads.mkdir(parents=True, exist_ok=True)
            part_ids = predictions.join(session, dataset_id, joined, actor=actor)
        with database.write() as session:

            def request_run() -> Response:
                parts.extend(predictions.take(session, dataset_id, part_ids, actor=actor))
                run = scoring.request(
                    session,
                    dataset_id,
                    embedder=body.embedder or settings.embedder,
                    seed=body.seed,
                    folds=body.folds or settings.folds,
                    pred_probs_path=str(joined),
                    actor=actor,
                )
                content = ScoringRunOut.model_validate(run)
                return accepted(request, content, "api.scoring_runs.get", run_id=run.id)

            response = once(request, session, request_run)
    except BaseException:
        joined.unlink(missing_ok=True)
        raise
    _unlink(parts)
    return response


def _unlink(paths: list[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)  # after the commit: what is still spoken of needs its file
