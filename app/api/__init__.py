"""The JSON API: the same services as the pages, for programs."""

from fastapi import APIRouter

from app.api import (
    annotators,
    batches,
    datasets,
    decisions,
    docs,
    events,
    examples,
    experiments,
    exports,
    filter_columns,
    fine_tunes,
    imports,
    issues,
    labels,
    me,
    model_tests,
    overview,
    predictions,
    providers,
    scoring_runs,
    second_opinions,
    together,
    versions,
    webhooks,
)

NOUNS = (
    me,
    datasets,
    overview,
    labels,
    imports,
    filter_columns,
    scoring_runs,
    predictions,
    annotators,
    issues,
    examples,
    decisions,
    together,
    second_opinions,
    batches,
    versions,
    exports,
    fine_tunes,
    experiments,
    events,
    model_tests,
    providers,
    webhooks,
)

router = APIRouter(prefix="/api")
router.include_router(docs.router)
for noun in NOUNS:
    router.include_router(noun.router, prefix="/v1")
