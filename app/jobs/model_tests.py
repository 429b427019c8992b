"""Asking a model for every test row: several rows at once, each answer kept as it comes."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np
from dbos import DBOS

from app.errors import AppError, Unavailable
from app.files import requests as request_lines
from app.files.writing import WriteOptions
from app.jobs.context import Context
from app.jobs.durable import step, workflow
from app.models.model_tests import ModelTest
from app.providers.addresses import Reach
from app.providers.errors import ProviderBusy
from app.queue import Job
from app.science.evaluation import evaluate
from app.services.operation import runs
from app.services.proving import model_tests
from app.services.proving.model_tests import Given, TestRow
from app.services.tuning import providers
from app.services.tuning.providers import Service

if TYPE_CHECKING:
    from app.providers.openai_chat import Answer, OpenAIAnswerer

TRIES = 8
MAX_WAIT_SECONDS = 600.0
LOOK_SECONDS = 2.0
ROUNDS = 4
"""So many rows a request under way are asked between two looks at the database."""


@workflow(Job.MODEL_TEST, ModelTest)
def ask_model(test_id: int) -> None:
    """Ask a model for every test row."""
    tried = 0
    while (held_up := ask(test_id, tried)) is not None:
        wait, has_progressed = held_up
        tried = 1 if has_progressed else tried + 1
        while wait > 0:
            DBOS.sleep(min(wait, LOOK_SECONDS))
            wait -= LOOK_SECONDS
            is_wanted(test_id)
    judge(test_id)


@step(ModelTest, "model_test.is_wanted")
def is_wanted(context: Context, test: ModelTest) -> None:
    """End here once a person has cancelled."""
    with context.database.write() as session:
        runs.guard(session, test)


@step(ModelTest, "model_test.ask")
def ask(context: Context, test: ModelTest, tried: int = 0) -> list[Any] | None:
    """Ask for the rows that have no answer yet.

    Where the service asks to wait or is away, the seconds to wait are returned, and whether any row was
    answered before.
    """
    with context.database.read(snapshot=True) as session:
        rows = model_tests.read_rows(session, test)
        answered = model_tests.read_answers(session, test.id)
        labels = model_tests.labels_of(session, test)
        options = model_tests.options_of(session, test)
        service = providers.get(session, context.settings, test.provider)
    open_rows = [row for row in rows if row.example_id not in answered]
    with context.database.write() as session:
        model_tests.begin(session, test, done=len(answered), total=len(rows))
    if not open_rows:
        return None
    words, answerer = _words(options, labels), _answerer(context, test, labels)
    has_progressed = False
    with closing(answerer), ThreadPoolExecutor(service.concurrency) as pool:
        for some in _chunks(open_rows, _rows_at_once(service)):
            given, problem = _ask_some(pool, answerer, _asked(test, some, options), words)
            _keep(context, test, given, total=len(rows))
            has_progressed = has_progressed or bool(given)
            if problem is not None:
                return _held_up(context, test, problem, tried=tried, has_progressed=has_progressed)
    return None


def _rows_at_once(service: Service) -> int:
    """Return after how many rows to look whether somebody has cancelled: a quarter of a minute's, at most."""
    usual = service.concurrency * ROUNDS
    return min(usual, max(1, service.requests_per_minute // 4)) if service.requests_per_minute else usual


def _chunks(rows: list[TestRow], size: int) -> Iterator[list[TestRow]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def _answerer(context: Context, test: ModelTest, labels: Mapping[int, str]) -> "OpenAIAnswerer":
    from app.providers.openai_chat import OpenAIAnswerer

    with context.database.read() as session:
        service = providers.get(session, context.settings, test.provider)
        key = providers.key_of(session, context.settings, test.provider, base_url=test.base_url)
    return OpenAIAnswerer(
        key,
        base_url=test.base_url,
        model=test.model,
        labels=list(labels.values()),
        choose=test.asking["choose"],
        requests_per_minute=service.requests_per_minute,
        reach=Reach(context.settings.reach),
    )


def _words(options: WriteOptions, labels: Mapping[int, str]) -> dict[str, int]:
    """Return the words that stand for each label: its name, and what a training file calls it."""
    names = {name: label_id for label_id, name in labels.items()}
    return {**names, **{request_lines.answer_of(name, options): one for name, one in names.items()}}


def _asked(
    test: ModelTest, rows: list[TestRow], options: WriteOptions
) -> list[tuple[TestRow, dict[str, Any]]]:
    return [(one, request_lines.request_of(one.row, test.asking["format"], options)) for one in rows]


def _ask_some(
    pool: ThreadPoolExecutor,
    answerer: "OpenAIAnswerer",
    asked: list[tuple[TestRow, dict[str, Any]]],
    words: Mapping[str, int],
) -> "tuple[list[tuple[Given, Answer]], AppError | None]":
    from app.providers.openai_chat import label_of

    given: list[tuple[Given, Answer]] = []
    problem: AppError | None = None
    for one, future in [(one, pool.submit(answerer.ask, request)) for one, request in asked]:
        try:
            answer = future.result()
        except AppError as error:
            problem = problem or error
            continue
        given.append((Given(one.example_id, label_of(answer.text, words), answer.text[:500]), answer))
    return given, problem


def _keep(context: Context, test: ModelTest, given: "list[tuple[Given, Answer]]", *, total: int) -> None:
    with context.database.write() as session:
        model_tests.keep(
            session,
            test,
            [one for one, _ in given],
            input_tokens=sum(answer.input_tokens for _, answer in given),
            output_tokens=sum(answer.output_tokens for _, answer in given),
            total=total,
        )


def _held_up(
    context: Context, test: ModelTest, problem: AppError, *, tried: int, has_progressed: bool
) -> list[Any]:
    """Return how long to wait; raise the problem where waiting does not help."""
    if not isinstance(problem, Unavailable):
        raise problem
    tried = 0 if has_progressed else tried
    wait = 2.0**tried
    if isinstance(problem, ProviderBusy) and problem.retry_after is not None:
        wait = problem.retry_after
    if tried + 1 >= TRIES or wait > MAX_WAIT_SECONDS:
        raise problem
    with context.database.write() as session:
        model_tests.note(session, test, str(problem))
    return [wait, has_progressed]


@step(ModelTest, "model_test.judge")
def judge(context: Context, test: ModelTest) -> None:
    """Compare the answers with the labels; an answer that is no label is wrong."""
    with context.database.read(snapshot=True) as session:
        rows = model_tests.read_rows(session, test)
        answers = model_tests.read_answers(session, test.id)
        labels = model_tests.labels_of(session, test)
    number = {label_id: position for position, label_id in enumerate(labels)}
    no_label = len(number)
    judged = [row for row in rows if row.example_id in answers]
    if not judged:
        raise Unavailable("There are no test rows with a label, so there is nothing to judge by.")
    told = [answers[row.example_id] for row in judged]
    found = evaluate(
        np.array([number[row.label_id] for row in judged], dtype=np.int64),
        np.array([no_label if one is None else number[one] for one in told], dtype=np.int64),
        n_classes=no_label + 1,
    )
    results = {
        "accuracy": found.accuracy,
        "low": found.low,
        "high": found.high,
        "macro_f1": float(np.nanmean(found.f1[:no_label])),
        "rows": found.n_examples,
        "no_label": told.count(None),
        "labels": list(labels.values()),
        "recall": [None if np.isnan(one) else float(one) for one in found.recall[:no_label]],
        "support": found.support[:no_label].tolist(),
    }
    from app.services.proving.joining import join_last_experiment

    with context.database.write() as session:
        actor = runs.requester(session, test)
        model_tests.finish(session, test, results, actor=actor)
        join_last_experiment(session, test, actor=actor)
