"""Auto-fix: what a rule would change, and changing it."""

from typing import Annotated, Any

from fastapi import APIRouter, Form, Query, Request
from pydantic import BaseModel
from starlette.responses import Response

from app.errors import InvalidInput
from app.languages import _
from app.models.columns import Split
from app.models.examples import ExampleState
from app.models.samples import Purpose
from app.services import datasets
from app.services.bounding import advice, autofix
from app.services.bounding.autofix import Rule, RuleKind
from app.services.finding import scoring
from app.services.ranking.queue_filter import Preset, QueueFilter
from app.services.reviewing import samples
from app.web.deps import CurrentActor, CurrentSettings, Id, ReadSession, WriteSession
from app.web.hints import open_hints
from app.web.render import go_to, html, target, url
from app.web.review_values import status

router = APIRouter(prefix="/datasets/{dataset_id:int}/auto-fix")


UNLABELLED = QueueFilter(preset=Preset.UNLABELLED)


class RuleForm(BaseModel):
    """A rule and the number that belongs to it; numbers of other rules are ignored."""

    rule: RuleKind = RuleKind.RECOMMENDED
    at_least: str = "0.9"
    top: str = "50"

    def to_rule(self) -> Rule:
        """Return the rule, or say what is wrong with its number."""
        try:
            match self.rule:
                case RuleKind.MIN_CONFIDENCE:
                    return Rule(self.rule, float(self.at_least))
                case RuleKind.TOP:
                    return Rule(self.rule, int(self.top))
                case _:
                    return Rule(self.rule)
        except ValueError:
            raise InvalidInput(_("The rule needs a number.")) from None

    def to_query(self) -> dict[str, str]:
        """Return the fields as they stand in the address bar."""
        return {"rule": self.rule.value, "at_least": self.at_least, "top": self.top}

    @classmethod
    def of(cls, rule: Rule) -> "RuleForm":
        """Return the form that says this rule."""
        match rule.kind:
            case RuleKind.MIN_CONFIDENCE:
                return cls(rule=rule.kind, at_least=f"{rule.value:g}")
            case RuleKind.TOP:
                return cls(rule=rule.kind, top=f"{rule.value:.0f}")
            case _:
                return cls(rule=rule.kind)


@router.get("", name="autofix.show")
def show(
    request: Request,
    dataset_id: Id,
    session: ReadSession,
    settings: CurrentSettings,
    form: Annotated[RuleForm, Query()],
) -> Response:
    """Show what a rule would change in the rows of the filter."""
    dataset, wanted = datasets.get(session, dataset_id), QueueFilter.from_query(request.query_params)
    values: dict[str, Any] = {
        "dataset": dataset,
        "wanted": wanted,
        "query": wanted.to_query(),
        "form": form,
    }
    if dataset.current_run_id is None:
        unscored = status(session, dataset, settings)
        return html(request, "autofix/page.html", preview=None, status=unscored, is_filtered=False, **values)
    preview = autofix.preview(session, dataset, wanted, form.to_rule())
    if target(request) == "preview":
        return html(request, "autofix/_preview.html", preview=preview, **values)
    labels = {label.id: label.name for label in datasets.labels(session, dataset)}
    return html(
        request,
        "autofix/page.html",
        preview=preview,
        run=scoring.current(session, dataset),
        labels=labels,
        is_filtered=wanted not in {QueueFilter(), UNLABELLED},
        is_unlabelled=wanted.preset is Preset.UNLABELLED,
        train=datasets.counts(session, dataset_id, split=Split.TRAIN),
        at_least=advice.by_confidence(session, dataset, wanted),
        hints=open_hints(request),
        **values,
    )


@router.post("", name="autofix.apply")
def apply(
    request: Request,
    dataset_id: Id,
    form: Annotated[RuleForm, Form()],
    actor: CurrentActor,
    session: WriteSession,
) -> Response:
    """Ask for the auto-fix and go where its progress is."""
    wanted = QueueFilter.from_query(request.query_params)
    batch = autofix.request(session, dataset_id, wanted, form.to_rule(), actor=actor)
    return go_to(request, url(request, "batches.show", dataset_id=dataset_id, batch_id=batch.id))


@router.post("/samples", name="autofix.sample")
def sample(
    request: Request,
    dataset_id: Id,
    form: Annotated[RuleForm, Form()],
    actor: CurrentActor,
    session: WriteSession,
) -> Response:
    """Draw some of the rows that the rule would change, and go and review them."""
    wanted = QueueFilter.from_query(request.query_params)
    drawn = autofix.sample(session, dataset_id, wanted, form.to_rule(), actor=actor)
    queue = QueueFilter(preset=Preset.ALL, state=ExampleState.OPEN, sample=drawn.id)
    return go_to(request, url(request, "review.queue", queue.to_query(), dataset_id=dataset_id))


@router.get("/samples/{sample_id:int}", name="autofix.sampled")
def sampled(request: Request, dataset_id: Id, sample_id: Id, session: ReadSession) -> Response:
    """Go back from a sample to what it was drawn for: the preview of a rule, or the overview."""
    drawn = samples.get(session, dataset_id, sample_id)
    if drawn.purpose is Purpose.SHARE:
        return go_to(request, url(request, "overview.show", dataset_id=dataset_id))
    query = {
        **QueueFilter.from_json(drawn.filter).to_query(),
        **RuleForm.of(Rule.from_json(drawn.rule)).to_query(),
    }
    return go_to(request, url(request, "autofix.show", query, dataset_id=dataset_id))
