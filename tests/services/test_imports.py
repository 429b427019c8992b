from pathlib import Path

import pytest
import sqlalchemy as sa

from app.actor import LOCAL, Actor
from app.db import Database
from app.errors import Conflict, Forbidden, InvalidInput, NotFound
from app.files.rows import Columns, Layout, Limits
from app.models import Dataset
from app.models.columns import RunState
from app.services import datasets
from app.services.importing import imports
from tests.services import importing
from tests.services.checking import event_names, last_event
from tests.services.importing import choices_of

LINES = [{"text": "good", "label": "yes"}, {"text": "bad", "label": "no"}]


def test_draft_knows_what_its_file_looks_like(any_database: Database, tmp_path: Path) -> None:
    import_id = importing.add_draft(
        any_database, importing.write_jsonl(tmp_path, LINES), name="C:\\folder\\my\tcalls.v2.jsonl"
    )
    with any_database.read() as session:
        draft = imports.get(session, import_id)
        assert (draft.state, draft.dataset_name, draft.dataset_id) == (RunState.DRAFT, "my calls", None)
        assert (draft.layout["format"], draft.columns["text"]) == ("jsonl", "text")
        seen = imports.preview(session, import_id, layout=None, columns=None, limits=Limits())
        assert seen.columns == ("text", "label")
        assert len(seen.rows) == 2
        assert event_names(session) == []


def test_confirm_makes_a_hidden_dataset_and_one_job(any_database: Database, tmp_path: Path) -> None:
    import_id = importing.confirm(any_database, importing.write_jsonl(tmp_path, LINES))
    with any_database.read() as session:
        import_ = imports.get(session, import_id)
        assert (import_.state, import_.seq, import_.creates_dataset) == (RunState.QUEUED, 1, True)
        assert last_event(session).name == "import.requested"
        assert datasets.list_datasets(session) == []
        jobs = session.execute(
            sa.text(
                f"SELECT workflow_uuid FROM {'' if any_database.is_sqlite else 'dbos.'}workflow_status"  # noqa: S608 — no input in it
            )
        )
        assert [job.workflow_uuid.partition(".")[0] for job in jobs] == [f"import-{import_id}-1"]


def test_a_draft_is_confirmed_once(any_database: Database, tmp_path: Path) -> None:
    import_id = importing.confirm(any_database, importing.write_jsonl(tmp_path, LINES))
    with any_database.write() as session:
        with pytest.raises(Conflict, match=r"import of rows\.jsonl was confirmed already"):
            imports.confirm(session, import_id, choices=choices_of(), actor=LOCAL)
        with pytest.raises(Conflict, match="confirmed already"):
            imports.discard(session, import_id, actor=LOCAL)
        with pytest.raises(Conflict, match="confirmed already"):
            imports.preview(session, import_id, layout=None, columns=None, limits=Limits())
        with pytest.raises(NotFound, match="There is no import 99"):
            imports.get(session, 99)


def test_one_import_at_a_time_into_a_dataset(any_database: Database, tmp_path: Path) -> None:
    importing.confirm(any_database, importing.write_jsonl(tmp_path, LINES))
    with pytest.raises(Conflict, match="Another file is being imported into Tickets"):
        importing.confirm(any_database, importing.write_jsonl(tmp_path, LINES))


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"columns": Columns(text=None, label="label")}, "Choose the column that holds the text"),
        ({"columns": Columns(text="text", label=None)}, "Choose the column that holds the label"),
        ({"columns": Columns(text="text", label="nowhere")}, "nowhere"),
        ({"dataset_name": " "}, "A dataset needs a name"),
        ({"layout": Layout("parquet")}, "rows.jsonl"),
    ],
)
def test_choices_that_cannot_work(
    any_database: Database, tmp_path: Path, changes: dict[str, object], problem: str
) -> None:
    with pytest.raises(InvalidInput, match=problem):
        importing.confirm(any_database, importing.write_jsonl(tmp_path, LINES), **changes)
    with any_database.read() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Dataset)) == 0
        assert imports.get(session, 1).state is RunState.DRAFT


def test_discard_gives_back_the_file(any_database: Database, tmp_path: Path, ann: Actor) -> None:
    path = importing.write_jsonl(tmp_path, LINES)
    import_id = importing.add_draft(any_database, path)
    with any_database.write() as session:
        with pytest.raises(Forbidden):
            imports.discard(session, import_id, actor=ann)
        assert imports.discard(session, import_id, actor=LOCAL) == path
    with any_database.read() as session:
        assert imports.get(session, import_id).state is RunState.CANCELLED


def test_only_leads_import(any_database: Database, tmp_path: Path, ann: Actor) -> None:
    path = importing.write_jsonl(tmp_path, LINES)
    import_id = importing.add_draft(any_database, path)
    with any_database.write() as session:
        with pytest.raises(Forbidden, match="this needs the role lead"):
            imports.confirm(session, import_id, choices=choices_of(), actor=ann)
        seen = imports.look(path, file_name="x", limits=Limits(), actor=LOCAL)
        with pytest.raises(Forbidden):
            imports.add_upload(session, seen, path=path, file_name="x", size=1, sha256="", actor=ann)
    with pytest.raises(Forbidden):
        imports.look(path, file_name="x", limits=Limits(), actor=ann)
    with pytest.raises(Forbidden):
        imports.check(path, choices_of(), file_name="x", limits=Limits(), actor=ann)
