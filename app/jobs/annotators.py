"""What a scoring run finds out about annotators, where rows came with several ratings."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from app.jobs.context import Context
from app.models.scoring import ScoringRun
from app.services.finding import annotators


def report_on(
    context: Context,
    run: ScoringRun,
    *,
    seq: int,
    label_ids: Sequence[int],
    given: npt.NDArray[np.int64],
    pred_probs: npt.NDArray[np.floating],
) -> dict[str, Any]:
    """Return the part of the report about annotators; nothing where no row was rated by several.

    `given` is the column of each row's given label, -1 for none; rows are in the order of their ids.
    """
    with context.database.read() as session:
        if not annotators.are_rated(session, run.dataset_id):
            return {}
        columns = annotators.columns_of(session, run.dataset_id, label_ids)
    from app.pipeline.annotators import Gathered, annotators_report, judged

    gathered, row = Gathered(columns), 0
    with context.database.read(snapshot=True) as session:
        for part in annotators.read_details(session, run, seq=seq):
            for _, details in part:
                gathered.add(row, details.get(annotators.RATINGS))
                row += 1
    if row != len(given):  # a file came in between: the next run sees it
        return {}
    return {"annotators": annotators_report(gathered, judged(gathered, pred_probs), given)}
