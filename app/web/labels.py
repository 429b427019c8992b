"""Labels: the classes of a dataset, and changing them."""

from typing import Annotated, Any

from fastapi import APIRouter, Form, Query, Request
from pydantic import BaseModel
from sqlalchemy.orm import Session
from starlette.responses import Response

from app.errors import InvalidInput
from app.languages import _
from app.models.datasets import Colour, Dataset, Label
from app.models.examples import ExampleState
from app.services import datasets
from app.services.finding import scoring
from app.services.labelling import labels, relabelling
from app.services.labelling.relabelling import SplitChoices
from app.services.ranking.queue_filter import QueueFilter
from app.services.reviewing import overview
from app.web.deps import CurrentActor, CurrentSettings, Id, ReadSession, WriteSession
from app.web.render import go_to, html, target, url

router = APIRouter(prefix="/datasets/{dataset_id:int}/labels")

EVERY = {"preset": "all", "split": "both"}


class LabelForm(BaseModel):
    """What a label is called and looks like; `was` is the name that the person saw."""

    name: str
    was: str = ""
    description: str = ""
    colour: Colour = Colour.NONE


class SplitForm(BaseModel):
    """Which rows leave their label, and the label they get: one there is, or a new one by its name."""

    label: str = ""
    into: str = ""
    new_name: str = ""
    with_decided: bool = False

    def choices(self, wanted: QueueFilter) -> SplitChoices:
        """Return which rows; `none` is what the rows without a label have."""
        return SplitChoices(_number(self.label), wanted, self.with_decided)


def _number(text: str) -> int | None:
    if text in {"", "none"}:
        return None
    try:
        value = int(text)
    except ValueError:
        value = 0
    if not 0 < value < 2**63:
        raise InvalidInput(_("%(text)r is no label: choose one of the list.", text=text[:50]))
    return value


@router.get("", name="labels.index")
def index(request: Request, dataset_id: Id, session: ReadSession) -> Response:
    """Show every class with its rows, before and now."""
    dataset = datasets.get(session, dataset_id)
    run = scoring.current(session, dataset)
    return html(
        request,
        "labels/index.html",
        dataset=dataset,
        rows=overview.class_rows(session, dataset, run),
        former=labels.list_former(session, dataset),
        counts=datasets.counts(session, dataset_id),
        run=run,
        colours=list(Colour),
    )


@router.post("", name="labels.add")
def add(
    request: Request,
    dataset_id: Id,
    form: Annotated[LabelForm, Form()],
    actor: CurrentActor,
    session: WriteSession,
    settings: CurrentSettings,
) -> Response:
    """Add a label."""
    label = labels.add(
        session,
        dataset_id,
        form.name,
        description=form.description,
        colour=form.colour,
        max_classes=settings.max_classes,
        actor=actor,
    )
    return go_to(
        request,
        url(request, "labels.index", dataset_id=dataset_id),
        flash=_("Added %(label)s.", label=label.name),
    )


@router.get("/split", name="labels.split")
def split(
    request: Request, dataset_id: Id, session: ReadSession, form: Annotated[SplitForm, Query()]
) -> Response:
    """Show which rows a split would move."""
    dataset, wanted = datasets.get(session, dataset_id), _wanted(request)
    in_use = datasets.labels(session, dataset)
    if not form.label and in_use:  # whoever comes without a label in mind sees what there is to choose
        form = form.model_copy(update={"label": str(in_use[0].id)})
    choices = form.choices(wanted)
    values: dict[str, Any] = {
        "dataset": dataset,
        "form": form,
        "wanted": wanted,
        # The usual split of the queue is not the usual one here: it has to be said.
        "query": {**wanted.to_query(), "split": wanted.split.value if wanted.split else "both"},
        "label": labels.get_in_use(session, dataset, choices.label_id) if choices.label_id else None,
        "labels": in_use,
        "preview": relabelling.preview_split(session, dataset, choices),
    }
    if target(request) == "preview":
        return html(request, "labels/_split.html", **values)
    return html(request, "labels/split.html", states=list(ExampleState), **values)


@router.post("/split", name="labels.split_apply")
def split_apply(
    request: Request,
    dataset_id: Id,
    form: Annotated[SplitForm, Form()],
    actor: CurrentActor,
    session: WriteSession,
    settings: CurrentSettings,
) -> Response:
    """Ask to move the rows of a filter."""
    choices, into_id = form.choices(_wanted(request)), _number(form.into)
    if into_id is None:
        batch = relabelling.request_split_off(
            session, dataset_id, choices, form.new_name, max_classes=settings.max_classes, actor=actor
        )
    else:
        batch = relabelling.request_split(session, dataset_id, choices, into_id, actor=actor)
    return go_to(request, url(request, "batches.show", dataset_id=dataset_id, batch_id=batch.id))


def _wanted(request: Request) -> QueueFilter:
    return QueueFilter.from_query({**EVERY, **{k: v for k, v in request.query_params.items() if v}})


@router.get("/{label_id:int}", name="labels.edit")
def edit(request: Request, dataset_id: Id, label_id: Id, session: ReadSession) -> Response:
    """Show one label with all that can be done to it."""
    dataset = datasets.get(session, dataset_id)
    label = labels.get_in_use(session, dataset, label_id)
    return html(
        request,
        "labels/edit.html",
        colours=list(Colour),
        **_merge_values(session, dataset, label, ""),
    )


@router.post("/{label_id:int}", name="labels.change")
def change(
    request: Request,
    dataset_id: Id,
    label_id: Id,
    form: Annotated[LabelForm, Form()],
    actor: CurrentActor,
    session: WriteSession,
) -> Response:
    """Rename, describe or colour a label."""
    label = labels.change(
        session,
        dataset_id,
        label_id,
        name=form.name,
        was=form.was,
        description=form.description,
        colour=form.colour,
        actor=actor,
    )
    flash = _("Renamed to %(label)s.", label=label.name) if label.name != form.was else _("Saved.")
    return go_to(request, url(request, "labels.index", dataset_id=dataset_id), flash=flash)


@router.post("/{label_id:int}/delete", name="labels.delete")
def delete(
    request: Request, dataset_id: Id, label_id: Id, actor: CurrentActor, session: WriteSession
) -> Response:
    """Take an empty label out of use."""
    labels.delete(session, dataset_id, label_id, actor=actor)
    return go_to(request, url(request, "labels.index", dataset_id=dataset_id), flash=_("Deleted."))


@router.get("/{label_id:int}/merge", name="labels.merge")
def merge(
    request: Request, dataset_id: Id, label_id: Id, session: ReadSession, into: Annotated[str, Query()] = ""
) -> Response:
    """Show what merging a label into another one would do."""
    dataset = datasets.get(session, dataset_id)
    label = labels.get_in_use(session, dataset, label_id)
    values = _merge_values(session, dataset, label, into)
    if target(request) == "preview":
        return html(request, "labels/_merge.html", **values)
    return html(request, "labels/edit.html", colours=list(Colour), **values)


def _merge_values(session: Session, dataset: Dataset, label: Label, into: str) -> dict[str, Any]:
    into_id = _number(into)
    return {
        "dataset": dataset,
        "label": label,
        "others": [one for one in datasets.labels(session, dataset) if one.id != label.id],
        "into": into_id,
        "preview": relabelling.preview_merge(session, dataset, label.id, into_id) if into_id else None,
    }


@router.post("/{label_id:int}/merge", name="labels.merge_apply")
def merge_apply(
    request: Request,
    dataset_id: Id,
    label_id: Id,
    into: Annotated[int, Form(ge=1, lt=2**63)],
    actor: CurrentActor,
    session: WriteSession,
) -> Response:
    """Ask to merge a label into another one."""
    batch = relabelling.request_merge(session, dataset_id, label_id, into, actor=actor)
    return go_to(request, url(request, "batches.show", dataset_id=dataset_id, batch_id=batch.id))
