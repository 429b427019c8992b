"""The index of words of a large file, made chunk by chunk after its rows are shown."""

from dbos import DBOS

from app.jobs.context import current, is_current
from app.jobs.durable import asked_for
from app.jobs.pace import Pace
from app.queue import Job
from app.services.ranking import word_index

CHUNK = 500


@DBOS.step(name="index.words", retries_allowed=True, max_attempts=4)
def add_words(import_id: int) -> None:
    """Index what is not indexed yet; a restart goes on behind the last chunk."""
    context = current()
    pace, more = Pace(context, CHUNK, gives_way=True), True
    while more:
        if not is_current(context):
            raise SystemExit  # the worker is stopping: another goes on
        with pace.writing() as session:
            more = word_index.add_chunk(session, import_id, limit=pace.size)


@DBOS.workflow(name=str(Job.INDEX))
def index_words(import_id: int) -> None:
    """Let a search find the rows of an import."""
    with asked_for(Job.INDEX, import_id):
        add_words(import_id)
