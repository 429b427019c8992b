"""Which rows an auto-fix may change: a rule, fixed once, over the rows of a filter."""

from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from app.errors import InvalidInput
from app.languages import _
from app.models.columns import Split
from app.models.datasets import Dataset
from app.models.examples import Example, ExampleState
from app.models.scoring import Score
from app.services.ranking.queue_filter import Preset, QueueFilter, conditions

MAX_TOP = 2**31


class RuleKind(StrEnum):
    """Which of the flagged rows of a filter are changed."""

    RECOMMENDED = "recommended"
    MIN_CONFIDENCE = "min_confidence"
    TOP = "top"
    ALL = "all"


@dataclass(frozen=True)
class Fixed:
    """What a rule means at the moment it is asked for; decisions made since change nothing about it.

    `key` and `example_id` name the last of the worst rows. The recommended rows are those the run recommends
    (unless `keeps_recommended` is false) and flagged rows whose suggestion is at least `minimum` sure. Rows
    without a label are among them where `unlabelled` says how sure their suggestion must be.
    """

    key: float | None = None
    example_id: int | None = None
    keeps_recommended: bool = True
    minimum: float | None = None
    unlabelled: float | None = None


@dataclass(frozen=True)
class Rule:
    """A bound: the least confidence of the suggestion, or the number of rows from the worst down."""

    kind: RuleKind = RuleKind.RECOMMENDED
    value: float | None = None
    fixed: Fixed | None = None

    def __post_init__(self) -> None:
        if self.kind is RuleKind.MIN_CONFIDENCE and not (self.value is not None and 0 <= self.value <= 1):
            raise InvalidInput(_("The least confidence is a number from 0 to 1."))
        if self.kind is RuleKind.TOP and not (self.value is not None and 1 <= self.value <= MAX_TOP):
            raise InvalidInput(_("The number of rows is from 1 to %(max_top)s.", max_top=MAX_TOP))

    def to_json(self) -> dict[str, Any]:
        stored: dict[str, Any] = {"kind": self.kind, "value": self.value}
        return stored if self.fixed is None else {**stored, "fixed": asdict(self.fixed)}

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> "Rule":
        fixed = stored.get("fixed")
        return cls(RuleKind(stored["kind"]), stored.get("value"), Fixed(**fixed) if fixed else None)


def chosen(dataset: Dataset, wanted: QueueFilter, rule: Rule) -> sa.Select[int]:
    """Return the ids of the rows a rule would change, worst first: flagged or unlabelled, open, train."""
    query = (
        sa.select(Example.id)
        .join(Score, Score.example_id == Example.id)
        .where(
            Score.run_id == dataset.current_run_id,
            Score.split == Split.TRAIN,
            Score.state == ExampleState.OPEN,
            Example.split == Split.TRAIN,
            Example.state == ExampleState.OPEN,
            *_suspect(),
            sa.func.coalesce(Example.label_id, 0) != Score.suggested_label_id,
            # An open row has the label it was given; the scores have an index of that.
            *([Score.given_label_id.is_(None)] if wanted.preset is Preset.UNLABELLED else []),
            *conditions(wanted, scored=True),
            *_of_rule(rule),
        )
        .order_by(Score.rank_key, Score.example_id)
    )
    is_counted = rule.kind is RuleKind.TOP and rule.fixed is None
    return query.limit(int(rule.value or 0)) if is_counted else query


def reviewed(dataset: Dataset, wanted: QueueFilter, rule: Rule) -> tuple[sa.ColumnElement[bool], ...]:
    """Return the condition on rows that the rule would have changed if no person had decided them."""
    others = replace(wanted, preset=Preset.ALL, state=None, person=None, sample=None)
    unlabelled = [Score.given_label_id.is_(None)] if wanted.preset is Preset.UNLABELLED else []
    return (
        Score.run_id == dataset.current_run_id,
        Score.split == Split.TRAIN,
        Score.state.in_((ExampleState.KEPT, ExampleState.ACCEPTED, ExampleState.OVERRIDDEN)),
        *_suspect(),
        sa.func.coalesce(Score.given_label_id, 0) != Score.suggested_label_id,
        *unlabelled,
        *conditions(others, scored=True),
        *_of_rule(rule),
    )


def _suspect() -> list[sa.ColumnElement[bool]]:
    return [Score.is_issue.is_(True) | Score.given_label_id.is_(None)]


def _of_rule(rule: Rule) -> list[sa.ColumnElement[bool]]:
    fixed = rule.fixed or Fixed()
    match rule.kind:
        case RuleKind.RECOMMENDED:
            ways: list[sa.ColumnElement[bool]] = []
            ways += [Score.is_recommended.is_(True)] if fixed.keeps_recommended else []
            if fixed.minimum is not None:
                ways.append(Score.is_issue.is_(True) & (Score.suggested_confidence >= fixed.minimum))
            if fixed.unlabelled is not None:
                is_sure = Score.suggested_confidence >= fixed.unlabelled
                ways.append(Score.given_label_id.is_(None) & is_sure)
            return [sa.or_(*ways) if ways else sa.false()]
        case RuleKind.MIN_CONFIDENCE:
            return [Score.suggested_confidence >= rule.value]
        case RuleKind.TOP if fixed.key is not None:
            place = sa.tuple_(Score.rank_key, Score.example_id)
            return [place <= sa.tuple_(sa.literal(fixed.key), sa.literal(fixed.example_id))]
        case _:
            return []
