"""Versions: freezing the labels, comparing two states, going back to one."""

from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import APIRouter, Form, Query, Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from app.actor import Actor
from app.errors import InvalidInput
from app.languages import _
from app.models.datasets import Dataset
from app.models.versions import Version
from app.services import datasets
from app.services.labelling import label_names
from app.services.together import blind
from app.services.versioning import comparing, history, restoring, versions
from app.services.versioning.comparing import ChangedRow, Comparison, PairFilter
from app.web import paging
from app.web.csv_answer import csv_answer
from app.web.deps import CurrentActor, CurrentDatabase, Id, ReadSession, WriteSession
from app.web.history import Before
from app.web.render import go_to, html, target, url

router = APIRouter(prefix="/datasets/{dataset_id:int}/history/versions")

PAGE = 50
MOST_IN_MATRIX = 24
MOST_PAIRS = 200
HEAT_LEVELS = 5
Which = Annotated[str, Query()]
Place = Annotated[int, Query(ge=0, lt=2**63)]


@router.get("", name="versions.index")
def index(request: Request, dataset_id: Id, session: ReadSession, before: Before = None) -> Response:
    """Show the versions, newest first."""
    dataset = datasets.get(session, dataset_id)
    found = versions.list_versions(session, dataset_id, before_id=before, limit=PAGE + 1)
    shown, last = paging.split(found, PAGE)
    return html(
        request,
        "versions/index.html",
        dataset=dataset,
        versions=shown,
        people=history.people(session),
        choices=versions.list_versions(session, dataset_id, limit=200),
        more=last.id if last else None,
        is_first=before is None,
    )


@router.post("", name="versions.create")
def create(
    request: Request,
    dataset_id: Id,
    actor: CurrentActor,
    session: WriteSession,
    name: Annotated[str, Form()] = "",
) -> Response:
    """Freeze the labels as they are now."""
    dataset = datasets.get(session, dataset_id)
    version = versions.create(session, dataset, name=name.strip() or None, actor=actor)
    there = url(request, "versions.index", dataset_id=dataset_id)
    return go_to(request, there, flash=_("Frozen as %(version)s.", version=version.name))


@router.get("/compare", name="versions.compare")
def compare(
    request: Request,
    dataset_id: Id,
    session: ReadSession,
    actor: CurrentActor,
    old: Which = "",
    new: Which = "now",
    was: Which = "",
    became: Which = "",
    beyond: Place = 0,
) -> Response:
    """Show what differs between two versions."""
    dataset = datasets.get(session, dataset_id)
    older, newer = comparing.choose(session, dataset, _number(old), _number(new))
    pair = PairFilter(_label(was), _label(became))
    rows = comparing.list_changes(session, older, newer, pair=pair, beyond=beyond)
    query = {"old": _name(older), "new": _name(newer)}
    values: dict[str, Any] = {
        "dataset": dataset,
        "rows": blind.without_hidden(session, dataset, rows, actor=actor),
        "query": query,
        "pair_query": {"was": was, "became": became},
        "old_names": label_names.names_at(session, older),
        "new_names": label_names.names_at(session, newer),
        "older": older,
        "newer": newer,
        "pair": pair,
        "more": rows[-1].change.example_id if len(rows) == comparing.PAGE else None,
        "is_first": beyond == 0,
    }
    if target(request) == "changes":
        return html(request, "versions/_changes.html", **values)
    found = comparing.compare(session, older, newer)
    choices = versions.list_versions(session, dataset_id, limit=200)
    return html(
        request,
        "versions/compare.html",
        found=found,
        most_pairs=MOST_PAIRS,
        matrix=_matrix(found),
        choices=choices,
        **values,
    )


@router.get("/compare.csv", name="versions.changes")
def changes(
    dataset_id: Id,
    session: ReadSession,
    database: CurrentDatabase,
    actor: CurrentActor,
    old: Which = "",
    new: Which = "now",
    was: Which = "",
    became: Which = "",
) -> Response:
    """Give every row that differs as a file."""
    dataset = datasets.get(session, dataset_id)
    ids = _number(old), _number(new)
    older, newer = comparing.choose(session, dataset, *ids)
    pair = PairFilter(_label(was), _label(became))

    def read(snapshot: Session) -> Iterator[list[list[str | int]]]:
        return _lines(snapshot, dataset, ids, pair, actor=actor)

    columns = ("row", "id", "old_label", "new_label", "old_state", "new_state", "text")
    name = f"dataset-{dataset_id}-version-{_name(older)}-to-{_name(newer)}"
    return csv_answer(database, name, columns, read)


def _lines(
    session: Session,
    dataset: Dataset,
    ids: tuple[int | None, int | None],
    pair: PairFilter,
    *,
    actor: Actor,
) -> Iterator[list[list[str | int]]]:
    older, newer = comparing.choose(session, dataset, *ids)
    names = label_names.names_at(session, older), label_names.names_at(session, newer)
    for rows in comparing.pages(session, older, newer, pair=pair):
        shown = blind.without_hidden(session, dataset, rows, actor=actor)
        yield [_csv_row(row, *names) for row in shown]


def _csv_row(row: ChangedRow, old_names: dict[int, str], new_names: dict[int, str]) -> list[str | int]:
    change = row.change
    return [
        change.example_id,
        row.external_id,
        old_names.get(change.old_label_id or 0, ""),
        new_names.get(change.new_label_id or 0, ""),
        change.old_state.value,
        change.new_state.value,
        row.text,
    ]


def _number(text: str) -> int | None:
    if text == "now":
        return None
    try:
        value = int(text)
    except ValueError:
        value = 0
    if not 0 < value < 2**63:
        raise InvalidInput(_("%(text)r is no version: choose one of the list.", text=text[:50]))
    return value


def _label(text: str) -> int | None:
    """Read a label's number; 0 is what rows without a label have."""
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or int(text[:20]) >= 2**63:
        raise InvalidInput(_("%(text)r is no label.", text=text[:50]))
    return int(text)


def _name(version: Version) -> str:
    return "now" if version.id is None else str(version.id)


def _matrix(found: Comparison) -> dict[str, Any] | None:
    """Return the pairs as a table, old labels down and new ones across; None if it would be too wide."""
    rows = sorted({pair.old_id or 0 for pair in found.pairs}, key=lambda one: found.old_names.get(one, ""))
    columns = sorted({pair.new_id or 0 for pair in found.pairs}, key=lambda one: found.new_names.get(one, ""))
    if max(len(rows), len(columns), 1) > MOST_IN_MATRIX:
        return None
    counts = {(pair.old_id or 0, pair.new_id or 0): pair.rows for pair in found.pairs}
    most = max(counts.values(), default=1)
    cells = {key: (count, -(-count * HEAT_LEVELS // most)) for key, count in counts.items()}
    return {"rows": rows, "columns": columns, "cells": cells}


@router.get("/{version_id:int}/restore", name="versions.restore")
def restore(request: Request, dataset_id: Id, version_id: Id, session: ReadSession) -> Response:
    """Show what going back to a version would change."""
    dataset = datasets.get(session, dataset_id)
    version = versions.of_dataset(session, dataset, version_id)
    return html(
        request,
        "versions/restore.html",
        dataset=dataset,
        version=version,
        preview=restoring.preview(session, version),
        names=datasets.label_names(session, dataset_id),
        most_pairs=MOST_PAIRS,
    )


@router.post("/{version_id:int}/restore", name="versions.restore_apply")
def restore_apply(
    request: Request, dataset_id: Id, version_id: Id, actor: CurrentActor, session: WriteSession
) -> Response:
    """Ask to go back to a version."""
    versions.of_dataset(session, datasets.get(session, dataset_id), version_id)
    batch = restoring.request(session, version_id, actor=actor)
    return go_to(request, url(request, "batches.show", dataset_id=dataset_id, batch_id=batch.id))
