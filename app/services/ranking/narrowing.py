"""How a filter is answered that no index of the queue's order has: by its few rows, or along the order.

A search for a rare word is quick the other way round: take the rows that the index of words knows, and put
those in order. One for a frequent word is quick by walking the order, where every other row fits. Which one
it is, the indexes say: they are asked for so many rows and no more.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.db import remembered
from app.errors import InvalidInput
from app.languages import _
from app.models.columns import Split
from app.models.datasets import Dataset, Label
from app.models.examples import Example, ExampleState
from app.models.metadata import MetadataValue
from app.models.scoring import Score
from app.models.together import AssignedRow
from app.services.importing import metadata
from app.services.ranking import search
from app.services.ranking.queue_filter import Preset, QueueFilter, Sort, asks_scores
from app.services.ranking.unindexed import Unindexed

_Ids: TypeAlias = sa.Select[Any] | sa.CompoundSelect[Any]
_ANY = QueueFilter(preset=Preset.ALL, split=None)
MOST_COUNTED = 10_000
"""So many rows of a filter are counted; where there are more, that is all that is said of them."""
FEW = 20_000
"""So many rows are put in order faster than a walk finds a page of them among a million."""


@dataclass(frozen=True)
class Narrowed:
    """The numbers of the rows that one part of a filter leaves, and whether they are few."""

    ids: sa.Subquery
    is_few: bool
    count: int = 0
    """How many there are; of many rows, at least so many."""
    answered: Mapping[str, Any] = field(default_factory=dict)
    """What a filter has in place of what all of these rows fit, so that few of them are not asked again."""
    has_keys: bool = False
    """Whether `ids` has the rows' places in the run's order too, and says all that their scores are asked."""
    some: sa.Subquery | None = None
    """Of many rows the first ones, where they are known already."""

    def rest(self, wanted: QueueFilter) -> QueueFilter:
        """Return what of a filter is still to be asked of these rows."""
        return replace(wanted, **self.answered)

    def is_whole(self, wanted: QueueFilter) -> bool:
        """Say whether these rows are all that the filter shows."""
        return self.has_keys and replace(self.rest(wanted), sort=Sort.SUSPECT) == _ANY


def narrow(session: Session, dataset: Dataset, wanted: QueueFilter) -> Narrowed | None:
    """Return the part of a filter that leaves the fewest rows, if the filter has a part like that."""
    key = (Narrowed, dataset.id, dataset.current_run_id, wanted)
    return remembered(session, key, lambda: _narrowest(session, dataset, wanted))


def _narrowest(session: Session, dataset: Dataset, wanted: QueueFilter) -> Narrowed | None:
    narrowest: Narrowed | None = None
    if search.has_words(wanted.search):
        narrowest = _by_search(session, dataset, wanted)
        if narrowest.is_few:
            return narrowest
    for part in _parts(session, dataset, wanted):
        limited = part.ids.limit(FEW + 1).subquery()
        count = session.scalar(sa.select(sa.func.count()).select_from(limited)) or 0
        ids, is_few = part.ids.subquery("narrowed"), count <= FEW
        found = Narrowed(ids, is_few, count, part.answered, has_keys="rank_key" in ids.c)
        if is_few:
            return found
        narrowest = narrowest or found
    return narrowest


def some_of(narrowed: Narrowed) -> Narrowed:
    """Return few of the rows that one part of a filter leaves, by which the others are judged."""
    some = narrowed.some
    if some is None:
        some = sa.select(narrowed.ids).limit(MOST_COUNTED + 1).subquery("narrowed")
    return replace(narrowed, ids=some, is_few=True)


def _by_search(session: Session, dataset: Dataset, wanted: QueueFilter) -> Narrowed:
    key = (Narrowed, dataset.id, wanted.search)
    return remembered(session, key, lambda: _found(session, dataset, wanted))


def _found(session: Session, dataset: Dataset, wanted: QueueFilter) -> Narrowed:
    """Ask the index of words once: for words that follow each other it looks at every text that has them.

    The few rows it finds are written into the questions that follow, and not asked for again.
    """
    is_sqlite = session.get_bind().dialect.name == "sqlite"
    ids = search.found(wanted.search, is_sqlite=is_sqlite, between=_numbers(session, dataset))
    limited = ids.limit(FEW + 1).subquery()
    number = limited.c.id
    written: sa.ColumnElement[Any] = sa.func.json_group_array(number)
    if not is_sqlite:
        written = sa.cast(sa.func.array_agg(number), sa.Text)
    count, listed = session.execute(sa.select(sa.func.count(), written).select_from(limited)).one()
    found = _listed(listed or "{}", is_sqlite=is_sqlite)
    answered = {"search": ""}
    if count > FEW:
        some = sa.select(found.c.id).limit(MOST_COUNTED + 1).subquery("narrowed")
        return Narrowed(ids.subquery("narrowed"), is_few=False, count=count, answered=answered, some=some)
    return Narrowed(found, is_few=True, count=count, answered=answered)


def _listed(ids: str, *, is_sqlite: bool) -> sa.Subquery:
    """Return known numbers as a table; they come and go as one text, of which Python reads nothing."""
    number = sa.column("id", sa.BigInteger)
    if is_sqlite:
        value = sa.column("value", sa.BigInteger)
        each = sa.func.json_each(ids).table_valued(value)
        return sa.select(each.c.value.label("id")).subquery("narrowed")
    array = sa.cast(sa.literal(ids, sa.Text), sa.ARRAY(sa.BigInteger))
    rows = sa.func.unnest(array).table_valued(number).render_derived()
    return sa.select(rows.c.id).subquery("narrowed")


@dataclass(frozen=True)
class _Part:
    """One part of a filter: the question for its rows, and what a filter has in place of it."""

    ids: _Ids
    answered: Mapping[str, Any] = field(default_factory=dict)


def _parts(session: Session, dataset: Dataset, wanted: QueueFilter) -> list[_Part]:
    """Return the parts of a filter that leave rows of their own."""
    parts = _of_scores(dataset, wanted) if dataset.current_run_id else []
    parts += [_Part(ids) for ids in _of_people(dataset, wanted)]
    return parts + _of_metadata(session, dataset, wanted)


def _of_people(dataset: Dataset, wanted: QueueFilter) -> list[_Ids]:
    parts: list[_Ids] = []
    if wanted.preset is Preset.UNLABELLED:
        unlabelled = (Example.dataset_id == dataset.id, Example.label_id.is_(None))
        parts.append(sa.select(Example.id.label("id")).where(*unlabelled))
    if wanted.person is not None:
        of_person = (Example.dataset_id == dataset.id, Example.decided_by_id == wanted.person)
        parts.append(sa.select(Example.id.label("id")).where(*of_person))
    if wanted.assigned is not None:
        to_person = (AssignedRow.dataset_id == dataset.id, AssignedRow.user_id == wanted.assigned)
        parts.append(sa.select(AssignedRow.example_id.label("id")).where(*to_person))
    return parts


def _of_metadata(session: Session, dataset: Dataset, wanted: QueueFilter) -> list[_Part]:
    parts: list[_Part] = []
    columns = metadata.column_ids(session, dataset.id) if wanted.metadata else {}
    for name, value in wanted.metadata:
        if name not in columns:
            raise InvalidInput(
                _(
                    "The rows of %(dataset)s cannot be filtered by %(name)r now: a lead chooses the columns "
                    "for that, at an import or later.",
                    dataset=dataset.name,
                    name=name,
                )
            )
        of_value = (MetadataValue.column_id == columns[name], MetadataValue.value == value)
        ids = sa.select(MetadataValue.example_id.label("id")).where(*of_value)
        others = tuple(one for one in wanted.metadata if one != (name, value))
        parts.append(_Part(ids, {"metadata": others}))
    return parts


def _of_scores(dataset: Dataset, wanted: QueueFilter) -> list[_Part]:
    """Return the parts that an index of the scores answers, though not in the queue's order.

    Where it answers all that is asked of the scores, its rows come with their places in the order.
    """
    splits = list(Split) if wanted.split is None else [wanted.split]
    where = [Score.run_id == dataset.current_run_id, Score.split.in_(splits)]
    parts: list[_Part] = []
    if wanted.given is not None or wanted.suggested is not None:
        parts.append(_of_labels(dataset, wanted, where))
    if wanted.preset is Preset.RESOLVED and wanted.state is None:
        resolved = [state for state in ExampleState if state.is_resolved]
        parts.append(_scored(wanted, {"preset": Preset.ALL}, [*where, Score.state.in_(resolved)]))
    return parts


def _of_labels(dataset: Dataset, wanted: QueueFilter, where: list[sa.ColumnElement[bool]]) -> _Part:
    answered: dict[str, Any] = {"given": None, "suggested": None}
    if wanted.preset is Preset.ISSUES and wanted.state in {None, ExampleState.OPEN}:
        where = [*where, Score.is_issue.is_(True), Score.is_open.is_(True)]
        answered |= {"preset": Preset.ALL, "state": None}
    if wanted.suggested is not None:
        where = [*where, Score.suggested_label_id == wanted.suggested]
    if wanted.given is not None:
        return _scored(wanted, answered, [*where, Score.given_label_id == wanted.given])
    # The index begins with the given label: it is asked for every one of them, and for none.
    of_label = Score.given_label_id.in_(sa.select(Label.id).where(Label.dataset_id == dataset.id))
    return _scored(wanted, answered, [*where, of_label], [*where, Score.given_label_id.is_(None)])


def _scored(wanted: QueueFilter, answered: dict[str, Any], *ways: list[sa.ColumnElement[bool]]) -> _Part:
    """Return the part of the rows to which one of some ways leads; `answered` is as in `Narrowed`."""
    answered = {**answered, "split": None}
    is_all = not asks_scores(replace(wanted, **answered))
    columns: list[Any] = [Score.example_id.label("id")]
    # The rows are found by what they have and sorted then, not the other way round.
    columns += [Unindexed(Score.rank_key).label("rank_key")] if is_all else []
    found = [sa.select(*columns).where(*way) for way in ways]
    return _Part(sa.union_all(*found) if len(found) > 1 else found[0], answered if is_all else {})


def _numbers(session: Session, dataset: Dataset) -> tuple[int, int]:
    """Return the first and the last number of a dataset's rows; others may have numbers between them."""
    ids = sa.select(Example.id).where(Example.dataset_id == dataset.id).limit(1)
    first = session.scalar(ids.order_by(Example.import_seq, Example.id))
    last = session.scalar(ids.order_by(Example.import_seq.desc(), Example.id.desc()))
    return (first or 0, last or 0)
