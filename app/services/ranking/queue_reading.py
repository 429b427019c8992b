"""Reading a page of the queue: the statement for it, which is built once for each filter, and its answer."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.models.columns import Split
from app.models.datasets import Dataset
from app.models.evidence import Finding
from app.models.examples import Example
from app.models.learning import FrontRow
from app.models.scoring import Score
from app.services.ranking.narrowing import Narrowed
from app.services.ranking.queue_filter import Preset, QueueFilter, Sort
from app.services.ranking.queue_order import BEFORE_ALL, Place
from app.services.ranking.queue_rows import QueueRow, Shown, numbers, queue_row, rows

MOST_KEPT = 500
"""So many statements are kept: a crowd of people with filters of their own asks fewer."""
_ANY = QueueFilter(preset=Preset.ALL, split=None)
_Query: TypeAlias = sa.Select[*tuple[Any, ...]]
_Build: TypeAlias = Callable[..., _Query]
_Keys: TypeAlias = list[sa.ColumnElement[Any]]


@dataclass(frozen=True)
class Stretch:
    """Which part of an order is read: beyond a place if there is one, so many rows, but for some of them."""

    order: int
    border: Place | None
    backwards: bool
    limit: int
    but: Collection[int] = ()


@dataclass(frozen=True)
class _Shape:
    """What the statement for a stretch depends on; the rest of it are the statement's parameters."""

    order: int
    has_border: bool
    backwards: bool
    limit: int
    has_but: bool


def read(
    session: Session, dataset: Dataset, wanted: QueueFilter, narrowed: Narrowed | None, stretch: Stretch
) -> list[QueueRow]:
    """Return the next rows of a filter beyond a place, each with its own place, in the order's direction."""
    shown = Shown(dataset.id, dataset.current_run_id, dataset.import_seq)
    backwards = stretch.backwards != (wanted.sort is Sort.SURE)
    stretch = replace(stretch, backwards=backwards)
    found = [
        row
        for part in _parts_in_order(wanted, narrowed, scored=shown.is_scored)
        for row in _read(session, shown, part, narrowed, stretch)
    ]
    found.sort(key=lambda row: (row[0].key or 0, row[0].example_id), reverse=backwards)
    return [queue_row(place, *columns) for place, columns in found]


def _parts_in_order(wanted: QueueFilter, narrowed: Narrowed | None, *, scored: bool) -> list[QueueFilter]:
    """Return filters each of which is one range of an index: both splits together are two, to be merged."""
    both = scored and wanted.split is None and not _has_keys(narrowed)
    return [replace(wanted, split=split) for split in Split] if both else [wanted]


def _read(
    session: Session, shown: Shown, wanted: QueueFilter, narrowed: Narrowed | None, stretch: Stretch
) -> list[tuple[Place, Any]]:
    """Return the rows of one range: those that an order has put in front, and those behind them."""
    parts = [_read_tail]
    if stretch.order and shown.is_scored:
        parts = [_read_tail, _read_front] if stretch.backwards else [_read_front, _read_tail]
    found: list[tuple[Place, Any]] = []
    for part in parts:
        if len(found) < stretch.limit:
            left = replace(stretch, limit=stretch.limit - len(found))
            found += part(session, shown, wanted, narrowed, left)
    return found


def _read_front(
    session: Session, shown: Shown, wanted: QueueFilter, narrowed: Narrowed | None, stretch: Stretch
) -> list[tuple[Place, Any]]:
    border = stretch.border
    if border is not None and not border.in_front:
        if not stretch.backwards:
            return []
        border = None
    at = {"border_place": round((border.key or 0) + BEFORE_ALL)} if border else {}
    build: _Build = _front if narrowed is None else _front.__wrapped__
    query = build(shown, wanted, narrowed, _shape(stretch, border))
    found = session.execute(query, {**at, **_but(stretch)})
    return [(Place(place - BEFORE_ALL, row[0].id, stretch.order), tuple(row)) for *row, place in found]


def _read_tail(
    session: Session, shown: Shown, wanted: QueueFilter, narrowed: Narrowed | None, stretch: Stretch
) -> list[tuple[Place, Any]]:
    border, order = stretch.border, stretch.order
    if border is not None and border.in_front:
        if stretch.backwards:
            return []
        border = None
    keys = _keys(shown, wanted, narrowed)
    values = [border.key, border.example_id][-len(keys) :] if border else []
    # Of the column's own type: an integer compared with a float would not be looked up in the index.
    at = {_name(key): key.type.python_type(value) for key, value in zip(keys, values, strict=False)}
    build: _Build = _tail if narrowed is None else _tail.__wrapped__
    query = build(shown, wanted, narrowed, _shape(stretch, border))
    found = session.execute(query, {**at, **_but(stretch)})
    has_key = len(keys) > 1
    return [(Place(key if has_key else None, row[0].id, order), tuple(row)) for *row, key in found]


def _shape(stretch: Stretch, border: Place | None) -> _Shape:
    return _Shape(stretch.order, border is not None, stretch.backwards, stretch.limit, bool(stretch.but))


def _but(stretch: Stretch) -> dict[str, list[int]]:
    return {"but": sorted(stretch.but)} if stretch.but else {}


@lru_cache(MOST_KEPT)
def _front(shown: Shown, wanted: QueueFilter, narrowed: Narrowed | None, shape: _Shape) -> _Query:
    """Return the statement for rows of an order's front, which is read alone, beginning with it."""
    query = rows(shown, wanted, order=shape.order, narrowed=narrowed)
    query = _without(query, Score.example_id, shape)
    query = query.add_columns(FrontRow.place)
    if shape.has_border:
        at = sa.bindparam("border_place", type_=FrontRow.place.type)
        query = query.where(FrontRow.place < at if shape.backwards else FrontRow.place > at)
    in_order = query.order_by(FrontRow.place.desc() if shape.backwards else FrontRow.place)
    found: _Query = in_order.limit(shape.limit)
    return found


@lru_cache(MOST_KEPT)
def _tail(shown: Shown, wanted: QueueFilter, narrowed: Narrowed | None, shape: _Shape) -> _Query:
    """Return the statement for the rows behind an order's front: all of them in the run's own order.

    Of rows that have to be sorted, only those of the page are looked at whole.
    """
    keys = _keys(shown, wanted, narrowed)
    query: Any = _behind(_numbers_or_rows(shown, wanted, narrowed), keys, shape)
    if _is_sorted(shown, narrowed):
        page = query.add_columns(keys[0].label("key")).subquery("page")
        looked_up: Any = rows(shown, _ANY, narrowed=Narrowed(page, is_few=True))
        keys = [page.c.key, page.c.id]
        query = looked_up.order_by(*(_directed(key, shape) for key in keys))
    found: _Query = query.add_columns(keys[0])
    return found


def _numbers_or_rows(shown: Shown, wanted: QueueFilter, narrowed: Narrowed | None) -> Any:
    return (numbers if _is_sorted(shown, narrowed) else rows)(shown, wanted, narrowed=narrowed)


def _is_sorted(shown: Shown, narrowed: Narrowed | None) -> bool:
    """Say whether rows are put in order, as few are; others are met in it."""
    return shown.is_scored and narrowed is not None and narrowed.is_few


def _has_keys(narrowed: Narrowed | None) -> bool:
    """Say whether the few rows that are put in order have their places with them."""
    return narrowed is not None and narrowed.is_few and narrowed.has_keys


def _behind(query: Any, keys: _Keys, shape: _Shape) -> Any:
    """Return so many rows of a query beyond a border, but for those of the order's front."""
    query = _without(query, keys[-1], shape)
    if shape.order:
        of_order = (FrontRow.learning_id == shape.order, FrontRow.example_id == keys[-1])
        query = query.where(~sa.exists().where(*of_order))
    if shape.has_border:
        at, border = sa.tuple_(*keys), sa.tuple_(*(sa.bindparam(_name(key), type_=key.type) for key in keys))
        query = query.where(at < border if shape.backwards else at > border)
    return query.order_by(*(_directed(key, shape) for key in keys)).limit(shape.limit)


def _directed(key: sa.ColumnElement[Any], shape: _Shape) -> sa.ColumnElement[Any]:
    return key.desc() if shape.backwards else key.asc()


def _without(query: Any, number: Any, shape: _Shape) -> Any:
    if not shape.has_but:
        return query
    return query.where(number.not_in(sa.bindparam("but", expanding=True)))


def _keys(shown: Shown, wanted: QueueFilter, narrowed: Narrowed | None) -> _Keys:
    if narrowed is not None and _has_keys(narrowed):
        return [narrowed.ids.c.rank_key, narrowed.ids.c.id]
    if not shown.is_scored:
        return [Example.id]  # type: ignore[list-item]
    if wanted.preset.kind is not None:
        return [Finding.rank, Finding.example_id]  # type: ignore[list-item]
    return [Score.rank_key, Score.example_id]  # type: ignore[list-item]


def _name(key: sa.ColumnElement[Any]) -> str:
    """Return the name of the parameter for a border's value of a column."""
    return f"border_{getattr(key, 'key', '')}"
