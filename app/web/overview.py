"""Overview: what is wrong with which class, and how far the work is."""

from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.models.columns import Split
from app.services import datasets, estimating, imports, overview, runs, scoring
from app.services.overview import PairRow
from app.web.deps import CurrentSettings, Id, ReadSession
from app.web.render import html

router = APIRouter(prefix="/datasets/{dataset_id:int}")

MOST_IN_MATRIX = 24
MOST_PAIRS = 30
HEAT_LEVELS = 5


@dataclass(frozen=True)
class Cell:
    """One cell of the given × suggested matrix."""

    given_id: int
    suggested_id: int
    rows: int
    heat: int


@router.get("", name="overview.show")
def show(request: Request, dataset_id: Id, session: ReadSession, settings: CurrentSettings) -> Response:
    """Show the state of a dataset's labels."""
    dataset = datasets.get(session, dataset_id)
    run = scoring.current(session, dataset)
    classes = overview.class_rows(session, dataset, run)
    pairs = overview.pair_rows(session, dataset, run)
    both, train = (
        datasets.counts(session, dataset_id),
        datasets.counts(session, dataset_id, split=Split.TRAIN),
    )
    return html(
        request,
        "overview/page.html",
        dataset=dataset,
        counts=both,
        train=train,
        run=run,
        latest=scoring.latest(session, dataset_id),
        is_stale=run is not None and scoring.is_stale(session, dataset, run),
        worker_alive=runs.is_worker_alive(session, stale_seconds=settings.worker_stale_seconds),
        classes=sorted(classes, key=lambda row: (-row.issues, row.label.name)),
        matrix=_matrix([row.label.id for row in classes], pairs) if len(classes) <= MOST_IN_MATRIX else None,
        matrix_labels=[row.label for row in classes],
        pairs=pairs[:MOST_PAIRS],
        kinds=overview.kind_rows(run, train, both),
        noise=overview.noise(classes),
        histogram=overview.histogram(run),
        sent_to=estimating.sent_to(settings.embedder, settings),
        imports=imports.list_imports(session, dataset_id)[:10],
    )


def _matrix(label_ids: Sequence[int], pairs: Sequence[PairRow]) -> list[list[Cell]]:
    rows = {(pair.given.id, pair.suggested.id): pair.rows for pair in pairs}
    most = max(rows.values(), default=1)
    return [
        [
            Cell(
                given,
                suggested,
                rows.get((given, suggested), 0),
                _heat(rows.get((given, suggested), 0), most),
            )
            for suggested in label_ids
        ]
        for given in label_ids
    ]


def _heat(rows: int, most: int) -> int:
    return -(-rows * HEAT_LEVELS // most)
