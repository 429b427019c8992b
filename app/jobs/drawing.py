"""Drawing a test split: which train rows an import without a file moves into test."""

from app.errors import InvalidInput
from app.jobs.context import Context, Reporter
from app.models.imports import Import
from app.services.proving import test_split

CHUNK = 1000


def stage(context: Context, import_: Import, report: Reporter) -> None:
    """Choose the rows and note them; a restart chooses the same ones."""
    from app.pipeline.drawing import Row, choose

    dataset_id = import_.dataset_id or 0
    with context.database.read(snapshot=True) as session:
        rows = test_split.drawable_rows(session, dataset_id)
        related = test_split.related_rows(session, dataset_id)
    drawn = import_.layout[test_split.DRAW]
    chosen = choose(
        [Row(row.example_id, row.text, row.label_id) for row in rows],
        related,
        share=drawn["share"],
        seed=drawn["seed"],
    )
    if not chosen:
        raise InvalidInput(
            "No test row can be drawn: each class has but one text, or texts that are nearly equal and "
            "must stay together."
        )
    for start in range(0, len(chosen), CHUNK):
        with context.database.write() as session:
            test_split.store_chunk(session, import_, chosen[start : start + CHUNK])
        report("drawing", min(start + CHUNK, len(chosen)), len(chosen))
        context.pause()
