"""Checks of exports: templates, codes, drawing for validation, what may be sent."""

import json
from pathlib import Path
from typing import Any

import pytest

from app.actor import LOCAL
from app.config import Settings
from app.db import Database
from app.errors import InvalidInput
from app.files.faults import FaultKind
from app.models import Export, Import
from app.models.columns import RunState, Split
from app.models.exports import Variant
from app.services import datasets
from app.services.tuning import checks, exports
from app.services.tuning.exports import ExportChoices
from tests.factories import Row, make_dataset
from tests.jobs import working

ROWS = [
    *(Row(f"where is parcel {n}?", "order", metadata={"channel": f"c{n}"}) for n in range(20)),
    *(Row(f"money for {n}", "refund", metadata={"channel": "mail"}) for n in range(20)),
    Row("money for 1", "order"),
    Row("where is parcel 2?", "order", split=Split.TEST),
]


@pytest.fixture
def dataset_id(database: Database) -> int:
    made = make_dataset(database, rows=ROWS)
    with database.write() as session:
        columns = {"text": "text", "metadata": ["channel"]}
        session.add(
            Import(
                dataset_id=made,
                dataset_name="Requests",
                seq=1,
                state=RunState.DONE,
                file_name="a.csv",
                path="",
                columns=columns,
                created_by_id=LOCAL.user_id,
            )
        )
    return made


def preview(database: Database, dataset_id: int, **changes: Any) -> checks.CheckPreview:
    with database.read() as session:
        found = checks.preview(session, datasets.get(session, dataset_id), ExportChoices(**changes))
    assert found is not None
    return found


def sample(database: Database, dataset_id: int, **changes: Any) -> list[dict[str, Any]]:
    with database.read() as session:
        dataset = datasets.get(session, dataset_id)
        lines = exports.sample_lines(session, dataset, ExportChoices(**changes), lines=21)
    return [json.loads(line) for line in lines.splitlines()]


def test_a_template_and_codes_shape_what_is_sent(database: Database, dataset_id: int) -> None:
    rows = sample(
        database, dataset_id, system_prompt="One of {labels}.", template="[{channel}] {text}",
        number_labels=True, label_codes={"order": "O"},
    )  # fmt: skip
    assert rows[3]["messages"] == [
        {"role": "system", "content": "One of O, 2."},
        {"role": "user", "content": "[c3] where is parcel 3?"},
        {"role": "assistant", "content": "O"},
    ]
    assert rows[20]["messages"][2]["content"] == "2"
    completion = sample(database, dataset_id, format="completion-jsonl", template="Q: {text}")
    assert completion[0] == {"prompt": "Q: where is parcel 0?\n\n###\n\n", "completion": " order"}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"template": "no place"}, "write {text} there"),
        ({"template": "{text}" + "x" * 20_000}, "at most 20,000 characters"),
        ({"label_codes": {"nobody": "1"}}, "no label 'nobody'"),
        ({"label_codes": {"order": " "}}, "1 to 100 characters"),
        ({"validation_percent": 51}, "At most 50%"),
        ({"validation_percent": 10, "format": "csv"}, "for chat-jsonl and completion-jsonl only"),
        ({"seed": -1}, "A seed is a number"),
    ],
)
def test_choices_without_sense_are_refused(
    database: Database, dataset_id: int, changes: dict[str, Any], sentence: str
) -> None:
    with database.write() as session, pytest.raises(InvalidInput, match=sentence):
        exports.request(session, dataset_id, ExportChoices(**changes), actor=LOCAL)


def test_a_preview_checks_the_first_rows_and_says_so(database: Database, dataset_id: int) -> None:
    whole = preview(database, dataset_id)
    assert whole.is_whole
    assert whole.checked.rows == 41
    assert whole.checked.counts == {FaultKind.CONFLICTING_PROMPT: 1}
    with database.read() as session:
        dataset = datasets.get(session, dataset_id)
        part = checks.preview(session, dataset, ExportChoices(), most=5)
        assert part is not None
        assert not part.is_whole
        assert part.checked.rows == 5
        assert checks.preview(session, dataset, ExportChoices(format="csv")) is None


def written(settings: Settings, database: Database, dataset_id: int, **changes: Any) -> Export:
    with database.write() as session:
        asked = exports.request(session, dataset_id, ExportChoices(**changes), actor=LOCAL)
    with working.at_work(settings, database):
        done = working.done(database, asked)
    assert isinstance(done, Export)
    return done


def texts(path: Path) -> list[str]:
    return [json.loads(line)["messages"][0]["content"] for line in path.read_text().splitlines()]


def test_a_written_file_is_checked_whole_and_split_by_seed(
    settings: Settings, database: Database, dataset_id: int
) -> None:
    export = written(settings, database, dataset_id, validation_percent=20, seed=7)
    validation = checks.validation_path(export)
    assert validation is not None
    training, held = texts(Path(export.path)), texts(validation)
    assert (len(training), len(held)) == (export.rows, export.manifest["validation"]["rows"])
    assert not set(training) & set(held)
    assert sorted(training + held) == sorted(row.text for row in ROWS if row.split is Split.TRAIN)
    assert 3 <= sum("parcel" in text for text in held) <= 5
    found = checks.of_export(export)
    assert found is not None
    assert (found["rows"], found["validation_rows"]) == (len(training), len(held))
    kinds = {one["fault"] for one in checks.list_faults(export, limit=50)}
    assert kinds == {kind for kind, count in found["counts"].items() if count}
    checks.require_sendable(export)
    again = written(
        settings, database, dataset_id, version_id=export.version_id, validation_percent=20, seed=7
    )
    assert again.sha256 == export.sha256
    assert again.manifest["validation"] == export.manifest["validation"]
    if "where is parcel 2?" in training:
        assert found["counts"]["also_in_test"] == 1


def test_a_file_that_would_be_refused_is_not_sent(settings: Settings, database: Database) -> None:
    small = make_dataset(database, rows=[Row("a", "x"), Row("b", "y")])
    export = written(settings, database, small)
    with pytest.raises(InvalidInput, match=r"has one fault that .* refuses\. The training file has 2 rows"):
        checks.require_sendable(export)
    plain = written(settings, database, small, format="csv", variant=Variant.ORIGINAL)
    assert checks.of_export(plain) is None
    checks.require_sendable(plain)


@pytest.mark.parametrize("kind", ["chat-jsonl", "csv", "parquet"])
def test_a_stream_has_the_bytes_of_the_written_file(
    settings: Settings, database: Database, dataset_id: int, kind: str
) -> None:
    export = written(settings, database, dataset_id, format=kind)
    with database.read(snapshot=True) as session:
        dataset = datasets.get(session, dataset_id)
        choices = ExportChoices(format=kind, version_id=export.version_id)
        exports.require_streamable(session, dataset, choices, actor=LOCAL)
        assert b"".join(exports.stream(session, dataset, choices)) == Path(export.path).read_bytes()
        choices = ExportChoices(validation_percent=10)
        with pytest.raises(InvalidInput, match="second file"):
            exports.require_streamable(session, dataset, choices, actor=LOCAL)
