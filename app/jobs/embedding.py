"""Embedding in shards: jobs of their own, so that the workers of several machines share them.

The run's own job asks for the shards and waits; each shard's vectors go to the shared storage. A worker that
dies costs the shard it was at: what is stored there stays.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
import numpy.typing as npt
import structlog
from dbos import DBOS

from app.errors import AppError, Cancelled, Unavailable
from app.jobs.brought import embedder_of
from app.jobs.context import Context, Reporter, current, is_current
from app.jobs.durable import MAX_ATTEMPTS, asked_for
from app.models.scoring import ScoringRun
from app.pipeline.cache import HASH_BYTES, embed_cached
from app.pipeline.shards import ShardedVectors, run_folder, shard_name, write_shard
from app.providers.storage import storage_at
from app.queue import Job, enqueue, ids_of, job_id
from app.services.finding import scoring
from app.services.finding.scoring import ScoredRow
from app.services.operation import runs

ASKED_AT_ONCE = 500
SHARD = "shard"
"""Ends the ids of all shards' jobs: unlike others they must be found again by number."""
WAITS = (0.1, 0.2, 0.5, 1.0, 2.0)
ACTIVE = frozenset({"ENQUEUED", "PENDING", "DELAYED"})

log = structlog.get_logger(__name__)


class Plan(TypedDict):
    """Which shards a run has: the last import it sees, and first id, last id and rows of each shard."""

    seq: int
    shards: list[tuple[int, int, int]]


@dataclass(frozen=True)
class Shard:
    """One shard of a run: ids from first to last, as far as import `seq` and those before brought them."""

    run_id: int
    number: int
    first: int
    last: int
    seq: int


def embed_shards(context: Context, run: ScoringRun, plan: Plan) -> None:
    """Have all shards embedded, by this worker or others; those that are stored already are left alone."""
    report = Reporter(context, run)
    _ask(context, run, plan)
    ids = [_id_of(run.id, number) for number in range(len(plan["shards"]))]
    sizes = dict(zip(ids, (rows for _, _, rows in plan["shards"]), strict=True))
    waited = 0
    try:
        while True:
            states = _states(run.id)
            done = [one for one in ids if states.get(one) not in ACTIVE]
            _raise_failure([one for one in done if states.get(one) != "SUCCESS"])
            report("embed", sum(sizes[one] for one in done), sum(sizes.values()))
            if len(done) == len(ids):
                break
            time.sleep(WAITS[min(waited, len(WAITS) - 1)])
            waited += 1
    except (Cancelled, Unavailable):
        DBOS.cancel_workflows([one for one in ids if states.get(one) in ACTIVE])
        raise
    _raise_refusal(run.id)


def vectors_of(context: Context, run: ScoringRun, plan: Plan) -> ShardedVectors:
    """Return the vectors of all shards of a run."""
    rows = [count for _, _, count in plan["shards"]]
    return ShardedVectors(storage_at(context.settings.shared), run.id, rows)


def _ask(context: Context, run: ScoringRun, plan: Plan) -> None:
    known = _states(run.id)
    wanted = [
        (number, first, last)
        for number, (first, last, _) in enumerate(plan["shards"])
        if _id_of(run.id, number) not in known
    ]
    for start in range(0, len(wanted), ASKED_AT_ONCE):
        with context.database.write() as session:
            runs.guard(session, run)
            for number, first, last in wanted[start : start + ASKED_AT_ONCE]:
                enqueue(
                    session, Job.EMBED, run.id, number, first, last, plan["seq"], round_=number, mark=SHARD
                )
        context.pause()


def _id_of(run_id: int, number: int) -> str:
    return job_id(Job.EMBED, run_id, number, mark=SHARD)


def _states(run_id: int) -> dict[str, str]:
    prefix = ids_of(Job.EMBED, run_id)
    found = DBOS.list_workflows(workflow_id_prefix=prefix, load_input=False, load_output=False)
    return {one.workflow_id: one.status for one in found}


def _raise_failure(broken: list[str]) -> None:
    if broken:
        raise Unavailable(
            f"A shard could not be embedded, {MAX_ATTEMPTS} times in a row. "
            f"The workers' logs say why, under {broken[0]}."
        )


def _raise_refusal(run_id: int) -> None:
    prefix = ids_of(Job.EMBED, run_id)
    for one in DBOS.list_workflows(workflow_id_prefix=prefix, load_input=False):
        if one.output:
            raise Unavailable(str(one.output))


@DBOS.workflow(name=str(Job.EMBED), max_recovery_attempts=1000)
def embed(run_id: int, number: int, first: int, last: int, seq: int) -> str:
    """Embed one shard; return why it could not be done, or nothing."""
    here = current()
    try:
        with asked_for(Job.EMBED, run_id):
            return embed_one(run_id, number, first, last, seq)
    except Exception:
        if not is_current(here):
            raise SystemExit from None  # the worker is stopping: another goes on, nothing has failed
        raise


@DBOS.step(
    name="embed.shard", retries_allowed=True, max_attempts=MAX_ATTEMPTS, interval_seconds=1, backoff_rate=3
)
def embed_one(run_id: int, number: int, first: int, last: int, seq: int) -> str:
    """Embed one shard, unless it is stored or nobody wants it any more."""
    structlog.contextvars.bind_contextvars(job="embed.shard", run_id=run_id, shard=number)
    try:
        _embed(current(), Shard(run_id, number, first, last, seq))
    except AppError as error:
        return str(error)
    except Exception:
        log.exception("step failed")
        raise
    return ""


def _embed(context: Context, shard: Shard) -> None:
    storage = storage_at(context.settings.shared)
    if storage.exists(shard_name(shard.run_id, shard.number)):
        return
    with context.database.read() as session:
        run = runs.get(session, ScoringRun, shard.run_id)
        if not _is_wanted(run):
            return
        rows = list(scoring.read_rows(session, run, seq=shard.seq, between=(shard.first, shard.last)))
    log.info("embedding a shard", rows=len(rows))
    vectors = embed_cached(
        [row.text for row in rows],
        hashes_of(rows),
        embedder_of(context, run.embedder),
        context.settings.embeddings,
    )
    _store(context, shard, vectors)


def _store(context: Context, shard: Shard, vectors: npt.NDArray[np.float32]) -> None:
    storage = storage_at(context.settings.shared)
    write_shard(storage, shard.run_id, shard.number, vectors)
    with context.database.read() as session:
        is_over = not _is_wanted(session.get(ScoringRun, shard.run_id))
    if is_over:  # whoever ended the run may have looked for its shards before this one was there
        storage.delete(run_folder(shard.run_id))


def _is_wanted(run: ScoringRun | None) -> bool:
    return run is not None and run.state.is_open and not run.cancel_requested


def hashes_of(rows: Iterable[ScoredRow]) -> "np.ndarray[tuple[int, int], np.dtype[np.uint8]]":
    """Return the hashes of the rows' texts: uint8 array (n_rows, 16)."""
    blob = b"".join(row.text_hash for row in rows)
    return np.frombuffer(blob, dtype=np.uint8).reshape(-1, HASH_BYTES)
