"""An update that fails after it has begun to change rows that were there: nothing of it stays."""

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.actor import LOCAL, Actor
from app.db import Database
from app.models import Example, ImportMatch, Label, Score
from app.models.columns import Split
from app.models.review import Verdict
from app.services import datasets
from app.services.importing import publishing
from app.services.reviewing import decisions
from tests.factories import make_dataset
from tests.services import importing
from tests.services.checking import check, example_of, label_names
from tests.services.importing import WITH_ID, import_rows
from tests.services.test_staging import Rows, rows_of


def everything(session: Session, dataset_id: int) -> list[tuple[Any, ...]]:
    """Return all that an import may change of a dataset's rows and labels, but their count of changes."""
    columns = [column for column in Example.__table__.columns if column.name != "version"]
    rows = session.execute(sa.select(*columns).where(Example.dataset_id == dataset_id).order_by(Example.id))
    scores = session.execute(
        sa.select(Score.example_id, Score.split, Score.given_label_id).order_by(Score.example_id)
    )
    labels = session.execute(
        sa.select(Label.name, Label.import_seq, Label.given_count, Label.current_count).order_by(Label.id)
    )
    return [tuple(row) for row in (*rows, *scores, *labels)]


@pytest.mark.parametrize("reached", ["frozen", "applied", "listed"])
def test_an_update_that_fails_while_it_is_published_changes_nothing(
    any_database: Database, tmp_path: Path, reached: str
) -> None:
    dataset_id = make_dataset(any_database)
    with any_database.read() as session:
        before = everything(session, dataset_id)
        examples = session.scalars(sa.select(Example).order_by(Example.id)).all()
    changed: Rows = [
        {"id": one.external_id, "text": f"{one.text} again", "label": "new class", "kind": "x"}
        for one in examples[:6]
    ]
    path = importing.write_jsonl(tmp_path, [*changed, {"id": "more", "text": "one more", "label": "fault"}])
    import_id = importing.confirm(
        any_database, path, dataset_name="Requests", columns=WITH_ID, update=True, split=Split.TEST
    )
    importing.stage(any_database, import_id)
    _publish_until(any_database, import_id, reached)
    importing.give_up(any_database, import_id)
    check(any_database, dataset_id)
    with any_database.read() as session:
        assert everything(session, dataset_id) == before
        assert session.scalar(sa.select(sa.func.count()).select_from(ImportMatch)) == 0


def _publish_until(database: Database, import_id: int, reached: str) -> None:
    import_ = importing.begun(database, import_id)
    with database.write() as session:
        publishing.freeze_before(session, import_, actor=LOCAL)
    if reached == "frozen":
        return
    with database.write() as session:
        assert publishing.apply_changes(session, import_) == 6
    if reached == "listed":
        with database.write() as session:
            assert publishing.list_unscored(session, import_) == 1


def test_what_a_person_decided_about_a_failed_update_stands(
    any_database: Database, tmp_path: Path, ann: Actor
) -> None:
    dataset_id = import_rows(any_database, tmp_path, rows_of(*"abc"), columns=WITH_ID).dataset_id or 0
    import_id = importing.confirm(
        any_database, importing.write_jsonl(tmp_path, rows_of(*"zza")), columns=WITH_ID, update=True
    )
    importing.stage(any_database, import_id)
    import_ = importing.begun(any_database, import_id)
    with any_database.write() as session:
        publishing.apply_changes(session, import_)
    with any_database.write() as session:
        kept = example_of(session, dataset_id, "r1")
        decisions.decide(session, dataset_id, kept.id, Verdict.KEEP, version=kept.version, actor=ann)
    importing.give_up(any_database, import_id)
    check(any_database, dataset_id)
    with any_database.read() as session:
        assert label_names(session, dataset_id) == {"r1": ("a", "z"), "r2": ("b", "b"), "r3": ("c", "c")}
        labels = datasets.labels(session, datasets.get(session, dataset_id))
        assert [label.name for label in labels] == ["a", "b", "c", "z"]
