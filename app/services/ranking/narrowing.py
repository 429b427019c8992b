"""How a filter is answered that no index of the queue's order has: by its few rows, or along the order.

A search for a rare word is quick the other way round: take the rows that the index of words knows, and put
those in order. One for a frequent word is quick by walking the order, where every other row fits. Which one
it is, the indexes say: they are asked for so many rows and no more.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.db import FOUND
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
from app.services.ranking.queue_filter import Preset, QueueFilter

_Ids: TypeAlias = sa.Select[Any] | sa.CompoundSelect[Any]
FEW = 20_000
"""So many rows are put in order faster than a walk finds a page of them among a million."""


@dataclass(frozen=True)
class Narrowed:
    """The numbers of the rows that one part of a filter leaves, and whether they are few."""

    ids: sa.Subquery
    is_few: bool
    answers_search: bool = False
    """Whether these are the rows that the search finds, so that few of them need not be asked again."""


def narrow(session: Session, dataset: Dataset, wanted: QueueFilter) -> Narrowed | None:
    """Return the part of a filter that leaves the fewest rows, if the filter has a part like that."""
    narrowest: Narrowed | None = None
    if search.has_words(wanted.search):
        narrowest = _by_search(session, dataset, wanted)
        if narrowest.is_few:
            return narrowest
    for ids in _parts(session, dataset, wanted):
        limited = ids.limit(FEW + 1).subquery()
        count = session.scalar(sa.select(sa.func.count()).select_from(limited)) or 0
        if count <= FEW:
            return Narrowed(ids.subquery("narrowed"), is_few=True)
        narrowest = narrowest or Narrowed(ids.subquery("narrowed"), is_few=False)
    return narrowest


def _by_search(session: Session, dataset: Dataset, wanted: QueueFilter) -> Narrowed:
    kept = session.info.get(FOUND, {})
    key = (dataset.id, wanted.search)
    if key not in kept:
        kept[key] = _found(session, dataset, wanted)
    narrowed: Narrowed = kept[key]
    return narrowed


def _found(session: Session, dataset: Dataset, wanted: QueueFilter) -> Narrowed:
    """Ask the index of words once: for words that follow each other it looks at every text that has them.

    The few rows it finds are written into the questions that follow, and not asked for again.
    """
    is_sqlite = session.get_bind().dialect.name == "sqlite"
    ids = search.found(wanted.search, is_sqlite=is_sqlite, between=_numbers(session, dataset))
    found = session.scalars(ids.limit(FEW + 1)).all()
    if len(found) > FEW:
        return Narrowed(ids.subquery("narrowed"), is_few=False, answers_search=True)
    return Narrowed(_listed(found, is_sqlite=is_sqlite), is_few=True, answers_search=True)


def _listed(ids: Sequence[int], *, is_sqlite: bool) -> sa.Subquery:
    """Return known numbers as a table."""
    number = sa.column("id", sa.BigInteger)
    if is_sqlite:
        value = sa.column("value", sa.BigInteger)
        each = sa.func.json_each(json.dumps(list(ids))).table_valued(value)
        return sa.select(each.c.value.label("id")).subquery("narrowed")
    array = sa.literal(list(ids), sa.ARRAY(sa.BigInteger))
    each = sa.func.unnest(sa.cast(array, sa.ARRAY(sa.BigInteger))).table_valued(number).render_derived()
    return sa.select(each.c.id).subquery("narrowed")


def _parts(session: Session, dataset: Dataset, wanted: QueueFilter) -> list[_Ids]:
    parts = _of_scores(dataset, wanted) if dataset.current_run_id else []
    if wanted.preset is Preset.UNLABELLED:
        unlabelled = (Example.dataset_id == dataset.id, Example.label_id.is_(None))
        parts.append(sa.select(Example.id.label("id")).where(*unlabelled))
    if wanted.person is not None:
        of_person = (Example.dataset_id == dataset.id, Example.decided_by_id == wanted.person)
        parts.append(sa.select(Example.id.label("id")).where(*of_person))
    if wanted.assigned is not None:
        to_person = (AssignedRow.dataset_id == dataset.id, AssignedRow.user_id == wanted.assigned)
        parts.append(sa.select(AssignedRow.example_id.label("id")).where(*to_person))
    columns = metadata.column_ids(session, dataset.id) if wanted.metadata else {}
    for name, value in wanted.metadata:
        if name not in columns:
            raise InvalidInput(
                _(
                    "The rows of %(dataset)s cannot be filtered by %(name)r: that is chosen when a file "
                    "with this column is imported.",
                    dataset=dataset.name,
                    name=name,
                )
            )
        of_value = (MetadataValue.column_id == columns[name], MetadataValue.value == value)
        parts.append(sa.select(MetadataValue.example_id.label("id")).where(*of_value))
    return parts


def _of_scores(dataset: Dataset, wanted: QueueFilter) -> list[_Ids]:
    """Return the parts that an index of the scores answers, though not in the queue's order."""
    splits = list(Split) if wanted.split is None else [wanted.split]
    of_run = (Score.run_id == dataset.current_run_id, Score.split.in_(splits))
    ids = sa.select(Score.example_id.label("id")).where(*of_run)
    parts: list[_Ids] = []
    if wanted.given is not None:
        of_pair = [Score.given_label_id == wanted.given]
        if wanted.suggested is not None:
            of_pair.append(Score.suggested_label_id == wanted.suggested)
        parts.append(ids.where(*of_pair))
    elif wanted.suggested is not None:
        # The index begins with the given label: it is asked for every one of them, and for none.
        of_label = Score.given_label_id.in_(sa.select(Label.id).where(Label.dataset_id == dataset.id))
        suggested = Score.suggested_label_id == wanted.suggested
        parts.append(
            sa.union_all(ids.where(of_label, suggested), ids.where(Score.given_label_id.is_(None), suggested))
        )
    if wanted.preset is Preset.RESOLVED and wanted.state is None:
        parts.append(ids.where(Score.state.in_([state for state in ExampleState if state.is_resolved])))
    return parts


def _numbers(session: Session, dataset: Dataset) -> tuple[int, int]:
    """Return the first and the last number of a dataset's rows; others may have numbers between them."""
    ids = sa.select(Example.id).where(Example.dataset_id == dataset.id).limit(1)
    first = session.scalar(ids.order_by(Example.import_seq, Example.id))
    last = session.scalar(ids.order_by(Example.import_seq.desc(), Example.id.desc()))
    return (first or 0, last or 0)
