"""The step of a scoring run that finds neighbours and the kinds of issue beside label issues."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from sqlalchemy.orm import Session

from app.jobs import brought
from app.jobs.context import Context, Reporter
from app.jobs.durable import step
from app.jobs.embedding import Plan, vectors_of
from app.models.columns import Split
from app.models.scoring import ScoringRun
from app.pipeline.arrays import check_embeddings
from app.pipeline.cache import embed_cached, hash_texts
from app.science.approximate import is_available
from app.science.neighbours import NOBODY, pack, pack_ids
from app.science.probabilities import unpack_rows
from app.services.finding import findings, late_evidence
from app.services.operation.runs import Report

if TYPE_CHECKING:
    from app.pipeline.evidence import DatasetEvidence

CHUNK = 1000
UNLABELLED = -1
LEFT_OUT = "outliers, and near duplicates and leaks whose texts differ, are left out."

Vectors = npt.NDArray[np.floating]


@dataclass
class _Rows:
    """What is kept of the rows while they pass by."""

    ids: list[int] = field(default_factory=list)
    label_ids: list[int] = field(default_factory=list)
    are_train: list[bool] = field(default_factory=list)
    second: list[npt.NDArray[np.float32]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)


@step(ScoringRun, "scoring.evidence")
def gather(context: Context, run: ScoringRun, plan: Plan | None) -> dict[str, Any]:
    """Find and store the evidence, out of sight; a repetition starts by deleting that of the last try."""
    return find(context, run, plan, Reporter(context, run))


def find(context: Context, run: ScoringRun, plan: Plan | None, report: Report) -> dict[str, Any]:
    """Find and store the evidence of a run, published or not; return what its report says of that."""
    from app.pipeline.evidence import find_evidence
    from app.pipeline.texts import text_facts

    _forget(context, run)
    rows = _Rows()
    with context.database.read() as session:
        total = findings.count_scored(session, run)
        without = _why_without_vectors(context, run, total)
        facts = text_facts(_pass_by(session, run, rows, keep_texts=without is None))
    found = find_evidence(
        facts,
        np.array(rows.label_ids, np.int64),
        np.array(rows.are_train, bool),
        np.concatenate(rows.second) if rows.second else np.empty(0, np.float32),
        None if without else _vectors(context, run, rows.texts, plan),
        exact_rows=context.settings.exact_neighbour_rows,
        on_progress=lambda done, all_: report("neighbours", done, all_),
    )
    _save(context, run, rows, found, report)
    notes = [without] if without else []
    if not without and total > context.settings.exact_neighbour_rows:
        notes.append("Similar rows were looked for approximately, as there are so many: a few are missing.")
    return {"evidence": found.report, "notes": notes}


def with_evidence(report: dict[str, Any], gathered: dict[str, Any]) -> dict[str, Any]:
    """Return a run's report with what was gathered, and what was left out among its warnings."""
    evidence = gathered["evidence"]
    return {
        **report,
        "kinds": evidence["kinds"],
        "evidence": {name: value for name, value in evidence.items() if name not in {"kinds", "seconds"}},
        "seconds": {**report["seconds"], **evidence["seconds"]},
        "warnings": [*report["warnings"], *gathered["notes"]],
    }


def _forget(context: Context, run: ScoringRun) -> None:
    more = True
    while more:
        with context.database.write() as session:
            more = findings.forget_chunk(session, run)
        context.pause()
    with context.database.write() as session:
        late_evidence.recount(session, run)


def _why_without_vectors(context: Context, run: ScoringRun, rows: int) -> str | None:
    most, exact = context.settings.neighbour_rows, context.settings.exact_neighbour_rows
    if rows > most:
        return (
            f"With {rows:,} rows, similar rows were not looked for (SETRIGHT_NEIGHBOUR_ROWS is {most:,}): "
            f"{LEFT_OUT}"
        )
    if rows > exact and not is_available():
        return (
            f"With {rows:,} rows, similar rows are only looked for after `pip install 'setright[ann]'`: "
            f"{LEFT_OUT}"
        )
    if run.pred_probs_path and not run.embeddings_path:
        return (
            "The probabilities were given without embeddings, so similar rows were not looked for: "
            f"{LEFT_OUT}"
        )
    return None


def _pass_by(
    session: Session, run: ScoringRun, rows: _Rows, *, keep_texts: bool
) -> Iterator[tuple[str, bool]]:
    """Yield each row's text and whether it is of the train split, keeping what else is needed."""
    for chunk in findings.read_scored(session, run):
        probabilities = unpack_rows([row.pred_probs for row in chunk], len(run.label_ids))
        rows.second.append(np.partition(probabilities, -2, axis=1)[:, -2])
        for row in chunk:
            rows.ids.append(row.example_id)
            rows.label_ids.append(UNLABELLED if row.given_label_id is None else row.given_label_id)
            rows.are_train.append(row.split is Split.TRAIN)
            if keep_texts:
                rows.texts.append(row.text)
            yield row.text, row.split is Split.TRAIN


def _vectors(context: Context, run: ScoringRun, texts: list[str], plan: Plan | None) -> Vectors:
    """Return what the scores were computed from: the user's own vectors, shards, or those in the cache."""
    if run.embeddings_path:
        _, given = brought.arrays(context, run, label_ids=run.label_ids, n_rows=len(texts))
        assert given is not None  # noqa: S101 — the run has a path
        return check_embeddings(given, n_examples=len(texts))
    if plan:
        return vectors_of(context, run, plan)[: len(texts)]
    embedder = brought.embedder_of(context, run.embedder)
    return embed_cached(texts, hash_texts(texts), embedder, context.settings.embeddings)


def _save(context: Context, run: ScoringRun, rows: _Rows, found: "DatasetEvidence", report: Report) -> None:
    ids = np.array(rows.ids, np.int64)
    flagged = _by_row(rows, ids, found)
    for start in range(0, len(ids), CHUNK):
        part = slice(start, start + CHUNK)
        packed: list[tuple[int, bytes]] = []
        if found.neighbours is not None:
            near = found.neighbours.rows[part]
            blobs = pack(
                np.where(near == NOBODY, NOBODY, ids[np.maximum(near, 0)]), found.neighbours.similarity[part]
            )
            packed = list(zip(rows.ids[part], blobs, strict=True))
        values = [value for example_id in rows.ids[part] for value in flagged.get(example_id, [])]
        if packed or values:
            with context.database.write() as session:
                findings.save(session, run, neighbours=packed, found=values)
            context.pause()
        report("save_evidence", min(start + CHUNK, len(ids)), len(ids))


def _by_row(
    rows: _Rows, ids: npt.NDArray[np.int64], found: "DatasetEvidence"
) -> dict[int, list[dict[str, Any]]]:
    values: dict[int, list[dict[str, Any]]] = {}
    for kind, one in found.kinds.items():
        for at, row in enumerate(one.rows.tolist()):
            values.setdefault(rows.ids[row], []).append(
                {
                    "example_id": rows.ids[row],
                    "kind": kind,
                    "rank": int(one.rank[at]),
                    "score": float(one.score[at]),
                    "related": pack_ids(ids[one.related.rows[at]]),
                    "related_count": int(one.related.count[at]),
                    "split": Split.TRAIN if rows.are_train[row] else Split.TEST,
                }
            )
    return values
