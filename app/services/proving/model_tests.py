"""Tests of models at a service: asked for every test row of a version, one answer a row."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import events, queue
from app.actor import Actor, Role
from app.errors import Conflict, InvalidInput
from app.files.writing import ExportRow, WriteOptions
from app.languages import _
from app.models.columns import RunState, Split
from app.models.examples import Example
from app.models.exports import Export, Variant
from app.models.fine_tunes import FineTune
from app.models.model_tests import ModelAnswer, ModelTest
from app.models.versions import Version
from app.services import datasets
from app.services.labelling import label_names
from app.services.operation import runs
from app.services.tuning import export_rows, exports
from app.services.tuning.providers import Service
from app.services.versioning import versions

CHAT, COMPLETION = "chat-jsonl", "completion-jsonl"
MAX_MODEL_CHARS = 200
MAX_PROMPT_CHARS = 20_000


@dataclass(frozen=True)
class TestRow:
    """A test row as it is asked for, with its label's number."""

    __test__ = False  # no test of pytest's

    example_id: int
    row: ExportRow
    label_id: int


@dataclass(frozen=True)
class Given:
    """What one answer was."""

    example_id: int
    label_id: int | None
    answer: str


def prompt_for(labels: Sequence[str]) -> str:
    """Return the instruction for a model that nobody has tuned."""
    listed = "\n".join(f"- {label}" for label in labels)
    return (
        "Classify the user's text. Answer with exactly one of these labels, written as here, "
        f"and with nothing else:\n{listed}"
    )


def request(
    session: Session, dataset_id: int, service: Service, *, model: str, prompt: str = "", actor: Actor
) -> ModelTest:
    """Ask a model that nobody has tuned for every test row, with an instruction that names the labels."""
    dataset = datasets.get(session, dataset_id)
    actor.require(Role.LEAD, dataset)
    model, prompt = model.strip(), prompt.strip()
    if not model or len(model) > MAX_MODEL_CHARS or not model.isprintable():
        raise InvalidInput(
            _(
                "A model's name is one line of 1 to %(max_model_chars)s printable characters.",
                max_model_chars=MAX_MODEL_CHARS,
            )
        )
    if len(prompt) > MAX_PROMPT_CHARS:
        raise InvalidInput(
            _(
                "The instruction has %(prompt)s characters; %(max_prompt_chars)s are the most.",
                prompt=f"{len(prompt):,}",
                max_prompt_chars=f"{MAX_PROMPT_CHARS:,}",
            )
        )
    if not datasets.counts(session, dataset_id).test:
        raise InvalidInput(
            _("%(dataset)s has no test rows: import a file with `--split test`.", dataset=dataset.name)
        )
    version = versions.create(session, dataset, reason="model test", actor=actor)
    labels = label_names.labels_at(session, version).values()
    asking = {
        "format": CHAT,
        "choose": True,
        "prompt": prompt or prompt_for(list(labels)),
    }
    return _request(session, version, service, model=model, asking=asking, fine_tune_id=None, actor=actor)


def request_for(session: Session, fine_tune: FineTune, *, actor: Actor) -> ModelTest | None:
    """Ask a tuned model for every test row, as its training file put them.

    Nothing is asked without test rows, or for somebody whose role was lowered meanwhile.
    """
    has_rows = datasets.counts(session, fine_tune.dataset_id).test
    if not fine_tune.fine_tuned_model or not has_rows or not actor.may(Role.LEAD, fine_tune.dataset_id):
        return None
    dataset = datasets.get(session, fine_tune.dataset_id)
    export = session.get_one(Export, fine_tune.export_id)
    version = versions.create(session, dataset, reason="model test", actor=actor)
    asking = {"format": export.format, "choose": False}
    return _request(
        session,
        version,
        Service(None, fine_tune.provider, fine_tune.base_url, ""),
        model=fine_tune.fine_tuned_model,
        asking=asking,
        fine_tune_id=fine_tune.id,
        actor=actor,
    )


def _request(
    session: Session,
    version: Version,
    service: Service,
    *,
    model: str,
    asking: dict[str, Any],
    fine_tune_id: int | None,
    actor: Actor,
) -> ModelTest:
    test = ModelTest(
        dataset_id=version.dataset_id,
        version_id=version.id,
        fine_tune_id=fine_tune_id,
        provider=service.name,
        base_url=service.base_url,
        model=model,
        asking=asking,
        created_by_id=actor.user_id,
    )
    new = {"provider": service.name, "model": model, "version": version.name}
    return runs.ask(session, test, new=new, actor=actor)


def again(session: Session, test_id: int, *, actor: Actor) -> ModelTest:
    """Go on with a test that failed or was stopped: rows that were answered are not asked again."""
    test = runs.get(session, ModelTest, test_id)
    actor.require(Role.LEAD, datasets.get(session, test.dataset_id))
    session.refresh(test, with_for_update=True)
    if test.state not in {RunState.FAILED, RunState.CANCELLED}:
        raise Conflict(_("Only a test that failed or was stopped can go on."))
    runs.reopen(test)
    queue.enqueue(session, queue.Job.MODEL_TEST, test.id, round_=test.attempt + 2)
    return test


def get(session: Session, test_id: int) -> ModelTest:
    """Return a test."""
    return runs.get(session, ModelTest, test_id)


def list_tests(
    session: Session,
    dataset_id: int,
    *,
    fine_tune_id: int | None = None,
    before_id: int | None = None,
    limit: int = 100,
) -> list[ModelTest]:
    """Return the tests of a dataset's models, newest first, of one fine-tune where it is named."""
    query = sa.select(ModelTest).where(ModelTest.dataset_id == dataset_id)
    if fine_tune_id is not None:
        query = query.where(ModelTest.fine_tune_id == fine_tune_id)
    if before_id is not None:
        query = query.where(ModelTest.id < before_id)
    return list(session.scalars(query.order_by(ModelTest.id.desc()).limit(limit)))


def labels_of(session: Session, test: ModelTest) -> dict[int, str]:
    """Return the labels of a test's version, by id, in their order."""
    return label_names.labels_at(session, session.get_one(Version, test.version_id))


def options_of(session: Session, test: ModelTest) -> WriteOptions:
    """Return how a row is put to the model: as in its training file, or by an instruction."""
    if test.fine_tune_id is None:
        labels = tuple(labels_of(session, test).values())
        return WriteOptions(system_prompt=test.asking["prompt"], labels=labels)
    fine_tune = session.get_one(FineTune, test.fine_tune_id)
    return exports.written_options(session, session.get_one(Export, fine_tune.export_id))


def read_rows(session: Session, test: ModelTest) -> list[TestRow]:
    """Return every test row of the version that has a label; the session should be a snapshot."""
    version = session.get_one(Version, test.version_id)
    numbers = {name: label_id for label_id, name in labels_of(session, test).items()}
    ids = dict(
        session.execute(
            sa.select(Example.external_id, Example.id)
            .where(Example.dataset_id == test.dataset_id)
            .where(Example.split == Split.TEST)
        ).all()
    )
    rows = export_rows.read_rows(
        session, version, variant=Variant.CORRECTED, split="test", labelled_only=True
    )
    return [
        TestRow(ids[row.id], row, numbers[row.label])
        for row in rows
        if row.id in ids and row.label is not None and row.label in numbers
    ]


def read_answers(session: Session, test_id: int) -> dict[int, int | None]:
    """Return the label of each answer so far, by the row's number; None where it was no label."""
    found = session.execute(
        sa.select(ModelAnswer.example_id, ModelAnswer.label_id).where(ModelAnswer.test_id == test_id)
    )
    return dict(found.all())


def wrong_answers(session: Session, test_id: int, *, limit: int = 20) -> list[str]:
    """Return some answers that were no label, each once."""
    query = (
        sa.select(ModelAnswer.answer)
        .where(ModelAnswer.test_id == test_id, ModelAnswer.label_id.is_(None))
        .distinct()
        .limit(limit)
    )
    return list(session.scalars(query))


def keep(
    session: Session,
    test: ModelTest,
    given: Sequence[Given],
    *,
    input_tokens: int,
    output_tokens: int,
    total: int,
) -> None:
    """Keep answers; whoever was overtaken keeps none."""
    fresh = runs.guard(session, test)
    session.add_all(ModelAnswer(test_id=test.id, **asdict(one)) for one in given)
    fresh.input_tokens += input_tokens
    fresh.output_tokens += output_tokens
    if given:
        fresh.note = None
    runs.progress(session, test, "asking", fresh.done + len(given), total)


def begin(session: Session, test: ModelTest, *, done: int, total: int) -> None:
    """Say how many rows are answered already."""
    runs.progress(session, test, "asking", done, total)


def note(session: Session, test: ModelTest, sentence: str) -> None:
    """Write down what holds a test up."""
    fresh = runs.guard(session, test)
    fresh.note, fresh.phase = sentence, "asked_to_wait"


def finish(session: Session, test: ModelTest, results: Mapping[str, Any], *, actor: Actor) -> None:
    """Keep what came out."""
    fresh = runs.finish(session, test)
    fresh.results, fresh.note = dict(results), None
    events.record(
        session,
        "model_test.finished",
        actor=actor,
        dataset_id=fresh.dataset_id,
        subject_id=fresh.id,
        new={"model": fresh.model, "accuracy": results["accuracy"]},
    )


def price_of(test: ModelTest, service: Service | None) -> float | None:
    """Return what a test has cost by the provider's prices; nothing where they are not known."""
    if service is None or service.input_price is None or service.output_price is None:
        return None
    spent = test.input_tokens * service.input_price + test.output_tokens * service.output_price
    return spent / 1_000_000
