"""Tests of models at a service: each is asked for every test row."""

from typing import Annotated, Any

from fastapi import Request
from pydantic import ConfigDict, Field
from starlette.responses import Response

from app.api.answers import CurrentPage, Exact, In, Listing, RunOut, accepted, answer, listing, with_more
from app.api.deps import CurrentActor, in_dataset, router_of
from app.errors import Unavailable
from app.services import datasets
from app.services.operation import runs
from app.services.proving import model_tests
from app.services.tuning import providers
from app.web.deps import CurrentSettings, Id, ReadSession, WriteSession

router = router_of("model_tests")


class ModelTestIn(In):
    """Which model to ask, and how."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"provider": "openai", "model": "the-provider's-name-of-it"}]}
    )

    provider: Annotated[str, Field(max_length=40)] = "openai"
    """Name of a provider."""
    model: Annotated[str, Field(min_length=1, max_length=model_tests.MAX_MODEL_CHARS)]
    """The model, as the provider names it."""
    prompt: Annotated[str, Field(max_length=model_tests.MAX_PROMPT_CHARS)] = ""
    """The instruction; one that names the labels if not said."""


class ModelTestOut(RunOut):
    """One model, asked for every test row of a version."""

    version_id: int
    """The version whose labels count."""
    fine_tune_id: int | None
    """The fine-tune that made the model; null for a model that nobody tuned."""
    provider: str
    """The provider's name."""
    base_url: Exact
    """Its address."""
    model: Exact
    """The model."""
    note: Exact | None
    """What holds it up now, in one sentence."""
    input_tokens: int
    """Tokens of the questions so far, as the service counts them."""
    output_tokens: int
    """Tokens of the answers so far."""
    results: Any
    """At the end: accuracy with its interval, macro-F1, rows, and `no_label`, the answers that were none."""


@router.post(
    "/datasets/{dataset_id:int}/model-tests",
    name="api.model_tests.create",
    summary="Test a model",
    status_code=202,
    response_model=ModelTestOut,
)
def create(
    request: Request,
    dataset_id: Id,
    body: ModelTestIn,
    actor: CurrentActor,
    session: WriteSession,
    settings: CurrentSettings,
) -> Response:
    """Ask a model that nobody tuned for every test row. Needs the role lead; 503 without a key."""
    service = providers.get(session, settings, body.provider)
    if not service.key_from:
        raise Unavailable(providers.no_key(service.name))
    test = model_tests.request(
        session, dataset_id, service, model=body.model, prompt=body.prompt, actor=actor
    )
    return accepted(request, ModelTestOut.model_validate(test), "api.model_tests.get", test_id=test.id)


@router.get(
    "/datasets/{dataset_id:int}/model-tests",
    name="api.model_tests.list",
    summary="List tests of models",
    response_model=Listing[ModelTestOut],
)
def list_tests(request: Request, dataset_id: Id, session: ReadSession, page: CurrentPage) -> Response:
    """List the tests of models on a dataset's test rows, newest first."""
    rows = model_tests.list_tests(
        session, datasets.get(session, dataset_id).id, before_id=page.cursor, limit=page.limit + 1
    )
    found, more = with_more(rows, page.limit)
    items = [ModelTestOut.model_validate(test) for test in found]
    return listing(request, items, cursor=found[-1].id if more else None)


@router.get(
    "/model-tests/{test_id:int}",
    name="api.model_tests.get",
    summary="Show a test of a model",
    response_model=ModelTestOut,
)
def get(test_id: Id, session: ReadSession) -> Response:
    """Show how far a test is, or what came out."""
    return answer(ModelTestOut.model_validate(in_dataset(session, model_tests.get(session, test_id))))


@router.post(
    "/model-tests/{test_id:int}/cancel",
    name="api.model_tests.cancel",
    summary="Cancel a test of a model",
    status_code=202,
    response_model=ModelTestOut,
)
def cancel(
    request: Request, test_id: Id, actor: CurrentActor, session: WriteSession, settings: CurrentSettings
) -> Response:
    """Ask a test to stop; its answers are kept. Needs the role lead; 409 once it has ended."""
    found = in_dataset(session, model_tests.get(session, test_id))
    runs.request_cancel(session, found, actor=actor, stale_seconds=settings.worker_stale_seconds)
    return accepted(request, ModelTestOut.model_validate(found), "api.model_tests.get", test_id=found.id)


@router.post(
    "/model-tests/{test_id:int}/again",
    name="api.model_tests.again",
    summary="Go on with a test of a model",
    status_code=202,
    response_model=ModelTestOut,
)
def again(request: Request, test_id: Id, actor: CurrentActor, session: WriteSession) -> Response:
    """Go on at the first row without an answer. Needs the role lead; 409 unless it failed or was stopped."""
    found = in_dataset(session, model_tests.get(session, test_id))
    model_tests.again(session, found.id, actor=actor)
    return accepted(request, ModelTestOut.model_validate(found), "api.model_tests.get", test_id=found.id)
