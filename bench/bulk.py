"""An auto-fix of many rows and its undo, while somebody else goes on deciding; and the overview after it.

The rows are written straight into the tables. One thread does what a worker does; another gives one verdict
after the other, as fast as the database lets it.
"""

import os
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import migrate
from app.actor import LOCAL
from app.config import Settings
from app.db import Database, now
from app.jobs import batches as batch_jobs
from app.jobs.context import Context
from app.models import Batch, Dataset, Example, Label, Score, ScoringRun
from app.models.columns import RunState, Split
from app.models.examples import ExampleState, text_hash
from app.models.review import Verdict
from app.services.bounding import autofix, batches
from app.services.bounding.autofix import Rule, RuleKind
from app.services.finding import scoring
from app.services.operation import runs
from app.services.ranking.counting import Standing, Sums
from app.services.ranking.queue_filter import QueueFilter
from app.services.reviewing import decisions
from bench import report

ROWS, QUICK_ROWS = 1_000_000, 20_000
CLASSES = 20
WRONG = 0.11
FIXED = 0.1
PART = 20_000


@dataclass
class Decider:
    """Somebody who decides rows until told to stop, and how long each verdict took."""

    database: Database
    dataset_id: int
    seconds: list[float] = field(default_factory=list)
    done: threading.Event = field(default_factory=threading.Event)

    def work(self) -> None:
        """Keep the labels of rows that no auto-fix touches."""
        with self.database.read() as session:
            ids = session.scalars(
                sa.select(Score.example_id)
                .where(Score.is_issue.is_(False), Score.state == ExampleState.OPEN)
                .limit(100_000)
            ).all()
        for example_id in ids:
            if self.done.is_set():
                return
            started = time.perf_counter()
            with self.database.write() as session:
                version = session.get_one(Example, example_id).version
                decisions.decide(
                    session, self.dataset_id, example_id, Verdict.KEEP, version=version, actor=LOCAL
                )
            self.seconds.append(time.perf_counter() - started)
            time.sleep(0.02)


def main() -> None:
    chosen = report.options("bulk")
    rows = QUICK_ROWS if chosen.quick else ROWS
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(home=Path(folder), database_url="")
        database = Database(settings.url)
        migrate.migrate(database)
        dataset_id = make(database, rows)
        context = Context(settings, database)
        top = int(rows * FIXED)
        figures: dict[str, float] = {"rows": rows, "changed": top}
        with database.write() as session:
            rule = Rule(RuleKind.TOP, top)
            batch_id = autofix.request(session, dataset_id, QueueFilter(), rule, actor=LOCAL).id
        figures |= measured("auto_fix", context, dataset_id, batch_id)
        with database.write() as session:
            batches.request_undo(session, batch_id, actor=LOCAL)
        figures |= measured("undo", context, dataset_id, batch_id)
        figures["load"] = round(os.getloadavg()[0], 1)
        database.close()
    report.write("bulk", chosen, figures)


def measured(name: str, context: Context, dataset_id: int, batch_id: int) -> dict[str, float]:
    """Carry out a batch while somebody decides; return its seconds, and those of the verdicts."""
    decider = Decider(context.database, dataset_id)
    thread = threading.Thread(target=decider.work)
    with context.database.write() as session:
        batch = runs.begin(session, Batch, batch_id)
    assert batch is not None  # noqa: S101 — it was asked for just now
    thread.start()
    started, cpu = time.perf_counter(), time.process_time()
    batch_jobs.carry_out(context, batch)
    seconds, used = time.perf_counter() - started, time.process_time() - cpu
    decider.done.set()
    thread.join()
    waits = np.array(decider.seconds)
    return {
        f"{name}_s": round(seconds, 2),
        f"{name}_cpu_s": round(used, 2),
        f"{name}_verdicts": len(waits),
        f"{name}_verdict_p95_ms": round(float(np.quantile(waits, 0.95)) * 1000, 1),
        f"{name}_verdict_max_ms": round(float(waits.max()) * 1000, 1),
    }


def make(database: Database, rows: int) -> int:
    """Write a scored dataset, a share of its rows flagged; return its id."""
    with database.write() as session:
        dataset = Dataset(name="bulk", import_seq=1, created_by_id=LOCAL.user_id)
        session.add(dataset)
        session.flush()
        labels = [Label(dataset_id=dataset.id, name=f"class {at:02d}", import_seq=1) for at in range(CLASSES)]
        session.add_all(labels)
        run = ScoringRun(
            dataset_id=dataset.id, embedder="use", state=RunState.DONE, created_by_id=LOCAL.user_id,
            started_at=now(), finished_at=now(), import_seq=1,
        )  # fmt: skip
        session.add(run)
        session.flush()
        run.label_ids = label_ids = [label.id for label in labels]
        dataset_id, run_id = dataset.id, run.id
    rng = np.random.default_rng(0)
    own = np.sort(rng.random(rows))
    flagged = int(rows * WRONG)
    for start in range(0, rows, PART):
        with database.write() as session:
            _write(session.connection(), rng, dataset_id, run_id, label_ids, own, start, flagged)
    with database.write() as session:
        run = session.get_one(ScoringRun, run_id)
        run.rows, run.issues, run.recommended = rows, flagged, flagged // 2
        run.report = _report(session, rows, flagged, own, label_ids)
        dataset = session.get_one(Dataset, dataset_id)
        sums = Sums()
        found = session.execute(
            sa.select(Example.given_label_id, sa.func.count())
            .where(Example.dataset_id == dataset_id)
            .group_by(Example.given_label_id)
        )
        for label_id, count in found:
            sums.add(Standing(Split.TRAIN, label_id, label_id, ExampleState.OPEN, is_issue=False), count)
        sums.save(session, dataset_id)
        scoring.show(session, dataset, run_id)
    return dataset_id


def _write(
    connection: sa.Connection,
    rng: np.random.Generator,
    dataset_id: int,
    run_id: int,
    label_ids: list[int],
    own: npt.NDArray[np.float64],
    start: int,
    flagged: int,
) -> None:
    examples, scores = [], []
    given = rng.integers(0, CLASSES, PART)
    other = (given + rng.integers(1, CLASSES, PART)) % CLASSES
    for at in range(start, min(start + PART, len(own))):
        label_id, is_issue = label_ids[given[at - start]], at < flagged
        text = f"Row {at} of a made-up file, about as long as a short message to a shop."
        examples.append({
            "id": at + 1, "dataset_id": dataset_id, "external_id": f"r{at}", "import_seq": 1,
            "position": at + 1, "split": Split.TRAIN, "text": text, "text_hash": text_hash(text),
            "source_label_id": label_id, "given_label_id": label_id, "label_id": label_id,
            "state": ExampleState.OPEN, "details": {}, "version": 1, "note": "",
        })  # fmt: skip
        scores.append({
            "run_id": run_id, "example_id": at + 1, "self_confidence": own[at], "rank_key": own[at],
            "suggested_label_id": label_ids[other[at - start]] if is_issue else label_id,
            "suggested_confidence": 1 - own[at] if is_issue else own[at], "is_issue": is_issue,
            "is_recommended": is_issue and at % 2 == 0, "issue_rank": at + 1 if is_issue else None,
            "kinds": 0, "pred_probs": b"", "split": Split.TRAIN, "given_label_id": label_id,
            "state": ExampleState.OPEN, "is_open": True,
        })  # fmt: skip
    connection.execute(sa.insert(Example), [_renamed(one) for one in examples])
    connection.execute(sa.insert(Score), scores)


def _renamed(values: dict[str, object]) -> dict[str, object]:
    return {("metadata" if name == "details" else name): value for name, value in values.items()}


def _report(
    session: Session, rows: int, flagged: int, own: npt.NDArray[np.float64],
    label_ids: list[int],
) -> dict[str, object]:  # fmt: skip
    pairs = session.execute(
        sa.select(Score.given_label_id, Score.suggested_label_id, sa.func.count())
        .where(Score.is_issue.is_(True))
        .group_by(Score.given_label_id, Score.suggested_label_id)
    ).all()
    each = rows // len(label_ids)
    return {
        "rows": rows,
        "issues": flagged,
        "recommended": flagged // 2,
        "estimated_noise": flagged / rows,
        "advice": {"reason": "Made up for a measurement.", "expected_precision": 0.7},
        "histogram": np.histogram(own, bins=20, range=(0, 1))[0].tolist(),
        "issue_histogram": np.histogram(own[:flagged], bins=20, range=(0, 1))[0].tolist(),
        "classes": {
            str(label_id): {"rows": each, "issues": flagged // len(label_ids), "mean_self_confidence": 0.5}
            for label_id in label_ids
        },
        "pairs": [list(pair) for pair in pairs],
        "classifier": "none",
    }


if __name__ == "__main__":
    main()
