"""The frozen test split: where it comes from, what leaks into it, and drawing one."""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from app import events, queue
from app.actor import Actor, Role
from app.errors import Conflict, InvalidInput
from app.languages import _
from app.models.columns import OPEN_STATES, RunState, Split
from app.models.datasets import Dataset
from app.models.evidence import Finding, IssueKind
from app.models.examples import Example
from app.models.imports import Import, ImportMatch, MatchKind
from app.models.people import User
from app.models.scoring import ScoringRun
from app.services import datasets
from app.services.bounding import batches
from app.services.importing import filter_columns
from app.services.operation import runs

DRAW = "draw"
"""In the layout of an import: it brings no file, it moves rows of train into test."""
USUAL_SHARE = 0.2
LEAST_SHARE, MOST_SHARE = 0.01, 0.9
MOST_COMPARED = 50_000
"""Test rows up to which a page looks for their texts among the train rows."""
CHUNK = 1000


@dataclass(frozen=True)
class Facts:
    """What is known of a dataset's test split.

    Attributes
    ----------
    drawn : Import or None
        By which it was drawn, and by whom; None where its rows came as test rows.
    drawing : Import or None
        The drawing that is on its way.
    equal : int or None
        Test rows whose very text is a train row's too; None where there are too many to look.
    alike : int or None
        Test rows that the current scores found to be equal or nearly so to a train row; None without scores.
    changed : int
        Test rows whose label people have changed.
    """

    rows: int
    drawn: Import | None
    drawn_by: str
    drawing: Import | None
    equal: int | None
    alike: int | None
    changed: int
    excluded: int
    is_newer_than_scores: bool


def facts(session: Session, dataset: Dataset) -> Facts:
    """Return what is known of a dataset's test split."""
    counts = datasets.counts(session, dataset.id, split=Split.TEST)
    drawn = _last_draw(session, dataset, RunState.DONE)
    by = session.get(User, drawn.created_by_id) if drawn else None
    return Facts(
        rows=counts.test,
        drawn=drawn,
        drawn_by=by.name if by else "",
        drawing=_last_draw(session, dataset, *OPEN_STATES),
        equal=count_equal(session, dataset) if counts.test <= MOST_COMPARED else None,
        alike=_count_alike(session, dataset) if dataset.current_run_id else None,
        changed=counts.changed,
        excluded=counts.excluded,
        is_newer_than_scores=is_newer_than_scores(session, dataset),
    )


def count_equal(session: Session, dataset: Dataset) -> int:
    """Count the test rows whose very text is a train row's too."""
    other = aliased(Example)
    in_train = sa.exists().where(
        other.dataset_id == dataset.id,
        other.text_hash == Example.text_hash,
        other.split == Split.TRAIN,
        other.import_seq <= dataset.import_seq,
    )
    found = session.scalar(
        sa.select(sa.func.count())
        .select_from(Example)
        .where(
            Example.dataset_id == dataset.id,
            Example.split == Split.TEST,
            Example.import_seq <= dataset.import_seq,
            in_train,
        )
    )
    return found or 0


def _count_alike(session: Session, dataset: Dataset) -> int:
    found = session.scalar(
        sa.select(sa.func.count()).where(
            Finding.run_id == dataset.current_run_id,
            Finding.kind == IssueKind.LEAK,
            Finding.split == Split.TEST,
        )
    )
    return found or 0


def is_newer_than_scores(session: Session, dataset: Dataset) -> bool:
    """Say whether the current scores were made before the test rows were drawn from train."""
    drawn = _last_draw(session, dataset, RunState.DONE)
    run = session.get(ScoringRun, dataset.current_run_id) if dataset.current_run_id else None
    return drawn is not None and run is not None and run.import_seq < drawn.seq


def _last_draw(session: Session, dataset: Dataset, *states: RunState) -> Import | None:
    found = session.scalars(
        sa.select(Import)
        .where(Import.dataset_id == dataset.id, Import.state.in_(states), Import.path == "")
        .order_by(Import.id.desc())
    )
    return next((one for one in found if DRAW in one.layout), None)


def draw(session: Session, dataset_id: int, *, share: float, seed: int, actor: Actor) -> Import:
    """Ask to move a part of the train rows into test, once and for all; a job chooses them."""
    dataset = datasets.get(session, dataset_id)
    actor.require(Role.LEAD, dataset)
    if not LEAST_SHARE <= share <= MOST_SHARE:
        raise InvalidInput(
            _(
                "The test split takes from %(least_share)s to %(most_share)s of the rows, not %(share)s.",
                least_share=f"{LEAST_SHARE:.0%}",
                most_share=f"{MOST_SHARE:.0%}",
                share=f"{share:.3g}",
            )
        )
    if not 0 <= seed < 2**31:
        raise InvalidInput(_("The seed is a whole number from 0 to 2147483647."))
    dataset = datasets.lock(session, dataset.id)
    _check_drawable(session, dataset)
    filter_columns.refuse_while_changing(session, dataset)
    asked = Import(
        dataset_id=dataset.id,
        dataset_name=dataset.name,
        seq=dataset.import_seq + 1,
        file_name=f"test split of {share:.0%}, drawn with seed {seed}",
        path="",
        layout={DRAW: {"share": share, "seed": seed}},
        split=Split.TEST,
        created_by_id=actor.user_id,
    )
    session.add(asked)
    session.flush()
    events.record(
        session,
        "test_split.requested",
        actor=actor,
        dataset_id=dataset.id,
        subject_id=asked.id,
        new={"share": share, "seed": seed},
    )
    queue.enqueue(session, queue.Job.IMPORT, asked.id)
    return asked


def _check_drawable(session: Session, dataset: Dataset) -> None:
    counts = datasets.counts(session, dataset.id)
    if counts.test:
        raise Conflict(
            _(
                "%(dataset)s has a test split of %(test)s rows already: it stays as it is.",
                dataset=dataset.name,
                test=counts.test,
            )
        )
    if counts.auto_fixed:
        raise Conflict(
            _(
                "%(auto_fixed)s rows of %(dataset)s carry labels that auto-fix has chosen, and a "
                "test split must not be judged by those: undo these batches first, draw, then "
                "auto-fix again.",
                auto_fixed=counts.auto_fixed,
                dataset=dataset.name,
            )
        )
    batches.require_quiet(session, dataset)


@dataclass(frozen=True)
class DrawableRow:
    """A train row that may become a test row."""

    example_id: int
    text: str
    label_id: int | None


def drawable_rows(session: Session, dataset_id: int) -> list[DrawableRow]:
    """Return the train rows in the order in which they came."""
    dataset = session.get_one(Dataset, dataset_id)
    found = session.execute(
        sa.select(Example.id, Example.text, Example.label_id)
        .where(
            Example.dataset_id == dataset.id,
            Example.split == Split.TRAIN,
            Example.import_seq <= dataset.import_seq,
        )
        .order_by(Example.id)
        .execution_options(yield_per=CHUNK)
    )
    return [DrawableRow(*row) for row in found]


def related_rows(session: Session, dataset_id: int) -> list[tuple[int, bytes]]:
    """Return the near duplicates that the current scores found, with the packed ids of their likes."""
    dataset = session.get_one(Dataset, dataset_id)
    found = session.execute(
        sa.select(Finding.example_id, Finding.related).where(
            Finding.run_id == (dataset.current_run_id or 0), Finding.kind == IssueKind.NEAR_DUPLICATE
        )
    )
    return [(example_id, related) for example_id, related in found]


def store_chunk(session: Session, import_: Import, chosen: list[int]) -> None:
    """Note rows that are to become test rows; publishing the import moves them all."""
    fresh = runs.guard(session, import_)
    known = set(
        session.scalars(
            sa.select(ImportMatch.example_id).where(
                ImportMatch.import_id == fresh.id, ImportMatch.example_id.in_(chosen)
            )
        )
    )
    values: list[dict[str, Any]] = [
        {
            "import_id": fresh.id,
            "example_id": example_id,
            "line": 0,
            "kind": MatchKind.CHANGED,
            "old": {"split": Split.TRAIN.value},
            "new": {"split": Split.TEST.value},
        }
        for example_id in chosen
        if example_id not in known
    ]
    if values:
        session.execute(sa.insert(ImportMatch), values)
    fresh.rows_read = fresh.rows_changed = fresh.rows_changed + len(values)
