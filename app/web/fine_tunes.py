"""Fine-tunes: starting one from an export, following it, and how its model does beside others."""

from typing import Annotated, Any

from fastapi import APIRouter, Form, Path, Request
from pydantic import BaseModel
from sqlalchemy.orm import Session
from starlette.responses import Response

from app.charts import Chart, Point, Series, line_chart
from app.config import Settings
from app.errors import NotFound, Unavailable
from app.languages import N_, _
from app.models.columns import RunState
from app.models.fine_tunes import FineTune
from app.services import datasets
from app.services.operation import runs
from app.services.proving import comparing_models, model_tests
from app.services.tuning import exports, fine_tunes, providers
from app.web.charts import ENDINGS, chart_file
from app.web.deps import CurrentActor, CurrentDatabase, CurrentSettings, Id, ReadSession, WriteSession
from app.web.render import after_write, go_to, html, url

router = APIRouter()
CURVES = {"train_loss": N_("Training"), "valid_loss": N_("Validation")}
LEAST_POINTS = 2
SHOWN_LINES = 60


class FineTuneForm(BaseModel):
    """Where to train which model, and a few letters for the name of what comes out."""

    provider: str = providers.OPENAI
    model: str
    suffix: str = ""
    test: bool = False


@router.get("/datasets/{dataset_id:int}/experiments/fine-tunes", name="fine_tunes.index")
def index(request: Request, dataset_id: Id, session: ReadSession, settings: CurrentSettings) -> Response:
    """Show the fine-tunes of a dataset, and how all tested models compare."""
    dataset = datasets.get(session, dataset_id)
    return html(
        request,
        "fine_tunes/index.html",
        dataset=dataset,
        counts=datasets.counts(session, dataset_id),
        fine_tunes=fine_tunes.list_fine_tunes(session, dataset_id),
        lines=comparing_models.lines(session, settings, dataset_id),
        unfinished=[
            one for one in model_tests.list_tests(session, dataset_id) if one.state is not RunState.DONE
        ],
        ready=[
            one
            for one in exports.list_exports(session, dataset_id)
            if one.format in fine_tunes.FORMATS and one.split == "train"
        ],
        services=providers.list_services(session, settings),
        prompt=model_tests.prompt_for(list(datasets.label_names(session, dataset_id).values())),
    )


@router.post("/exports/{export_id:int}/fine-tune", name="fine_tunes.request")
def request_fine_tune(
    request: Request,
    export_id: Id,
    form: Annotated[FineTuneForm, Form()],
    actor: CurrentActor,
    session: WriteSession,
    settings: CurrentSettings,
) -> Response:
    """Ask for a fine-tune from an export's file."""
    service = providers.get(session, settings, form.provider)
    if not service.key_from:
        raise Unavailable(providers.no_key(service.name))
    fine_tune = fine_tunes.request(
        session,
        export_id,
        service,
        model=form.model,
        suffix=form.suffix,
        has_test=form.test,
        actor=actor,
    )
    return go_to(request, url(request, "fine_tunes.show", fine_tune_id=fine_tune.id))


@router.get("/fine-tunes/{fine_tune_id:int}", name="fine_tunes.show")
def show(request: Request, fine_tune_id: Id, session: ReadSession, settings: CurrentSettings) -> Response:
    """Show how far a fine-tune is."""
    fine_tune = fine_tunes.get(session, fine_tune_id)
    dataset = datasets.get(session, fine_tune.dataset_id)
    return html(request, "fine_tunes/show.html", dataset=dataset, **_standing(session, settings, fine_tune))


@router.get("/fine-tunes/{fine_tune_id:int}/live", name="fine_tunes.live")
def live(request: Request, fine_tune_id: Id, session: ReadSession, settings: CurrentSettings) -> Response:
    """Show what changes while it runs."""
    fine_tune = fine_tunes.get(session, fine_tune_id)
    return html(request, "fine_tunes/_live.html", **_standing(session, settings, fine_tune))


@router.get("/fine-tunes/{fine_tune_id:int}/loss.{ending}", name="fine_tunes.loss")
def loss(
    request: Request,
    fine_tune_id: Id,
    ending: Annotated[str, Path(pattern=ENDINGS)],
    session: ReadSession,
    database: CurrentDatabase,
) -> Response:
    """Give the loss curve as a file."""
    chart = _curve(fine_tunes.get(session, fine_tune_id))
    if chart is None:
        raise NotFound(_("Fine-tune %(fine_tune_id)s has no curve yet.", fine_tune_id=fine_tune_id))
    return chart_file(request, database, chart, ending)


@router.post("/fine-tunes/{fine_tune_id:int}/{what}", name="fine_tunes.change")
def change(
    request: Request,
    fine_tune_id: Id,
    what: Annotated[str, Path(pattern="^(cancel|pause|resume|again)$")],
    actor: CurrentActor,
    session: WriteSession,
    settings: CurrentSettings,
) -> Response:
    """Stop a fine-tune, let it rest, let it go on, or try it again."""
    fine_tune = fine_tunes.get(session, fine_tune_id)
    if what == "cancel":
        runs.request_cancel(session, fine_tune, actor=actor, stale_seconds=settings.worker_stale_seconds)
    elif what == "again":
        fine_tunes.again(session, fine_tune_id, actor=actor)
    else:
        fine_tunes.wish(session, fine_tune_id, what, actor=actor)
    return after_write(
        request,
        "fine_tunes/_live.html",
        to=url(request, "fine_tunes.show", fine_tune_id=fine_tune_id),
        flash=_said(fine_tune, what),
        **_standing(session, settings, fine_tune),
    )


SAID = {
    "cancel": N_("It stops at its next step, here and at the provider."),
    "pause": N_("The provider is asked to pause the job."),
    "resume": N_("The provider is asked to go on with the job."),
    "again": N_("It is tried again; what the provider has already is used."),
}


def _said(fine_tune: FineTune, what: str) -> str:
    if what == "cancel" and not fine_tune.state.is_open:
        if runs.is_clearing_up(fine_tune):
            return _("It was cancelled here; the provider is told once a worker is back.")
        return _("It was cancelled: nothing was sent to the provider.")
    return _(SAID[what])


def _standing(session: Session, settings: Settings, fine_tune: FineTune) -> dict[str, Any]:
    tests = model_tests.list_tests(session, fine_tune.dataset_id, fine_tune_id=fine_tune.id)
    return {
        "fine_tune": fine_tune,
        "is_live": fine_tune.state.is_open or any(test.state.is_open for test in tests),
        "steps": _steps(fine_tune),
        "chart": _curve(fine_tune),
        "log": list(reversed(fine_tune.log[-SHOWN_LINES:])),
        "tests": tests,
        "services": {one.name: one for one in providers.list_services(session, settings)},
        "prices": {test.id: _price(session, settings, test.provider, test) for test in tests},
        "worker_alive": runs.is_worker_alive(session, stale_seconds=settings.worker_stale_seconds),
    }


def _price(session: Session, settings: Settings, name: str, test: Any) -> float | None:
    known = {one.name: one for one in providers.list_services(session, settings)}
    return model_tests.price_of(test, known.get(name))


def _steps(fine_tune: FineTune) -> list[tuple[str, str]]:
    """Return the steps of a fine-tune and how each stands: done, now, todo."""
    reached = [
        True,
        bool(fine_tune.remote_file_id),
        bool(fine_tune.remote_job_id),
        bool(fine_tune.fine_tuned_model),
    ]
    names = [_("Asked for"), _("File uploaded"), _("Job created"), _("Model trained")]
    now = reached.index(False) if False in reached else len(names)
    marks = [
        "done" if at < now else "now" if at == now and fine_tune.state.is_open else "todo"
        for at in range(len(names))
    ]
    return list(zip(names, marks, strict=True))


def _curve(fine_tune: FineTune) -> Chart | None:
    series = [
        Series(_(title), [Point(one["step"], one[name]) for one in fine_tune.curve if name in one])
        for name, title in CURVES.items()
    ]
    drawn = [one for one in series if len(one.points) >= LEAST_POINTS]
    if not drawn:
        return None
    return line_chart(
        f"loss-{fine_tune.id}",
        _("Loss by step"),
        drawn,
        heads=(_("Rows"), _("Step"), _("Loss")),
        x_title=_("Step"),
        width=1000,
    )
