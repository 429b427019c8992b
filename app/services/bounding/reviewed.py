"""What people's decisions say about the suggestions that nobody has decided about yet."""

from dataclasses import dataclass

import numpy as np
import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.languages import _
from app.languages.retelling import retold
from app.models.datasets import Dataset
from app.models.examples import Example
from app.models.scoring import Score, ScoringRun
from app.science.reviewed import (
    FEWEST,
    GIVEN,
    NEITHER,
    RIGHT,
    Estimate,
    Outcomes,
    Rows,
    Sharpened,
    estimate,
    sharpen,
)
from app.science.unlabelled import cut_of
from app.services.bounding.autofix_rows import Fixed, Rule, RuleKind, chosen, reviewed
from app.services.ranking.queue_filter import Preset, QueueFilter
from app.services.reviewing import samples

MOST_REVIEWED = 5000
"""Newest decisions that are looked at."""
MOST_LEFT = 2000
"""Rows left that are looked at: a random sample of them stands for all."""


@dataclass(frozen=True)
class Evidence:
    """An estimate and how many of its reviewed rows were drawn at random from the very rows it is about."""

    estimate: Estimate
    drawn: int


def fix(session: Session, dataset: Dataset, wanted: QueueFilter, rule: Rule) -> tuple[Rule, str]:
    """Pin down what a rule means now, and say what decisions have changed about the recommendation."""
    if rule.kind is RuleKind.TOP:
        return Rule(rule.kind, rule.value, _last_of_top(session, dataset, wanted, rule)), ""
    if rule.kind is not RuleKind.RECOMMENDED:
        return rule, ""
    if wanted.preset is Preset.UNLABELLED:
        return _fix_unlabelled(session, dataset)
    advice = sharpened(session, dataset)
    fixed = Fixed(keeps_recommended=advice.keeps_recommended, minimum=advice.minimum)
    return Rule(rule.kind, fixed=fixed), retold(advice.reason)


def _fix_unlabelled(session: Session, dataset: Dataset) -> tuple[Rule, str]:
    """Take as the bound what the model's suggestions are worth on rows that have a label."""
    run = session.get_one(ScoringRun, dataset.current_run_id)
    rows, agreeing = run.report.get("agreement", ([], []))
    cut = cut_of(rows, agreeing)
    if cut is None:
        return Rule(RuleKind.RECOMMENDED, fixed=Fixed(keeps_recommended=False)), (
            _(
                "On rows that have a label the model suggests it too seldom, however sure it is: "
                "decide by hand."
            )
            if rows
            else _("The scores are of an older version of Setright: score again to get a recommendation.")
        )
    fixed = Fixed(keeps_recommended=False, unlabelled=cut.minimum)
    return Rule(RuleKind.RECOMMENDED, fixed=fixed), (
        _(
            "Rows are labelled where the model gives a label at least %(minimum)s probability. "
            "Of the %(rows)s labelled rows about which it is as sure, %(agreement)s carry the "
            "label that it suggests; some of the others are themselves wrong.",
            minimum=f"{cut.minimum:.2f}",
            rows=f"{cut.rows:,}",
            agreement=f"{cut.agreement:.0%}",
        )
    )


def _last_of_top(session: Session, dataset: Dataset, wanted: QueueFilter, rule: Rule) -> Fixed:
    first = chosen(dataset, wanted, rule).with_only_columns(Score.rank_key, Example.id).subquery()
    last = session.execute(
        sa.select(first.c.rank_key, first.c.id).order_by(first.c.rank_key.desc(), first.c.id.desc()).limit(1)
    ).one_or_none()
    return Fixed(key=last[0], example_id=last[1]) if last else Fixed(key=-1.0, example_id=0)


def sharpened(session: Session, dataset: Dataset) -> Sharpened:
    """Let the decisions on a dataset's flagged rows confirm, extend or withdraw its run's recommendation."""
    everything, rule = QueueFilter(), Rule(RuleKind.ALL)
    known = _reviewed(session, dataset, everything, rule)
    if not len(known.outcomes):
        return Sharpened(keeps_recommended=True, minimum=None, reason="")
    return sharpen(_left(session, dataset, everything, rule), known.rows, known.outcomes)


def evidence(session: Session, dataset: Dataset, wanted: QueueFilter, rule: Rule) -> Evidence | None:
    """Estimate what a fixed rule would do to the rows of a filter; nothing where it changes none."""
    left = _left(session, dataset, wanted, rule)
    if not len(left.key):
        return None
    known = _reviewed(session, dataset, wanted, rule)
    drawn = samples.drawn_for(session, dataset, wanted, rule)
    is_drawn = np.array([example_id in drawn for example_id in known.ids], dtype=bool)
    if is_drawn.sum() >= FEWEST:  # enough that is unbiased: no need for what people looked for
        found = estimate(left.key, known.rows.key[is_drawn], known.outcomes[is_drawn], drawn=True)
    else:
        found = estimate(left.key, known.rows.key, known.outcomes)
    return Evidence(found, drawn=int(is_drawn.sum()))


@dataclass(frozen=True)
class _Reviewed:
    ids: list[int]
    rows: Rows
    outcomes: Outcomes


def _reviewed(session: Session, dataset: Dataset, wanted: QueueFilter, rule: Rule) -> _Reviewed:
    found = session.execute(
        sa.select(
            Example.id, Score.rank_key, Score.suggested_confidence, Score.is_recommended,
            Example.label_id, Score.suggested_label_id, Score.given_label_id,
        )
        .join(Score, Score.example_id == Example.id)
        .where(*reviewed(dataset, wanted, rule))
        .order_by(Example.last_decision_id.desc())
        .limit(MOST_REVIEWED)
    ).all()  # fmt: skip
    outcomes = [
        RIGHT if label == suggested else GIVEN if label == given else NEITHER
        for *_, label, suggested, given in found
    ]
    rows = _rows([(key, confidence, is_recommended) for _, key, confidence, is_recommended, *_ in found])
    return _Reviewed([row[0] for row in found], rows, np.array(outcomes, dtype=np.int64))


def _left(session: Session, dataset: Dataset, wanted: QueueFilter, rule: Rule) -> Rows:
    ids = samples.draw(session, chosen(dataset, wanted, rule), count=MOST_LEFT, seed=0)
    found = session.execute(
        sa.select(Score.rank_key, Score.suggested_confidence, Score.is_recommended).where(
            Score.run_id == dataset.current_run_id, Score.example_id.in_(ids)
        )
    )
    return _rows([(key, confidence, is_recommended) for key, confidence, is_recommended in found])


def _rows(found: list[tuple[float, float, bool]]) -> Rows:
    return Rows(
        key=np.array([row[0] for row in found], dtype=np.float64),
        confidence=np.array([row[1] for row in found], dtype=np.float64),
        is_recommended=np.array([row[2] for row in found], dtype=bool),
    )
